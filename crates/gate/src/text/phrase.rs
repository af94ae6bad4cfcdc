//! An assistant's phrases of refusal.

use super::blank::blank_len;
use super::{ends_word, starts_word};

/// The phrases: a blank stands for a run of blanks, `'` for any apostrophe, a letter for either case.
pub(crate) const REFUSALS: [&str; 24] = [
    "i don't have access",
    "i don't have the ability",
    "i do not have access",
    "i do not have the ability",
    "i can't do",
    "i can't help",
    "i can't provide",
    "i can't access",
    "i can't complete",
    "i can't fulfill",
    "i can't assist",
    "i cannot do",
    "i cannot help",
    "i cannot provide",
    "i cannot access",
    "i cannot complete",
    "i cannot fulfill",
    "i cannot assist",
    "as an ai model",
    "as an ai language model",
    "i'm an ai",
    "i'm just an ai",
    "i am an ai",
    "i am just an ai",
];

/// Whether a phrase begins at that index.
pub(super) fn is_at(text: &str, at: usize) -> bool {
    starts_word(text.as_bytes(), at) && REFUSALS.iter().any(|phrase| begins_with(text, at, phrase))
}

fn begins_with(text: &str, at: usize, phrase: &str) -> bool {
    let mut here = at;
    for byte in phrase.bytes() {
        let length = match byte {
            b' ' => blanks(text, here),
            b'\'' => apostrophe(text, here),
            letter => usize::from(
                text.as_bytes()
                    .get(here)
                    .is_some_and(|byte| byte.eq_ignore_ascii_case(&letter)),
            ),
        };
        if length == 0 {
            return false;
        }
        here += length;
    }
    ends_word(text.as_bytes(), here)
}

fn blanks(text: &str, at: usize) -> usize {
    let mut here = at;
    loop {
        match blank_len(text, here) {
            0 => return here - at,
            length => here += length,
        }
    }
}

fn apostrophe(text: &str, at: usize) -> usize {
    let rest = &text.as_bytes()[at..];
    let forms = ["'", "\u{2019}", "\u{2bc}"];
    forms
        .iter()
        .find(|form| rest.starts_with(form.as_bytes()))
        .map_or(0, |form| form.len())
}
