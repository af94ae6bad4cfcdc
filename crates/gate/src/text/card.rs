//! Numbers of payment cards: an issuer's first digits, the right length, Luhn's check digit.

use super::{digits, ends_word, starts_word};

const MAX_DIGITS: usize = 19;
/// How numbers are printed in groups.
const GROUPINGS: [&[usize]; 5] = [
    &[4, 4, 4, 4],
    &[4, 6, 5],
    &[4, 6, 4],
    &[4, 4, 4, 4, 3],
    &[4, 4, 4, 1],
];

/// Whether a number begins at that index: digits alone, or in the usual groups with one blank or one hyphen
/// between them.
pub(super) fn is_at(bytes: &[u8], at: usize) -> bool {
    if !starts_word(bytes, at) {
        return false;
    }
    let mut number = Vec::with_capacity(MAX_DIGITS);
    let mut groups = Vec::with_capacity(MAX_DIGITS);
    let mut separator = None;
    let mut here = at;
    loop {
        let group = digits(bytes, here, MAX_DIGITS + 1);
        if group == 0 || number.len() + group > MAX_DIGITS {
            return false;
        }
        number.extend(bytes[here..here + group].iter().map(|digit| digit - b'0'));
        groups.push(group);
        here += group;
        let is_grouped = groups.len() == 1 || GROUPINGS.contains(&groups.as_slice());
        if is_grouped && ends_word(bytes, here) && is_issued(&number) && passes_luhn(&number) {
            return true;
        }
        match bytes.get(here) {
            Some(byte @ (b' ' | b'-')) if *separator.get_or_insert(*byte) == *byte => here += 1,
            _ => return false,
        }
    }
}

/// Whether an issuer gives out numbers of this length that begin so.
fn is_issued(number: &[u8]) -> bool {
    let first = |count: usize| {
        let leading = number.iter().take(count);
        leading.fold(0u32, |value, digit| value * 10 + u32::from(*digit))
    };
    match number.len() {
        13 => first(1) == 4,
        14 => matches!(first(3), 300..=305) || matches!(first(2), 36 | 38 | 39),
        15 => matches!(first(2), 34 | 37),
        16..=19 => {
            first(1) == 4 && number.len() != 17 && number.len() != 18
                || number.len() == 16 && (matches!(first(2), 51..=55) || matches!(first(4), 2221..=2720))
                || first(4) == 6011
                || matches!(first(3), 644..=649)
                || matches!(first(2), 62 | 65)
                || matches!(first(4), 3528..=3589)
        }
        _ => false,
    }
}

fn passes_luhn(number: &[u8]) -> bool {
    let places = number.iter().rev().enumerate();
    let sum: u32 = places
        .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}
