//! What can go wrong in the store, for those who start it and for those who ask it.

use journal::Disk;
use std::io::ErrorKind;
use std::path::PathBuf;

/// A failure to open the store or to answer from it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log could not be opened, read or recovered.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// Reading or writing a file beside the log failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Stored bytes are not what was written: the queries that need them fail, nothing else does.
    #[error("{} is damaged at byte {offset}: {what}", file.display())]
    Damaged {
        /// The damaged file.
        file: PathBuf,
        /// Where in it, in bytes.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// A segment that another process replaced or removed while it was read.
    #[error(
        "{} went while it was read, and too few files may be open (ulimit -n) to have kept it: run this again, with more", file.display()
    )]
    Gone {
        /// The segment's file.
        file: PathBuf,
    },
    /// A derived index file is not what was written. It is rebuilt from its segment.
    #[error("{} is damaged at byte {offset}: {what}; it can be rebuilt", file.display())]
    Index {
        /// The index file.
        file: PathBuf,
        /// Where in it, in bytes.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// A record that this version does not know and may not skip.
    #[error("{} holds a record of kind {kind}, which this version does not know; start a newer version", file.display())]
    UnknownRecord {
        /// The segment that holds it.
        file: PathBuf,
        /// The record's kind.
        kind: u8,
    },
    /// The key by which repeats are told is missing or damaged, though there are events.
    #[error(
        "{} {why}: put it back from a backup, or run `repute repair`, which makes a new one and says what that costs",
        file.display()
    )]
    Secret {
        /// The key's file.
        file: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A backup was begun in this directory and not finished.
    #[error(
        "{}: a backup into this directory was cut short, and it is not whole; run `repute backup` again", dir.display()
    )]
    UnfinishedBackup {
        /// The directory.
        dir: PathBuf,
    },
    /// What is to take a backup holds something else.
    #[error(
        "{}: neither empty nor a backup of this data directory; name another directory for the backup", dir.display()
    )]
    NotABackup {
        /// The directory.
        dir: PathBuf,
    },
    /// A directory has less than its backup.
    #[error(
        "{}: this backup has frames up to {has}, the data directory only up to {left}: the backup stays as it is. Put back what is \
         missing, or name another directory for the backup", dir.display()
    )]
    LessThanBackup {
        /// Of the backup.
        dir: PathBuf,
        /// The last frame in the backup.
        has: u64,
        /// The last frame in the data directory.
        left: u64,
    },
    /// The operating system gave no random bytes or no thread.
    #[error("the operating system refused {what}: {why}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// What it said.
        why: String,
    },
}

impl Error {
    /// For `map_err`: names the file or directory.
    pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    /// Damage that the journal, or a look at its records, came upon.
    pub(crate) fn from_damage(damage: journal::Damage) -> Self {
        Self::Journal(journal::Error::Damaged(damage))
    }

    /// For `map_err`: the same of a log that another process may write to, where what that removed is not damaged.
    pub(crate) fn from_damage_beside(disk: &dyn Disk) -> impl FnOnce(journal::Damage) -> Self {
        |damage| match disk.open(&damage.file) {
            Err(error) if error.kind() == ErrorKind::NotFound => Self::Gone { file: damage.file },
            _ => Self::from_damage(damage),
        }
    }

    /// Whether stored events are damaged, as opposed to a file that can be rebuilt or a passing failure.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Damaged { .. } | Self::Journal(journal::Error::Damaged(_))
        )
    }
}

/// Why a submission was not taken, or may not have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It names agents beyond the organisation's limit; nothing was counted.
    #[error("the organisation may have {limit} agents")]
    AgentLimit {
        /// The limit.
        limit: u64,
        /// The indexes of the events whose agents would pass it.
        events: Vec<u32>,
    },
    /// Nothing was kept; the same submission may be sent again.
    #[error("not kept: {0}")]
    NotKept(NotKept),
    /// A write or a sync failed: whether it was kept shows after the next start.
    #[error("outcome unknown: {0}")]
    OutcomeUnknown(String),
    /// Our fault; nothing was counted.
    #[error("internal: {0}")]
    Internal(String),
}

/// Why nothing was kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotKept {
    /// More is waiting than the store takes in.
    #[error("too much is waiting")]
    Overloaded,
    /// The disk has no room for another segment.
    #[error("no room on the disk: {0}")]
    Full(String),
    /// The store is closing.
    #[error("stopping")]
    Draining,
}
