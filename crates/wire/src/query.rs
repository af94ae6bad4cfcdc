//! Query strings and path segments, read strictly: a parameter that is unknown, repeated, empty or out of
//! its range is refused and named, since to ignore it would answer another question than was asked.

mod agents;
mod audit;
mod events;
mod gates;
mod ledger;
mod pairs;
mod reputations;

pub use agents::{AgentsOrder, AgentsParams, MAX_AGENTS_LIMIT};
pub use audit::{AuditParams, DEFAULT_AUDIT_LIMIT, MAX_AUDIT_LIMIT};
pub use events::{DEFAULT_EVENTS_LIMIT, EventsParams, MAX_EVENTS_LIMIT, MAX_OFFSET};
pub use gates::GatesParams;
pub use ledger::{DEFAULT_LEDGER_LIMIT, LedgerParams, LedgerSpan, MAX_LEDGER_LIMIT};
pub use reputations::{MAX_AGENTS_ASKED, ReputationsParams};

use crate::code_points::longer_than;
use crate::{Fault, MAX_AGENT_ID};
use pairs::percent_decode;

/// The agent id in a path segment as it was sent: percent-decoded once, UTF-8, 1–200 code points. A `+`
/// stands for itself there.
pub fn agent_id_of_segment(segment: &str) -> Result<String, Fault> {
    let id =
        percent_decode(segment, false).ok_or_else(|| Fault::validation("agent_id", pairs::NOT_ENCODED))?;
    checked_text("agent_id", id, MAX_AGENT_ID)
}

/// Refuses all parameters, for routes that have none.
pub fn no_parameters(query: Option<&str>) -> Result<(), Fault> {
    match pairs::Pairs::new(query).next().transpose()? {
        None => Ok(()),
        Some(pair) => Err(pair.unknown()),
    }
}

/// A text of 1 to that many code points.
fn checked_text(name: &'static str, text: String, limit: usize) -> Result<String, Fault> {
    if text.is_empty() {
        Err(Fault::validation(name, "empty"))
    } else if longer_than(&text, limit) {
        Err(Fault::validation(name, format!("longer than {limit} characters")))
    } else {
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_segment_is_decoded_once() {
        for (segment, id) in [
            ("a", "a"),
            ("a%2Fb", "a/b"),
            ("a%252Fb", "a%2Fb"),
            ("a+b", "a+b"),
            ("%C3%A9", "é"),
            ("é", "é"),
        ] {
            assert_eq!(agent_id_of_segment(segment).unwrap(), id);
        }
        assert_eq!(
            agent_id_of_segment(&"%C3%A9".repeat(200)).unwrap(),
            "é".repeat(200)
        );
    }

    #[test]
    fn a_bad_path_segment_is_refused_with_its_rule() {
        let long = "a".repeat(201);
        for (segment, sentence) in [
            ("", "agent_id: empty"),
            ("%", "agent_id: not percent-encoded UTF-8"),
            ("%2", "agent_id: not percent-encoded UTF-8"),
            ("%zz", "agent_id: not percent-encoded UTF-8"),
            ("%+1", "agent_id: not percent-encoded UTF-8"),
            ("%FF", "agent_id: not percent-encoded UTF-8"),
            (&long, "agent_id: longer than 200 characters"),
        ] {
            assert_eq!(
                agent_id_of_segment(segment).unwrap_err().to_string(),
                sentence,
                "{segment}"
            );
        }
    }

    #[test]
    fn a_route_without_parameters_takes_none() {
        assert_eq!(no_parameters(None), Ok(()));
        assert_eq!(no_parameters(Some("")), Ok(()));
        assert_eq!(
            no_parameters(Some("a=1")).unwrap_err().to_string(),
            "a: no such parameter here"
        );
    }
}
