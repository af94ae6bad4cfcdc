//! What `GET /v1/audit` answers.

use crate::timestamp;
use ::reputation::Micros;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Who changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuditActor {
    /// Somebody with access to the server's machine.
    Operator,
    /// Somebody with a key.
    Key,
}

/// One change, as it was asked for and done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditEntry {
    /// Its number, the organisation's own; without gaps.
    pub id: String,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// Who.
    pub actor: AuditActor,
    /// The key that did it; `null` for the operator.
    pub actor_key_id: Option<String>,
    /// What: `org.create`, `org.set`, `key.create`, `key.revoke`, `agent.erase`, `events.import`,
    /// `master_key.rotate`. There may be more one day.
    #[schema(example = "key.create")]
    pub action: String,
    /// The key that it was done to, if it was one.
    pub key_id: Option<String>,
    /// With what, where that says more; never the text of a key, never the id of an agent.
    #[schema(value_type = Option<Object>)]
    pub detail: Option<Value>,
}

impl AuditEntry {
    /// An entry; `actor` is the key that did it, or `None` for the operator.
    #[must_use]
    pub fn new(
        id: u64,
        at: Micros,
        actor: Option<u32>,
        action: impl Into<String>,
        key: Option<u32>,
        detail: Option<Value>,
    ) -> Self {
        let number = |key: u32| key.to_string();
        Self {
            id: id.to_string(),
            at: timestamp::format(at),
            actor: actor.map_or(AuditActor::Operator, |_| AuditActor::Key),
            actor_key_id: actor.map(number),
            action: action.into(),
            key_id: key.map(number),
            detail,
        }
    }
}

/// A page of the audit log, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// Where the list goes on; none on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub next_cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_says_who_did_what_to_what() {
        let detail = serde_json::json!({ "require_signature": true });
        let page = AuditPage {
            entries: vec![
                AuditEntry::new(2, Micros(1_000_000), None, "org.set", None, Some(detail)),
                AuditEntry::new(1, Micros(0), Some(3), "key.revoke", Some(4), None),
            ],
            next_cursor: None,
        };
        assert_eq!(
            serde_json::to_string(&page).unwrap(),
            concat!(
                r#"{"entries":[{"id":"2","at":"1970-01-01T00:00:01.000Z","actor":"operator","actor_key_id":null,"#,
                r#""action":"org.set","key_id":null,"detail":{"require_signature":true}},"#,
                r#"{"id":"1","at":"1970-01-01T00:00:00.000Z","actor":"key","actor_key_id":"3","#,
                r#""action":"key.revoke","key_id":"4","detail":null}]}"#
            )
        );
    }
}
