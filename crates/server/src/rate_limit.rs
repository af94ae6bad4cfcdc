//! Requests per rolling 60 seconds, counted exactly: in no span of 60 seconds more than the limit pass.

use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use store::OrgId;

const SPAN: Duration = Duration::from_secs(60);

/// Which requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// `POST /v1/ingest`.
    Ingest,
    /// All other `/v1/*`.
    Other,
}

/// The admissions of the last 60 seconds, by organisation and class. Memory is bounded by the limits.
#[derive(Default)]
pub struct RateLimits {
    admitted: Mutex<HashMap<(OrgId, Class), Admitted>>,
}

/// When requests were admitted, oldest first.
#[derive(Default)]
struct Admitted {
    times: VecDeque<Duration>,
    /// The newest time asked about. Tasks read the clock before they take their turn here; one that comes
    /// late must not slip an admission into a span that has already let another go.
    latest: Duration,
}

impl Admitted {
    /// The time to count with, after forgetting what has left the span.
    fn advance(&mut self, now: Duration) -> Duration {
        self.latest = self.latest.max(now);
        let now = self.latest;
        while self.times.front().is_some_and(|at| now - *at >= SPAN) {
            self.times.pop_front();
        }
        now
    }

    /// In how many seconds, at least 1, the admission at this place stops counting.
    fn leaves_in_s(&self, place: usize, now: Duration) -> u64 {
        let left = self
            .times
            .get(place)
            .map_or(SPAN, |at| (*at + SPAN).saturating_sub(now));
        (left.as_secs() + u64::from(left.subsec_nanos() > 0)).max(1)
    }
}

/// One admission, to be given back where the request turns out not to count.
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket {
    org: OrgId,
    class: Class,
    at: Duration,
}

/// Whether a request may pass.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// There is no limit.
    Unlimited,
    /// It may.
    Admitted {
        /// The limit.
        limit: u64,
        /// How many more may pass now.
        remaining: u64,
        /// In how many seconds the oldest admission stops counting.
        reset_s: u64,
        /// To give the admission back.
        ticket: Ticket,
    },
    /// It may not.
    Refused {
        /// The limit.
        limit: u64,
        /// In how many seconds one may pass again: at least 1.
        retry_after_s: u64,
    },
}

impl RateLimits {
    /// Nothing admitted yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a request at `now`, a time since some start that never goes back. A limit of 0 is none.
    pub fn admit(&self, org: OrgId, class: Class, limit: u64, now: Duration) -> Admission {
        if limit == 0 {
            return Admission::Unlimited;
        }
        let mut admitted = self.admitted.lock();
        let admitted = admitted.entry((org, class)).or_default();
        let now = admitted.advance(now);
        let count = admitted.times.len() as u64;
        if let Some(over) = count.checked_sub(limit) {
            // More than one too many where the limit was lowered: all of those must leave first.
            let place = usize::try_from(over).unwrap_or(usize::MAX);
            return Admission::Refused {
                limit,
                retry_after_s: admitted.leaves_in_s(place, now),
            };
        }
        let reset_s = admitted.leaves_in_s(0, now);
        admitted.times.push_back(now);
        Admission::Admitted {
            limit,
            remaining: limit - count - 1,
            reset_s,
            ticket: Ticket { org, class, at: now },
        }
    }

