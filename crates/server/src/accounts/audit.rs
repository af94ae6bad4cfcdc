//! Who changed what, and when.

use super::{Accounts, Actor, Error};
use reputation::Micros;
use store::{KeyId, OrgId};

/// One change to an organisation or a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Micros,
    /// Who.
    pub actor: Actor,
    /// The organisation that was changed, or whose key was.
    pub org: OrgId,
    /// What was done: `org.create`, `org.set`, `key.create` or `key.revoke`.
    pub action: String,
    /// The key, where it was done to one.
    pub key: Option<KeyId>,
    /// What it was given, as a JSON object; never the text of a key.
    pub detail: Option<String>,
}

impl Accounts {
    /// The latest changes, newest first and at most `limit` of them: of this organisation, or of all.
    ///
    /// Reads the database, so it may wait for the disk.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub fn audit(&self, org: Option<OrgId>, limit: u32) -> Result<Vec<AuditEntry>, Error> {
        self.database.lock().audit(org, limit)
    }
}

#[cfg(test)]
mod tests {
    use crate::accounts::{Accounts, Actor, Error, MasterKey, NewKey, OrgSettings};
    use reputation::Micros;
    use store::{KeyId, OrgId};
    use wire::{KeyKind, Scopes};

    #[test]
    fn the_latest_changes_are_listed_newest_first_of_one_organisation_or_all() {
        let dir = tempfile::tempdir().unwrap();
        let now = Micros(1_795_478_400_000_000);
        let open = || Accounts::open(dir.path(), MasterKey::parse(&"01".repeat(32)).unwrap()).unwrap();
        let accounts = open();
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
        accounts.revoke_key(one, id, now, Actor::Key(id)).unwrap();
        let refused = accounts.create_key(OrgId(9), new(), now, Actor::Operator);
        assert!(matches!(refused, Err(Error::UnknownOrg)), "and leaves no entry");
        drop(accounts);

        let listed = |org, limit| -> Vec<(OrgId, String, Option<KeyId>, Actor)> {
            let entries = open().audit(org, limit).unwrap();
            let entries = entries.into_iter();
            entries
                .map(|entry| (entry.org, entry.action, entry.key, entry.actor))
                .collect()
        };
        let revoked = (one, "key.revoke".to_owned(), Some(id), Actor::Key(id));
        let made = (one, "key.create".to_owned(), Some(id), Actor::Operator);
        let org = |org| (org, "org.create".to_owned(), None, Actor::Operator);
        assert_eq!(
            listed(None, 10),
            [revoked.clone(), made.clone(), org(two), org(one)]
        );
        assert_eq!(listed(Some(one), 2), [revoked, made]);
        assert_eq!(listed(Some(two), 10), [org(two)]);
        assert_eq!(listed(None, 0), []);
        let entry = open().audit(Some(one), 1).unwrap().remove(0);
        assert_eq!((entry.at, entry.detail), (now, None));
    }
}
