//! How many bytes of bodies may be in memory at once, and how many of them may be one organisation's.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use store::OrgId;

/// The bytes there are, and who has them.
pub(crate) struct Budget {
    bytes: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    bytes: usize,
    by_org: HashMap<OrgId, usize>,
}

/// Bytes that one body has taken from a budget; given back when dropped.
pub(crate) struct Share {
    /// All that there are.
    budget: usize,
    taken: Arc<Mutex<Taken>>,
    org: OrgId,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            bytes,
            taken: Arc::default(),
        }
    }

    /// An empty share of this organisation's.
    pub(crate) fn share(&self, org: OrgId) -> Share {
        Share {
            budget: self.bytes,
            taken: Arc::clone(&self.taken),
            org,
            bytes: 0,
        }
    }

    /// Bytes taken now.
    pub(crate) fn used(&self) -> usize {
        self.taken.lock().bytes
    }
}

impl Share {
    /// Whether the share could have so many bytes now.
    pub(crate) fn could_grow_to(&self, bytes: usize) -> bool {
        self.fits(&self.taken.lock(), bytes)
    }

    /// Makes the share at least so large; false if there is no room for that.
    #[must_use]
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        if bytes <= self.bytes {
            return true;
        }
        let mut taken = self.taken.lock();
        let fits = self.fits(&taken, bytes);
        if fits {
            let more = bytes - self.bytes;
            taken.bytes += more;
            *taken.by_org.entry(self.org).or_default() += more;
            self.bytes = bytes;
        }
        fits
    }

    /// Makes the share at most so large.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        if less == 0 {
            return;
        }
        self.bytes -= less;
        let mut taken = self.taken.lock();
        taken.bytes -= less;
        if let Some(of_org) = taken.by_org.get_mut(&self.org) {
            *of_org -= less;
            if *of_org == 0 {
                taken.by_org.remove(&self.org);
            }
        }
    }

    /// The one rule. An organisation has half of the budget at most, so that none can keep all others out. A body that is
    /// alone in memory always fits: it has bounds of its own, and however small the budget is, the largest body must go through.
    fn fits(&self, taken: &Taken, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let of_org = taken.by_org.get(&self.org).copied().unwrap_or(0);
        taken.bytes == self.bytes
            || (taken.bytes.saturating_add(more) <= self.budget
                && of_org.saturating_add(more) <= self.budget / 2)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back_and_an_organisation_has_half() {
        let budget = Budget::new(100);
        let (mut one, mut two) = (budget.share(OrgId(1)), budget.share(OrgId(1)));
        assert!(one.grow_to(30) && one.grow_to(30) && one.grow_to(10));
        assert!(!two.could_grow_to(21) && !two.grow_to(21) && two.grow_to(20));
        let mut other = budget.share(OrgId(2));
        assert!(!other.grow_to(51) && other.grow_to(50));
        assert_eq!(budget.used(), 100);
        let mut third = budget.share(OrgId(3));
        assert!(!third.grow_to(1));
        one.shrink_to(20);
        assert!(third.grow_to(10) && !third.grow_to(11));
        drop((one, two, other, third));
        assert_eq!(budget.used(), 0);
        assert!(budget.taken.lock().by_org.is_empty());
    }

    #[test]
    fn a_body_alone_in_memory_always_fits() {
        let budget = Budget::new(100);
        let (mut alone, mut other) = (budget.share(OrgId(1)), budget.share(OrgId(2)));
        assert!(alone.grow_to(90) && alone.grow_to(140) && !other.grow_to(1));
        alone.shrink_to(40);
        assert!(other.grow_to(1) && alone.grow_to(50) && !alone.grow_to(51));
    }
}
