//! What can go wrong, named for what happened.

use std::io;
use std::path::{Path, PathBuf};

/// Why a journal could not be opened or a segment not be read, rewritten or sealed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("{}: cannot {doing}: {source}", path.display())]
    Io {
        /// What was tried, as in "cannot …".
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// Bytes that were once written whole no longer check.
    #[error("{0}")]
    Damaged(#[from] Damage),
    /// A segment between two others is not there.
    #[error(
        "{}: segment {number} is missing between older and newer ones; put the file back from a backup, or stop the \
         server and run `repute repair`, which goes on without it", dir.display()
    )]
    MissingSegment {
        /// The directory of the segments.
        dir: PathBuf,
        /// The number that is missing.
        number: u64,
    },
    /// The directory was written by a newer version of the program.
    #[error(
        "{}: written in format {found}, and this version reads up to format {supported}; use a newer version of repute",
        file.display()
    )]
    NewerFormat {
        /// The segment.
        file: PathBuf,
        /// Its format version.
        found: u32,
        /// The newest that this program reads.
        supported: u32,
    },
    /// A segment that may still be written to cannot be trimmed or replaced.
    #[error("{}: still open for writing", file.display())]
    StillOpen {
        /// The segment.
        file: PathBuf,
    },
    /// A rewrite was given a frame that cannot stand there.
    #[error("{}: a frame of the new generation is out of order or too large (sequence {seq})", file.display())]
    BadRewrite {
        /// The segment being replaced.
        file: PathBuf,
        /// The frame's sequence number.
        seq: u64,
    },
}

impl Error {
    /// Whether a file is not there (any more).
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// For `map_err`: names what was tried, and on what.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io {
            doing,
            path: path.to_path_buf(),
            source,
        }
    }
}

/// A place in a file where the bytes are not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{}: damaged at byte {offset}: {what}; nothing was changed. Put the file back from a backup, or stop the server \
     and run `repute repair`, which sets the damaged part aside", file.display()
)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Where in it, in bytes from its start.
    pub offset: u64,
    /// What does not check.
    pub what: String,
}

/// Why there is no room for a frame now. Nothing was written and nothing was counted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The disk has no room for another segment. Passes by itself.
    #[error("no room to prepare a segment: {0}")]
    Full(String),
    /// A write or sync failed earlier. Stays until the journal is opened again.
    #[error("writing failed earlier: {0}")]
    Poisoned(String),
    /// The payload is larger than any frame may be ([`MAX_PAYLOAD_BYTES`](crate::MAX_PAYLOAD_BYTES)).
    #[error("a frame of {payload_bytes} bytes is larger than a frame may be")]
    TooLarge {
        /// The size asked for.
        payload_bytes: usize,
    },
}

/// The outcome of a frame is unknown: it, or one before it, could not be written or synced. Recovery will
/// find it whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("outcome unknown: {0}")]
pub struct Poisoned(pub String);
