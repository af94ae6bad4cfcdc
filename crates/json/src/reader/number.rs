//! Numbers: the double nearest to what is written, and the writing itself.

use super::{NotJson, Reader, Result};

/// A number as it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number<'a> {
    text: &'a str,
    value: f64,
}

impl<'a> Number<'a> {
    /// The double nearest to it; infinite if it is beyond all doubles.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.value
    }

    /// As it was written, in the grammar of JSON.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }
}

/// Up to here a mantissa, and with it a power of ten, is exact as a double, so that one division gives the
/// nearest double to their quotient (Clinger 1990).
const EXACT_DIGITS: usize = 15;
const POWERS_OF_TEN: [f64; EXACT_DIGITS + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// The number here.
pub(super) fn read<'a>(reader: &mut Reader<'a>) -> Result<Number<'a>> {
    reader.token();
    let start = reader.at;
    let negative = reader.byte() == Some(b'-');
    reader.at += usize::from(negative);

    let first = reader.byte();
    let mut mantissa = 0;
    let whole = digits(reader, &mut mantissa)?;
    if whole > 1 && first == Some(b'0') {
        return Err(NotJson::at(start, "a number with a leading zero"));
    }
    let mut fraction = 0;
    if reader.byte() == Some(b'.') {
        reader.at += 1;
        fraction = digits(reader, &mut mantissa)?;
    }
    let scientific = matches!(reader.byte(), Some(b'e' | b'E'));
    if scientific {
        reader.at += 1;
        reader.at += usize::from(matches!(reader.byte(), Some(b'+' | b'-')));
        digits(reader, &mut 0)?;
    }

    let text = &reader.text[start..reader.at];
    let value = if !scientific && whole + fraction <= EXACT_DIGITS {
        let magnitude = mantissa as f64 / POWERS_OF_TEN[fraction];
        if negative { -magnitude } else { magnitude }
    } else {
        // The grammar of JSON is a part of what Rust reads, so the error cannot happen.
        text.parse().unwrap_or(f64::INFINITY)
    };
    Ok(Number { text, value })
}

/// Passes over one or more digits and appends them to the mantissa, which wraps when there are too many.
fn digits(reader: &mut Reader<'_>, mantissa: &mut u64) -> Result<usize> {
    let start = reader.at;
    while let Some(digit @ b'0'..=b'9') = reader.byte() {
        *mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        reader.at += 1;
    }
    if reader.at == start {
        Err(reader.bad("expected a digit"))
    } else {
        Ok(reader.at - start)
    }
}
