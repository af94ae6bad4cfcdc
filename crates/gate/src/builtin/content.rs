//! `content`: nothing, or an assistant's refusal in place of an answer.

use super::found;
use crate::text::is_blank;
use crate::{Detector, Detectors, Gate, Outcome, Stopped, Subject};
use json::Document;
use serde_json::json;

/// Fails when the output is empty or holds a phrase of refusal.
#[derive(Clone, Copy, Debug)]
pub struct Content {
    /// Whether empty output fails.
    pub empty: bool,
    /// Whether phrases of refusal fail.
    pub refusals: bool,
}

impl Default for Content {
    fn default() -> Self {
        Self {
            empty: true,
            refusals: true,
        }
    }
}

impl Gate for Content {
    fn name(&self) -> &'static str {
        "content"
    }

    fn detectors(&self) -> Detectors {
        let refusal = self.refusals.then_some(Detector::Refusal);
        refusal.into_iter().collect()
    }

    fn check(&self, subject: &Subject<'_>) -> Result<Outcome, Stopped> {
        if self.empty && is_empty(subject.context().output) {
            return Ok(Outcome::fail("output is empty").with(json!({ "where": "" })));
        }
        if self.refusals
            && let Some(hit) = subject.findings()?.first(Detector::Refusal)
        {
            return Ok(found(subject, "refusal phrase", hit));
        }
        Ok(Outcome::pass())
    }
}

fn is_empty(output: &Document<'_>) -> bool {
    let root = output.root();
    root.is_null()
        || root.is_empty_container()
        || root.as_str().is_some_and(|text| text.chars().all(is_blank))
}
