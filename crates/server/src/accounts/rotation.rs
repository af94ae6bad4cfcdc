//! Another master key: every secret key is sealed anew, or, whenever a crash comes, none.
//!
//! Requests go on meanwhile: they check signatures with what is in memory. Only those who make or revoke a key
//! wait.

use super::{Accounts, Actor, Error, MasterKey};
use store::{KeyId, OrgId};

/// What a change of the master key did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Secret keys that are sealed under the new one.
    pub resealed: usize,
    /// Sealed copies of revoked and expired keys that are gone, since nothing needs them.
    pub forgotten: usize,
    /// Whether the new master key is in the data directory; else it is the operator's to keep, and to give at the
    /// next start.
    pub is_in_file: bool,
}

/// Secret keys of an organisation that no signature can be checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The organisation.
    pub org: OrgId,
    /// Its keys.
    pub keys: Vec<KeyId>,
    /// Whether it requires signatures and has no other live secret key: then it takes no events.
    pub is_shut: bool,
}

impl Accounts {
    /// Seals everything under this master key, or, where it lies in the data directory, under a new random one.
    ///
    /// # Errors
    /// Where the master key in force does not open all live secret keys, which would be lost, or is not at hand; where it was
    /// given by the operator, and no other is; where the database or the file cannot be written.
    pub fn rotate_master(&self, given: Option<&str>, actor: Actor) -> Result<Rotation, Error> {
        let (key, text) = match given {
            Some(text) => (MasterKey::parse(text)?, text.trim().to_owned().into()),
            None if self.master_file.is_some() => MasterKey::generate()?,
            None => return Err(Error::NeedsMasterKey),
        };
        let mut database = self.database.lock();
        let now = store::now();
        let master = self.master.read();
        let in_force = master.as_ref().ok_or(Error::NoMasterKey)?;
        if !self.directory.read().unreadable(now).is_empty() {
            return Err(Error::UnreadableSecrets);
        }
        if let Some(file) = &self.master_file {
            file.prepare(&text)?;
        }
        let (resealed, forgotten) = database.change(actor, now, |change| change.reseal(in_force, &key))?;
        drop(master);
        *self.master.write() = Some(key);
        if let Some(file) = &self.master_file {
            file.take_place()?;
        }
        // The old seals lie in SQLite's log until it is folded; a start folds it, too.
        if let Err(error) = database.fold() {
            tracing::warn!(%error, "the log of repute.db could not be folded");
        }
        Ok(Rotation {
            resealed,
            forgotten,
            is_in_file: self.master_file.is_some(),
        })
    }

    /// Live secret keys that are sealed under another master key: they authenticate, but check no signature. None are known
    /// where there is no master key at hand.
    #[must_use]
    pub fn unreadable(&self) -> Vec<Unreadable> {
        if self.master.read().is_none() {
            return Vec::new();
        }
        self.directory.read().unreadable(store::now())
    }
}

#[cfg(test)]
mod tests;
