//! A closed range of times.

use reputation::Micros;

/// All times from the earliest to the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeSpan {
    pub(crate) min: Micros,
    pub(crate) max: Micros,
}

impl TimeSpan {
    /// The smallest span that holds this one, if any, and the time.
    pub(crate) fn with(span: Option<Self>, time: Micros) -> Option<Self> {
        let one = Self { min: time, max: time };
        Some(span.map_or(one, |span| span.join(one)))
    }

    /// The smallest span that holds both.
    pub(crate) fn join(self, other: Self) -> Self {
        Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    pub(crate) fn holds(&self, time: Micros) -> bool {
        self.min <= time && time <= self.max
    }
}
