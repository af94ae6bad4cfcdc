//! `latency`: the agent took too long.

use crate::{Gate, Outcome, Stopped, Subject};

/// Fails when the agent's latency exceeds a maximum.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    max_ms: f64,
}

impl Latency {
    /// With that maximum in milliseconds; `None` unless it is above 0 and finite.
    #[must_use]
    pub fn new(max_ms: f64) -> Option<Self> {
        (max_ms > 0.0 && max_ms.is_finite()).then_some(Self { max_ms })
    }
}

impl Gate for Latency {
    fn name(&self) -> &'static str {
        "latency"
    }

    fn check(&self, subject: &Subject<'_>) -> Result<Outcome, Stopped> {
        Ok(match subject.context().latency_ms {
            None => Outcome::skip("no latency_ms provided"),
            Some(latency_ms) if latency_ms > self.max_ms => Outcome::fail(format!(
                "latency {latency_ms}ms exceeds {}ms threshold",
                self.max_ms
            )),
            Some(_) => Outcome::pass(),
        })
    }
}
