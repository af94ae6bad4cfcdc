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
    admitted: Mutex<HashMap<(OrgId, Class), VecDeque<Duration>>>,
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
        let times = admitted.entry((org, class)).or_default();
        while times.front().is_some_and(|at| now.saturating_sub(*at) >= SPAN) {
            times.pop_front();
        }
        let reset = times
            .front()
            .map_or(SPAN, |oldest| (*oldest + SPAN).saturating_sub(now));
        let reset_s = (reset.as_secs() + u64::from(reset.subsec_nanos() > 0)).max(1);
        let count = times.len() as u64;
        if count >= limit {
            return Admission::Refused {
                limit,
                retry_after_s: reset_s,
            };
        }
        times.push_back(now);
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
        if let Some(times) = self.admitted.lock().get_mut(&(org, class))
            && let Some(place) = times.iter().rposition(|time| *time == at)
        {
            times.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORG: OrgId = OrgId(1);

    fn passes(limits: &RateLimits, limit: u64, now_ms: u64) -> bool {
        matches!(
            limits.admit(ORG, Class::Ingest, limit, Duration::from_millis(now_ms)),
            Admission::Admitted { .. }
        )
    }

    #[test]
    fn in_no_span_of_60_seconds_do_more_than_the_limit_pass() {
        let (limits, limit) = (RateLimits::new(), 7);
        let mut passed: Vec<u64> = Vec::new();
        let mut now = 0;
        for step in 0..5_000u64 {
            now += (step * 7_919) % 4_001; // uneven gaps, two seconds on average
            let expected = passed.iter().filter(|at| now - **at < 60_000).count() < limit as usize;
            assert_eq!(passes(&limits, limit, now), expected, "at {now}");
            if expected {
                passed.push(now);
            }
        }
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
