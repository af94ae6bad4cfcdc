//! Organisations and their keys: who may do what.
//!
//! SQLite (`repute.db`) is the durable truth, written by administration alone; requests are answered from
//! memory. A publishable key is kept as a digest only. A secret key must be readable to check signatures, so
//! it is kept as a digest and a copy sealed under the master key, which never lies in the database.

mod database;
mod directory;
mod error;
mod master_key;

pub use error::Error;
pub use master_key::MasterKey;

use database::Database;
use directory::Directory;
use parking_lot::{Mutex, RwLock};
use reputation::Micros;
use std::path::Path;
use std::sync::Arc;
use store::{KeyId, OrgId};
use wire::{Key, KeyKind, Scope, Scopes, SigningKey};

/// Live secret keys that an organisation may have at once.
pub const MAX_SECRET_KEYS: usize = 5;
/// The longest name of an organisation.
const MAX_ORG_NAME: usize = 100;

/// An organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Org {
    /// Its number.
    pub id: OrgId,
    /// Its name, unique: 1–100 of `[A-Za-z0-9._-]`.
    pub name: String,
    /// What it may and must.
    pub settings: OrgSettings,
}

/// What an organisation may and must; what is `None` is as the server says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrgSettings {
    /// How many agents it may have.
    pub max_agents: Option<u64>,
    /// `POST /v1/ingest` requests per rolling 60 seconds; 0 is no limit.
    pub ingest_rate_limit: Option<u64>,
    /// All other requests per rolling 60 seconds; 0 is no limit.
    pub rate_limit: Option<u64>,
    /// Whether bodies must be signed.
    pub require_signature: bool,
}

/// A key, without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its number, unique over all organisations.
    pub id: KeyId,
    /// Publishable or secret.
    pub kind: KeyKind,
    /// What its owner calls it.
    pub name: Option<String>,
    /// What it may do.
    pub scopes: Scopes,
    /// Its last four characters.
    pub last4: String,
    /// When it was made.
    pub created_at: Micros,
    /// When it was last used, to the minute or so.
    pub last_used_at: Option<Micros>,
    /// When it stops working.
    pub expires_at: Option<Micros>,
    /// When it was revoked.
    pub revoked_at: Option<Micros>,
}

impl KeyInfo {
    /// Whether it works at this time.
    fn is_live(&self, now: Micros) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| now < at)
    }
}

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Publishable or secret.
    pub kind: KeyKind,
    /// What its owner calls it.
    pub name: Option<String>,
    /// What it may do.
    pub scopes: Scopes,
    /// When it stops working.
    pub expires_at: Option<Micros>,
    /// Its text, where somebody chose it; else a random one is made.
    pub text: Option<Key>,
}

/// A key just made: the only time that its text is there.
#[derive(Clone, Debug)]
pub struct CreatedKey {
    /// What is kept of it.
    pub info: KeyInfo,
    /// Its text.
    pub key: Key,
}

/// Who sent a request.
#[derive(Clone, Debug)]
pub struct Principal {
    /// Whose data it may see.
    pub org: OrgId,
    /// The organisation's name.
    pub org_name: Arc<str>,
    /// The key that was presented.
    pub key: KeyId,
    /// Publishable or secret.
    pub kind: KeyKind,
    /// What it may do.
    pub scopes: Scopes,
    /// What the organisation may and must.
    pub settings: OrgSettings,
}

/// Why a key was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthFailure {
    /// There is no such key.
    Unknown,
    /// It was revoked, or it has expired.
    Revoked,
}

/// Who does something administrative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody with access to the machine.
    Operator,
    /// Somebody with this key.
    Key(KeyId),
}

/// Organisations and keys.
pub struct Accounts {
    database: Mutex<Database>,
    directory: RwLock<Directory>,
    master: MasterKey,
}

impl Accounts {
    /// Opens `repute.db` in this directory, making it if there is none.
    ///
    /// # Errors
    /// Where it cannot be opened, or is of a newer version.
    pub fn open(dir: &Path, master: MasterKey) -> Result<Self, Error> {
        let database = Database::open(&dir.join("repute.db"))?;
        let directory = Directory::load(&database, &master)?;
        let unreadable = directory.unreadable_secrets();
        if unreadable > 0 {
            tracing::error!(
                keys = unreadable,
                "the master key does not open these secret keys: they still authenticate, but signatures made with them \
                 cannot be checked. Start with the master key they were made under, or make new secret keys"
            );
        }
        Ok(Self {
            database: Mutex::new(database),
            directory: RwLock::new(directory),
            master,
        })
    }

    /// Who presents this key. Answers from memory, and remembers that the key was used.
    ///
    /// # Errors
    /// Where it is no key, or no live one.
    pub fn authenticate(&self, key: &Key, now: Micros) -> Result<Principal, AuthFailure> {
        self.directory.read().authenticate(&key.digest(), now)
    }

    /// The organisation's live secret keys, ready to check signatures with.
    #[must_use]
    pub fn signing_keys(&self, org: OrgId, now: Micros) -> Arc<[SigningKey]> {
        self.directory.read().signing_keys(org, now)
    }

    /// Whether the organisation has a live secret key.
    #[must_use]
    pub fn has_live_secret_key(&self, org: OrgId, now: Micros) -> bool {
        self.directory.read().live_secret_keys(org, now) > 0
    }

