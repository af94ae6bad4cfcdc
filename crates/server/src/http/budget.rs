//! How many bytes of bodies may be in memory at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes left.
#[derive(Clone)]
pub(crate) struct Budget {
    left: Arc<AtomicUsize>,
    all: usize,
}

/// Bytes taken from a budget; given back when dropped.
pub(crate) struct Share {
    left: Arc<AtomicUsize>,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            left: Arc::new(AtomicUsize::new(bytes)),
            all: bytes,
        }
    }

    /// An empty share.
    pub(crate) fn share(&self) -> Share {
        Share {
            left: Arc::clone(&self.left),
            bytes: 0,
        }
    }

    /// Bytes taken now.
    pub(crate) fn used(&self) -> usize {
        self.all.saturating_sub(self.left.load(Ordering::Relaxed))
    }
}

impl Share {
    /// Makes the share at least so large; false if the budget has not so much left.
    #[must_use]
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(more)
            });
        if taken.is_ok() {
            self.bytes += more;
        }
        taken.is_ok()
    }

    /// Adds another share to this one.
    pub(crate) fn add(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.left.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back() {
        let budget = Budget::new(100);
        let mut one = budget.share();
        let mut two = budget.share();
        assert!(one.grow_to(60) && one.grow_to(60) && !two.grow_to(41) && two.grow_to(40));
        assert_eq!(budget.used(), 100);
        one.add(two);
        assert_eq!(budget.used(), 100);
        drop(one);
        assert_eq!(budget.used(), 0);
    }
}
