//! The simulated disk's directories and files, and the fault that is planned for them.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use super::Fault;
use super::file::Content;
use super::rng::Rng;
use crate::disk::parent;

/// Everything on a disk.
pub(super) struct World {
    rng: Rng,
    files: HashMap<u64, Content>,
    dirs: BTreeMap<PathBuf, Dir>,
    next_inode: u64,
    pub(super) operations: u64,
    /// At which operation, and what.
    pub(super) fault: Option<(u64, Fault)>,
    pub(super) halted: bool,
    pub(super) failing_syncs: bool,
    pub(super) capacity: Option<u64>,
    pub(super) held: bool,
}

#[derive(Clone, Default)]
struct Dir {
    cache: Entries,
    durable: Entries,
    unsynced: Vec<Change>,
}

type Entries = BTreeMap<String, u64>;

#[derive(Clone)]
enum Change {
    Create(String, u64),
    Rename { from: String, to: String, inode: u64 },
    Remove(String),
}

impl World {
    pub(super) fn new(seed: u64) -> World {
        World {
            rng: Rng::new(seed),
            files: HashMap::new(),
            dirs: BTreeMap::new(),
            next_inode: 0,
            operations: 0,
            fault: None,
            halted: false,
            failing_syncs: false,
            capacity: None,
            held: false,
        }
    }

    pub(super) fn after_kill(&mut self) -> World {
        World {
            files: self.files.clone(),
            dirs: self.dirs.clone(),
            next_inode: self.next_inode,
            capacity: self.capacity,
            ..World::new(self.rng.next())
        }
    }

    pub(super) fn after_crash(&mut self) -> World {
        let mut after = self.after_kill();
        // In the order of their numbers, so that the same seed loses the same.
        for inode in 0..self.next_inode {
            if let Some(content) = self.files.get(&inode) {
                after.files.insert(inode, content.after_crash(&mut after.rng));
            }
        }
        for dir in after.dirs.values_mut() {
            for change in std::mem::take(&mut dir.unsynced) {
                if after.rng.coin() {
                    change.apply(&mut dir.durable);
                }
            }
            dir.cache = dir.durable.clone();
        }
        after
    }

    pub(super) fn used(&self) -> u64 {
        let inodes = self.dirs.values().flat_map(|dir| dir.cache.values());
        inodes
            .filter_map(|inode| self.files.get(inode))
            .map(|content| content.cache.len() as u64)
            .sum()
    }

    pub(super) fn damage(&mut self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let inode = self.find(path)?;
        self.content(inode)?.damage(offset as usize, bytes);
        Ok(())
    }

    pub(super) fn create_dir_all(&mut self, dir: &Path) -> io::Result<()> {
        self.change(|world| {
            // A path of one part is in ".", as for `parent`.
            for dir in dir.ancestors().chain([Path::new(".")]) {
                world.dirs.entry(dir.to_path_buf()).or_default();
            }
            Ok(())
        })
    }

    pub(super) fn create_new(&mut self, path: &Path) -> io::Result<u64> {
        self.change(|world| {
            let (dir, name) = world.locate(path)?;
            if dir.cache.contains_key(&name) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let inode = world.next_inode;
            let (dir, name) = world.locate(path)?;
            dir.apply(Change::Create(name, inode));
            world.files.insert(inode, Content::default());
            world.next_inode += 1;
            Ok(inode)
        })
    }

    pub(super) fn find(&mut self, path: &Path) -> io::Result<u64> {
        self.alive()?;
        let (dir, name) = self.locate(path)?;
        dir.cache
            .get(&name)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        if parent(from) != parent(to) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.change(|world| {
            let inode = world.find_now(from)?;
            let (_, from) = world.locate(from)?;
            let (dir, to) = world.locate(to)?;
            dir.apply(Change::Rename { from, to, inode });
            Ok(())
        })
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.change(|world| {
            world.find_now(path)?;
            let (dir, name) = world.locate(path)?;
            dir.apply(Change::Remove(name));
            Ok(())
        })
    }

    pub(super) fn list(&mut self, dir: &Path) -> io::Result<Vec<String>> {
        self.alive()?;
        let dir = self.dirs.get(dir).ok_or(io::ErrorKind::NotFound)?;
        Ok(dir.cache.keys().cloned().collect())
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.change(|world| {
            let dir = world.dirs.get_mut(dir).ok_or(io::ErrorKind::NotFound)?;
            dir.durable = dir.cache.clone();
            dir.unsynced.clear();
            Ok(())
        })
    }

