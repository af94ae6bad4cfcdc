//! Limits for work that nobody waits for: of bytes a second, and of the time that it keeps a core and the disk from
//! work that somebody waits for.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// How long work goes on without a break.
const STRETCH: Duration = Duration::from_micros(500);
/// How many times as long as the stretch before it a break is.
const REST: u32 = 8;
/// How long a break is at most.
const LONGEST_BREAK: Duration = Duration::from_millis(10);

/// How much may be done now.
pub(crate) struct Pace {
    /// Bytes; below 0 after a piece that took more.
    saved: i64,
    looked_at: Instant,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self {
            saved: 0,
            looked_at: Instant::now(),
        }
    }

    /// Whether a piece may be done now, at this many bytes a second; [`u64::MAX`] is without limit.
    pub(crate) fn allows(&mut self, bytes_per_second: u64) -> bool {
        if bytes_per_second == u64::MAX {
            return true;
        }
        let elapsed = self.looked_at.elapsed();
        self.looked_at += elapsed;
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let earned = u128::from(bytes_per_second) * u128::from(micros) / 1_000_000;
        // No more than a second's worth is saved up.
        let most = i64::try_from(bytes_per_second).unwrap_or(i64::MAX);
        self.saved = self
            .saved
            .saturating_add(i64::try_from(earned).unwrap_or(i64::MAX))
            .min(most);
        self.saved > 0
    }

    /// Tells that so many bytes were done.
    pub(crate) fn spend(&mut self, bytes: u64) {
        self.saved = self.saved.saturating_sub_unsigned(bytes);
    }
}

/// Work cut into short stretches with breaks between them. A scheduler lets a thread go on for some milliseconds once it
/// runs: on a busy core that is how long a commit would wait for it, again and again until the work is done.
pub(crate) struct Breaks<H> {
    is_in_a_hurry: H,
    since: Cell<Instant>,
}

impl<H: Fn() -> bool> Breaks<H> {
    /// The first stretch begins now.
    pub(crate) fn new(is_in_a_hurry: H) -> Self {
        Self {
            is_in_a_hurry,
            since: Cell::new(Instant::now()),
        }
    }

    /// Sleeps if the stretch was long enough, unless there is a hurry.
    pub(crate) fn pause(&self) {
        let worked = self.since.get().elapsed();
        if worked >= STRETCH {
            if !(self.is_in_a_hurry)() {
                std::thread::sleep(LONGEST_BREAK.min(worked * REST));
            }
            self.since.set(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long a pause takes after so much work.
    fn pause_after(worked: Duration, is_in_a_hurry: bool) -> Duration {
        let breaks = Breaks::new(|| is_in_a_hurry);
        std::thread::sleep(worked);
        let began = Instant::now();
        breaks.pause();
        began.elapsed()
    }

    #[test]
    fn a_break_follows_a_stretch_of_work_unless_there_is_a_hurry() {
        assert!(pause_after(STRETCH, false) >= STRETCH * REST);
        assert!(pause_after(Duration::from_millis(20), false) >= LONGEST_BREAK);
        // The quickest of many: anything may keep a thread from its core once.
        let quickest = |worked, is_in_a_hurry| (0..100).map(|_| pause_after(worked, is_in_a_hurry)).min();
        assert!(quickest(Duration::ZERO, false) < Some(STRETCH), "no stretch yet");
        assert!(quickest(STRETCH, true) < Some(STRETCH), "it is in a hurry");
    }
}
