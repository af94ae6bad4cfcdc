//! What the server answers. Fields that a newer server adds are ignored.

use super::Detail;
use crate::Gate;
use serde::{Deserialize, Serialize};

/// An agent's stage of life, by the number of evaluations in its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Status {
    /// None yet.
    New,
    /// 1–49.
    Calibrating,
    /// 50–499.
    Active,
    /// 500.
    Mature,
    /// A stage that this client does not know.
    #[serde(other)]
    Unknown,
}

/// An agent's standing, over its newest 500 evaluations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reputation {
    /// The agent.
    pub agent_id: String,
    /// 0–1000.
    pub score: u32,
    /// Evaluations in the window.
    pub evaluations: u32,
    /// Those of them that passed.
    pub passed: u32,
    /// The share that passed, 0–1.
    pub pass_rate: f64,
    /// The mean time its gates took, in milliseconds.
    pub avg_latency_ms: f64,
    /// Passes in a row, back from the newest.
    pub streak: u32,
    /// Its stage of life.
    pub status: Status,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Reputations {
    pub(super) reputations: Vec<Reputation>,
}

/// An agent's standing after a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReputationUpdate {
    /// The agent.
    pub agent_id: String,
    /// 0–1000.
    pub score: u32,
    /// Its stage of life.
    pub status: Status,
}

/// A batch that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IngestAnswer {
    /// How many events were taken, repeats included.
    pub accepted: u64,
    /// The standing of each agent in the batch, in the order in which it first names them.
    pub reputation_updates: Vec<ReputationUpdate>,
    /// How many of the events the server had already.
    #[serde(default)]
    pub duplicates: u64,
    /// How many were too old to change a score.
    #[serde(default)]
    pub late: u64,
    /// How many had a time too far in the future.
    #[serde(default)]
    pub clamped: u64,
    /// Those that were not taken.
    #[serde(default)]
    pub rejected: Vec<Detail>,
}

/// An event as the server lists it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StoredEvent {
    /// The server's own id of it, opaque.
    pub id: String,
    /// As it was sent, or as the server made it.
    pub evaluation_id: Option<String>,
    /// The agent.
    pub agent_id: String,
    /// The tool.
    pub tool_name: Option<String>,
    /// The verdict.
    pub passed: bool,
    /// Gate by gate.
    pub gates: Vec<Gate>,
    /// How long the gates took together, in milliseconds.
    pub total_latency_ms: f64,
    /// The agent's score just after this event was counted.
    pub reputation_score: u32,
    /// The recorded time, RFC 3339 in UTC.
    pub created_at: String,
    /// When the server took it in.
    pub received_at: String,
    /// `ingest` or `evaluate`.
    pub source: String,
    /// The key that sent it.
    pub key_id: String,
    /// Whether its batch was signed.
    pub signed: bool,
    /// Whether it was too old to change a score.
    pub late: bool,
    /// The agent's own latency, in milliseconds.
    pub agent_latency_ms: Option<f64>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct EventsPage {
    pub(super) events: Vec<StoredEvent>,
    pub(super) next_cursor: Option<String>,
}

/// An agent in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Agent {
    /// Its id.
    pub agent_id: String,
    /// The earliest time of its events, RFC 3339 in UTC; that of its registration while it has none.
    pub first_seen: String,
    /// The latest.
    pub last_seen: String,
    /// Events over its lifetime.
    pub eval_count: u64,
    /// Its score, 0–1000, if the server tells it.
    pub score: Option<u32>,
    /// Its stage of life, if the server tells it.
    pub status: Option<Status>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct AgentsPage {
    pub(super) agents: Vec<Agent>,
    pub(super) next_cursor: Option<String>,
}

/// An agent that is known now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Registration {
    /// The agent.
    pub agent_id: String,
    /// Always true.
    pub registered: bool,
}

/// Who is asking, as the server sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Whoami {
    /// The organisation's name.
    pub organisation: String,
    /// The key's id.
    pub key_id: String,
    /// `publishable` or `secret`.
    pub kind: String,
    /// What the key may do.
    pub scopes: Vec<String>,
    /// What the organisation is limited to.
    pub limits: Limits,
    /// The server's version.
    pub version: String,
}

/// What an organisation is limited to; 0 is no limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// `POST /v1/ingest` requests in 60 seconds.
    pub ingest_rate_limit: u64,
    /// All other requests in 60 seconds.
    pub rate_limit: u64,
    /// Agents.
    pub max_agents: u64,
    /// Bytes in a body.
    pub max_body_bytes: u64,
    /// Whether bodies must be signed.
    pub require_signature: bool,
    /// Whether the time of the signature must be signed, too.
    #[serde(default)]
    pub require_timestamp: bool,
}

#[cfg(test)]
mod tests;
