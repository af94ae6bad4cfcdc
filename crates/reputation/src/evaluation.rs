//! One evaluation as a client sent it: borrowed from the body it was parsed from.

use crate::Micros;
use std::borrow::Cow;

/// What one run of the gates said about one output of an agent.
///
/// Values are already within the limits of the wire contract; whoever makes one has checked them.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation<'a> {
    /// Who is judged: 1–200 code points.
    pub agent_id: Cow<'a, str>,
    /// The tool or function that the agent called, if the client named one: 1–200 code points.
    pub tool: Option<Cow<'a, str>>,
    /// The client's verdict, recorded as sent.
    pub passed: bool,
    /// Gate by gate, in the order sent: at most 50.
    pub gates: Vec<GateResult<'a>>,
    /// How long the gates took together, in microseconds: at most 60,000,000.
    pub total_latency_us: u32,
    /// When the evaluation happened, as the client says; `None` where it did not say.
    pub sent_at: Option<Micros>,
    /// The client's own name for this evaluation: 1–50 code points.
    pub evaluation_id: Option<Cow<'a, str>>,
    /// The agent's own latency in microseconds (`/v1/evaluate`), no part of the score.
    pub agent_latency_us: Option<u32>,
}

/// What one gate said.
#[derive(Clone, Debug, PartialEq)]
pub struct GateResult<'a> {
    /// The gate's name: at most 200 code points.
    pub name: Cow<'a, str>,
    /// Its verdict.
    pub passed: bool,
    /// Its run time in milliseconds, exactly the double that was sent: 0–10⁹.
    pub latency_ms: f64,
    /// Why, if it said so: 1–500 code points.
    pub reason: Option<Cow<'a, str>>,
    /// Whether it ran at all; `None` if the client did not say.
    pub skipped: Option<bool>,
}

impl GateResult<'_> {
    /// Whether this gate failed: a skipped gate is never a failure.
    #[must_use]
    pub fn failed(&self) -> bool {
        !self.passed && self.skipped != Some(true)
    }
}
