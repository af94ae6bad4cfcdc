//! Cursors: opaque texts that say where a list goes on, and that nobody else can make.
//!
//! A cursor is the base64url (without padding) of
//!
//! | bytes | |
//! | --- | --- |
//! | 1 | format version, 1 |
//! | 1 | list: 1 events, 2 agents by `last_seen`, 3 agents by `agent_id`, 4 the ledger, 5 the audit log |
//! | 8 | `i64` µs: the recorded time, `last_seen` or a stretch's start; 0 in a list by `agent_id` and in the audit log |
//! | 1 or more | `u64` sequence number or number of an entry, the agent id in UTF-8, or `u32` number of a key |
//! | 16 | HMAC-SHA256, cut to its left half, over organisation, filters and all bytes before |
//!
//! little-endian. It is bound to the organisation and to the route with all filters, but contains neither, so
//! one that was made for another question is refused like a forged one. What it does contain is the
//! organisation's own, so it shows nothing of another.

use crate::Fault;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reputation::Micros;
use ring::digest::{self, SHA256};
use ring::hmac;
use std::fmt;
use subtle::ConstantTimeEq as _;

const VERSION: u8 = 1;
const TAG_BYTES: usize = 16;
const EVENTS: u8 = 1;
const AGENTS_BY_LAST_SEEN: u8 = 2;
const AGENTS_BY_ID: u8 = 3;
const LEDGER: u8 = 4;
const AUDIT: u8 = 5;
/// No cursor of ours is longer: an agent id of four-byte characters, and some.
const MAX_TEXT: usize = 2_048;
/// Keeps what is authenticated here apart from whatever else the same key may authenticate.
const DOMAIN: &[u8] = b"repute cursor\0";

/// The last event of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPlace {
    /// Its recorded time.
    pub recorded_at: Micros,
    /// Its organisation's own sequence number.
    pub seq: u64,
}

/// The last agent of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentPlace {
    /// In a list by `last_seen`.
    LastSeen(Micros, String),
    /// In a list by `agent_id`.
    AgentId(String),
}

/// The last entry of a page of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerPlace {
    /// The start of its stretch.
    pub at: Micros,
    /// Its key's number.
    pub key: u32,
}

/// The last entry of a page of the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditPlace {
    /// Its organisation's own number for it.
    pub id: u64,
}

/// A digest of a route and of everything that decides which rows it lists and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filters([u8; 32]);

impl Filters {
    /// Of a route and its parameters, absent ones included, in a fixed order.
    pub(crate) fn of(route: &str, parameters: &[Option<&[u8]>]) -> Self {
        let mut digest = digest::Context::new(&SHA256);
        digest.update(route.as_bytes());
        digest.update(&[0]);
        for parameter in parameters {
            // The length in front keeps neighbours apart.
            match parameter {
                None => digest.update(&[0]),
                Some(value) => {
                    digest.update(&[1]);
                    digest.update(&(value.len() as u64).to_le_bytes());
                    digest.update(value);
                }
            }
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.finish().as_ref());
        Self(bytes)
    }
}

/// The key under which cursors are authenticated.
#[derive(Clone)]
pub struct CursorKey(hmac::Key);

impl fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CursorKey(…)")
    }
}

impl CursorKey {
    /// Prepares a key.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The cursor to the events after this one.
    #[must_use]
    pub fn after_event(&self, organisation: u32, filters: &Filters, place: EventPlace) -> String {
        self.seal(
            organisation,
            filters,
            EVENTS,
            place.recorded_at,
            &place.seq.to_le_bytes(),
        )
    }

    /// The cursor to the agents after this one.
    #[must_use]
    pub fn after_agent(&self, organisation: u32, filters: &Filters, place: &AgentPlace) -> String {
        match place {
            AgentPlace::LastSeen(time, id) => {
                self.seal(organisation, filters, AGENTS_BY_LAST_SEEN, *time, id.as_bytes())
            }
            AgentPlace::AgentId(id) => {
                self.seal(organisation, filters, AGENTS_BY_ID, Micros(0), id.as_bytes())
            }
        }
    }

    /// The cursor to the entries of the ledger after this one.
    #[must_use]
    pub fn after_ledger_entry(&self, organisation: u32, filters: &Filters, place: LedgerPlace) -> String {
        self.seal(organisation, filters, LEDGER, place.at, &place.key.to_le_bytes())
    }

