//! The named arrivals of an agent that are no longer in its window, or never were: the newest of them, by identity.
//!
//! Two things let memory answer alone, without a look at stored rows. An event whose time is later than that of
//! all that is forgotten is in the window, remembered here, or new. And where a look-up has said that an event is
//! not among an agent's first so many arrivals, those that came since must be known here, or it has to be done
//! again. A few arrivals are enough for most agents; one whose events come faster than they are sent, so that
//! many are older than its whole window, gets more room, and gives it back when it slows down.

use hashbrown::HashMap;
use reputation::Micros;
use std::collections::VecDeque;

/// Arrivals remembered of any agent: few enough to look through one by one.
pub(crate) const FEW: usize = 32;
/// Arrivals remembered of one agent at most, at some 60 bytes each.
const MANY: usize = 65_536;
/// How much more room a time gives.
const GROWTH: usize = 8;
/// For how long more than a few are remembered, in microseconds of recorded time. What is further behind is seldom
/// asked for.
pub(crate) const REMEMBERED_US: i64 = 10 * Micros::PER_SECOND;

/// An arrival that left the window, or was too late to enter it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// The how-manieth event of its agent, from 1.
    pub(crate) arrival: u64,
    /// What [`crate::identity::Identities`] made of it.
    pub(crate) identity: u64,
    pub(crate) recorded_at: Micros,
}

/// The newest arrivals outside the window, in the order in which they left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outside {
    arrivals: VecDeque<Left>,
    limit: usize,
    /// Where there are many: the newest arrival by identity.
    newest: Option<HashMap<u64, u64>>,
    /// The newest arrival that left and is no longer remembered; 0 if all are.
    forgotten: u64,
    /// The latest time of any of those; the earliest time that there is if all are remembered.
    complete_after: Micros,
}

impl Outside {
    /// Nothing remembered of an agent that has so many arrivals, none of those outside the window recorded after
    /// this time.
    pub(crate) fn new(arrivals: u64, until: Micros) -> Self {
        Self {
            arrivals: VecDeque::new(),
            limit: FEW,
            newest: None,
            forgotten: arrivals,
            complete_after: until,
        }
    }

    /// Remembers an arrival that is outside now.
    pub(crate) fn push(&mut self, arrival: Left) {
        if self.arrivals.len() >= self.limit {
            self.forget_oldest();
        }
        if self.limit > FEW {
            let old = |left: &Left| arrival.recorded_at.0 - left.recorded_at.0 > REMEMBERED_US;
            while self.arrivals.front().is_some_and(old) {
                self.forget_oldest();
                self.give_back();
            }
        }
        if let Some(newest) = &mut self.newest {
            let known = newest.entry(arrival.identity).or_default();
            *known = arrival.arrival.max(*known);
        }
        self.arrivals.push_back(arrival);
    }

    fn forget_oldest(&mut self) {
        let Some(old) = self.arrivals.pop_front() else {
            return;
        };
        self.forgotten = self.forgotten.max(old.arrival);
        self.complete_after = self.complete_after.max(old.recorded_at);
        if let Some(newest) = &mut self.newest
            && newest.get(&old.identity) == Some(&old.arrival)
        {
            newest.remove(&old.identity);
        }
    }

    /// When the newest that it remembers was recorded.
    pub(crate) fn newest_at(&self) -> Option<Micros> {
        self.arrivals.back().map(|left| left.recorded_at)
    }

    /// Gives back all room but that for a few.
    pub(crate) fn forget_most(&mut self) {
        while self.arrivals.len() > FEW {
            self.forget_oldest();
        }
        self.limit = FEW;
        self.arrivals.shrink_to(FEW);
        self.newest = None;
    }

    /// Gives back room of which less than a quarter is used.
    fn give_back(&mut self) {
        if self.arrivals.len() * 4 >= self.limit {
            return;
        }
        self.limit = (self.limit / 2).max(FEW);
        self.arrivals.shrink_to(self.limit);
        if self.limit == FEW {
            self.newest = None;
        } else if let Some(newest) = &mut self.newest {
            newest.shrink_to(self.limit);
        }
    }

    /// Whether an arrival after `known` with this identity, recorded at this time, may be outside the window.
    pub(crate) fn may_hold(&self, identity: u64, time: Micros, known: u64) -> bool {
        (known < self.forgotten && time <= self.complete_after)
            || match &self.newest {
                Some(newest) => newest.get(&identity).is_some_and(|arrival| *arrival > known),
                None => self
                    .arrivals
                    .iter()
                    .any(|old| old.arrival > known && old.identity == identity),
            }
    }