    pub(super) fn read_at(&mut self, inode: u64, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.alive()?;
        let content = &self.content(inode)?.cache;
        let rest = content.get(offset as usize..).unwrap_or(&[]);
        let read = rest.len().min(buf.len());
        buf[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    pub(super) fn len(&mut self, inode: u64) -> io::Result<u64> {
        self.alive()?;
        Ok(self.content(inode)?.cache.len() as u64)
    }

    pub(super) fn write_all_at(&mut self, inode: u64, bytes: &[u8], offset: u64) -> io::Result<()> {
        let planned = self.begin()?;
        let len = self.content(inode)?.cache.len() as u64;
        let room = self
            .capacity
            .map_or(u64::MAX, |capacity| len + capacity.saturating_sub(self.used()));
        let fits = bytes.len().min(room.saturating_sub(offset) as usize);
        let written = match planned {
            None => fits,
            // Nothing, all, or as much as was copied when it happened.
            Some(_) => match self.rng.below(3) {
                0 => 0,
                1 => fits,
                _ => self.rng.below(fits as u64 + 1) as usize,
            },
        };
        if written > 0 {
            self.content(inode)?.write(offset as usize, &bytes[..written]);
        }
        match planned {
            Some(fault) => Err(failed(fault)),
            None if fits < bytes.len() => Err(io::ErrorKind::StorageFull.into()),
            None => Ok(()),
        }
    }

    pub(super) fn set_len(&mut self, inode: u64, bytes: u64) -> io::Result<()> {
        self.change(|world| {
            world.content(inode)?.set_len(bytes as usize);
            Ok(())
        })
    }

    pub(super) fn sync(&mut self, inode: u64) -> io::Result<()> {
        let planned = self.begin()?;
        let survives = self.rng.coin();
        let failing = self.failing_syncs;
        let content = self.content(inode)?;
        match planned {
            None if !failing => {
                content.sync();
                Ok(())
            }
            None | Some(Fault::Error) => {
                content.lose();
                Err(failed(Fault::Error))
            }
            Some(Fault::Halt) => {
                if survives {
                    content.sync();
                }
                Err(failed(Fault::Halt))
            }
        }
    }

    /// One operation that has its whole effect or none.
    fn change<T>(&mut self, effect: impl FnOnce(&mut World) -> io::Result<T>) -> io::Result<T> {
        match self.begin()? {
            None => effect(self),
            Some(fault) => {
                if fault == Fault::Halt && self.rng.coin() {
                    effect(self)?;
                }
                Err(failed(fault))
            }
        }
    }

    /// Counts an operation and says whether a fault is planned for it.
    fn begin(&mut self) -> io::Result<Option<Fault>> {
        self.alive()?;
        self.operations += 1;
        match self.fault {
            Some((at, fault)) if at == self.operations => {
                self.fault = None;
                self.halted = fault == Fault::Halt;
                Ok(Some(fault))
            }
            _ => Ok(None),
        }
    }

    fn alive(&self) -> io::Result<()> {
        if self.halted {
            Err(failed(Fault::Halt))
        } else {
            Ok(())
        }
    }

    fn find_now(&mut self, path: &Path) -> io::Result<u64> {
        let (dir, name) = self.locate(path)?;
        dir.cache
            .get(&name)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn locate(&mut self, path: &Path) -> io::Result<(&mut Dir, String)> {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or(io::ErrorKind::InvalidInput)?;
        let dir = self.dirs.get_mut(parent(path)).ok_or(io::ErrorKind::NotFound)?;
        Ok((dir, name.to_owned()))
    }

    fn content(&mut self, inode: u64) -> io::Result<&mut Content> {
        self.files
            .get_mut(&inode)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Dir {
    fn apply(&mut self, change: Change) {
        change.apply(&mut self.cache);
        self.unsynced.push(change);
    }
}

impl Change {
    fn apply(&self, entries: &mut Entries) {
        match self {
            Change::Create(name, inode) => {
                entries.insert(name.clone(), *inode);
            }
            Change::Rename { from, to, inode } => {
                if entries.get(from) == Some(inode) {
                    entries.remove(from);
                }
                entries.insert(to.clone(), *inode);
            }
            Change::Remove(name) => {
                entries.remove(name);
            }
        }
    }
}

fn failed(fault: Fault) -> io::Error {
    io::Error::other(match fault {
        Fault::Error => "the simulated disk failed",
        Fault::Halt => "the simulated machine has stopped",
    })
}
