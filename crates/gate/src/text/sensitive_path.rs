//! System directories, and directories of credentials in a home.

use super::blank::{blank_before, blank_len, is_quote};

const SYSTEM: [&str; 3] = ["/etc", "/usr", "/var"];
const CREDENTIALS: [&str; 3] = [".ssh", ".aws", ".gnupg"];

/// Whether one begins at the `/` or `~` at that index.
pub(super) fn is_at(text: &str, at: usize) -> bool {
    let rest = &text[at..];
    let length = starts_with_any(rest, &SYSTEM).or_else(|| {
        let home = if rest.starts_with("~/") {
            Some(2)
        } else {
            home_of_user(rest)
        }?;
        starts_with_any(&rest[home..], &CREDENTIALS).map(|name| home + name)
    });
    length.is_some_and(|length| begins(text, at) && ends(text, at + length))
}

/// The bytes of `/home/<user>/`.
fn home_of_user(text: &str) -> Option<usize> {
    let prefix = "/home/";
    let rest = text.strip_prefix(prefix)?;
    // No name of a user holds a slash, so all these walks together are linear.
    let end = rest
        .char_indices()
        .find(|(_, one)| *one == '/' || super::is_blank(*one) || "'\"`".contains(*one));
    let (user, slash) = end?;
    (user > 0 && slash == '/').then_some(prefix.len() + user + 1)
}

fn starts_with_any(text: &str, words: &[&str]) -> Option<usize> {
    words
        .iter()
        .find(|word| text.starts_with(**word))
        .map(|word| word.len())
}

fn is_border(byte: u8) -> bool {
    is_quote(byte) || matches!(byte, b'=' | b':' | b'(' | b',' | b'<' | b'>')
}

fn begins(text: &str, at: usize) -> bool {
    at == 0 || is_border(text.as_bytes()[at - 1]) || blank_before(text, at) || text[..at].ends_with("file://")
}

fn ends(text: &str, at: usize) -> bool {
    let next = text.as_bytes().get(at).copied();
    next.is_none_or(|byte| byte == b'/' || is_border(byte)) || blank_len(text, at) > 0
}
