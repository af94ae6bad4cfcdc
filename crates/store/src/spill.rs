//! Copies of windows that left memory, so that a cold agent comes back with one small read.
//!
//! A pure cache in files of its own, `windows-N`: never synced, checked at each read against the agent's
//! name and lifetime count, and rebuilt from the log's rows where a copy is missing, torn or stale. A file
//! grows by appending; once most of it is stale the copies that still hold move to the next file.

use crate::Error;
use crate::agent::{AgentName, AgentState, Aside};
use crate::bytes::{Fields, PutFields as _};
use hashbrown::HashSet;
use journal::{Disk, File};
use parking_lot::Mutex;
use reputation::{Slot, WINDOW, Window};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file smaller than this is not worth moving to the next.
const WORTH_MOVING_BYTES: u64 = 64 << 20;
/// The largest copy: a full window, everything aside, the longest name.
const MAX_COPY_BYTES: u32 = 64 << 10;
const PREFIX: &str = "windows-";
/// Each start begins a file: after so many the copies in them are gathered when the store closes.
const MANY_FILES: usize = 8;

/// Where a copy lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: u32,
    pub(crate) offset: u64,
    pub(crate) bytes: u32,
}

/// The files of copies: one that is written, and the one before it while copies move.
pub(crate) struct Spill {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    files: Mutex<Vec<SpillFile>>,
}

struct SpillFile {
    number: u32,
    file: Arc<dyn File>,
    end: u64,
}

impl Spill {
    /// Finds the files in `dir`. New copies go to a new file, since the end of an old one is not known to
    /// be whole.
    ///
    /// # Errors
    /// [`Error::Io`] with the file that cannot be read.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, Error> {
        let mut files = Vec::new();
        for name in disk.list(dir).map_err(Error::io(dir))? {
            if let Some(number) = name.strip_prefix(PREFIX).and_then(|n| n.parse().ok()) {
                let path = dir.join(&name);
                let file = disk.open(&path).map_err(Error::io(&path))?;
                let end = file.len().map_err(Error::io(&path))?;
                files.push(SpillFile { number, file, end });
            }
        }
        files.sort_by_key(|file| file.number);
        Ok(Self {
            disk,
            dir: dir.to_owned(),
            files: Mutex::new(files),
        })
    }

    /// Begins the next file; copies go there from now on.
    pub(crate) fn begin_file(&self) -> io::Result<()> {
        let mut files = self.files.lock();
        let number = files.last().map_or(0, |file| file.number + 1);
        let file = self.disk.create_new(&self.path(number))?;
        files.push(SpillFile { number, file, end: 0 });
        Ok(())
    }

    /// Removes the files with none of these copies, as each start and stop leaves some. One that cannot be removed stays.
    pub(crate) fn keep(&self, copies: impl Iterator<Item = Place>) {
        let used: HashSet<u32> = copies.map(|place| place.file).collect();
        self.files.lock().retain(|file| {
            let goes = !used.contains(&file.number) && self.disk.remove(&self.path(file.number)).is_ok();
            !goes
        });
    }

    /// Whether there are so many files that the copies should move to one.
    pub(crate) fn has_many_files(&self) -> bool {
        self.files.lock().len() > MANY_FILES
    }

    /// Removes all files of copies from a directory that nobody else uses.
    pub(crate) fn remove_all(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        for name in disk.list(dir)?.iter().filter(|name| name.starts_with(PREFIX)) {
            disk.remove(&dir.join(name))?;
        }
        Ok(())
    }

    /// Removes all files but the newest: nothing points to them any more. One that cannot be removed now is there for the
    /// next time.
    pub(crate) fn drop_old_files(&self) -> io::Result<()> {
        let mut files = self.files.lock();
        while let [old, _, ..] = &files[..] {
            self.disk.remove(&self.path(old.number))?;
            files.remove(0);
        }
        Ok(())
    }

    /// Whether most of the files' bytes are stale, given the bytes that are not.
    pub(crate) fn wants_moving(&self, live_bytes: u64) -> bool {
        let files = self.files.lock();
        let all: u64 = files.iter().map(|file| file.end).sum();
        files.len() > 2 || (all > WORTH_MOVING_BYTES && all > 3 * live_bytes)
    }

    /// The file that is written now.
    pub(crate) fn newest_file(&self) -> Option<u32> {
        self.files.lock().last().map(|file| file.number)
    }

    /// Puts a copy aside.
    pub(crate) fn write(&self, name: AgentName<'_>, state: &AgentState) -> io::Result<Option<Place>> {
        let copy = encode(name, state);
        let bytes = u32::try_from(copy.len()).unwrap_or(u32::MAX);
        if bytes > MAX_COPY_BYTES {
            return Ok(None);
        }
        let mut files = self.files.lock();
        let Some(SpillFile { number, file, end }) = files.last_mut() else {
            return Ok(None);
        };
        let place = Place {
            file: *number,
            offset: *end,
            bytes,
        };
        file.write_all_at(&copy, *end)?;
        *end += u64::from(bytes);
        Ok(Some(place))
    }

    /// The copy at this place, if it is whole and of this agent.
    pub(crate) fn read(&self, place: Place, name: AgentName<'_>) -> Option<AgentState> {
        if place.bytes > MAX_COPY_BYTES {
            return None;
        }
        let file = {
            let files = self.files.lock();
            Arc::clone(&files.iter().find(|file| file.number == place.file)?.file)
        };
        let mut copy = vec![0; place.bytes as usize];
        file.read_exact_at(&mut copy, place.offset).ok()?;
        decode(&copy, name)
    }

    /// Where a file of copies lies.
    pub(crate) fn path(&self, number: u32) -> PathBuf {
        self.dir.join(format!("{PREFIX}{number}"))
    }
}

