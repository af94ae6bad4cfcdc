//! The time of receipt.

use reputation::Micros;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time of day. Passed in, so that tests own it.
pub type Clock = Arc<dyn Fn() -> Micros + Send + Sync>;

/// The time of day by the system's clock; a time before 1970 reads as 1970.
#[must_use]
pub fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)).min(Micros::MAX)
}

/// The system's clock.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(now)
}

/// A clock that small steps back do not turn back: receipts stay in order while an operator's clock is
/// corrected.
pub(crate) struct ReceiptClock {
    clock: Clock,
    last: Micros,
}

/// A step back of this size or more is followed, and logged: holding on would date events for too long by
/// a time that is not.
const LARGE_STEP_US: i64 = 10 * Micros::PER_SECOND;

impl ReceiptClock {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            last: Micros(i64::MIN),
        }
    }

    /// The time of receipt of what arrives now.
    pub(crate) fn now(&mut self) -> Micros {
        let read = (self.clock)();
        let back = self.last.0.saturating_sub(read.0);
        if !(0..LARGE_STEP_US).contains(&back) {
            if back >= LARGE_STEP_US && self.last.0 != i64::MIN {
                tracing::warn!(
                    seconds = back / Micros::PER_SECOND,
                    "the clock went back: following it"
                );
            }
            self.last = read;
        }
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, Ordering};

    #[test]
    fn a_small_step_back_is_held_and_a_large_one_followed() {
        let time = Arc::new(AtomicI64::new(100 * Micros::PER_SECOND));
        let read = Arc::clone(&time);
        let mut clock = ReceiptClock::new(Arc::new(move || Micros(read.load(Ordering::Relaxed))));
        let mut at = |seconds: i64| {
            time.store(seconds * Micros::PER_SECOND, Ordering::Relaxed);
            clock.now().0 / Micros::PER_SECOND
        };
        assert_eq!(
            [at(100), at(91), at(101), at(80), at(81)],
            [100, 100, 101, 80, 81]
        );
    }
}
