//! What `POST /v1/ingest` answers.

use super::Status;
use crate::Invalid;
use reputation::Summary;
use serde::Serialize;
use utoipa::ToSchema;

/// A batch that was taken. What a count of zero would say is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct IngestAnswer {
    /// How many events were taken, repeats included.
    #[schema(example = 2)]
    pub accepted: u32,
    /// The standing of each distinct agent, in the order in which the batch first names them.
    pub reputation_updates: Vec<ReputationUpdate>,
    /// How many of them had been taken before, and so were not recorded or counted again.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub duplicates: u32,
    /// How many of them are older than a full window, and so changed no score.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub late: u32,
    /// How many of them claimed to be too far in the future, and were recorded as of now.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub clamped: u32,
    /// The events that were not taken (`Prefer: handling=lenient` only).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub rejected: Vec<Invalid>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// An agent's standing after a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReputationUpdate {
    /// The agent.
    #[schema(example = "bid-agent-prod")]
    pub agent_id: String,
    /// Its score, 0–1000.
    #[schema(example = 440, maximum = 1000)]
    pub score: u16,
    /// Its stage of life.
    pub status: Status,
}

impl ReputationUpdate {
    /// The standing that a window's totals stand for.
    #[must_use]
    pub fn new(agent_id: impl Into<String>, summary: &Summary) -> Self {
        Self {
            agent_id: agent_id.into(),
            score: summary.score(),
            status: summary.status().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_example_is_answered() {
        let summary = Summary {
            evaluations: 2,
            passed: 1,
            latency_sum_us: 8_000,
            streak: 0,
        };
        let answer = IngestAnswer {
            accepted: 2,
            reputation_updates: vec![ReputationUpdate::new("bid-agent-prod", &summary)],
            ..IngestAnswer::default()
        };
        assert_eq!(
            serde_json::to_string(&answer).unwrap(),
            concat!(
                r#"{"accepted":2,"reputation_updates":"#,
                r#"[{"agent_id":"bid-agent-prod","score":440,"status":"calibrating"}]}"#
            )
        );
    }

    #[test]
    fn what_is_out_of_the_ordinary_is_told() {
        let answer = IngestAnswer {
            accepted: 6,
            reputation_updates: vec![],
            duplicates: 1,
            late: 2,
            clamped: 3,
            rejected: vec![Invalid::agent_limit(4, 10)],
        };
        assert_eq!(
            serde_json::to_string(&answer).unwrap(),
            concat!(
                r#"{"accepted":6,"reputation_updates":[],"duplicates":1,"late":2,"clamped":3,"rejected":"#,
                r#"[{"event":4,"field":"agent_id","rule":"a new agent beyond the organisation's limit of 10"}]}"#
            )
        );
    }
}