fn encode(name: AgentName<'_>, state: &AgentState) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + 24 * state.window.slots().len());
    out.put_u32(0); // the checksum's place
    out.put_u32(name.org.0);
    out.put_text(name.agent_id);
    out.put_facts(&state.facts);
    out.put_u32(u32::try_from(state.window.slots().len()).unwrap_or(u32::MAX));
    for slot in state.window.slots() {
        out.put_micros(slot.recorded_at);
        out.put_u64(slot.arrival);
        out.put_u32(slot.latency_us << 1 | u32::from(slot.passed));
        out.put_u64(slot.identity);
    }
    out.put_u32(u32::try_from(state.aside.len()).unwrap_or(u32::MAX));
    for aside in &state.aside {
        out.put_u64(aside.arrival);
        out.put_u64(aside.identity);
    }
    let checksum = crc32c::crc32c(&out[4..]);
    out[..4].copy_from_slice(&checksum.to_le_bytes());
    out
}

fn decode(copy: &[u8], name: AgentName<'_>) -> Option<AgentState> {
    let mut fields = Fields(copy);
    let checksum = fields.u32()?;
    if crc32c::crc32c(fields.0) != checksum || fields.u32()? != name.org.0 || fields.text()? != name.agent_id
    {
        return None;
    }
    let facts = fields.facts()?;
    let slots = fields.u32()? as usize;
    if slots > WINDOW {
        return None;
    }
    let mut window = Window::new();
    for _ in 0..slots {
        let (recorded_at, arrival, packed) = (fields.micros()?, fields.u64()?, fields.u32()?);
        let identity = fields.u64()?;
        window.insert(Slot {
            recorded_at,
            arrival,
            latency_us: packed >> 1,
            passed: packed & 1 == 1,
            identity,
        });
    }
    let mut aside = VecDeque::new();
    for _ in 0..fields.u32()?.min(WINDOW as u32) {
        aside.push_back(Aside {
            arrival: fields.u64()?,
            identity: fields.u64()?,
        });
    }
    Some(AgentState::loaded(facts, window, aside))
}
