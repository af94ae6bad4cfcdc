//! The bodies that clients send, for the API's description alone: what reads them is [`crate::ingest`],
//! [`crate::registration`](crate::registration()) and [`crate::KeyRequest`].

use crate::{KeyKind, Scope};
use utoipa::ToSchema;

/// A batch of events.
#[derive(Debug, ToSchema)]
pub struct IngestRequest {
    /// 1 to 100 events.
    #[schema(min_items = 1, max_items = 100)]
    pub events: Vec<IngestEvent>,
}

/// One evaluation that a client's gates made.
#[derive(Debug, ToSchema)]
pub struct IngestEvent {
    /// Who is judged.
    #[schema(min_length = 1, max_length = 200, example = "bid-agent-prod")]
    pub agent_id: String,
    /// The tool or function called.
    #[schema(max_length = 200)]
    pub tool: Option<String>,
    /// The verdict.
    pub passed: bool,
    /// Gate by gate.
    #[schema(max_items = 50)]
    pub gates: Vec<IngestGate>,
    /// How long the gates took together; kept to the microsecond.
    #[schema(minimum = 0, maximum = 60000, example = 4)]
    pub total_latency_ms: f64,
    /// ISO 8601, UTC unless it says otherwise; the time of receipt if absent.
    #[schema(example = "2026-01-31T12:00:00.000Z")]
    pub timestamp: Option<String>,
    /// The client's own id; with `agent_id` and `timestamp` it makes a repeat known.
    #[schema(max_length = 50)]
    pub evaluation_id: Option<String>,
}

/// What one gate said.
#[derive(Debug, ToSchema)]
pub struct IngestGate {
    /// Its name.
    #[schema(max_length = 200, example = "pii")]
    pub name: String,
    /// Its verdict.
    pub passed: bool,
    /// Its run time.
    #[schema(minimum = 0, maximum = 1000000000, example = 1)]
    pub latency_ms: f64,
    /// Why.
    #[schema(max_length = 500)]
    pub reason: Option<String>,
    /// Whether it was skipped.
    pub skipped: Option<bool>,
}

/// An output to be judged.
#[derive(Debug, ToSchema)]
pub struct EvaluateRequest {
    /// Who is judged.
    #[schema(min_length = 1, max_length = 200, example = "support-1")]
    pub agent_id: String,
    /// What the agent put out: any JSON value, null included.
    #[schema(value_type = Value)]
    pub output: serde_json::Value,
    /// The tool or function called.
    #[schema(max_length = 200)]
    pub tool: Option<String>,
    /// What the agent was given: any JSON value.
    #[schema(value_type = Option<Value>)]
    pub input: Option<serde_json::Value>,
    /// How long the agent took; gates see it, the score does not.
    #[schema(minimum = 0, maximum = 60000, example = 420)]
    pub latency_ms: Option<f64>,
    /// The client's own id, which makes it safe to send the request again.
    #[schema(max_length = 50)]
    pub evaluation_id: Option<String>,
}

/// An agent to register.
#[derive(Debug, ToSchema)]
pub struct RegisterAgentRequest {
    /// Its id.
    #[schema(min_length = 1, max_length = 200, example = "bid-agent-prod")]
    pub agent_id: String,
}

/// A key to make.
#[derive(Debug, ToSchema)]
pub struct CreateKeyRequest {
    /// Publishable or secret.
    pub kind: KeyKind,
    /// What to call it; without control characters.
    #[schema(max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    pub name: Option<String>,
    /// What it may do; `admin` for secret keys alone.
    #[schema(min_items = 1, max_items = 4)]
    pub scopes: Option<Vec<Scope>>,
    /// ISO 8601: when it stops working.
    #[schema(example = "2027-01-01T00:00:00Z")]
    pub expires_at: Option<String>,
}
