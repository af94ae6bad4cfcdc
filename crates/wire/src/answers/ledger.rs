//! What `GET /v1/ledger` answers.

use crate::timestamp;
use ::reputation::Micros;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Requests of a key: `received` is the sum over `by_status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct RequestBooks {
    /// All that have ended.
    pub received: u64,
    /// By the answer's status; 499 stands for a client that went away before its answer.
    #[schema(value_type = BTreeMap<String, u64>)] // JSON has no other names
    pub by_status: BTreeMap<u16, u64>,
}

impl RequestBooks {
    /// Counts requests that were answered with this status.
    pub fn add(&mut self, status: u16, count: u64) {
        self.received += count;
        *self.by_status.entry(status).or_default() += count;
    }
}

/// Events of bodies that parsed as a list: `received` is the sum of all else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventBooks {
    /// All whose fate is known.
    pub received: u64,
    /// Recorded anew.
    pub recorded: u64,
    /// Recorded before.
    pub duplicates: u64,
    /// Refused for what they are, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Not taken for the server's own reasons, by reason.
    pub shed: BTreeMap<String, u64>,
}

/// What a key sent in one stretch of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LedgerEntry {
    /// When the stretch starts.
    #[schema(format = DateTime)]
    pub at: String,
    /// The key's id.
    pub key_id: String,
    /// Its requests.
    pub requests: RequestBooks,
    /// Its events.
    pub events: EventBooks,
}

impl LedgerEntry {
    /// An entry of the stretch that starts at this time.
    #[must_use]
    pub fn new(at: Micros, key_id: impl Into<String>, requests: RequestBooks, events: EventBooks) -> Self {
        Self {
            at: timestamp::format(at),
            key_id: key_id.into(),
            requests,
            events,
        }
    }
}

/// A page of the ledger, newest first; stretches in which nothing was sent are not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LedgerPage {
    /// The entries.
    pub entries: Vec<LedgerEntry>,
    /// Where the list goes on; none on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub next_cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_shows_both_books() {
        let mut requests = RequestBooks::default();
        requests.add(202, 2);
        requests.add(400, 1);
        let events = EventBooks {
            received: 6,
            recorded: 3,
            duplicates: 1,
            refused: [("invalid".to_owned(), 2)].into(),
            shed: BTreeMap::new(),
        };
        let page = LedgerPage {
            entries: vec![LedgerEntry::new(Micros(0), "2", requests, events)],
            next_cursor: None,
        };
        assert_eq!(
            serde_json::to_string(&page).unwrap(),
            concat!(
                r#"{"entries":[{"at":"1970-01-01T00:00:00.000Z","key_id":"2","#,
                r#""requests":{"received":3,"by_status":{"202":2,"400":1}},"#,
                r#""events":{"received":6,"recorded":3,"duplicates":1,"refused":{"invalid":2},"shed":{}}}]}"#
            )
        );
    }
}
