//! What the routes about reputation answer.

use super::plain_number;
use reputation::Summary;
use serde::Serialize;
use utoipa::ToSchema;

/// An agent's stage of life, by the number of evaluations in its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// None yet.
    New,
    /// 1–49.
    Calibrating,
    /// 50–499.
    Active,
    /// 500.
    Mature,
}

impl From<reputation::Status> for Status {
    fn from(status: reputation::Status) -> Self {
        match status {
            reputation::Status::New => Self::New,
            reputation::Status::Calibrating => Self::Calibrating,
            reputation::Status::Active => Self::Active,
            reputation::Status::Mature => Self::Mature,
        }
    }
}

/// An agent's reputation, over its window of at most 500 evaluations.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Reputation {
    /// The agent.
    #[schema(example = "bid-agent-prod")]
    pub agent_id: String,
    /// 0–1000.
    #[schema(example = 440, maximum = 1000)]
    pub score: u16,
    /// Evaluations in the window.
    #[schema(example = 2, maximum = 500)]
    pub evaluations: u32,
    /// Those of them that passed.
    #[schema(example = 1)]
    pub passed: u32,
    /// The share that passed, 0–1.
    #[serde(serialize_with = "plain_number::serialize")]
    #[schema(example = 0.5)]
    pub pass_rate: f64,
    /// The mean `total_latency_ms`.
    #[serde(serialize_with = "plain_number::serialize")]
    #[schema(example = 4)]
    pub avg_latency_ms: f64,
    /// Passes in a row, counted back from the newest.
    #[schema(example = 0)]
    pub streak: u32,
    /// Its stage of life.
    pub status: Status,
}

impl Reputation {
    /// The reputation that a window's totals stand for; those of an agent never seen are zeros.
    #[must_use]
    pub fn new(agent_id: impl Into<String>, summary: &Summary) -> Self {
        Self {
            agent_id: agent_id.into(),
            score: summary.score(),
            evaluations: summary.evaluations,
            passed: summary.passed,
            pass_rate: summary.pass_rate(),
            avg_latency_ms: summary.avg_latency_ms(),
            streak: summary.streak,
            status: summary.status().into(),
        }
    }
}

/// The reputation of several agents.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Reputations {
    /// In the order asked.
    pub reputations: Vec<Reputation>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reputation_is_told_in_plain_numbers() {
        let some = Summary {
            evaluations: 2,
            passed: 1,
            latency_sum_us: 8_500,
            streak: 0,
        };
        let reputations = vec![
            Reputation::new("a", &some),
            Reputation::new("nobody", &Summary::default()),
        ];
        assert_eq!(
            serde_json::to_string(&Reputations { reputations }).unwrap(),
            concat!(
                r#"{"reputations":[{"agent_id":"a","score":439,"evaluations":2,"passed":1,"pass_rate":0.5,"#,
                r#""avg_latency_ms":4.25,"streak":0,"status":"calibrating"},"#,
                r#"{"agent_id":"nobody","score":0,"evaluations":0,"passed":0,"pass_rate":0,"#,
                r#""avg_latency_ms":0,"streak":0,"status":"new"}]}"#
            )
        );
    }
}
