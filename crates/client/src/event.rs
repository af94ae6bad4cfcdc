//! What is tracked: one verdict on one output of an agent, gate by gate.

use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

/// One evaluation: an agent's output was looked at, and passed or did not.
///
/// Only what stands here leaves the process. Payloads have no place in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// Who is judged, 1–200 characters; if absent or empty, the client's own `agent_id`.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub agent_id: Option<String>,
    /// The tool or function called, at most 200 characters.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub tool: Option<String>,
    /// The verdict as a whole.
    pub passed: bool,
    /// Gate by gate, at most 50.
    #[serde(default)]
    pub gates: Vec<Gate>,
    /// How long the gates took together, in milliseconds, 0–60,000.
    #[serde(default)]
    pub total_latency_ms: f64,
    /// When, in ISO 8601; if absent, the time at which it is tracked.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub timestamp: Option<String>,
    /// An id of your own, at most 50 characters; if absent, the client makes one.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub evaluation_id: Option<String>,
}

impl Event {
    /// An event with this verdict and nothing else.
    #[must_use]
    pub fn new(passed: bool) -> Self {
        Self {
            passed,
            ..Self::default()
        }
    }

    /// An event whose verdict is that of its gates: it passed if each of them passed or was skipped. Its
    /// latency is the sum of theirs.
    #[must_use]
    pub fn of_gates(gates: Vec<Gate>) -> Self {
        Self {
            passed: !gates.iter().any(Gate::is_failure),
            total_latency_ms: gates.iter().map(|gate| gate.latency_ms).sum(),
            gates,
            ..Self::default()
        }
    }

    /// Names the agent.
    #[must_use]
    pub fn agent(mut self, agent_id: impl Into<String>) -> Self {
        self.agent_id = Some(agent_id.into());
        self
    }

    /// Names the tool.
    #[must_use]
    pub fn tool(mut self, tool: impl Into<String>) -> Self {
        self.tool = Some(tool.into());
        self
    }

    /// Adds a gate's verdict. Does not change the verdict of the event.
    #[must_use]
    pub fn gate(mut self, gate: Gate) -> Self {
        self.gates.push(gate);
        self
    }

    /// Says how long the gates took together.
    #[must_use]
    pub fn total_latency(mut self, latency: Duration) -> Self {
        self.total_latency_ms = latency.as_secs_f64() * 1e3;
        self
    }

    /// Says when it happened; kept to the millisecond. A time before 1970 is taken as 1970.
    #[must_use]
    pub fn at(mut self, time: SystemTime) -> Self {
        self.timestamp = Some(crate::time::written(time));
        self
    }

    /// Gives it an id of your own. The same id with the same agent and time counts once.
    #[must_use]
    pub fn evaluation_id(mut self, id: impl Into<String>) -> Self {
        self.evaluation_id = Some(id.into());
        self
    }
}

/// What one gate said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Gate {
    /// Its name, at most 200 characters.
    pub name: String,
    /// Its verdict.
    pub passed: bool,
    /// Its run time in milliseconds, 0–10⁹.
    pub latency_ms: f64,
    /// Why, at most 500 characters. Never put a payload in here.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub reason: Option<String>,
    /// Whether it was not run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
}

impl Gate {
    /// A gate that let the output pass.
    #[must_use]
    pub fn passed(name: impl Into<String>, latency: Duration) -> Self {
        Self {
            name: name.into(),
            passed: true,
            latency_ms: latency.as_secs_f64() * 1e3,
            ..Self::default()
        }
    }

    /// A gate that did not.
    #[must_use]
    pub fn failed(name: impl Into<String>, latency: Duration, reason: impl Into<String>) -> Self {
        Self {
            passed: false,
            reason: Some(reason.into()),
            ..Self::passed(name, latency)
        }
    }

    /// A gate that was not run; that is no failure.
    #[must_use]
    pub fn skipped(name: impl Into<String>) -> Self {
        Self {
            skipped: true,
            ..Self::passed(name, Duration::ZERO)
        }
    }

    pub(crate) fn is_failure(&self) -> bool {
        !self.passed && !self.skipped
    }
}

/// `""` is absent, as it is for the server.
fn is_empty(text: &Option<String>) -> bool {
    text.as_deref().unwrap_or_default().is_empty()
}
