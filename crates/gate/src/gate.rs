//! The one trait of all gates, and what a gate says.

use crate::text::Detectors;
use crate::{OutOfBudget, Subject};
use serde_json::Value;
use std::borrow::Cow;

/// A check of one output.
pub trait Gate: Send + Sync {
    /// Its name, unique among the gates that run together: 1 to [`crate::MAX_NAME`] code points.
    fn name(&self) -> &str;

    /// Looks at the context and says passed or not.
    ///
    /// # Errors
    /// Where the budget ran out before it could tell, or something is wrong with the gate itself.
    fn check(&self, subject: &Subject<'_>) -> Result<Outcome, Stopped>;

    /// What it wants to be looked for in the output's strings. All gates of a run share one pass, so a gate
    /// must name everything that it asks [`Subject::findings`] for.
    fn detectors(&self) -> Detectors {
        Detectors::default()
    }

    /// Whether it must stand first in its list.
    fn must_be_first(&self) -> bool {
        false
    }

    /// Whether its work may be more than linear in the output, so that it should not run on a thread which
    /// others wait for.
    fn is_heavy(&self) -> bool {
        false
    }
}

/// What a gate says.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Whether it passed.
    pub passed: bool,
    /// Whether it had nothing to check. Never a failure.
    pub skipped: bool,
    /// Why; at most [`crate::MAX_REASON`] code points, without text of the payload.
    pub reason: Option<Cow<'static, str>>,
    /// Where, and more of the kind; without text of the payload.
    pub details: Option<Value>,
    /// Whether the gates after it should not run, since there is no time for them.
    pub ends_run: bool,
}

/// Why a gate did not get to an outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// The time was up.
    #[error(transparent)]
    OutOfBudget(#[from] OutOfBudget),
    /// The gate itself is at fault. The text is for the operator and holds nothing of the payload.
    #[error("{0}")]
    Fault(String),
}

impl Outcome {
    /// It passed.
    #[must_use]
    pub fn pass() -> Self {
        Self {
            passed: true,
            skipped: false,
            reason: None,
            details: None,
            ends_run: false,
        }
    }

    /// It failed.
    #[must_use]
    pub fn fail(reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            passed: false,
            reason: Some(reason.into()),
            ..Self::pass()
        }
    }

    /// There was nothing to check.
    #[must_use]
    pub fn skip(reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            skipped: true,
            reason: Some(reason.into()),
            ..Self::pass()
        }
    }

    /// The same with details.
    #[must_use]
    pub fn with(self, details: Value) -> Self {
        Self {
            details: Some(details),
            ..self
        }
    }
}
