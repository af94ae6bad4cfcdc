//! The body that every error answers with.

use super::{Code, Fault};
use serde::Serialize;
use std::fmt;
use utoipa::ToSchema;

/// One event of a batch that is not taken: its first fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Invalid {
    /// Its index in `events`, from 0.
    #[schema(example = 3)]
    pub event: usize,
    /// The field, as a path within the event; empty where the event itself is at fault.
    #[schema(example = "gates[0].reason")]
    pub field: String,
    /// The rule that it breaks.
    #[schema(example = "longer than 500 characters")]
    pub rule: String,
}

impl Invalid {
    /// An event that would name an agent beyond the organisation's limit.
    #[must_use]
    pub fn agent_limit(event: usize, max_agents: u64) -> Self {
        Self {
            event,
            field: "agent_id".to_owned(),
            rule: agent_limit_rule(max_agents),
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.field.is_empty() { "" } else { "." };
        write!(f, "events[{}]{dot}{}: {}", self.event, self.field, self.rule)
    }
}

fn agent_limit_rule(max_agents: u64) -> String {
    format!("a new agent beyond the organisation's limit of {max_agents}")
}

/// What an error answers: `{"error", "code", "status"}`, and `details` where several events are at fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ErrorBody {
    /// A sentence for a person: names the field and its rule.
    #[schema(example = "events[3].gates[0].reason: longer than 500 characters")]
    pub error: String,
    /// The machine code.
    #[schema(value_type = String, example = "validation_error")]
    pub code: Code,
    /// The HTTP status, again.
    #[schema(example = 400)]
    pub status: u16,
    /// One entry per event that is not taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub details: Vec<Invalid>,
}

impl ErrorBody {
    /// An error of that code with its sentence.
    #[must_use]
    pub fn new(code: Code, error: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            code,
            status: code.status(),
            details: Vec::new(),
        }
    }

    /// A batch with bad events: the first is the sentence, all are the details.
    #[must_use]
    pub fn invalid(events: Vec<Invalid>) -> Self {
        let error = events
            .first()
            .map_or_else(|| "events: invalid".to_owned(), ToString::to_string);
        Self {
            details: events,
            ..Self::new(Code::ValidationError, error)
        }
    }

    /// A registration beyond the organisation's limit of agents, or a batch whose `events` (indexes into it)
    /// name new agents beyond it.
    #[must_use]
    pub fn agent_limit(max_agents: u64, events: &[usize]) -> Self {
        let details: Vec<Invalid> = events
            .iter()
            .map(|&event| Invalid::agent_limit(event, max_agents))
            .collect();
        let error = details.first().map_or_else(
            || format!("agent_id: {}", agent_limit_rule(max_agents)),
            ToString::to_string,
        );
        Self {
            details,
            ..Self::new(Code::AgentLimit, error)
        }
    }
}

impl From<&Fault> for ErrorBody {
    fn from(fault: &Fault) -> Self {
        Self::new(fault.code(), fault.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(body: &ErrorBody) -> String {
        serde_json::to_string(body).unwrap()
    }

    #[test]
    fn an_error_is_a_sentence_a_code_and_a_status() {
        assert_eq!(
            json(&ErrorBody::new(Code::NotFound, "no such route")),
            r#"{"error":"no such route","code":"not_found","status":404}"#
        );
    }

    #[test]
    fn bad_events_are_all_named_and_the_first_is_the_sentence() {
        let bad = |event, field: &str| Invalid {
            event,
            field: field.to_owned(),
            rule: "missing".to_owned(),
        };
        assert_eq!(
            json(&ErrorBody::invalid(vec![bad(3, "gates[0].name"), bad(7, "")])),
            concat!(
                r#"{"error":"events[3].gates[0].name: missing","code":"validation_error","status":400,"#,
                r#""details":[{"event":3,"field":"gates[0].name","rule":"missing"},"#,
                r#"{"event":7,"field":"","rule":"missing"}]}"#
            )
        );
        assert_eq!(bad(7, "").to_string(), "events[7]: missing");
    }

    #[test]
    fn agents_beyond_the_limit_are_named() {
        assert_eq!(
            json(&ErrorBody::agent_limit(10, &[1])),
            concat!(
                r#"{"error":"events[1].agent_id: a new agent beyond the organisation's limit of 10","#,
                r#""code":"agent_limit","status":403,"details":[{"event":1,"field":"agent_id","#,
                r#""rule":"a new agent beyond the organisation's limit of 10"}]}"#
            )
        );
        assert_eq!(
            json(&ErrorBody::agent_limit(10, &[])),
            concat!(
                r#"{"error":"agent_id: a new agent beyond the organisation's limit of 10","#,
                r#""code":"agent_limit","status":403}"#
            )
        );
    }
}
