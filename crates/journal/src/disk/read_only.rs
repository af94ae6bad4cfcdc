//! The operating system's disk for those who only look: nothing can be changed through it.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{Disk, File, OsDisk};

/// Reads files, also of a directory that another process writes to. Whatever would change something fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOnlyDisk;

impl Disk for ReadOnlyDisk {
    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        refuse()
    }

    fn create_new(&self, _: &Path) -> io::Result<Arc<dyn File>> {
        refuse()
    }

    /// Opened for reading alone; a write to it fails.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(fs::File::open(path)?))
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        refuse()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        refuse()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        OsDisk.list(dir)
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        refuse()
    }
}

fn refuse<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}
