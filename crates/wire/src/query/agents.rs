//! The parameters of `GET /v1/agents`.

use super::checked_text;
use super::pairs::{Once, Pairs, whole_number};
use crate::{Fault, Filters};

/// The most agents on a page, and as many as there are on one that asks for no number.
pub const MAX_AGENTS_LIMIT: u64 = 500;

/// How agents are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AgentsOrder {
    /// Most recently seen first.
    #[default]
    LastSeen,
    /// By id, byte for byte.
    AgentId,
}

impl AgentsOrder {
    /// The word that clients send.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LastSeen => "last_seen",
            Self::AgentId => "agent_id",
        }
    }
}

/// A question about agents, within every rule of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentsParams {
    /// How many at most: 1–500.
    pub limit: u64,
    /// How they are ordered.
    pub order: AgentsOrder,
    /// Whether score and status are asked for.
    pub include_reputation: bool,
    /// Where the page before ended, still to be opened with [`AgentsParams::filters`].
    pub cursor: Option<String>,
}

impl AgentsParams {
    /// Reads a query string, without its `?`.
    pub fn parse(query: Option<&str>) -> Result<Self, Fault> {
        let mut limit = Once::new("limit");
        let mut order = Once::new("order");
        let mut include = Once::new("include");
        let mut cursor = Once::new("cursor");
        for pair in Pairs::new(query) {
            let pair = pair?;
            match pair.name.as_str() {
                "limit" => limit.take(pair.value, |name, v| whole_number(name, &v, 1, MAX_AGENTS_LIMIT))?,
                "order" => order.take(pair.value, |name, v| order_of(name, &v))?,
                "include" => include.take(pair.value, |name, v| reputation(name, &v))?,
                "cursor" => cursor.take(pair.value, |name, v| checked_text(name, v, usize::MAX))?,
                _ => return Err(pair.unknown()),
            }
        }
        Ok(Self {
            limit: limit.get().unwrap_or(MAX_AGENTS_LIMIT),
            order: order.get().unwrap_or_default(),
            include_reputation: include.get().is_some(),
            cursor: cursor.get(),
        })
    }

    /// The digest of everything but `limit`, to bind a cursor to.
    #[must_use]
    pub fn filters(&self) -> Filters {
        let include = self.include_reputation.then_some(b"reputation".as_slice());
        Filters::of("GET /v1/agents", &[Some(self.order.as_str().as_bytes()), include])
    }
}

fn order_of(name: &'static str, text: &str) -> Result<AgentsOrder, Fault> {
    [AgentsOrder::LastSeen, AgentsOrder::AgentId]
        .into_iter()
        .find(|order| order.as_str() == text)
        .ok_or_else(|| Fault::validation(name, "neither `last_seen` nor `agent_id`"))
}

fn reputation(name: &'static str, text: &str) -> Result<(), Fault> {
    if text == "reputation" {
        Ok(())
    } else {
        Err(Fault::validation(name, "not `reputation`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_has_its_default() {
        let default = AgentsParams {
            limit: 500,
            order: AgentsOrder::LastSeen,
            include_reputation: false,
            cursor: None,
        };
        assert_eq!(AgentsParams::parse(None), Ok(default.clone()));
        assert_eq!(AgentsParams::parse(Some("&")), Ok(default));
    }

    #[test]
    fn everything_can_be_given() {
        let given = AgentsParams {
            limit: 1,
            order: AgentsOrder::AgentId,
            include_reputation: true,
            cursor: Some("AbC_-".to_owned()),
        };
        let query = "order=agent_id&limit=1&cursor=AbC_-&include=reputation";
        assert_eq!(AgentsParams::parse(Some(query)), Ok(given));
    }

    #[test]
    fn everything_else_is_refused_with_its_rule() {
        for (query, sentence) in [
            ("limit=0", "limit: not a whole number from 1 to 500"),
            ("limit=501", "limit: not a whole number from 1 to 500"),
            ("order=score", "order: neither `last_seen` nor `agent_id`"),
            ("order=", "order: neither `last_seen` nor `agent_id`"),
            ("include=gates", "include: not `reputation`"),
            ("cursor=", "cursor: empty"),
            ("order=agent_id&order=agent_id", "order: given twice"),
            ("offset=1", "offset: no such parameter here"),
        ] {
            assert_eq!(
                AgentsParams::parse(Some(query)).unwrap_err().to_string(),
                sentence,
                "{query}"
            );
        }
    }

    #[test]
    fn filters_are_everything_but_the_limit() {
        let filters = |query| AgentsParams::parse(Some(query)).unwrap().filters();
        assert_eq!(filters(""), filters("limit=7&order=last_seen"));
        assert_ne!(filters(""), filters("order=agent_id"));
        assert_ne!(filters(""), filters("include=reputation"));
    }
}
