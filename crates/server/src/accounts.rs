//! Organisations and their keys: who may do what.
//!
//! SQLite (`repute.db`) is the durable truth, written by administration alone; requests are answered from
//! memory. A publishable key is kept as a digest only. A secret key must be readable to check signatures, so
//! it is kept as a digest and a copy sealed under the master key, which never lies in the database.
//!
//! Whoever changes something holds the database for the whole change: what was checked in memory still holds
//! when it is written, and memory follows only after the commit.

mod audit;
mod database;
mod directory;
mod error;
mod key;
mod master_key;
mod master_key_file;
mod organisation;
mod principal;
mod rotation;

pub use audit::AuditEntry;
pub use error::Error;
pub use key::{CreatedKey, KeyInfo, NewKey, generate_key};
pub use master_key::MasterKey;
pub use master_key_file::MasterKeyFile;
pub use organisation::{Org, OrgSettings, SignatureRule};
pub use principal::{Actor, AuthFailure, Principal};
pub use rotation::{Rotation, Unreadable};

use database::Database;
use directory::Directory;
use parking_lot::{Mutex, RwLock};
use reputation::Micros;
use std::path::Path;
use std::sync::Arc;
use store::{KeyId, OrgId};
use wire::{Key, KeyKind, Scope, SigningKey};

/// The database's name in the data directory.
pub const DATABASE: &str = "repute.db";
/// Live secret keys that an organisation may have at once.
pub const MAX_SECRET_KEYS: usize = 5;
/// The longest name of an organisation.
const MAX_ORG_NAME: usize = 100;

/// Whether this master key opens all live secret keys in a copy of [`DATABASE`].
///
/// # Errors
/// Where the copy cannot be read.
pub fn opens(copy: &Path, master: &MasterKey) -> Result<bool, Error> {
    Database::open_copy(copy)?.opens(master)
}

/// Organisations and keys.
pub struct Accounts {
    database: Mutex<Database>,
    directory: RwLock<Directory>,
    /// Changed by a rotation alone, which holds the database.
    master: RwLock<Option<MasterKey>>,
    /// Where the master key lies, if it is in the data directory.
    master_file: Option<MasterKeyFile>,
}

impl Accounts {
    /// Opens [`DATABASE`] in this directory, making it if there is none, under a master key that the operator keeps.
    ///
    /// # Errors
    /// Where it cannot be opened, or is of a newer version.
    pub fn open(dir: &Path, master: MasterKey) -> Result<Self, Error> {
        Self::load(Database::open(&dir.join(DATABASE))?, Some(master), None)
    }

    /// The same under the master key of this file, which is made with a random key if there is none.
    ///
    /// # Errors
    /// As for [`Self::open`], and where the file can be neither read nor made.
    pub fn open_with_file(dir: &Path, file: MasterKeyFile) -> Result<Self, Error> {
        let database = Database::open(&dir.join(DATABASE))?;
        let master = file.settle(&database)?;
        Self::load(database, Some(master), Some(file))
    }

    /// The same, but a file that is not there is not made: then nothing can be done that needs the master key, which the
    /// operator may keep elsewhere.
    ///
    /// # Errors
    /// As for [`Self::open`], and where the file is there but cannot be read.
    pub fn open_with_file_if_any(dir: &Path, file: MasterKeyFile) -> Result<Self, Error> {
        let database = Database::open(&dir.join(DATABASE))?;
        let master = if file.is_there()? {
            Some(file.settle(&database)?)
        } else {
            None
        };
        Self::load(database, master, Some(file))
    }

    fn load(
        database: Database,
        master: Option<MasterKey>,
        master_file: Option<MasterKeyFile>,
    ) -> Result<Self, Error> {
        let accounts = Self {
            directory: RwLock::new(Directory::load(&database, master.as_ref())?),
            database: Mutex::new(database),
            master: RwLock::new(master),
            master_file,
        };
        for org in accounts.unreadable() {
            let keys: Vec<u32> = org.keys.iter().map(|key| key.0).collect();
            tracing::error!(
                org_id = org.org.0,
                ?keys,
                takes_no_events = org.is_shut,
                "the master key does not open these secret keys: they still authenticate and administer, but signatures made with \
                 them cannot be checked: bodies signed with them are refused with hmac_invalid. Start with the master key they \
                 were made under, or make new secret keys and revoke these"
            );
        }
        Ok(accounts)
    }

    /// Who presents this key. Answers from memory, and remembers that the key was used.
    ///
    /// # Errors
    /// Where it is no key, or no live one.
    pub fn authenticate(&self, key: &Key, now: Micros) -> Result<Principal, AuthFailure> {
        self.directory.read().authenticate(&key.digest(), now)
    }

    /// The same of somebody whose key was good before: whether it still is, and what its organisation may and must now.
    ///
    /// # Errors
    /// Where the key was revoked or has expired since.
    pub fn authenticate_again(&self, before: &Principal, now: Micros) -> Result<Principal, AuthFailure> {
        self.directory.read().authenticate_again(before, now)
    }

    /// Whether there is such a key and it works. Unlike [`Self::authenticate`] it's no use of the key.
    #[must_use]
    pub fn is_live(&self, key: &Key, now: Micros) -> bool {
        self.directory.read().is_live(&key.digest(), now)
    }

    /// The organisation's live secret keys, ready to check signatures with.
    #[must_use]
    pub fn signing_keys(&self, org: OrgId, now: Micros) -> Arc<[SigningKey]> {
        self.directory.read().signing_keys(org, now)
    }

    /// How many live secret keys the organisation has, those that cannot check signatures included.
    #[must_use]
    pub fn live_secret_keys(&self, org: OrgId, now: Micros) -> usize {
        self.directory.read().live_secret_keys(org, now)
    }

