//! Destructive commands beside `rm`, each looked for where the `filesystem` gate is told to.

use super::{Detector, Detectors, pattern};
use crate::{Budget, OutOfBudget};
use regex::Regex;
use std::sync::LazyLock;

/// The commands and their patterns. `BLANK` stands for the blanks, see [`super::blank`].
pub(crate) const COMMANDS: [(Detector, &str); 8] = [
    (Detector::DiskWrite, r#"\bdd\b[^;|&\n\r]*\bof=['"]?/dev\b"#),
    (Detector::MakeFilesystem, r"\bmkfs(?:\.[A-Za-z0-9]+)?\b"),
    (Detector::FindDelete, r"\bfind\b[^;|&\n\r]*[BLANK]-delete\b"),
    (Detector::Shred, r"\bshred[BLANK]+[-/~.]"),
    (
        Detector::GitClean,
        r"\bgit[BLANK]+clean\b[^;|&\n\r]*[BLANK]-(?:[A-Za-z]*f(?:[A-Za-z]*|[^;|&\n\r]*[BLANK]-[A-Za-z]*)[xX]|[A-Za-z]*[xX](?:[A-Za-z]*|[^;|&\n\r]*[BLANK]-[A-Za-z]*)f)",
    ),
    (
        Detector::ChmodRoot,
        r#"\bchmod[BLANK]+(?:(?:-R|--recursive)[BLANK]+0?777|0?777[BLANK]+(?:-R|--recursive))[BLANK]+/\*?(?:[;|&'"`BLANK]|$)"#,
    ),
    (
        Detector::ForkBomb,
        r":[BLANK]*\([BLANK]*\)[BLANK]*\{[BLANK]*:[BLANK]*\|[BLANK]*:[BLANK]*&[BLANK]*\}[BLANK]*;[BLANK]*:",
    ),
    (
        Detector::PipeToShell,
        r#"\b(?:curl|wget)\b[^;|&\n\r]*\|[BLANK]*(?:sudo[BLANK]+)?(?:/[A-Za-z0-9/._-]*/)?(?:ba|z|k|da)?sh\b|\b(?:ba|z|k|da)?sh[BLANK]+(?:-c[BLANK]+["']?\$\(|<\()[BLANK]*(?:curl|wget)\b"#,
    ),
];

/// The blanks, as a part of a class.
pub(crate) const BLANKS: &str = r"\t-\r \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\ufeff";

static COMPILED: LazyLock<Vec<(Detector, Regex)>> = LazyLock::new(|| {
    let compile = |(detector, pattern): &(Detector, &str)| {
        (*detector, pattern::compile(&pattern.replace("BLANK", BLANKS)))
    };
    COMMANDS.iter().map(compile).collect()
});

/// Compiles the patterns, if that was not done yet.
pub(crate) fn prepare() {
    LazyLock::force(&COMPILED);
}

/// The commands of that set that the text holds.
pub(super) fn found<'a>(
    wanted: Detectors,
    text: &'a str,
    budget: &'a Budget<'_>,
) -> impl Iterator<Item = Result<Detector, OutOfBudget>> + 'a {
    let candidates = COMPILED.iter().filter(move |(detector, _)| wanted.has(*detector));
    candidates.filter_map(
        move |(detector, pattern)| match pattern::matches(pattern, text, budget) {
            Ok(found) => found.then_some(Ok(*detector)),
            Err(spent) => Some(Err(spent)),
        },
    )
}
