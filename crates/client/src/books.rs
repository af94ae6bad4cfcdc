//! The books: where every event that was tracked is now.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// A reading of the books. At any moment `tracked = delivered + refused + dropped + waiting`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Books {
    /// Events that were tracked, those found in the spool included. What sampling left out was not tracked.
    pub tracked: u64,
    /// Events that the server has.
    pub delivered: u64,
    /// Events that the server will never take, by its code.
    pub refused: BTreeMap<String, u64>,
    /// Events that are lost, by reason.
    pub dropped: BTreeMap<DropReason, u64>,
    /// Events in the buffer, on their way, and in the spool.
    pub waiting: u64,
    /// Events found in the spool that another process left; they are in `tracked`, too.
    pub recovered: u64,
    /// How often a field was cut to make an event valid, by its path.
    pub cut: BTreeMap<&'static str, u64>,
    /// Events of which the server said that it had them already.
    pub duplicates: u64,
    /// Events that were too old to change a score.
    pub late: u64,
    /// Events whose time was too far ahead of the server's.
    pub clamped: u64,
    /// Requests that were made.
    pub requests: u64,
    /// Those of them that repeated one that failed.
    pub retries: u64,
    /// What the client is doing.
    pub state: State,
}

impl Books {
    /// All refused events.
    #[must_use]
    pub fn refused_total(&self) -> u64 {
        self.refused.values().sum()
    }

    /// All dropped events.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Whether every event is accounted for. Always true; there for you to check.
    #[must_use]
    pub fn balance(&self) -> bool {
        self.tracked == self.delivered + self.refused_total() + self.dropped_total() + self.waiting
    }
}

/// Why an event was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DropReason {
    /// The buffer was full.
    Full,
    /// It could not be delivered within `max_age`, and there is no spool.
    TooOld,
    /// It could not be made valid.
    Invalid,
    /// It was tracked after `shutdown`.
    Closed,
    /// The spool was full, or could not be written.
    SpoolFull,
    /// It was left when `shutdown` had no more time, and there is no spool.
    Shutdown,
}

impl DropReason {
    /// Its name in the books of every client.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::TooOld => "too_old",
            Self::Invalid => "invalid",
            Self::Closed => "closed",
            Self::SpoolFull => "spool_full",
            Self::Shutdown => "shutdown",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the client is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// Sends what there is.
    #[default]
    Ready,
    /// Waits after a failure.
    Backoff,
    /// Has failed five times or more in a row; tries with one batch alone.
    Open,
    /// Its key, or its address, does not do; tries each minute, or as soon as it gets another key.
    Paused,
    /// Was shut down.
    Closed,
}