    /// Reads a cursor that [`CursorKey::after_ledger_entry`] made for the same organisation and filters.
    pub fn ledger_place(
        &self,
        organisation: u32,
        filters: &Filters,
        cursor: &str,
    ) -> Result<LedgerPlace, Fault> {
        let opened = self.open(organisation, filters, cursor)?;
        match (opened.list, opened.rest.as_slice().try_into()) {
            (LEDGER, Ok(key)) => Ok(LedgerPlace {
                at: opened.recorded_at,
                key: u32::from_le_bytes(key),
            }),
            _ => Err(wrong()),
        }
    }

    /// The cursor to the entries of the audit log after this one.
    #[must_use]
    pub fn after_audit_entry(&self, organisation: u32, filters: &Filters, place: AuditPlace) -> String {
        self.seal(organisation, filters, AUDIT, Micros(0), &place.id.to_le_bytes())
    }

    /// Reads a cursor that [`CursorKey::after_audit_entry`] made for the same organisation and filters.
    pub fn audit_place(
        &self,
        organisation: u32,
        filters: &Filters,
        cursor: &str,
    ) -> Result<AuditPlace, Fault> {
        let opened = self.open(organisation, filters, cursor)?;
        match (opened.list, opened.rest.as_slice().try_into()) {
            (AUDIT, Ok(id)) => Ok(AuditPlace {
                id: u64::from_le_bytes(id),
            }),
            _ => Err(wrong()),
        }
    }

    /// Reads a cursor that [`CursorKey::after_event`] made for the same organisation and filters.
    pub fn event_place(
        &self,
        organisation: u32,
        filters: &Filters,
        cursor: &str,
    ) -> Result<EventPlace, Fault> {
        let Opened {
            list: EVENTS,
            recorded_at,
            rest,
        } = self.open(organisation, filters, cursor)?
        else {
            return Err(wrong());
        };
        let seq = rest.as_slice().try_into().map_err(|_| wrong())?;
        Ok(EventPlace {
            recorded_at,
            seq: u64::from_le_bytes(seq),
        })
    }

    /// Reads a cursor that [`CursorKey::after_agent`] made for the same organisation and filters.
    pub fn agent_place(
        &self,
        organisation: u32,
        filters: &Filters,
        cursor: &str,
    ) -> Result<AgentPlace, Fault> {
        let opened = self.open(organisation, filters, cursor)?;
        let id = String::from_utf8(opened.rest).map_err(|_| wrong())?;
        match opened.list {
            AGENTS_BY_LAST_SEEN => Ok(AgentPlace::LastSeen(opened.recorded_at, id)),
            AGENTS_BY_ID => Ok(AgentPlace::AgentId(id)),
            _ => Err(wrong()),
        }
    }

    fn seal(&self, organisation: u32, filters: &Filters, list: u8, time: Micros, rest: &[u8]) -> String {
        let mut bytes = Vec::with_capacity(2 + 8 + rest.len() + TAG_BYTES);
        bytes.extend([VERSION, list]);
        bytes.extend(time.0.to_le_bytes());
        bytes.extend(rest);
        let tag = self.tag(organisation, filters, &bytes);
        bytes.extend(tag);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn open(&self, organisation: u32, filters: &Filters, cursor: &str) -> Result<Opened, Fault> {
        if cursor.len() > MAX_TEXT {
            return Err(wrong());
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong())?;
        let (sealed, tag) = bytes.split_last_chunk::<TAG_BYTES>().ok_or_else(wrong)?;
        if !bool::from(self.tag(organisation, filters, sealed).ct_eq(tag)) {
            return Err(wrong());
        }
        match sealed.split_first_chunk::<10>() {
            Some(([VERSION, list, time @ ..], rest)) => Ok(Opened {
                list: *list,
                recorded_at: Micros(i64::from_le_bytes(*time)),
                rest: rest.to_vec(),
            }),
            _ => Err(wrong()),
        }
    }

    /// The first bytes of an HMAC-SHA256.
    fn tag(&self, organisation: u32, filters: &Filters, sealed: &[u8]) -> [u8; TAG_BYTES] {
        let mut mac = hmac::Context::with_key(&self.0);
        for part in [DOMAIN, &organisation.to_le_bytes(), &filters.0, sealed] {
            mac.update(part);
        }
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&mac.sign().as_ref()[..TAG_BYTES]);
        tag
    }
}

