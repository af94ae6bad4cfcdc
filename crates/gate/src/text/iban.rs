//! International bank account numbers (ISO 13616): a country's length, and 1 modulo 97.

use super::{ends_word, starts_word};

/// The lengths of the countries that are in the registry.
const LENGTHS: [(&[u8; 2], usize); 89] = [
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HN", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
];

/// Whether the check digits of one begin at that index: capital letters and digits, with single blanks
/// between them as it is printed.
pub(super) fn is_at(bytes: &[u8], at: usize) -> bool {
    let Some(start) = at.checked_sub(2).filter(|&start| starts_word(bytes, start)) else {
        return false;
    };
    let country = LENGTHS
        .iter()
        .find(|(country, _)| bytes[start..at] == country[..]);
    let Some(&(_, length)) = country else {
        return false;
    };
    let mut characters = Vec::with_capacity(length);
    let mut here = start;
    while characters.len() < length {
        match bytes.get(here) {
            Some(byte) if byte.is_ascii_uppercase() || byte.is_ascii_digit() => characters.push(*byte),
            Some(b' ') if here > at && bytes[here - 1] != b' ' => {}
            _ => return false,
        }
        here += 1;
    }
    ends_word(bytes, here) && are_check_digits(&characters[2..4]) && remainder(&characters) == 1
}

/// They are 98 less a remainder modulo 97: the same two modulo 97, 00, 01 and 99, are never given.
fn are_check_digits(two: &[u8]) -> bool {
    two.iter().all(u8::is_ascii_digit) && (b"02".as_slice()..=b"98").contains(&two)
}

/// The number modulo 97, its first four characters moved to the end, a letter read as 10–35.
fn remainder(characters: &[u8]) -> u32 {
    let moved = characters[4..].iter().chain(&characters[..4]);
    moved.fold(0, |left, byte| match byte {
        b'0'..=b'9' => (left * 10 + u32::from(byte - b'0')) % 97,
        _ => (left * 100 + u32::from(byte - b'A') + 10) % 97,
    })
}
