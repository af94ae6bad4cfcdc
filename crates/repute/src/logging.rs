//! Log lines: on standard error, for people on a terminal, as JSON elsewhere.

use clap::ValueEnum;
use std::io::{IsTerminal as _, Write as _, stderr};
use tracing::Level;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// `human` on a terminal, else `json`.
    Auto,
    /// For people.
    Human,
    /// A JSON object a line.
    Json,
}

/// A level by its name.
pub(crate) fn level(text: &str) -> Result<Level, String> {
    let known = ["error", "warn", "info", "debug", "trace"];
    text.parse()
        .ok()
        .filter(|_| known.contains(&text))
        .ok_or_else(|| format!("`{text}` is none of {}", known.join(", ")))
}

/// Starts logging.
pub(crate) fn start(format: LogFormat, level: Level) {
    let is_human = match format {
        LogFormat::Auto => stderr().is_terminal(),
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    let builder = tracing_subscriber::fmt()
        .with_writer(stderr)
        .with_max_level(level)
        // Else a line that cannot be written is complained of on standard error, which cannot be written:
        // that panics, in whichever thread had something to say.
        .log_internal_errors(false)
        .with_target(false);
    if is_human {
        builder.with_ansi(stderr().is_terminal()).init();
    } else {
        builder.json().flatten_event(true).init();
    }
}

/// Says why the program ends, in one line.
pub(crate) fn failure(error: &anyhow::Error) {
    // Where standard error is gone there is nobody left to tell.
    let _ = writeln!(stderr(), "repute: {}", whole(error));
}

/// What an error says and what it comes from, each part once: many say themselves what they come from, and SQLite's say the
/// same again behind a number.
pub(crate) fn whole(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for part in error.chain().skip(1).map(ToString::to_string) {
        let end = part.rsplit(": ").next().unwrap_or_default();
        if !text.contains(&part) && !text.ends_with(end) {
            text = format!("{text}: {part}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn what_an_error_says_of_its_cause_is_not_said_again() {
        let denied = || anyhow!("permission denied");
        for (error, sentence) in [
            (denied(), "permission denied"),
            (
                denied().context("cannot open x"),
                "cannot open x: permission denied",
            ),
            (
                denied().context("x: permission denied; try again").context("y"),
                "y: x: permission denied; try again",
            ),
            (
                anyhow!("Error code 26: no database").context("x.db: no database"),
                "x.db: no database",
            ),
        ] {
            assert_eq!(whole(&error), sentence);
        }
    }
}
