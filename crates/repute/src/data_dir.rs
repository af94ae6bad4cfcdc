//! The data directory: one process has it at a time.

use anyhow::{Context as _, Result, bail};
use journal::{Disk, OsDisk};
use rustix::process::geteuid;
use server::accounts::{self, Accounts, DATABASE, MasterKey, MasterKeyFile};
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file of the master key, where the environment has none.
pub(crate) const MASTER_KEY_FILE: &str = "master.key";
/// Where the next one waits while it is changed.
pub(crate) const NEXT_MASTER_KEY_FILE: &str = "master.key.new";

/// What is said of a database without an organisation beside a log that has events: a new one would get the number of
/// another, and with it its events.
pub(crate) fn no_organisation(database: &Path) -> String {
    format!(
        "{}, which has the organisations and their keys, is missing or empty though there are events: put it back from a backup",
        database.display()
    )
}

/// The database in a directory, if there is one.
fn database_in(path: &Path) -> Result<Option<Metadata>> {
    let database = path.join(DATABASE);
    match fs::metadata(&database) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot look at {}", database.display())),
    }
}

/// Sees that this is not root in the directory of a server that runs as another user: what root makes there, that user
/// cannot open. The database tells whose it is, since the directory may have been made for a server that runs as root.
fn refuse_root_in_anothers(path: &Path) -> Result<()> {
    let owner = database_in(path)?.map_or(0, |database| database.uid());
    if geteuid().is_root() && owner != 0 {
        bail!(
            "{} belongs to the user with the id {owner}, and what root makes there, that user's server cannot open: run this as \
             that user (sudo -u '#{owner}' repute …)",
            path.display()
        );
    }
    Ok(())
}

/// A data directory that no other process has.
pub(crate) struct DataDir {
    path: PathBuf,
    lock: Lock,
}

/// What keeps other processes out of a directory.
pub(crate) struct Lock {
    /// The directory itself: a file in it can be removed.
    dir: File,
    /// For file systems that lock no directories.
    _file: File,
}

/// Tells whether a directory is still where it was, as long as that is locked.
#[derive(Clone)]
pub(crate) struct Whereabouts {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl Whereabouts {
    /// Whether the path leads to the directory that is locked, as far as the system tells. What is written by its path would
    /// else be in another.
    pub(crate) fn is_unchanged(&self) -> bool {
        match fs::metadata(&self.path) {
            Ok(at_path) => (at_path.dev(), at_path.ino()) == self.identity,
            Err(error) => error.kind() != ErrorKind::NotFound,
        }
    }
}

impl DataDir {
    /// Makes the directory where it's missing, and takes it.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        // With its name on disk: a power cut must not take the directory with all that is in it.
        OsDisk
            .create_dir_all(path)
            .with_context(|| format!("cannot make the data directory {}", path.display()))?;
        match Self::lock(path)? {
            Some(lock) => Self::locked(path, lock),
            None => bail!(
                "another process is using {}: stop it first, or choose another --data-dir",
                path.display()
            ),
        }
    }

    /// Takes the directory of a stopped server for a command, unless another process has it.
    pub(crate) fn try_take(path: &Path) -> Result<Option<Self>> {
        let Some(dir) = Self::lock_dir(path)? else {
            return Ok(None);
        };
        refuse_root_in_anothers(path)?;
        let lock = Self::lock_file(path, dir)?;
        lock.map(|lock| Self::locked(path, lock)).transpose()
    }

    fn locked(path: &Path, lock: Lock) -> Result<Self> {
        store::refuse_unfinished_backup(&OsDisk, path)?;
        Ok(Self {
            path: path.to_owned(),
            lock,
        })
    }

    /// Locks the directory, whatever it holds, unless another process has it.
    pub(crate) fn lock(path: &Path) -> Result<Option<Lock>> {
        let dir = Self::lock_dir(path)?;
        dir.map_or(Ok(None), |dir| Self::lock_file(path, dir))
    }

    /// Locks the directory itself, which writes nothing; not all file systems do.
    pub(crate) fn lock_dir(path: &Path) -> Result<Option<File>> {
        let dir = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let is_taken = matches!(dir.try_lock(), Err(TryLockError::WouldBlock));
        Ok((!is_taken).then_some(dir))
    }

    fn lock_file(path: &Path, dir: File) -> Result<Option<Lock>> {
        let file = path.join("lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&file)
            .with_context(|| format!("cannot open {}", file.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { dir, _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).context("cannot lock the data directory"),
        }
    }

    /// Whether a server has ever been started on this directory, as far as the system lets that be seen.
    pub(crate) fn is_one(path: &Path) -> Result<bool> {
        Ok(database_in(path)?.is_some_and(|database| database.is_file()))
    }

    /// Opens the organisations and keys for a server: under this master key, or the one in the directory's own file, which
    /// is made where there is none.
    pub(crate) fn open_accounts_to_serve(&self, master_key: Option<&str>) -> Result<Accounts> {
        self.open_accounts_with(master_key, Accounts::open_with_file)
    }

    /// The same for a command. The server may have its master key from elsewhere, and one that a command made would seal what
    /// the server could not read.
    pub(crate) fn open_accounts(&self, master_key: Option<&str>) -> Result<Accounts> {
        self.open_accounts_with(master_key, Accounts::open_with_file_if_any)
    }

    fn open_accounts_with(
        &self,
        master_key: Option<&str>,
        with_file: fn(&Path, MasterKeyFile) -> Result<Accounts, accounts::Error>,
    ) -> Result<Accounts> {
        let database = self.path.join(DATABASE);
        // New organisations would get the numbers of others, and with them their events.
        if fs::metadata(&database).map_or(0, |database| database.len()) == 0
            && store::has_log(&OsDisk, &self.path)
        {
            bail!(no_organisation(&database));
        }
        let accounts = match master_key {
            Some(text) => Accounts::open(&self.path, MasterKey::parse(text)?)?,
            None => {
                let [file, next] = [MASTER_KEY_FILE, NEXT_MASTER_KEY_FILE].map(|name| self.path.join(name));
                with_file(&self.path, MasterKeyFile::new(file, next))?
            }
        };
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        if accounts.orgs().is_empty() && store::has_frames(&disk, &self.path)? {
            bail!(no_organisation(&database));
        }
        Ok(accounts)
    }

    /// For whoever must know whether the directory was moved.
    pub(crate) fn whereabouts(&self) -> Result<Whereabouts> {
        let locked = self.lock.dir.metadata()?;
        Ok(Whereabouts {
            path: self.path.clone(),
            identity: (locked.dev(), locked.ino()),
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
