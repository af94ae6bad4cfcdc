//! What the routes about agents answer.

use super::Status;
use crate::timestamp;
use ::reputation::{Micros, Summary};
use serde::Serialize;
use utoipa::ToSchema;

/// An agent in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AgentEntry {
    /// Its id.
    #[schema(example = "bid-agent-prod")]
    pub agent_id: String,
    /// The earliest recorded time of its events, or the time of registration while it has none.
    #[schema(format = DateTime)]
    pub first_seen: String,
    /// The latest recorded time of its events, or the time of registration while it has none.
    #[schema(format = DateTime)]
    pub last_seen: String,
    /// Events over its lifetime.
    pub eval_count: u64,
    /// With `include=reputation`: its score, 0–1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, maximum = 1000)]
    pub score: Option<u16>,
    /// With `include=reputation`: its stage of life.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub status: Option<Status>,
}

impl AgentEntry {
    /// An agent; with the totals of its window if its reputation is to be told.
    #[must_use]
    pub fn new(
        agent_id: impl Into<String>,
        first_seen: Micros,
        last_seen: Micros,
        eval_count: u64,
        reputation: Option<&Summary>,
    ) -> Self {
        Self {
            agent_id: agent_id.into(),
            first_seen: timestamp::format(first_seen),
            last_seen: timestamp::format(last_seen),
            eval_count,
            score: reputation.map(Summary::score),
            status: reputation.map(|summary| summary.status().into()),
        }
    }
}

/// A page of agents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AgentsPage {
    /// The agents, in the order asked.
    pub agents: Vec<AgentEntry>,
    /// Where the list goes on; none on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub next_cursor: Option<String>,
}

/// An agent that is registered, now or before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Registration {
    /// The agent.
    #[schema(example = "bid-agent-prod")]
    pub agent_id: String,
    /// Always true.
    pub registered: bool,
}

impl Registration {
    /// Says that this agent is registered.
    #[must_use]
    pub fn new(agent_id: impl Into<String>) -> Self {
        Self {
            agent_id: agent_id.into(),
            registered: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_listed_with_their_reputation_if_asked_for() {
        let agents = vec![
            AgentEntry::new("a", Micros(0), Micros(1_999), 7, None),
            AgentEntry::new("b", Micros(0), Micros(0), 0, Some(&Summary::default())),
        ];
        assert_eq!(
            serde_json::to_string(&AgentsPage {
                agents,
                next_cursor: Some("AAA".to_owned())
            })
            .unwrap(),
            concat!(
                r#"{"agents":[{"agent_id":"a","first_seen":"1970-01-01T00:00:00.000Z","#,
                r#""last_seen":"1970-01-01T00:00:00.001Z","eval_count":7},"#,
                r#"{"agent_id":"b","first_seen":"1970-01-01T00:00:00.000Z","#,
                r#""last_seen":"1970-01-01T00:00:00.000Z","eval_count":0,"score":0,"status":"new"}],"#,
                r#""next_cursor":"AAA"}"#
            )
        );
    }

    #[test]
    fn a_registration_is_told() {
        assert_eq!(
            serde_json::to_string(&Registration::new("a")).unwrap(),
            r#"{"agent_id":"a","registered":true}"#
        );
    }
}