struct Opened {
    list: u8,
    recorded_at: Micros,
    rest: Vec<u8>,
}

fn wrong() -> Fault {
    Fault::validation(
        "cursor",
        "not one that this request with these filters was answered with",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MAX_AGENT_ID;

    const PLACE: EventPlace = EventPlace {
        recorded_at: Micros(1_700_000_000_000_001),
        seq: 42,
    };

    fn key() -> CursorKey {
        CursorKey::new(&[7; 32])
    }

    fn filters() -> Filters {
        Filters::of("events", &[Some(b"a"), None])
    }

    #[test]
    fn a_cursor_leads_back_to_its_place() {
        let cursor = key().after_event(1, &filters(), PLACE);
        assert_eq!(key().event_place(1, &filters(), &cursor), Ok(PLACE));

        let place = LedgerPlace {
            at: Micros(5),
            key: 7,
        };
        let cursor = key().after_ledger_entry(1, &filters(), place);
        assert_eq!(key().ledger_place(1, &filters(), &cursor), Ok(place));

        let place = AuditPlace { id: 7 };
        let cursor = key().after_audit_entry(1, &filters(), place);
        assert_eq!(key().audit_place(1, &filters(), &cursor), Ok(place));
        assert!(key().audit_place(2, &filters(), &cursor).is_err());
        let event = key().after_event(1, &filters(), PLACE);
        assert!(key().audit_place(1, &filters(), &event).is_err());

        let longest = "🦀".repeat(MAX_AGENT_ID);
        for place in [
            AgentPlace::LastSeen(Micros(5), "a".to_owned()),
            AgentPlace::LastSeen(Micros(5), longest.clone()),
            AgentPlace::AgentId(longest),
        ] {
            let cursor = key().after_agent(1, &filters(), &place);
            assert_eq!(key().agent_place(1, &filters(), &cursor), Ok(place));
        }
    }

    #[test]
    fn a_cursor_is_of_one_organisation_question_list_and_key() {
        let wrong = "cursor: not one that this request with these filters was answered with";
        let cursor = key().after_event(1, &filters(), PLACE);
        let refused = |place: Result<EventPlace, Fault>| assert_eq!(place.unwrap_err().to_string(), wrong);
        refused(key().event_place(2, &filters(), &cursor));
        refused(key().event_place(1, &Filters::of("events", &[None, Some(b"a")]), &cursor));
        refused(key().event_place(1, &Filters::of("event", &[Some(b"a"), None]), &cursor));
        refused(CursorKey::new(&[8; 32]).event_place(1, &filters(), &cursor));
        assert_eq!(
            key().agent_place(1, &filters(), &cursor).unwrap_err().to_string(),
            wrong
        );

        assert!(key().ledger_place(1, &filters(), &cursor).is_err());

        let agents = key().after_agent(1, &filters(), &AgentPlace::AgentId("12345678".to_owned()));
        refused(key().event_place(1, &filters(), &agents));
    }

    #[test]
    fn a_cursor_that_was_touched_is_refused() {
        let cursor = key().after_event(1, &filters(), PLACE);
        for at in 0..cursor.len() {
            let mut touched = cursor.clone().into_bytes();
            touched[at] = if touched[at] == b'A' { b'B' } else { b'A' };
            let touched = String::from_utf8(touched).unwrap();
            assert!(key().event_place(1, &filters(), &touched).is_err(), "{touched}");
        }
        for text in [
            "",
            "A",
            "!!!",
            &cursor[1..],
            &format!("{cursor}="),
            &"A".repeat(4_000),
        ] {
            assert!(key().event_place(1, &filters(), text).is_err(), "{text}");
        }
    }

    #[test]
    fn neighbouring_parameters_are_kept_apart() {
        let of = |a: &'static [u8], b: &'static [u8]| Filters::of("r", &[Some(a), Some(b)]);
        assert_ne!(of(b"ab", b"c"), of(b"a", b"bc"));
        assert_ne!(Filters::of("r", &[Some(b"")]), Filters::of("r", &[None]));
    }
}
