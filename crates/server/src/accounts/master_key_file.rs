//! The file of the master key, and how another key takes its place: at every moment there is one that opens
//! what the database has sealed.
//!
//! The new key is written beside the old one, the database seals everything anew in one transaction, then the new
//! file takes the old one's place. Whoever opens the directory after a crash in between finds both, and asks the
//! database which of them it is under.

use super::database::Database;
use super::{Error, MasterKey};
use journal::{OsDisk, write_atomically};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A file that holds the master key.
pub struct MasterKeyFile {
    path: PathBuf,
    /// Where the next key waits.
    next: PathBuf,
}

impl MasterKeyFile {
    /// This file; another key waits in `next` until it takes its place.
    #[must_use]
    pub fn new(path: PathBuf, next: PathBuf) -> Self {
        Self { path, next }
    }

    /// Whether the file is there.
    pub(super) fn is_there(&self) -> Result<bool, Error> {
        self.path.try_exists().map_err(io_at(&self.path))
    }

    /// The key that the database is under, made at the first start. Finishes or undoes what a crash left half done.
    pub(super) fn settle(&self, database: &Database) -> Result<MasterKey, Error> {
        let key = MasterKey::load_or_create(&self.path)?;
        let text = match fs::read_to_string(&self.next) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(key),
            Err(error) => return Err(io_at(&self.next)(error)),
        };
        let new = MasterKey::parse(&text).map_err(|_| Error::BadMasterKeyFile(self.next.clone()))?;
        if database.opens(&key)? {
            tracing::warn!(
                "a change of the master key was cut short before it took effect: the old one stays"
            );
            fs::remove_file(&self.next).map_err(io_at(&self.next))?;
            return Ok(key);
        }
        if database.opens(&new)? {
            tracing::warn!("a change of the master key was cut short after it took effect: finishing it");
            self.take_place()?;
            return Ok(new);
        }
        // Neither: nothing is thrown away that somebody may still need.
        tracing::error!(file = %self.next.display(), "neither this master key nor the one in force opens all secret keys");
        Ok(key)
    }

    /// Puts the next key beside the one in force. One that waits there may be the one that the database is under,
    /// where a commit failed in a way that only a restart can tell.
    pub(super) fn prepare(&self, text: &str) -> Result<(), Error> {
        if self.next.exists() {
            return Err(Error::RotationPending);
        }
        write_atomically(&OsDisk, &self.next, text.as_bytes()).map_err(io_at(&self.next))
    }

    /// Lets the next key take its place.
    pub(super) fn take_place(&self) -> Result<(), Error> {
        fs::rename(&self.next, &self.path)
            .and_then(|()| sync_dir(&self.path))
            .map_err(io_at(&self.path))
    }
}

fn sync_dir(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

fn io_at(path: &Path) -> impl Fn(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io {
        path: path.clone(),
        source,
    }
}
