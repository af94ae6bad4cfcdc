//! Where in a payload something is, told without the payload's text.

use json::{Document, Step, Value};
use std::fmt::Write as _;

/// The longest pointer, in bytes; a longer one is cut at a step and ends in `/…`.
const MAX_BYTES: usize = 400;
/// The longest key that is told.
const MAX_KEY_BYTES: usize = 32;

/// The JSON pointer of a value, with `*` for each key that is not `[A-Za-z_][A-Za-z0-9_]{0,31}`.
pub(crate) fn pointer(document: &Document<'_>, value: Value<'_>) -> String {
    pointer_of(document.way_to(value))
}

/// The same of a way.
pub(crate) fn pointer_of<'s>(way: impl IntoIterator<Item = Step<'s>>) -> String {
    let mut pointer = String::new();
    for step in way {
        if pointer.len() > MAX_BYTES {
            pointer.push_str("/…");
            break;
        }
        // Writing to a string cannot fail.
        let _ = match step {
            Step::Index(index) => write!(pointer, "/{index}"),
            Step::Key(key) if is_plain(key) => write!(pointer, "/{key}"),
            Step::Key(_) => write!(pointer, "/*"),
        };
    }
    pointer
}

fn is_plain(key: &str) -> bool {
    let is_plain_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    key.len() <= MAX_KEY_BYTES
        && key.bytes().next().is_some_and(|first| !first.is_ascii_digit())
        && key.bytes().all(is_plain_byte)
}