    /// Secret keys that are sealed under another master key. They authenticate, but check no signature.
    #[must_use]
    pub fn unreadable_secrets(&self) -> usize {
        self.directory.read().unreadable_secrets()
    }

    /// All organisations, by number.
    #[must_use]
    pub fn orgs(&self) -> Vec<Org> {
        self.directory.read().orgs()
    }

    /// The organisation of this name.
    #[must_use]
    pub fn org_named(&self, name: &str) -> Option<Org> {
        self.orgs().into_iter().find(|org| org.name == name)
    }

    /// Makes an organisation. It has no key yet.
    ///
    /// # Errors
    /// Where the name is taken or no name, or signatures are required, which no key could make yet.
    pub fn create_org(&self, name: &str, settings: OrgSettings, actor: Actor) -> Result<Org, Error> {
        let is_name = (1..=MAX_ORG_NAME).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if !is_name {
            return Err(Error::BadName);
        }
        if settings.require_signature {
            return Err(Error::NoSecretKey);
        }
        let mut database = self.database.lock();
        if self.org_named(name).is_some() {
            return Err(Error::OrgExists(name.to_owned()));
        }
        let org = database.insert_org(name, settings, actor)?;
        self.directory.write().put_org(org.clone());
        Ok(org)
    }

    /// Changes an organisation's settings.
    ///
    /// # Errors
    /// Where there is no such organisation, or it would require signatures without a live secret key.
    pub fn set_org(&self, id: OrgId, settings: OrgSettings, actor: Actor) -> Result<Org, Error> {
        let mut database = self.database.lock();
        let org = self
            .orgs()
            .into_iter()
            .find(|org| org.id == id)
            .ok_or(Error::UnknownOrg)?;
        let now = (store::system_clock())();
        if settings.require_signature && !self.has_live_secret_key(id, now) {
            return Err(Error::NoSecretKey);
        }
        let org = Org { settings, ..org };
        database.update_org(&org, actor)?;
        self.directory.write().put_org(org.clone());
        Ok(org)
    }

    /// Makes a key.
    ///
    /// # Errors
    /// Where there is no such organisation, it has [`MAX_SECRET_KEYS`] live secret keys already, a publishable
    /// key would get `admin`, or the chosen text is a key already.
    pub fn create_key(
        &self,
        org: OrgId,
        new: NewKey,
        now: Micros,
        actor: Actor,
    ) -> Result<CreatedKey, Error> {
        let mut database = self.database.lock();
        if !self.orgs().iter().any(|one| one.id == org) {
            return Err(Error::UnknownOrg);
        }
        if new.kind == KeyKind::Publishable && new.scopes.contains(Scope::Admin) {
            return Err(Error::AdminNeedsSecret);
        }
        let live_secrets = self.directory.read().live_secret_keys(org, now);
        if new.kind == KeyKind::Secret && live_secrets >= MAX_SECRET_KEYS {
            return Err(Error::TooManySecretKeys);
        }
        let key = match new.text {
            Some(key) => key,
            None => Key::generate(new.kind, getrandom::fill).map_err(|why| Error::Random(why.to_string()))?,
        };
        if self.directory.read().knows(&key.digest()) {
            return Err(Error::KeyExists);
        }
        let info = KeyInfo {
            id: KeyId(0),
            kind: key.kind(),
            name: new.name,
            scopes: new.scopes,
            last4: key.last4().to_owned(),
            created_at: now,
            last_used_at: None,
            expires_at: new.expires_at,
            revoked_at: None,
        };
        let seal = |id| match key.kind() {
            KeyKind::Publishable => Ok(None),
            KeyKind::Secret => self.master.seal(org, id, key.as_str()).map(Some),
        };
        let info = database.insert_key(org, info, &key.digest(), seal, actor)?;
        let signing = (key.kind() == KeyKind::Secret).then(|| SigningKey::new(key.as_str()));
        self.directory
            .write()
            .put_key(org, key.digest(), info.clone(), signing);
        Ok(CreatedKey { info, key })
    }

    /// The organisation's keys, by number, revoked ones included.
    #[must_use]
    pub fn keys(&self, org: OrgId) -> Vec<KeyInfo> {
        self.directory.read().keys(org)
    }

    /// Revokes a key at once. Revoking it again does nothing.
    ///
    /// # Errors
    /// Where the organisation has no such key, or it's the last live secret key while signatures are
    /// required.
    pub fn revoke_key(&self, org: OrgId, id: KeyId, now: Micros, actor: Actor) -> Result<(), Error> {
        let mut database = self.database.lock();
        let keys = self.keys(org);
        let key = keys.iter().find(|key| key.id == id).ok_or(Error::UnknownKey)?;
        if key.revoked_at.is_some() {
            return Ok(());
        }
        let requires = self
            .orgs()
            .iter()
            .any(|one| one.id == org && one.settings.require_signature);
        let is_last = key.kind == KeyKind::Secret
            && key.is_live(now)
            && self.directory.read().live_secret_keys(org, now) == 1;
        if requires && is_last {
            return Err(Error::LastSecretKey);
        }
        database.revoke_key(org, id, now, actor)?;
        self.directory.write().revoke(id, now);
        Ok(())
    }

    /// Writes down when keys were last used.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub fn flush(&self) -> Result<(), Error> {
        let mut database = self.database.lock();
        let used = self.directory.read().used();
        database.write_last_used(&used)
    }
}

#[cfg(test)]
mod tests;
