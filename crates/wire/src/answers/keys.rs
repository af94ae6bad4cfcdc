//! What the routes about keys answer.

use crate::{KeyKind, Scope, Scopes, timestamp};
use ::reputation::Micros;
use serde::Serialize;
use utoipa::ToSchema;

/// A key just made: the only time that the key itself is shown.
#[derive(Clone, Serialize, ToSchema)]
pub struct NewKey {
    /// Its id.
    pub id: String,
    /// Publishable or secret.
    pub kind: KeyKind,
    /// What its owner calls it.
    #[schema(required)]
    pub name: Option<String>,
    /// What it may do.
    #[schema(value_type = Vec<Scope>)]
    pub scopes: Scopes,
    /// The key.
    pub key: String,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it stops working.
    #[schema(required, format = DateTime)]
    pub expires_at: Option<String>,
}

impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKey")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl NewKey {
    /// A key and what it was made with.
    #[must_use]
    pub fn new(
        id: impl Into<String>,
        key: &crate::Key,
        name: Option<String>,
        scopes: Scopes,
        created_at: Micros,
        expires_at: Option<Micros>,
    ) -> Self {
        Self {
            id: id.into(),
            kind: key.kind(),
            name,
            scopes,
            key: key.as_str().to_owned(),
            created_at: timestamp::format(created_at),
            expires_at: expires_at.map(timestamp::format),
        }
    }
}

/// A key in a list: never the key itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct KeyEntry {
    /// Its id.
    pub id: String,
    /// Publishable or secret.
    pub kind: KeyKind,
    /// What its owner calls it.
    #[schema(required)]
    pub name: Option<String>,
    /// What it may do.
    #[schema(value_type = Vec<Scope>)]
    pub scopes: Scopes,
    /// Its last four characters.
    pub last4: String,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it was last used, to the minute or so.
    #[schema(required, format = DateTime)]
    pub last_used_at: Option<String>,
    /// When it stops working.
    #[schema(required, format = DateTime)]
    pub expires_at: Option<String>,
    /// When it was revoked.
    #[schema(required, format = DateTime)]
    pub revoked_at: Option<String>,
}

/// All keys of an organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct KeysPage {
    /// The keys.
    pub keys: Vec<KeyEntry>,
}

/// Who is asking, as the server sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Whoami {
    /// The organisation's name.
    #[schema(example = "default")]
    pub organisation: String,
    /// The key's id.
    pub key_id: String,
    /// Publishable or secret.
    pub kind: KeyKind,
    /// What the key may do.
    #[schema(value_type = Vec<Scope>)]
    pub scopes: Scopes,
    /// What the organisation is limited to.
    pub limits: Limits,
    /// The server's version.
    #[schema(example = "0.1.0")]
    pub version: String,
}

/// What an organisation is limited to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Limits {
    /// `POST /v1/ingest` requests per rolling 60 seconds; 0 is no limit.
    pub ingest_rate_limit: u64,
    /// All other requests per rolling 60 seconds; 0 is no limit.
    pub rate_limit: u64,
    /// How many agents it may have.
    pub max_agents: u64,
    /// The largest body, in bytes.
    pub max_body_bytes: u64,
    /// Whether bodies must be signed.
    pub require_signature: bool,
    /// Whether the time of the signature must be signed, too (`X-Repute-Timestamp`).
    pub require_timestamp: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    #[test]
    fn a_new_key_is_shown_but_not_logged() {
        let text = "sk_live_0123456789abcdefghijABCDEFGHIJxy";
        let key = Key::parse(text.as_bytes()).unwrap();
        let new = NewKey::new(
            "3",
            &key,
            None,
            Scopes::default_of(KeyKind::Secret),
            Micros(0),
            None,
        );
        assert_eq!(
            serde_json::to_string(&new).unwrap(),
            concat!(
                r#"{"id":"3","kind":"secret","name":null,"scopes":["ingest","evaluate","read","admin"],"#,
                r#""key":"sk_live_0123456789abcdefghijABCDEFGHIJxy","created_at":"1970-01-01T00:00:00.000Z","#,
                r#""expires_at":null}"#
            )
        );
        assert_eq!(format!("{new:?}"), r#"NewKey { id: "3", kind: Secret, .. }"#);
    }

    #[test]
    fn keys_are_listed_by_their_last_characters() {
        let entry = KeyEntry {
            id: "3".to_owned(),
            kind: KeyKind::Publishable,
            name: Some("web".to_owned()),
            scopes: [Scope::Read].into_iter().collect(),
            last4: "IJxy".to_owned(),
            created_at: timestamp::format(Micros(0)),
            last_used_at: None,
            expires_at: Some(timestamp::format(Micros(1_000_000))),
            revoked_at: None,
        };
        assert_eq!(
            serde_json::to_string(&KeysPage { keys: vec![entry] }).unwrap(),
            concat!(
                r#"{"keys":[{"id":"3","kind":"publishable","name":"web","scopes":["read"],"last4":"IJxy","#,
                r#""created_at":"1970-01-01T00:00:00.000Z","last_used_at":null,"#,
                r#""expires_at":"1970-01-01T00:00:01.000Z","revoked_at":null}]}"#
            )
        );
    }

    #[test]
    fn whoever_asks_is_told_its_limits() {
        let limits = Limits {
            ingest_rate_limit: 500,
            rate_limit: 0,
            max_agents: 1_000_000,
            max_body_bytes: 16_777_216,
            require_signature: false,
            require_timestamp: false,
        };
        let whoami = Whoami {
            organisation: "default".to_owned(),
            key_id: "3".to_owned(),
            kind: KeyKind::Publishable,
            scopes: [Scope::Ingest].into_iter().collect(),
            limits,
            version: "0.1.0".to_owned(),
        };
        assert_eq!(
            serde_json::to_string(&whoami).unwrap(),
            concat!(
                r#"{"organisation":"default","key_id":"3","kind":"publishable","scopes":["ingest"],"limits":"#,
                r#"{"ingest_rate_limit":500,"rate_limit":0,"max_agents":1000000,"max_body_bytes":16777216,"#,
                r#""require_signature":false,"require_timestamp":false},"version":"0.1.0"}"#
            )
        );
    }
}
