//! A disk in memory for tests, which forgets what a real one may forget.
//!
//! It keeps what is on the medium apart from what is in the page cache. [`SimDisk::crash`] gives the disk as it
//! may be found after a power cut: each write that was not synced is lost, kept, or kept in part, sector by
//! sector and whatever came after it; each change of a directory that was not synced is lost or kept. Every
//! operation that changes something is counted and can be made to fail, or to be the machine's last.

mod file;
mod rng;
mod world;

use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::disk::{Disk, File};
use world::World;

/// What happens at a chosen operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails; those after it work. A write may have written a part, and a sync leaves its bytes readable
    /// but never to become durable, as Linux does.
    Error,
    /// It takes effect, or not, or in part; it and everything after it fails, as for a process that died.
    /// [`SimDisk::crash`] and [`SimDisk::kill`] then give the disk that its successor finds.
    Halt,
}

/// The disk. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk {
    shared: Arc<Shared>,
}

struct Shared {
    world: Mutex<World>,
    released: Condvar,
}

impl SimDisk {
    /// An empty disk. The same seed and the same operations have the same outcome.
    pub fn new(seed: u64) -> SimDisk {
        SimDisk::of(World::new(seed))
    }

    fn of(world: World) -> SimDisk {
        SimDisk {
            shared: Arc::new(Shared {
                world: Mutex::new(world),
                released: Condvar::new(),
            }),
        }
    }

    /// The disk after a power cut now, without faults. This one goes on as if nothing had happened.
    pub fn crash(&self) -> SimDisk {
        SimDisk::of(self.shared.world.lock().after_crash())
    }

    /// The disk after a kill of the process now, without faults: the page cache is still there, and a later
    /// power cut may still lose what is not synced.
    pub fn kill(&self) -> SimDisk {
        SimDisk::of(self.shared.world.lock().after_kill())
    }

    /// How many operations changed or synced something, or tried to.
    pub fn operations(&self) -> u64 {
        self.shared.world.lock().operations
    }

    /// Whether a planned [`Fault::Halt`] has come.
    pub fn has_halted(&self) -> bool {
        self.shared.world.lock().halted
    }

    /// Plans a fault for the `nth` such operation from now, counted from 1.
    pub fn fail_nth(&self, nth: u64, fault: Fault) {
        let mut world = self.shared.world.lock();
        world.fault = Some((world.operations + nth, fault));
    }

    /// From now on every sync of a file fails and loses what it should have made durable; or no longer.
    pub fn fail_syncs(&self, failing: bool) {
        self.shared.world.lock().failing_syncs = failing;
    }

    /// How many bytes fit on the disk in all; `None` for no limit. May be changed at any time.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.shared.world.lock().capacity = bytes;
    }

    /// Bytes in files that have a name.
    pub fn used(&self) -> u64 {
        self.shared.world.lock().used()
    }

    /// While held, `sync_data` waits, so that a test can look at what happens meanwhile.
    pub fn hold_syncs(&self, held: bool) {
        self.shared.world.lock().held = held;
        self.shared.released.notify_all();
    }

    /// Changes bytes of a file where they lie, behind everybody's back.
    ///
    /// # Errors
    /// `NotFound` without such a file.
    pub fn damage(&self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.shared.world.lock().damage(path, offset, bytes)
    }
}

impl Disk for SimDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.shared.world.lock().create_dir_all(dir)
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let inode = self.shared.world.lock().create_new(path)?;
        Ok(Arc::new(Handle {
            shared: Arc::clone(&self.shared),
            inode,
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let inode = self.shared.world.lock().find(path)?;
        Ok(Arc::new(Handle {
            shared: Arc::clone(&self.shared),
            inode,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.shared.world.lock().rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.shared.world.lock().remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.shared.world.lock().list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.shared.world.lock().sync_dir(dir)
    }
}

/// An open file.
struct Handle {
    shared: Arc<Shared>,
    inode: u64,
}

impl File for Handle {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.shared.world.lock().read_at(self.inode, buf, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.shared.world.lock().write_all_at(self.inode, bytes, offset)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.shared.world.lock().set_len(self.inode, bytes)
    }

    fn len(&self) -> io::Result<u64> {
        self.shared.world.lock().len(self.inode)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut world = self.shared.world.lock();
        while world.held {
            self.shared.released.wait(&mut world);
        }
        world.sync(self.inode)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.shared.world.lock().sync(self.inode)
    }
}
