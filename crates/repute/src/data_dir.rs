//! The data directory: one process has it at a time.

use anyhow::{Context as _, Result, bail};
use journal::{Disk as _, OsDisk};
use server::accounts::{Accounts, DATABASE, MasterKey, MasterKeyFile};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The file of the master key, where the environment has none.
pub(crate) const MASTER_KEY_FILE: &str = "master.key";
/// Where the next one waits while it is changed.
pub(crate) const NEXT_MASTER_KEY_FILE: &str = "master.key.new";

/// A data directory that no other process has.
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory where it's missing, and takes it.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        // With its name on disk: a power cut must not take the directory with all that is in it.
        OsDisk
            .create_dir_all(path)
            .with_context(|| format!("cannot make the data directory {}", path.display()))?;
        match Self::try_take(path)? {
            Some(dir) => Ok(dir),
            None => bail!(
                "another process is using {}: stop it first, or choose another --data-dir",
                path.display()
            ),
        }
    }

    /// Takes the directory, which is there, unless another process has it.
    pub(crate) fn try_take(path: &Path) -> Result<Option<Self>> {
        let Some(lock) = Self::lock(path)? else {
            return Ok(None);
        };
        store::refuse_unfinished_backup(&OsDisk, path)?;
        Ok(Some(Self {
            path: path.to_owned(),
            _lock: lock,
        }))
    }

    /// Locks the directory, whatever it holds, unless another process has it.
    pub(crate) fn lock(path: &Path) -> Result<Option<File>> {
        let lock = path.join("lock");
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock)
            .with_context(|| format!("cannot open {}", lock.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).context("cannot lock the data directory"),
        }
    }

    /// Whether a server has ever been started on this directory.
    pub(crate) fn is_one(path: &Path) -> bool {
        path.join(DATABASE).is_file()
    }

    /// Opens the organisations and keys: under this master key, or the one in the directory's own file.
    pub(crate) fn open_accounts(&self, master_key: Option<&str>) -> Result<Accounts> {
        Ok(match master_key {
            Some(text) => Accounts::open(&self.path, MasterKey::parse(text)?)?,
            None => {
                let [file, next] = [MASTER_KEY_FILE, NEXT_MASTER_KEY_FILE].map(|name| self.path.join(name));
                Accounts::open_with_file(&self.path, MasterKeyFile::new(file, next))?
            }
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where a running server takes administration.
    pub(crate) fn admin_socket(path: &Path) -> PathBuf {
        path.join("admin.sock")
    }
}
