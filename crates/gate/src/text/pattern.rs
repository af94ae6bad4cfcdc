//! Regular expressions that are looked for one by one, where a gate asks for them: linear in time, and in
//! pieces, so that the budget is seen between them.

use crate::{Budget, OutOfBudget};
use regex::Regex;

/// How much of a string a pattern is looked for in at a time.
const PIECE_BYTES: usize = 64 << 10;
/// How far pieces overlap: what is longer may be missed across their border.
const OVERLAP_BYTES: usize = 1 << 10;

/// Compiles a pattern in which `\b` is about ASCII, as everywhere here.
pub(super) fn compile(pattern: &str) -> Regex {
    let ascii = pattern.replace(r"\b", r"(?-u:\b)");
    #[expect(
        clippy::expect_used,
        reason = "patterns are constants, and a test compiles all"
    )]
    Regex::new(&ascii).expect("a constant pattern")
}

/// The first match that the check takes.
pub(super) fn find(
    pattern: &Regex,
    text: &str,
    budget: &Budget<'_>,
    check: impl Fn(&str) -> bool,
) -> Result<bool, OutOfBudget> {
    let mut start = 0;
    loop {
        let end = boundary(text, start + PIECE_BYTES);
        if pattern
            .find_iter(&text[start..end])
            .any(|found| check(found.as_str()))
        {
            return Ok(true);
        }
        if end == text.len() {
            return Ok(false);
        }
        budget.check()?;
        start = boundary(text, end - OVERLAP_BYTES);
    }
}

/// The first boundary of characters from that index on.
fn boundary(text: &str, at: usize) -> usize {
    (at..text.len())
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(text.len())
}
