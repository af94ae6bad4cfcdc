//! The ledger: what each key sent and what became of it, by minute for a day and by day beyond.
//!
//! Recorded events and repeats come from the log: the ledger's database says up to which frame it has them, and a
//! start reads the rest from the log, so these are exact after any crash. All else is written once a second.
//!
//! For every body that parsed as a list of events: received = recorded + duplicates + refused + shed. What is kept
//! is the right side, at the moment when an event's fate is known; an event in flight is on neither side.

mod database;
mod item;
mod pending;

pub(crate) use item::{Fate, Item, Side};

use crate::ledger::database::Database;
use crate::ledger::pending::{Pending, Place};
use parking_lot::Mutex;
use reputation::Micros;
use std::path::{Path, PathBuf};
use store::{Booked, KeyId, OrgId, Store};

/// The database's name in the data directory.
pub const DATABASE: &str = "ledger.db";
/// How long single minutes are kept.
const MINUTES_KEPT: i64 = 24 * 60 * 60 * Micros::PER_SECOND;

/// Why the ledger cannot be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is of a newer version.
    #[error("{path}: format {found} is newer than this version's, {supported}", path = path.display())]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest that this version reads.
        supported: u32,
    },
    /// SQLite says no.
    #[error("{path}: {source}; once it is moved away, a start counts recorded events anew from the log", path = path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The file cannot be made.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
}

/// How long a stretch an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    Minute,
    Day,
}

impl Span {
    /// The start of the stretch that this time is in.
    fn start(self, time: Micros) -> Micros {
        let length = match self {
            Self::Minute => 60 * Micros::PER_SECOND,
            Self::Day => 86_400 * Micros::PER_SECOND,
        };
        Micros(time.0.div_euclid(length) * length)
    }
}

/// A question about an organisation's books.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query {
    pub(crate) span: Span,
    /// Only of this key.
    pub(crate) key: Option<KeyId>,
    /// Only stretches that start at or after this time.
    pub(crate) from: Micros,
    /// Only stretches that start at or before this time.
    pub(crate) to: Micros,
    /// Only what comes after the entry of this stretch and key.
    pub(crate) after: Option<(Micros, KeyId)>,
    pub(crate) limit: usize,
}

/// What a key sent in one stretch of time: only what is not zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) at: Micros,
    pub(crate) key: KeyId,
    pub(crate) items: Vec<(Item, u64)>,
}

/// The books of all organisations.
pub struct Ledger {
    pending: Mutex<Pending>,
    database: Mutex<Database>,
}

impl Ledger {
    /// Opens [`DATABASE`] in this directory, making it if there is none.
    ///
    /// # Errors
    /// Where it cannot be opened, or is of a newer version.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let database = Database::open(&dir.join(DATABASE))?;
        Ok(Self {
            pending: Mutex::new(Pending::after(database.covered())),
            database: Mutex::new(database),
        })
    }

    /// The last frame whose events are counted; 0 of a new ledger.
    pub fn covered(&self) -> u64 {
        self.pending.lock().covered()
    }

    /// Counts what the log has and the ledger doesn't, as after a crash.
    pub fn catch_up(&self, store: &Store) {
        let mut pending = self.pending.lock();
        let covered = pending.covered();
        let newest = store.books_after(covered, |frame_seq, batches| pending.book(frame_seq, batches));
        if newest < covered {
            tracing::warn!(
                ledger = covered,
                log = newest,
                "the ledger knows frames that the log does not have, as after a restored or unsynced log: what it says \
                 of that time stays"
            );
            pending.cover(newest);
        }
    }

    /// Counts the batches of a frame that is on stable storage.
    pub(crate) fn book(&self, frame_seq: u64, batches: &[Booked]) {
        self.pending.lock().book(frame_seq, batches);
    }

    /// Counts events or requests of a key.
    pub(crate) fn count(&self, org: OrgId, key: KeyId, now: Micros, item: Item, count: u64) {
        if count > 0 {
            let place = Place {
                org,
                key,
                minute: Span::Minute.start(now),
                item,
            };
            self.pending.lock().add(place, count);
        }
    }

    /// Writes down all that is not yet.
    ///
    /// # Errors
    /// Where the database cannot be written; then everything is still to be written.
    pub fn flush(&self) -> Result<(), Error> {
        Self::write(&mut self.database.lock(), &self.pending)
    }

    fn write(database: &mut Database, pending: &Mutex<Pending>) -> Result<(), Error> {
        let taken = pending.lock().take();
        let written = database.write(&taken);
        if written.is_err() {
            pending.lock().put_back(taken);
        }
        written
    }

    /// Lets go of minutes after a day, and of days before the receipt of the oldest event that is kept.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub fn prune(&self, now: Micros, oldest_receipt: Option<Micros>) -> Result<(), Error> {
        let days_from = oldest_receipt.map(|oldest| Span::Day.start(oldest));
        self.database
            .lock()
            .prune(Micros(now.0 - MINUTES_KEPT), days_from)
    }

    /// A page of an organisation's books, newest first, with all that was counted until now.
    ///
    /// # Errors
    /// Where the database cannot be written or read.
    pub(crate) fn entries(&self, org: OrgId, query: &Query) -> Result<Vec<Entry>, Error> {
        let mut database = self.database.lock();
        Self::write(&mut database, &self.pending)?;
        database.entries(org, query)
    }
}

#[cfg(test)]
mod tests;
