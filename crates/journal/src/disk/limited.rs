//! The operating system's disk with an end of its own: for finding out what a full disk does.

use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Disk, File, OsDisk};

/// A disk on which the files that go through it may have so many bytes together; a write beyond fails as it does
/// on a full disk.
#[derive(Clone)]
pub struct LimitedDisk {
    free: Arc<Mutex<u64>>,
}

impl LimitedDisk {
    /// A disk on which `free` more bytes fit.
    pub fn new(free: u64) -> LimitedDisk {
        LimitedDisk {
            free: Arc::new(Mutex::new(free)),
        }
    }

    fn limited(&self, file: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(LimitedFile {
            file,
            free: Arc::clone(&self.free),
        })
    }

    /// The bytes of a file that is about to go.
    fn bytes_of(path: &Path) -> u64 {
        std::fs::metadata(path).map_or(0, |metadata| metadata.len())
    }
}

impl Disk for LimitedDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        OsDisk.create_dir_all(dir)
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(self.limited(OsDisk.create_new(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(self.limited(OsDisk.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut free = self.free.lock();
        let replaced = LimitedDisk::bytes_of(to);
        OsDisk.rename(from, to)?;
        *free += replaced;
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut free = self.free.lock();
        let removed = LimitedDisk::bytes_of(path);
        OsDisk.remove(path)?;
        *free += removed;
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        OsDisk.list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        OsDisk.sync_dir(dir)
    }
}

struct LimitedFile {
    file: Arc<dyn File>,
    free: Arc<Mutex<u64>>,
}

impl LimitedFile {
    /// Does what makes the file so long, if there is room.
    fn grow(&self, bytes: u64, grow: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut free = self.free.lock();
        let before = self.file.len()?;
        if bytes.saturating_sub(before) > *free {
            return Err(io::ErrorKind::StorageFull.into());
        }
        grow()?;
        *free = (*free + before).saturating_sub(bytes.max(before));
        Ok(())
    }
}

impl File for LimitedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.grow(offset + bytes.len() as u64, || {
            self.file.write_all_at(bytes, offset)
        })
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let before = self.file.len()?;
        if bytes >= before {
            return self.grow(bytes, || self.file.set_len(bytes));
        }
        self.file.set_len(bytes)?;
        *self.free.lock() += before - bytes;
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}
