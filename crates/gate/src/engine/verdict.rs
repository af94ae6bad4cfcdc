//! What a run says: gate by gate, and all in all.

use super::{Listed, MAX_REASON};
use crate::Outcome;
use serde_json::Value;
use std::borrow::Cow;
use std::time::Duration;

/// What a run of gates says about an output.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict<'e> {
    /// Whether every gate passed or was skipped.
    pub passed: bool,
    /// Gate by gate, in list order.
    pub results: Vec<GateResult<'e>>,
    /// How long the gates took together, by the wall clock.
    pub total: Duration,
}

/// What one gate said.
#[derive(Clone, Debug, PartialEq)]
pub struct GateResult<'e> {
    /// Its name.
    pub name: &'e str,
    /// Whether it passed.
    pub passed: bool,
    /// Whether it does not count: there was nothing to check, it did not run, or it only watches.
    pub skipped: bool,
    /// Why, in at most [`MAX_REASON`] code points.
    pub reason: Option<Cow<'static, str>>,
    /// Where, and more of the kind.
    pub details: Option<Value>,
    /// Its own run time.
    pub latency: Duration,
    /// Whether it only watches.
    pub shadow: bool,
    /// How it came to this.
    pub ending: Ending,
    pub(super) ends_run: bool,
}

/// How a gate came to its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It ran and said so.
    Ran,
    /// The budget was spent before it could tell.
    TimedOut,
    /// It panicked, or said that something is wrong with it. The text is for the operator.
    Faulted(String),
    /// A gate before it failed, and that stops the rest.
    Aborted,
    /// A gate before it said that there is no time left.
    Deadline,
}

impl<'e> Verdict<'e> {
    pub(super) fn new(results: Vec<GateResult<'e>>, total: Duration) -> Self {
        Self {
            passed: !results.iter().any(GateResult::failed),
            results,
            total,
        }
    }

    /// Whether it would be another if the gates that only watch counted.
    #[must_use]
    pub fn shadow_would_fail(&self) -> bool {
        self.passed && self.results.iter().any(|result| result.shadow && !result.passed)
    }

    /// The first gate that was at fault itself, and what it said; gates that only watch aside.
    #[must_use]
    pub fn fault(&self) -> Option<(&'e str, &str)> {
        let counting = self.results.iter().filter(|result| !result.shadow);
        counting
            .filter_map(|result| match &result.ending {
                Ending::Faulted(cause) => Some((result.name, cause.as_str())),
                _ => None,
            })
            .next()
    }
}

impl<'e> GateResult<'e> {
    /// Whether it makes the verdict fail.
    #[must_use]
    pub fn failed(&self) -> bool {
        !self.passed && !self.skipped
    }

    pub(super) fn new(listed: &'e Listed, told: Result<Outcome, Ending>, latency: Duration) -> Self {
        let (outcome, ending) = match told {
            Ok(outcome) => (outcome, Ending::Ran),
            Err(ending) => {
                let reason = match ending {
                    Ending::TimedOut => "pecta:timeout",
                    _ => "pecta:error",
                };
                (Outcome::fail(reason), ending)
            }
        };
        let reason = match (listed.shadow, outcome.reason) {
            (false, reason) => reason,
            (true, None) => Some(Cow::Borrowed("shadow")),
            (true, Some(reason)) => Some(Cow::Owned(format!("shadow: {reason}"))),
        };
        Self {
            name: listed.gate.name(),
            passed: outcome.passed,
            skipped: outcome.skipped || listed.shadow,
            reason: reason.map(bounded),
            details: outcome.details,
            latency,
            shadow: listed.shadow,
            ending,
            ends_run: outcome.ends_run,
        }
    }

    /// A gate that did not run.
    pub(super) fn not_run(listed: &'e Listed, ending: Ending) -> Self {
        let reason = match ending {
            Ending::Deadline => "pecta:deadline",
            _ => "pecta:aborted",
        };
        Self {
            ending,
            ..Self::new(listed, Ok(Outcome::skip(reason)), Duration::ZERO)
        }
    }
}

/// The first [`MAX_REASON`] code points.
fn bounded(reason: Cow<'static, str>) -> Cow<'static, str> {
    match reason.char_indices().nth(MAX_REASON) {
        None => reason,
        Some((end, _)) => Cow::Owned(reason[..end].to_owned()),
    }
}
