//! The parameters of `GET /v1/reputation`, without an agent in its path.

use super::checked_text;
use super::pairs::Pairs;
use crate::{Fault, MAX_AGENT_ID};

/// The most agents in one question.
pub const MAX_AGENTS_ASKED: usize = 100;

/// A question about the reputation of several agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReputationsParams {
    /// The agents, 1–100, in the order asked; one that is asked for twice is there twice.
    pub agent_ids: Vec<String>,
}

impl ReputationsParams {
    /// Reads a query string, without its `?`: `agent_id`, repeated on purpose.
    pub fn parse(query: Option<&str>) -> Result<Self, Fault> {
        const NAME: &str = "agent_id";
        let mut agent_ids = Vec::new();
        for pair in Pairs::new(query) {
            let pair = pair?;
            if pair.name != NAME {
                return Err(pair.unknown());
            }
            if agent_ids.len() == MAX_AGENTS_ASKED {
                return Err(Fault::validation(NAME, "given more than 100 times"));
            }
            agent_ids.push(checked_text(NAME, pair.value, MAX_AGENT_ID)?);
        }
        if agent_ids.is_empty() {
            Err(Fault::validation(NAME, "missing"))
        } else {
            Ok(Self { agent_ids })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_kept_in_the_order_asked() {
        let params = ReputationsParams::parse(Some("agent_id=b&agent_id=a%26+c&agent_id=b")).unwrap();
        assert_eq!(params.agent_ids, ["b", "a& c", "b"]);
        assert_eq!(
            ReputationsParams::parse(Some(&"&agent_id=a".repeat(100)))
                .unwrap()
                .agent_ids
                .len(),
            100
        );
    }

    #[test]
    fn everything_else_is_refused_with_its_rule() {
        let many = "&agent_id=a".repeat(101);
        let long = format!("agent_id={}", "a".repeat(201));
        for (query, sentence) in [
            ("", "agent_id: missing"),
            ("agent_id=", "agent_id: empty"),
            ("agent_id", "agent_id: empty"),
            ("agent_id=a&limit=1", "limit: no such parameter here"),
            (&many, "agent_id: given more than 100 times"),
            (&long, "agent_id: longer than 200 characters"),
        ] {
            assert_eq!(
                ReputationsParams::parse(Some(query)).unwrap_err().to_string(),
                sentence,
                "{query}"
            );
        }
    }
}