    /// Organisations that require signatures and will have no live secret key by this time: then they take no events.
    #[must_use]
    pub fn shut_by(&self, by: Micros) -> Vec<OrgId> {
        self.directory.read().shut_by(by)
    }

    /// All organisations, by number.
    #[must_use]
    pub fn orgs(&self) -> Vec<Org> {
        self.directory.read().orgs()
    }

    /// The organisation of this name.
    #[must_use]
    pub fn org_named(&self, name: &str) -> Option<Org> {
        self.directory.read().org_named(name)
    }

    /// Makes an organisation. It has no key yet.
    ///
    /// # Errors
    /// Where the name is taken or no name, or signatures are required, which no key could make yet.
    pub fn create_org(&self, name: &str, settings: OrgSettings, actor: Actor) -> Result<Org, Error> {
        let now = store::now();
        let (org, _) = self.create_org_with_keys(name, settings, Vec::new(), now, actor)?;
        Ok(org)
    }

    /// Makes an organisation and its first keys: all of it, or, whenever a crash comes, nothing.
    ///
    /// # Errors
    /// As for [`Self::create_org`] and [`Self::create_key`].
    pub fn create_org_with_keys(
        &self,
        name: &str,
        settings: OrgSettings,
        keys: Vec<NewKey>,
        now: Micros,
        actor: Actor,
    ) -> Result<(Org, Vec<CreatedKey>), Error> {
        let is_name = (1..=MAX_ORG_NAME).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if !is_name {
            return Err(Error::BadName);
        }
        let mut database = self.database.lock();
        if self.org_named(name).is_some() {
            return Err(Error::OrgExists(name.to_owned()));
        }
        let keys: Vec<CreatedKey> = keys
            .into_iter()
            .map(|new| self.prepare(new, now))
            .collect::<Result<_, _>>()?;
        let secrets = keys
            .iter()
            .filter(|made| made.info.kind == KeyKind::Secret)
            .count();
        if secrets > MAX_SECRET_KEYS {
            return Err(Error::TooManySecretKeys);
        }
        if settings.signature.requires() && secrets == 0 {
            return Err(Error::NoSecretKey);
        }
        let (org, keys) = database.change(actor, now, |change| {
            let org = change.insert_org(name, settings)?;
            let keys = keys
                .into_iter()
                .map(|made| change.insert_key(org.id, made, self.master.read().as_ref()))
                .collect::<Result<Vec<_>, _>>()?;
            Ok((org, keys))
        })?;
        let mut directory = self.directory.write();
        directory.put_org(org.clone());
        keys.iter().for_each(|made| directory.put_made_key(org.id, made));
        Ok((org, keys))
    }

    /// Changes an organisation's settings.
    ///
    /// # Errors
    /// Where there is no such organisation, or it would require signatures without a live secret key.
    pub fn set_org(&self, id: OrgId, settings: OrgSettings, actor: Actor) -> Result<Org, Error> {
        let mut database = self.database.lock();
        let org = self.directory.read().org(id).cloned().ok_or(Error::UnknownOrg)?;
        let now = store::now();
        if settings.signature.requires() && self.live_secret_keys(id, now) == 0 {
            return Err(Error::NoSecretKey);
        }
        let org = Org { settings, ..org };
        database.change(actor, now, |change| change.update_org(&org))?;
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
        let live_secrets = {
            let directory = self.directory.read();
            directory.org(org).ok_or(Error::UnknownOrg)?;
            directory.live_secret_keys(org, now)
        };
        let made = self.prepare(new, now)?;
        if made.info.kind == KeyKind::Secret && live_secrets >= MAX_SECRET_KEYS {
            return Err(Error::TooManySecretKeys);
        }
        let made = database.change(actor, now, |change| {
            change.insert_key(org, made, self.master.read().as_ref())
        })?;
        self.directory.write().put_made_key(org, &made);
        Ok(made)
    }

    /// The key as it will be, but for its number.
    fn prepare(&self, new: NewKey, now: Micros) -> Result<CreatedKey, Error> {
        let key = match new.text {
            Some(key) => key,
            None => generate_key(new.kind)?,
        };
        if key.kind() == KeyKind::Publishable && new.scopes.contains(Scope::Admin) {
            return Err(Error::AdminNeedsSecret);
        }
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
        {
            let directory = self.directory.read();
            let key = directory.key(org, id).ok_or(Error::UnknownKey)?;
            if key.revoked_at.is_some() {
                return Ok(());
            }
            let requires = directory
                .org(org)
                .is_some_and(|org| org.settings.signature.requires());
            let is_last =
                key.kind == KeyKind::Secret && key.is_live(now) && directory.live_secret_keys(org, now) == 1;
            if requires && is_last {
                return Err(Error::LastSecretKey);
            }
        }
        database.change(actor, now, |change| change.revoke_key(org, id))?;
        self.directory.write().revoke(org, id, now);
        Ok(())
    }

    /// Writes down when keys were last used, of those used since the last time.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub fn flush(&self) -> Result<(), Error> {
        let mut database = self.database.lock();
        let used = self.directory.read().unwritten_uses();
        database.write_last_used(&used)?;
        self.directory.read().uses_written(&used);
        Ok(())
    }

    /// Writes down all that is not yet, and folds SQLite's log into the one file, so that a copy of
    /// [`DATABASE`] is a backup of a stopped server's organisations and keys.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub fn close(&self) -> Result<(), Error> {
        self.flush()?;
        self.database.lock().fold()
    }
}

#[cfg(test)]
mod tests;
