//! Social security numbers: three, two and four digits at word boundaries, but for those never given out.

use super::{ends_word, starts_word};

const LENGTH: usize = 11;

/// Whether one begins at that index.
pub(super) fn is_at(bytes: &[u8], at: usize) -> bool {
    let Some(number) = bytes.get(at..at + LENGTH) else {
        return false;
    };
    let has_form = number.iter().enumerate().all(|(index, byte)| match index {
        3 | 6 => *byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    let (area, group, serial) = (&number[..3], &number[4..6], &number[7..]);
    has_form
        && starts_word(bytes, at)
        && ends_word(bytes, at + LENGTH)
        && !(area == b"000" || area == b"666" || area[0] == b'9' || group == b"00" || serial == b"0000")
}
