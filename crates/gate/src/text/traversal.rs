//! `..` as a part of a path: between any two of `/`, `\`, blank, quote, backtick, or an end of the string.

use super::blank::{blank_before, blank_len, is_quote};

/// Whether one begins at that index.
pub(super) fn is_at(text: &str, at: usize) -> bool {
    let bytes = text.as_bytes();
    if bytes.get(at + 1) != Some(&b'.') {
        return false;
    }
    let is_border = |byte: u8| is_quote(byte) || matches!(byte, b'/' | b'\\');
    let begins = at == 0 || is_border(bytes[at - 1]) || blank_before(text, at);
    let end = at + 2;
    begins && (end == bytes.len() || is_border(bytes[end]) || blank_len(text, end) > 0)
}
