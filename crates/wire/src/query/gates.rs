//! The parameters of `GET /v1/gates`.

use super::checked_text;
use super::pairs::Pairs;
use crate::{Fault, MAX_AGENT_ID};

/// A question about the gates that apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatesParams {
    /// Only those of this agent.
    pub agent_id: Option<String>,
}

impl GatesParams {
    /// Reads a query string, without its `?`.
    pub fn parse(query: Option<&str>) -> Result<Self, Fault> {
        const NAME: &str = "agent_id";
        let mut params = Self::default();
        for pair in Pairs::new(query) {
            let pair = pair?;
            if pair.name != NAME {
                return Err(pair.unknown());
            }
            if params.agent_id.is_some() {
                return Err(Fault::validation(NAME, "given twice"));
            }
            params.agent_id = Some(checked_text(NAME, pair.value, MAX_AGENT_ID)?);
        }
        Ok(params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_agent_may_be_named() {
        assert_eq!(GatesParams::parse(None).unwrap().agent_id, None);
        let params = GatesParams::parse(Some("agent_id=bid%2F1")).unwrap();
        assert_eq!(params.agent_id.as_deref(), Some("bid/1"));
        let sentence = |query| GatesParams::parse(Some(query)).unwrap_err().to_string();
        assert_eq!(sentence("agent_id=a&agent_id=b"), "agent_id: given twice");
        assert_eq!(sentence("agent_id="), "agent_id: empty");
        assert_eq!(sentence("agent=a"), "agent: no such parameter here");
    }
}
