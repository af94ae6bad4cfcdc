//! Events on disk that outlive the process: files of JSON lines in a directory that processes share.
//!
//! A file is written under a temporary name, synced, renamed; so it is whole or not there. Its name tells its
//! age and its owner, `<unix ms>-<owner>-<number>.jsonl`. An owner holds `<owner>.lock` locked while it lives;
//! who gets the lock of another knows that it is dead, and takes over what it left.

mod owner;

use crate::Event;
use crate::delivery::FileId;
use owner::Owner;
use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

const SUFFIX: &str = ".jsonl";

/// This process's part of a spool directory.
#[derive(Debug)]
pub(crate) struct Spool {
    dir: PathBuf,
    max_bytes: u64,
    own: Owner,
    /// Dead owners whose files are being delivered.
    taken_over: Vec<Owner>,
    /// Ours, and not in memory; oldest first.
    waiting: VecDeque<Entry>,
    /// Ours, with events in memory.
    loaded: HashMap<FileId, Entry>,
    next: FileId,
}

/// A file.
#[derive(Debug)]
struct Entry {
    id: FileId,
    name: String,
    events: u64,
}

/// What another process left.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) events: u64,
    pub(crate) warnings: Vec<String>,
}

/// A file that is back in memory, or could not be read.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) file: FileId,
    pub(crate) events: u64,
    pub(crate) lines: io::Result<Vec<Box<str>>>,
}

/// What had to go for newer events.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Evicted {
    pub(crate) events: u64,
    /// The events themselves, if they could still be read.
    pub(crate) lines: Vec<Box<str>>,
}

impl Spool {
    /// Opens the directory, and makes it if need be. `owner` is a name that nobody ever had.
    pub(crate) fn open(dir: &Path, max_bytes: u64, owner: &str) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let own = Owner::lock(dir, owner)?
            .ok_or_else(|| io::Error::new(io::ErrorKind::AlreadyExists, "the owner's name is taken"))?;
        Ok(Self {
            dir: dir.to_owned(),
            max_bytes,
            own,
            taken_over: Vec::new(),
            waiting: VecDeque::new(),
            loaded: HashMap::new(),
            next: 0,
        })
    }

    /// Takes over what dead processes left.
    pub(crate) fn take_over(&mut self) -> io::Result<Found> {
        let mut found = Found::default();
        let mut owners: Vec<String> = Vec::new();
        for name in names(&self.dir)? {
            if let Some(owner) = owner_of(&name)
                && !owners.iter().any(|known| known == owner)
                && !self.owners().any(|known| known.name() == owner)
            {
                owners.push(owner.to_owned());
            }
        }
        for name in owners {
            if let Some(owner) = Owner::lock(&self.dir, &name)? {
                self.take_over_from(&owner, &mut found)?;
                self.taken_over.push(owner);
            }
        }
        self.waiting
            .make_contiguous()
            .sort_by(|one, other| one.name.cmp(&other.name));
        self.let_go();
        Ok(found)
    }

    fn take_over_from(&mut self, owner: &Owner, found: &mut Found) -> io::Result<()> {
        // Listed only now: until the lock was ours, somebody else may have delivered them.
        for name in names(&self.dir)? {
            if owner_of(&name) != Some(owner.name()) {
                continue;
            }
            let path = self.dir.join(&name);
            if !name.ends_with(SUFFIX) {
                // It was never finished.
                fs::remove_file(path)?;
                continue;
            }
            match read(&path) {
                Ok(lines) => {
                    let events = lines.len() as u64;
                    found.events += events;
                    self.add(name, events);
                }
                Err(error) => {
                    found.warnings.push(set_aside(&path, &error));
                }
            }
        }
        Ok(())
    }

    /// Keeps these events. The first of the answer had to go for them, whether they could be kept or not.
    pub(crate) fn put(&mut self, lines: &[&str], now: SystemTime) -> (Vec<Evicted>, io::Result<()>) {
        let mut evicted = Vec::new();
        let outcome = self.make_room_and_write(lines, now, &mut evicted);
        (evicted, outcome)
    }

    fn make_room_and_write(
        &mut self,
        lines: &[&str],
        now: SystemTime,
        evicted: &mut Vec<Evicted>,
    ) -> io::Result<()> {
        let bytes: u64 = lines.iter().map(|line| line.len() as u64 + 1).sum();
        let full = || io::Error::new(io::ErrorKind::StorageFull, "max_spool_bytes is reached");
        if bytes > self.max_bytes {
            return Err(full());
        }
        while self.bytes()? + bytes > self.max_bytes {
            let oldest = self.waiting.pop_front().ok_or_else(full)?;
            let path = self.dir.join(&oldest.name);
            let lines = read(&path).unwrap_or_default();
            evicted.push(Evicted {
                events: oldest.events,
                lines,
            });
            remove(&path)?;
        }
        let millis = now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis());
        let name = format!("{millis:013}-{}-{}{SUFFIX}", self.own.name(), self.next);
        write(&self.dir, &name, lines)?;
        self.add(name, lines.len() as u64);
        Ok(())
    }

    fn add(&mut self, name: String, events: u64) {
        let id = self.next;
        self.next += 1;
        self.waiting.push_back(Entry { id, name, events });
    }

    /// Bytes of all files in the directory, whosever they are.
    fn bytes(&self) -> io::Result<u64> {
        let files = names(&self.dir)?
            .into_iter()
            .filter(|name| name.ends_with(SUFFIX));
        // One that is gone meanwhile has no bytes.
        Ok(files
            .filter_map(|name| fs::metadata(self.dir.join(name)).ok())
            .map(|file| file.len())
            .sum())
    }

    /// The oldest file that is not in memory.
    pub(crate) fn take(&mut self) -> Option<Taken> {
        let entry = self.waiting.pop_front()?;
        let path = self.dir.join(&entry.name);
        let taken = Taken {
            file: entry.id,
            events: entry.events,
            lines: read(&path).inspect_err(|error| {
                set_aside(&path, error);
            }),
        };
        if taken.lines.is_ok() {
            self.loaded.insert(entry.id, entry);
        }
        Some(taken)
    }

    /// Every event of this file found an end. A file that can't be deleted will be sent again by another
    /// process, which the server then knows as a repeat.
    pub(crate) fn finish(&mut self, file: FileId) -> io::Result<()> {
        let removed = match self.loaded.remove(&file) {
            Some(entry) => remove(&self.dir.join(entry.name)),
            None => Ok(()),
        };
        self.let_go();
        removed
    }

    /// Lets go of dead owners that have no files any more.
    fn let_go(&mut self) {
        let entries = || self.waiting.iter().chain(self.loaded.values());
        self.taken_over.retain(|owner| {
            let has_files = entries().any(|entry| owner_of(&entry.name) == Some(owner.name()));
            if !has_files {
                owner.remove();
            }
            has_files
        });
    }

    fn owners(&self) -> impl Iterator<Item = &Owner> {
        self.taken_over.iter().chain([&self.own])
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        let left = self.waiting.iter().chain(self.loaded.values());
        if !left
            .into_iter()
            .any(|entry| owner_of(&entry.name) == Some(self.own.name()))
        {
            self.own.remove();
        }
    }
}

