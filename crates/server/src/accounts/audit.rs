//! Who changed what, and when.

use super::{Accounts, Actor, Error};
use reputation::Micros;
use serde_json::Value;
use store::{KeyId, OrgId};
use wire::answers;

/// One change to an organisation, to one of its keys, or to its events as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number, the organisation's own, counted from 1 without gaps.
    pub id: u64,
    /// When.
    pub at: Micros,
    /// Who.
    pub actor: Actor,
    /// What was done, such as `key.revoke`.
    pub action: String,
    /// The key, where it was done to one.
    pub key: Option<KeyId>,
    /// What it was given, as a JSON object; never the text of a key.
    pub detail: Option<String>,
}

impl AuditEntry {
    /// As clients see it.
    #[must_use]
    pub fn answer(self) -> answers::AuditEntry {
        let actor = match self.actor {
            Actor::Operator => None,
            Actor::Key(id) => Some(id.0),
        };
        let detail = self.detail.and_then(|text| serde_json::from_str(&text).ok());
        answers::AuditEntry::new(
            self.id,
            self.at,
            actor,
            self.action,
            self.key.map(|key| key.0),
            detail,
        )
    }
}

impl Accounts {
    /// The organisation's changes before this one, or its latest: newest first and at most `limit` of them.
    ///
    /// Reads the database, so it may wait for the disk.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub fn audit(&self, org: OrgId, before: Option<u64>, limit: u32) -> Result<Vec<AuditEntry>, Error> {
        self.database.lock().audit(org, before, limit)
    }

    /// Writes down that an agent's events are to be erased for good; not whose, since that is to be forgotten.
    ///
    /// # Errors
    /// Where the database cannot be written; then they are not to be erased either.
    pub fn note_erasure(&self, org: OrgId, actor: Actor) -> Result<(), Error> {
        self.note(org, "agent.erase", &Value::Null, actor)
    }

    /// Writes down that so many events were taken in from a file.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub fn note_import(&self, org: OrgId, events: u64, actor: Actor) -> Result<(), Error> {
        let detail = serde_json::json!({ "events": events });
        self.note(org, "events.import", &detail, actor)
    }

    fn note(&self, org: OrgId, action: &str, detail: &Value, actor: Actor) -> Result<(), Error> {
        let mut database = self.database.lock();
        database.change(actor, store::now(), |change| {
            change.audit(org, action, None, detail)
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::accounts::{Accounts, Actor, DATABASE, Error, MasterKey, NewKey, OrgSettings};
    use reputation::Micros;
    use rusqlite::Connection;
    use std::path::Path;
    use store::{KeyId, OrgId};
    use wire::{KeyKind, Scopes};

    fn open(dir: &Path) -> Accounts {
        Accounts::open(dir, MasterKey::parse(&"01".repeat(32)).unwrap()).unwrap()
    }

    #[test]
    fn each_organisations_changes_are_numbered_and_listed_newest_first() {
        let dir = tempfile::tempdir().unwrap();
        let now = Micros(1_795_478_400_000_000);
        let accounts = open(dir.path());
        let create = |name| accounts.create_org(name, OrgSettings::default(), Actor::Operator);
        let (one, two) = (create("one").unwrap().id, create("two").unwrap().id);
        let new = || NewKey {
            kind: KeyKind::Publishable,
            name: None,
            scopes: Scopes::default_of(KeyKind::Publishable),
            expires_at: None,
            text: None,
        };
        let first = accounts.create_key(one, new(), now, Actor::Operator).unwrap();
        let id = first.info.id;
        accounts.note_erasure(two, Actor::Key(id)).unwrap();
        accounts.revoke_key(one, id, now, Actor::Key(id)).unwrap();
        let refused = accounts.create_key(OrgId(9), new(), now, Actor::Operator);
        assert!(matches!(refused, Err(Error::UnknownOrg)), "and leaves no entry");
        accounts.note_import(two, 7, Actor::Operator).unwrap();
        drop(accounts);

        let listed = |org, before, limit| -> Vec<(u64, String, Option<KeyId>, Actor)> {
            let entries = open(dir.path()).audit(org, before, limit).unwrap();
            let entries = entries.into_iter();
            entries
                .map(|entry| (entry.id, entry.action, entry.key, entry.actor))
                .collect()
        };
        let entry = |id, action: &str, key, actor| (id, action.to_owned(), key, actor);
        let of_one = [
            entry(3, "key.revoke", Some(id), Actor::Key(id)),
            entry(2, "key.create", Some(id), Actor::Operator),
            entry(1, "org.create", None, Actor::Operator),
        ];
        assert_eq!(listed(one, None, 10), of_one);
        assert_eq!(listed(one, Some(3), 1), of_one[1..2]);
        assert_eq!(listed(one, Some(1), 10), []);
        assert_eq!(
            listed(two, None, 10),
            [
                entry(3, "events.import", None, Actor::Operator),
                entry(2, "agent.erase", None, Actor::Key(id)),
                entry(1, "org.create", None, Actor::Operator),
            ]
        );
        let entry = open(dir.path()).audit(one, None, 1).unwrap().remove(0);
        assert_eq!((entry.at, entry.detail), (now, None));
    }

    #[test]
    fn nothing_that_is_written_down_can_be_changed_or_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let accounts = open(dir.path());
        accounts
            .create_org("one", OrgSettings::default(), Actor::Operator)
            .unwrap();
        let database = Connection::open(dir.path().join(DATABASE)).unwrap();
        for statement in [
            "DELETE FROM audit",
            "UPDATE audit SET at = 0",
            "INSERT OR REPLACE INTO audit (org, id, at, action) VALUES (1, 1, 0, 'org.create')",
        ] {
            let refused = database.execute(statement, []).unwrap_err().to_string();
            assert_eq!(refused, "the audit log is only added to", "{statement}");
        }
        assert_eq!(accounts.audit(OrgId(1), None, 10).unwrap().len(), 1);
    }
}