    /// Takes an admission back: the request doesn't count.
    pub fn give_back(&self, ticket: &Ticket) {
        let Ticket { org, class, at } = *ticket;
        if let Some(admitted) = self.admitted.lock().get_mut(&(org, class))
            && let Some(place) = admitted.times.iter().rposition(|time| *time == at)
        {
            admitted.times.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ORG: OrgId = OrgId(1);

    fn passes(limits: &RateLimits, limit: u64, now_ms: u64) -> bool {
        matches!(
            limits.admit(ORG, Class::Ingest, limit, Duration::from_millis(now_ms)),
            Admission::Admitted { .. }
        )
    }

    /// What a request does: come this long after the one before (or before it, where the clock was read
    /// early), under this limit, and whether it is given back.
    fn requests() -> impl Strategy<Value = Vec<(i64, u64, bool)>> {
        let step = prop_oneof![4 => 0..9_000i64, 1 => -500..0i64, 1 => 55_000..65_000i64];
        prop::collection::vec(
            (
                step,
                prop_oneof![4 => Just(5u64), 1 => 1..8u64],
                prop::bool::weighted(0.2),
            ),
            1..200,
        )
    }

    proptest! {
        #[test]
        fn in_no_span_of_60_seconds_do_more_than_the_limit_pass(requests in requests()) {
            let limits = RateLimits::new();
            let (mut passed, mut clock, mut latest): (Vec<u64>, u64, u64) = (Vec::new(), 0, 0);
            for (step, limit, is_given_back) in requests {
                clock = clock.saturating_add_signed(step);
                latest = latest.max(clock);
                let counted: Vec<u64> = passed.iter().copied().filter(|at| latest - at < 60_000).collect();
                let admission = limits.admit(ORG, Class::Ingest, limit, Duration::from_millis(clock));
                match admission {
                    Admission::Admitted { remaining, ticket, .. } => {
                        prop_assert_eq!(remaining + counted.len() as u64 + 1, limit);
                        if is_given_back {
                            limits.give_back(&ticket);
                        } else {
                            passed.push(latest);
                        }
                    }
                    Admission::Refused { retry_after_s, .. } => {
                        prop_assert!(counted.len() as u64 >= limit);
                        let left_at = |after_s: u64| {
                            let then = latest + after_s * 1_000;
                            counted.iter().filter(|at| then - **at < 60_000).count() as u64
                        };
                        prop_assert!(left_at(retry_after_s) < limit, "too early");
                        prop_assert!(retry_after_s == 1 || left_at(retry_after_s - 1) >= limit, "too late");
                    }
                    Admission::Unlimited => prop_assert!(false, "there is a limit"),
                }
            }
        }
    }

    #[test]
    fn a_request_that_read_the_clock_early_counts_from_its_turn() {
        let limits = RateLimits::new();
        assert!(passes(&limits, 1, 0) && passes(&limits, 1, 60_000));
        let early = limits.admit(ORG, Class::Ingest, 2, Duration::from_millis(59_000));
        assert!(matches!(early, Admission::Admitted { ticket: Ticket { at, .. }, .. } if at == SPAN));
    }

    #[test]
    fn after_a_lowered_limit_the_wait_is_for_all_that_are_too_many() {
        let limits = RateLimits::new();
        assert!((0..5).all(|second| passes(&limits, 5, second * 1_000)));
        let refused = limits.admit(ORG, Class::Ingest, 2, Duration::from_secs(5));
        let expected = Admission::Refused {
            limit: 2,
            retry_after_s: 58,
        };
        assert_eq!(
            refused, expected,
            "the fourth of five, admitted at second 3, has to leave"
        );
    }

    #[test]
    fn the_border_is_exactly_60_seconds() {
        let limits = RateLimits::new();
        assert!(passes(&limits, 1, 0) && !passes(&limits, 1, 59_999) && passes(&limits, 1, 60_000));
    }

    #[test]
    fn a_refusal_says_when_to_come_again() {
        let limits = RateLimits::new();
        limits.admit(ORG, Class::Other, 1, Duration::ZERO);
        let refused = limits.admit(ORG, Class::Other, 1, Duration::from_millis(58_500));
        assert_eq!(
            refused,
            Admission::Refused {
                limit: 1,
                retry_after_s: 2
            }
        );
    }

    #[test]
    fn what_is_given_back_does_not_count() {
        let limits = RateLimits::new();
        let Admission::Admitted {
            ticket, remaining, ..
        } = limits.admit(ORG, Class::Ingest, 1, Duration::ZERO)
        else {
            panic!("not admitted");
        };
        assert_eq!(remaining, 0);
        limits.give_back(&ticket);
        assert!(passes(&limits, 1, 1));
    }

    #[test]
    fn organisations_and_classes_are_counted_apart_and_0_is_no_limit() {
        let limits = RateLimits::new();
        assert!(passes(&limits, 1, 0));
        let admit = |org, class, limit| limits.admit(org, class, limit, Duration::ZERO);
        assert!(matches!(admit(ORG, Class::Other, 1), Admission::Admitted { .. }));
        assert!(matches!(
            admit(OrgId(2), Class::Ingest, 1),
            Admission::Admitted { .. }
        ));
        assert_eq!(admit(ORG, Class::Ingest, 0), Admission::Unlimited);
    }
}
