//! Phone numbers of North America: `\b(?:\+?1[-.\s]?)?\(?[2-9]\d{2}\)?[-.\s]\d{3}[-.\s]\d{4}\b`.

use super::blank::blank_len;
use super::{digits, ends_word, starts_word};

/// Whether the area code of one begins at that index.
///
/// All that may stand before the area code matters in one case only: a `1` that touches it. Otherwise the
/// pattern matches from the area code on, or not at all.
pub(super) fn is_at(text: &str, at: usize) -> bool {
    let bytes = text.as_bytes();
    let begins = starts_word(bytes, at) || (bytes[at - 1] == b'1' && starts_word(bytes, at - 1));
    begins && (b'2'..=b'9').contains(&bytes[at]) && is_number(text, at)
}

fn is_number(text: &str, at: usize) -> bool {
    let bytes = text.as_bytes();
    if digits(bytes, at, 3) < 3 {
        return false;
    }
    let area_end = at + 3 + usize::from(bytes.get(at + 3) == Some(&b')'));
    let Some(exchange) = behind_separator(text, area_end).filter(|&at| digits(bytes, at, 3) == 3) else {
        return false;
    };
    let Some(line) = behind_separator(text, exchange + 3).filter(|&at| digits(bytes, at, 4) == 4) else {
        return false;
    };
    ends_word(bytes, line + 4)
}

fn behind_separator(text: &str, at: usize) -> Option<usize> {
    match text.as_bytes().get(at)? {
        b'-' | b'.' => Some(at + 1),
        _ => Some(blank_len(text, at))
            .filter(|&len| len > 0)
            .map(|len| at + len),
    }
}
