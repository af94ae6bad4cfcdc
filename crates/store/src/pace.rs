//! A limit of bytes a second for work that nobody waits for.

use std::time::Instant;

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
