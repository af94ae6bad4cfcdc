//! `rm` with options that together make it recursive and forced, up to the end of its command.

use super::blank::{blank_before, is_quote};
use super::{ends_word, is_word, starts_word};

/// What a look at an `rm` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It is one.
    Hit,
    /// It is none, and no other before that index is one.
    MissBefore(usize),
}

/// Whether the `r` at that index begins one.
pub(super) fn look_at(text: &str, at: usize) -> Look {
    let bytes = text.as_bytes();
    if bytes.get(at + 1) != Some(&b'm') || !starts_word(bytes, at) || !ends_word(bytes, at + 2) {
        return Look::MissBefore(at + 1);
    }
    let (mut recursive, mut forced) = (false, false);
    let mut here = at + 2;
    while let Some(&byte) = bytes.get(here) {
        match byte {
            b';' | b'|' | b'&' | b'\n' | b'\r' => break,
            b'-' if is_quote(bytes[here - 1]) || blank_before(text, here) => {
                let option = option(&bytes[here..]);
                recursive |= is_given(option, b"--recursive", b"rR");
                forced |= is_given(option, b"--force", b"f");
                if recursive && forced {
                    return Look::Hit;
                }
                here += option.len();
            }
            _ => here += 1,
        }
    }
    // A second `rm` of the same command sees fewer options than this one did.
    Look::MissBefore(here)
}

/// Hyphens and what follows them of a word. At least the first hyphen.
fn option(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| !(is_word(*byte) || *byte == b'-'));
    &bytes[..end.unwrap_or(bytes.len())]
}

/// Whether it is that long option, or a group of short ones with one of those letters.
fn is_given(option: &[u8], long: &[u8], letters: &[u8]) -> bool {
    option == long
        || option[1..].iter().all(u8::is_ascii_alphabetic)
            && option[1..].iter().any(|letter| letters.contains(letter))
}
