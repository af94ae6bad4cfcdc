//! The arrivals of an agent that are no longer in its window, or never were: the newest of them, by identity.
//!
//! A look-up of stored rows says that an event is not among an agent's first so many arrivals. Those that
//! came since must be known here, or the look-up has to be done again. A few are enough for most agents; one
//! that takes thousands of events while a look-up runs gets more room.

use crate::agent::Aside;
use hashbrown::HashMap;
use std::collections::VecDeque;

/// Arrivals remembered of any agent: few enough to look through one by one.
const FEW: usize = 128;
/// Arrivals remembered at most, at some 48 bytes each.
const MANY: usize = 32_768;

/// The newest arrivals outside the window, in the order in which they left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outside {
    arrivals: VecDeque<Aside>,
    limit: usize,
    /// Where there are many: the newest arrival by identity.
    newest: Option<HashMap<u64, u64>>,
    /// The newest arrival that left and is no longer remembered; 0 if all are.
    forgotten: u64,
}

impl Outside {
    /// Nothing remembered of an agent that has so many arrivals.
    pub(crate) fn new(arrivals: u64) -> Self {
        Self {
            arrivals: VecDeque::new(),
            limit: FEW,
            newest: None,
            forgotten: arrivals,
        }
    }

    /// Remembers an arrival that is outside now.
    pub(crate) fn push(&mut self, arrival: Aside) {
        if self.arrivals.len() >= self.limit
            && let Some(old) = self.arrivals.pop_front()
        {
            self.forgotten = self.forgotten.max(old.arrival);
            if let Some(newest) = &mut self.newest
                && newest.get(&old.identity) == Some(&old.arrival)
            {
                newest.remove(&old.identity);
            }
        }
        if let Some(newest) = &mut self.newest {
            let known = newest.entry(arrival.identity).or_default();
            *known = arrival.arrival.max(*known);
        }
        self.arrivals.push_back(arrival);
    }

    /// Whether an arrival after `known` with this identity may be outside the window.
    pub(crate) fn may_hold(&self, identity: u64, known: u64) -> bool {
        known < self.forgotten
            || match &self.newest {
                Some(newest) => newest.get(&identity).is_some_and(|arrival| *arrival > known),
                None => self
                    .arrivals
                    .iter()
                    .any(|old| old.arrival > known && old.identity == identity),
            }
    }

    /// Makes room for more.
    pub(crate) fn grow(&mut self) {
        self.limit = (self.limit * 4).min(MANY);
        self.newest.get_or_insert_with(|| {
            let mut newest = HashMap::new();
            for old in &self.arrivals {
                let known: &mut u64 = newest.entry(old.identity).or_default();
                *known = old.arrival.max(*known);
            }
            newest
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(grown: bool) -> Outside {
        let mut outside = Outside::new(0);
        if grown {
            outside.grow();
        }
        (1..=600).for_each(|arrival| {
            outside.push(Aside {
                arrival,
                identity: arrival % 300,
            });
        });
        outside
    }

    #[test]
    fn what_is_remembered_is_known_exactly_and_the_rest_is_doubtful() {
        for (grown, remembered) in [(false, FEW as u64), (true, 4 * FEW as u64)] {
            let outside = filled(grown);
            let oldest = 600 - remembered + 1;
            assert!(outside.may_hold(7, oldest - 2), "an arrival was forgotten");
            assert!(
                !outside.may_hold(1_000, oldest - 1),
                "all since then are remembered"
            );
            assert!(outside.may_hold(599 % 300, oldest - 1) && outside.may_hold(599 % 300, 598));
            assert!(!outside.may_hold(599 % 300, 599));
        }
    }

    #[test]
    fn growing_keeps_what_is_remembered() {
        let mut outside = filled(false);
        outside.grow();
        assert!(outside.may_hold(599 % 300, 598) && !outside.may_hold(1_000, 600 - FEW as u64));
    }
}