/// Whose file that is; also of one that is not finished.
fn owner_of(name: &str) -> Option<&str> {
    let name = name.strip_suffix(".tmp").unwrap_or(name).strip_suffix(SUFFIX)?;
    let mut parts = name.split('-');
    let (millis, owner, number) = (parts.next()?, parts.next()?, parts.next()?);
    let numbers = [millis, number].iter().all(|text| text.parse::<u64>().is_ok());
    let named = !owner.is_empty() && owner.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (numbers && named && parts.next().is_none()).then_some(owner)
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        if let Ok(name) = entry?.file_name().into_string() {
            names.push(name);
        }
    }
    Ok(names)
}

fn write(dir: &Path, name: &str, lines: &[&str]) -> io::Result<()> {
    let temporary = dir.join(format!("{name}.tmp"));
    let written = (|| {
        let mut file = owner::private().create_new(true).write(true).open(&temporary)?;
        let mut text = lines.join("\n");
        text.push('\n');
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, dir.join(name))?;
        sync_dir(dir)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Makes the names in the directory durable, where directories can be opened.
fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(dir)?.sync_all()
    } else {
        Ok(())
    }
}

/// The lines of a file, each of them an event.
fn read(path: &Path) -> io::Result<Vec<Box<str>>> {
    let text = fs::read_to_string(path)?;
    text.lines()
        .map(|line| match serde_json::from_str::<Event>(line) {
            Ok(_) => Ok(line.into()),
            Err(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "a line is no event")),
        })
        .collect()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Puts away a file that can't be read; gives what to say of it.
fn set_aside(path: &Path, error: &io::Error) -> String {
    let mut bad = path.as_os_str().to_owned();
    bad.push(".bad");
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    match fs::rename(path, bad) {
        Ok(()) => format!("spool: {name} can't be read ({error}); set aside as {name}.bad"),
        Err(_) => format!("spool: {name} can't be read ({error})"),
    }
}

#[cfg(test)]
mod tests;
