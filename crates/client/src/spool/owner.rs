//! Who owns files of a spool: a name, and a lock that tells whether its process lives.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// An owner whose lock is ours.
#[derive(Debug)]
pub(super) struct Owner {
    name: String,
    path: PathBuf,
    /// Holds the lock until it is closed, also by the end of the process.
    _lock: File,
}

impl Owner {
    /// Locks that owner; `None` if another process holds the lock.
    pub(super) fn lock(dir: &Path, name: &str) -> io::Result<Option<Self>> {
        let path = dir.join(format!("{name}.lock"));
        let file = private().create(true).append(true).open(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self {
                name: name.to_owned(),
                path,
                _lock: file,
            })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Deletes the lock of an owner that has no files. Whoever opened it before finds no files either, and a
    /// name is never used again, so nothing is left to fight over.
    pub(super) fn remove(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// For files that nobody else is to read.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
