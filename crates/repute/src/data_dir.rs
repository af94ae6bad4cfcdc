//! The data directory: one process has it at a time.

use anyhow::{Context as _, Result, bail};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A data directory that no other process has.
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory where it's missing, and takes it.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        match Self::try_take(path)? {
            Some(dir) => Ok(dir),
            None => bail!(
                "another process is using {}: stop it first, or choose another --data-dir",
                path.display()
            ),
        }
    }

    /// Takes the directory unless another process has it.
    pub(crate) fn try_take(path: &Path) -> Result<Option<Self>> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("cannot make the data directory {}", path.display()))?;
        let lock = path.join("lock");
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock)
            .with_context(|| format!("cannot open {}", lock.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self {
                path: path.to_owned(),
                _lock: lock,
            })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).context("cannot lock the data directory"),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where a running server takes administration.
    pub(crate) fn admin_socket(path: &Path) -> PathBuf {
        path.join("admin.sock")
    }
}
