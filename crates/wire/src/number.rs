//! Numbers as the API takes them: within a range, and some kept to the microsecond.

use json::Number;

/// The number as a double if it is within 0 and that maximum. Minus zero counts as zero.
///
/// What is compared is the double nearest to what was written, as for every reader of JSON.
pub(crate) fn within(number: &Number<'_>, maximum: u32) -> Option<f64> {
    (0.0..=f64::from(maximum))
        .contains(&number.value())
        .then(|| number.value() + 0.0)
}

/// Milliseconds as whole microseconds, half up, if they are within 0 and that maximum, which is checked first.
///
/// Rounded is what was *written*: 1.0005 ms are 1,001 µs, although the double nearest to 1.0005 is below it.
pub(crate) fn micros_within(number: &Number<'_>, maximum_ms: u32) -> Option<u32> {
    within(number, maximum_ms)?;
    // What was written may be above the maximum by half a step of doubles: too little to round up.
    u32::try_from(thousandfold_half_up(number.text())).ok()
}

/// A thousand times the magnitude of a written number, rounded half up. Saturates.
fn thousandfold_half_up(text: &str) -> u64 {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let mantissa = mantissa.trim_start_matches('-');
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = whole
        .bytes()
        .chain(fraction.bytes())
        .map(|digit| u64::from(digit - b'0'));

    // How many digits, counted from the first, stand before the decimal point of the result.
    let before =
        saturating_exponent(exponent).saturating_add(i64::try_from(whole.len()).unwrap_or(i64::MAX) + 3);
    if before < 0 {
        return 0;
    }
    let mut value: u64 = 0;
    for _ in 0..before {
        let digit = digits.next();
        // Past the last digit an all-zero number stays zero, however large the exponent.
        if digit.is_none() && value == 0 || value == u64::MAX {
            return value;
        }
        value = value.saturating_mul(10).saturating_add(digit.unwrap_or(0));
    }
    value.saturating_add(u64::from(digits.next().unwrap_or(0) >= 5))
}

fn saturating_exponent(text: &str) -> i64 {
    // Far beyond what the length of a text can balance, and far from overflowing.
    const FAR: i64 = 1 << 40;
    let magnitude = text.trim_start_matches(['+', '-']);
    let magnitude = magnitude.bytes().fold(0i64, |value, digit| {
        (value * 10 + i64::from(digit - b'0')).min(FAR)
    });
    if text.starts_with('-') {
        -magnitude
    } else {
        magnitude
    }
}
