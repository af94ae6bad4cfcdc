//! The wall-clock time that the gates of one run share.

use std::fmt;
use std::time::{Duration, Instant};

/// An instant until which gates may work, and the clock that tells it.
pub struct Budget<'a> {
    clock: &'a dyn Fn() -> Instant,
    started: Instant,
    until: Option<Instant>,
}

/// The budget is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("out of budget")]
pub struct OutOfBudget;

impl<'a> Budget<'a> {
    /// That much time from now on.
    pub fn start(total: Duration, clock: &'a dyn Fn() -> Instant) -> Self {
        let started = clock();
        let until = started.checked_add(total); // beyond all instants is without end
        Self {
            clock,
            started,
            until,
        }
    }

    /// The time by its clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        (self.clock)()
    }

    /// When it began.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Until when; `None` without end.
    #[must_use]
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Whether it is spent at that instant.
    #[must_use]
    pub fn is_spent_at(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now >= until)
    }

    /// # Errors
    /// Where it is spent.
    pub fn check(&self) -> Result<(), OutOfBudget> {
        if self.is_spent_at(self.now()) {
            Err(OutOfBudget)
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for Budget<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}
