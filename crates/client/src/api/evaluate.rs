//! Having the server run its gates.

use super::ApiError;
use super::answers::Status;
use crate::evaluation_id;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// An output to be judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Evaluate {
    /// Who made it, 1–200 characters.
    pub agent_id: String,
    /// What was made. The server neither stores nor logs it.
    pub output: Value,
    /// The tool or function called, at most 200 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// What it was made of. The server neither stores nor logs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// How long the agent took, in milliseconds, 0–60,000; no part of the score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// An id of your own, at most 50 characters; if absent, the client makes one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation_id: Option<String>,
}

impl Evaluate {
    /// This output of that agent, and nothing else.
    #[must_use]
    pub fn new(agent_id: impl Into<String>, output: impl Into<Value>) -> Self {
        Self {
            agent_id: agent_id.into(),
            output: output.into(),
            tool: None,
            input: None,
            latency_ms: None,
            evaluation_id: None,
        }
    }

    /// Names the tool.
    #[must_use]
    pub fn tool(mut self, tool: impl Into<String>) -> Self {
        self.tool = Some(tool.into());
        self
    }

    /// Shows the gates the input, too.
    #[must_use]
    pub fn input(mut self, input: impl Into<Value>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// Says how long the agent took.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency_ms = Some(latency.as_secs_f64() * 1e3);
        self
    }

    /// Gives it an id of your own. The same id again is judged, but not recorded again.
    #[must_use]
    pub fn evaluation_id(mut self, id: impl Into<String>) -> Self {
        self.evaluation_id = Some(id.into());
        self
    }

    /// The same with an id, so that it may be sent again.
    pub(super) fn with_id(&self) -> Result<Self, ApiError> {
        let mut request = self.clone();
        if request.evaluation_id.as_deref().is_none_or(str::is_empty) {
            let made = evaluation_id::make(|bytes| getrandom::fill(bytes).is_ok());
            let none = || ApiError::Request("there is no random source for an evaluation_id".to_owned());
            request.evaluation_id = Some(made.ok_or_else(none)?);
        }
        Ok(request)
    }
}

/// The verdict of the server's gates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evaluation {
    /// The id under which it was recorded.
    pub evaluation_id: String,
    /// Whether every gate let it pass.
    pub passed: bool,
    /// Gate by gate.
    pub gates: Vec<GateOutcome>,
    /// How long the gates took together, in milliseconds.
    pub total_latency_ms: f64,
    /// Where the agent stands now.
    pub reputation: EvaluationStanding,
    /// Whether this id was recorded before; then nothing was recorded now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
}

/// What one of the server's gates said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GateOutcome {
    /// Its name.
    pub name: String,
    /// Its verdict.
    pub passed: bool,
    /// Its run time in milliseconds.
    pub latency_ms: f64,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it does not count: it had nothing to judge, was not run, or only watches.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    /// Whether it only watches.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
    /// More, as the gate tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

/// Where an agent stands after an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EvaluationStanding {
    /// 0–1000.
    pub score: u32,
    /// Its stage of life.
    pub lifecycle: Status,
    /// Evaluations in its window.
    pub eval_count: u32,
}