    /// A sum over the arrivals that are forgotten next, in whose places the next ones are remembered: whoever asks
    /// for it has them in the processor's cache afterwards.
    pub(crate) fn sum_of_end(&self) -> u64 {
        let arrivals = (0..4).filter_map(|pair| self.arrivals.get(2 * pair));
        arrivals.fold(0, |sum, left| sum ^ left.arrival)
    }

    /// The time up to which something is forgotten.
    pub(crate) fn complete_after(&self) -> Micros {
        self.complete_after
    }

    /// How many it may remember.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Makes room for more.
    pub(crate) fn grow(&mut self) {
        self.limit = (self.limit * GROWTH).min(MANY);
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
    use proptest::prelude::*;

    fn filled(grown: bool) -> Outside {
        let mut outside = Outside::new(0, Micros(i64::MIN));
        if grown {
            outside.grow();
        }
        (1..=2_000).for_each(|arrival| {
            outside.push(Left {
                arrival,
                identity: 1 + arrival % 1_500,
                recorded_at: Micros(arrival.cast_signed()),
            });
        });
        outside
    }

    #[test]
    fn what_is_remembered_is_known_exactly_and_the_rest_is_doubtful() {
        for (grown, remembered) in [(false, FEW as u64), (true, (GROWTH * FEW) as u64)] {
            let outside = filled(grown);
            let oldest = 2_000 - remembered + 1;
            let long_ago = Micros(5);
            assert!(
                outside.may_hold(7, long_ago, oldest - 2),
                "an arrival was forgotten"
            );
            assert!(
                !outside.may_hold(5_000, long_ago, oldest - 1),
                "all since then are remembered"
            );
            let newest = 1 + 2_000 % 1_500;
            assert!(
                outside.may_hold(newest, long_ago, oldest - 1) && outside.may_hold(newest, long_ago, 1_999)
            );
            assert!(!outside.may_hold(newest, long_ago, 2_000));
        }
    }

    #[test]
    fn a_time_later_than_all_that_is_forgotten_is_no_doubt() {
        let outside = filled(false);
        let forgotten = Micros(2_000 - FEW as i64);
        assert_eq!(outside.complete_after(), forgotten);
        assert!(outside.may_hold(5_000, forgotten, 0));
        assert!(!outside.may_hold(5_000, Micros(forgotten.0 + 1), 0));
        assert!(outside.may_hold(1 + 2_000 % 1_500, Micros(2_000), 0));
    }

    #[test]
    fn growing_keeps_what_is_remembered() {
        let mut outside = filled(false);
        outside.grow();
        let newest = 1 + 2_000 % 1_500;
        assert!(outside.may_hold(newest, Micros(0), 1_999));
        assert!(!outside.may_hold(5_000, Micros(0), 2_000 - FEW as u64));
    }

    #[test]
    fn giving_back_all_room_leaves_the_newest_few() {
        let mut outside = filled(true);
        outside.forget_most();
        assert_eq!((outside.limit(), outside.newest.is_none()), (FEW, true));
        assert_eq!(outside.complete_after(), Micros(2_000 - FEW as i64));
        assert!(outside.may_hold(1 + 2_000 % 1_500, Micros(2_000), 0));
        assert!(!outside.may_hold(5_000, Micros(2_000), 0));
    }

    #[test]
    fn room_is_given_back_once_its_agent_is_slow_again() {
        let mut outside = filled(true);
        assert_eq!(outside.limit(), GROWTH * FEW);
        for arrival in 2_001..2_300u64 {
            let recorded_at = Micros(REMEMBERED_US * (arrival.cast_signed() - 2_000) / 4);
            outside.push(Left {
                arrival,
                identity: arrival,
                recorded_at,
            });
        }
        assert_eq!((outside.limit(), outside.newest.is_none()), (FEW, true));
    }

    proptest! {
        /// Whatever comes in whatever order: an arrival that left is never denied.
        #[test]
        fn no_arrival_is_denied(
            lefts in prop::collection::vec((1u64..60, 0i64..40), 1..700),
            growths in prop::collection::vec(0usize..700, 0..3),
            known in 0u64..700,
        ) {
            let mut outside = Outside::new(3, Micros(7));
            for (at, (identity, second)) in lefts.iter().enumerate() {
                if growths.contains(&at) {
                    outside.grow();
                }
                outside.push(Left {
                    arrival: at as u64 + 4,
                    identity: *identity,
                    recorded_at: Micros(second * Micros::PER_SECOND),
                });
                prop_assert!(outside.arrivals.len() <= outside.limit);
            }
            for (at, (identity, second)) in lefts.iter().enumerate() {
                let is_after = at as u64 + 4 > known;
                prop_assert!(!is_after || outside.may_hold(*identity, Micros(second * Micros::PER_SECOND), known));
            }
            prop_assert!(known >= 3 || outside.may_hold(99, Micros(7), known));
        }
    }
}
