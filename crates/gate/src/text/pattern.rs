//! Regular expressions that are looked for one by one, where a gate asks for them, in time that is linear in the
//! string; what stands around a match is seen wherever that is in the string.

use crate::{Budget, OutOfBudget};
use regex::Regex;

/// How much of a string a pattern is looked for in between two looks at the budget.
pub(super) const PIECE_BYTES: usize = 64 << 10;
/// How far a match may go on behind the piece that it begins in: what is longer may be missed.
pub(super) const OVERLAP_BYTES: usize = 16 << 10;

/// Compiles a pattern in which `\b` is about ASCII, as everywhere here.
pub(super) fn compile(pattern: &str) -> Regex {
    let ascii = pattern.replace(r"\b", r"(?-u:\b)");
    #[expect(
        clippy::expect_used,
        reason = "patterns are constants, and a test compiles all"
    )]
    Regex::new(&ascii).expect("a constant pattern")
}

/// Whether a pattern matches, however long what it matches is: the string is searched at once, and the budget looked
/// at before that. For patterns that count no repetitions, so that few milliseconds a MiB are enough for any string.
pub(super) fn matches(pattern: &Regex, text: &str, budget: &Budget<'_>) -> Result<bool, OutOfBudget> {
    if text.len() > PIECE_BYTES {
        budget.check()?;
    }
    Ok(pattern.is_match(text))
}

/// Whether the check takes a match, piece by piece.
pub(super) fn find(
    pattern: &Regex,
    text: &str,
    budget: &Budget<'_>,
    check: impl Fn(&str) -> bool,
) -> Result<bool, OutOfBudget> {
    let mut piece = 0;
    let mut start = 0; // of the search: it sees what stands before
    loop {
        let next_piece = boundary(text, piece + PIECE_BYTES);
        let end = boundary(text, next_piece + OVERLAP_BYTES);
        while let Some(found) = pattern.find_at(&text[..end], start) {
            // What begins in the next piece is left to it. At a cut, nothing tells whether a match ends there.
            if end < text.len() && (found.start() >= next_piece || found.end() == end) {
                break;
            }
            if check(found.as_str()) {
                return Ok(true);
            }
            start = found.end();
        }
        if end == text.len() {
            return Ok(false);
        }
        budget.check()?;
        piece = next_piece;
        start = start.max(piece);
    }
}

/// The first boundary of characters from that index on.
fn boundary(text: &str, at: usize) -> usize {
    (at..text.len())
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(text.len())
}
