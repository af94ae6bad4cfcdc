//! Segments made ready ahead of their first frame, on a thread of their own: filled with zeros, synced, and
//! their directory synced, so that a commit changes no metadata and never runs out of space.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::commit::message;
use crate::disk::{Disk, File, SYNC_BYTES, create_anew};
use crate::name::segment_path;
use crate::segment::Segment;
use crate::state::StateHandle;

/// How many times as long as a piece took nothing is filled after it, so that commits find a core and the disk
/// free, while nobody waits for the segment.
const REST: u32 = 4;

/// A file of zeros under the name of the next segment.
pub(crate) struct Prepared {
    pub(crate) file: Arc<dyn File>,
    pub(crate) path: PathBuf,
    pub(crate) capacity: u64,
    /// The handle given out for it, if it was begun and given back before its first frame.
    pub(crate) segment: Option<Segment>,
}

/// Prepares one segment at a time.
pub(crate) struct Preparer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    retry: Duration,
    inline: bool,
    state: StateHandle,
    slot: Mutex<Slot>,
    changed: Condvar,
}

#[derive(Default)]
struct Slot {
    wanted: Option<Wanted>,
    ready: Option<Prepared>,
    /// Why the last attempt failed; `None` again when one succeeds.
    failure: Option<String>,
    /// Whether it is needed as soon as it can be.
    urgent: bool,
    stop: bool,
}

#[derive(Clone, Copy)]
struct Wanted {
    number: u64,
    bytes: u64,
}

impl Preparer {
    pub(crate) fn start(
        disk: Arc<dyn Disk>,
        dir: &Path,
        retry: Duration,
        inline: bool,
        state: StateHandle,
    ) -> io::Result<Preparer> {
        let shared = Arc::new(Shared {
            disk,
            dir: dir.to_path_buf(),
            retry,
            inline,
            state,
            slot: Mutex::default(),
            changed: Condvar::new(),
        });
        let thread = if inline {
            None
        } else {
            let shared = Arc::clone(&shared);
            Some(
                thread::Builder::new()
                    .name("repute-prepare".into())
                    .spawn(move || shared.run())?,
            )
        };
        Ok(Preparer { shared, thread })
    }

    /// Asks for the segment of that number, to be ready when it is taken.
    pub(crate) fn want(&self, number: u64, bytes: u64) {
        let mut slot = self.shared.slot.lock();
        slot.wanted = Some(Wanted { number, bytes });
        slot.urgent = false;
        if self.shared.inline {
            self.shared.attempt(&mut slot);
        }
        self.shared.changed.notify_all();
    }

    /// Has what is wanted prepared without rests.
    pub(crate) fn hurry(&self) {
        self.shared.slot.lock().urgent = true;
        self.shared.changed.notify_all();
    }

    /// Takes the segment of that number with room for `needed` bytes, waiting while it is prepared; if it has
    /// yet to be made, it gets `bytes`. Refuses at once while preparing fails.
    pub(crate) fn take(&self, number: u64, needed: u64, bytes: u64) -> Result<Prepared, String> {
        let shared = &*self.shared;
        let mut slot = shared.slot.lock();
        loop {
            if let Some(prepared) = slot.ready.take_if(|prepared| prepared.capacity >= needed) {
                slot.wanted = None;
                slot.succeed(&shared.state);
                return Ok(prepared);
            }
            slot.wanted = match slot.wanted {
                Some(wanted) if wanted.bytes >= needed && slot.failure.is_none() => Some(wanted),
                _ => Some(Wanted {
                    number,
                    bytes: bytes.max(needed),
                }),
            };
            if shared.inline {
                shared.attempt(&mut slot);
            }
            // Under the slot's lock, so that an attempt that succeeds meanwhile clears the state after this.
            if let Some(failure) = &slot.failure {
                shared.state.set_full(failure);
                return Err(failure.clone());
            }
            if !shared.inline {
                slot.urgent = true;
                shared.changed.notify_all();
                shared.changed.wait(&mut slot);
            }
        }
    }

    /// Gives a segment back that has no frame yet, to be taken again, larger.
    pub(crate) fn give_back(&self, prepared: Prepared) {
        self.shared.slot.lock().ready = Some(prepared);
    }

    /// Ends the thread; gives what is ready and was not taken.
    pub(crate) fn stop(&mut self) -> Option<Prepared> {
        self.shared.slot.lock().stop = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that prepares segments ended by a panic");
        }
        self.shared.slot.lock().ready.take()
    }
}

impl Shared {
    /// The thread: attempts what is wanted, again after a while if it fails, until it is stopped.
    fn run(&self) {
        let mut slot = self.slot.lock();
        while !slot.stop {
            let Some(wanted) = slot.unmet() else {
                self.changed.wait(&mut slot);
                continue;
            };
            let existing = slot.ready.take();
            let make = || catch_unwind(AssertUnwindSafe(|| self.make(existing, wanted)));
            let made = parking_lot::MutexGuard::unlocked(&mut slot, make);
            // Who waits for the segment must be told.
            let made = made.unwrap_or_else(|panic| {
                Err(Failed {
                    error: io::Error::other(format!("preparing a segment panicked: {}", message(&*panic))),
                    existing: None,
                })
            });
            slot.settle(made, wanted, &self.state);
            self.changed.notify_all();
            if slot.failure.is_some() && !slot.stop {
                self.changed.wait_for(&mut slot, self.retry);
            }
        }
    }

    /// The same on the caller's thread, once.
    fn attempt(&self, slot: &mut Slot) {
        if let Some(wanted) = slot.unmet() {
            let existing = slot.ready.take();
            let made = self.make(existing, wanted);
            slot.settle(made, wanted, &self.state);
        }
    }

    fn make(&self, existing: Option<Prepared>, wanted: Wanted) -> Result<Prepared, Failed> {
        match existing {
            Some(prepared) => self.enlarge(prepared, wanted.bytes),
            None => self.create(wanted).map_err(|error| Failed {
                error,
                existing: None,
            }),
        }
    }

    fn create(&self, wanted: Wanted) -> io::Result<Prepared> {
        let path = segment_path(&self.dir, wanted.number, 0);
        // The number is above all that were found at open, so only an attempt of ours can have left the name.
        let file = create_anew(&*self.disk, &path)?;
        let filled = self
            .fill(&*file, 0, wanted.bytes)
            .and_then(|()| self.disk.sync_dir(&self.dir));
        match filled {
            Ok(()) => Ok(Prepared {
                file,
                path,
                capacity: wanted.bytes,
                segment: None,
            }),
            Err(error) => {
                // Others need the space that there is; and a sync that failed is not tried again on this file.
                if let Err(e) = self.disk.remove(&path) {
                    tracing::warn!(file = %path.display(), error = %e, "a half prepared segment could not be removed");
                }
                Err(error)
            }
        }
    }

    fn enlarge(&self, mut prepared: Prepared, bytes: u64) -> Result<Prepared, Failed> {
        match self.fill(&*prepared.file, prepared.capacity, bytes) {
            Ok(()) => {
                prepared.capacity = bytes;
                Ok(prepared)
            }
            Err(error) => {
                // The part prepared before stays good: it was synced and nothing was written to it since.
                if let Err(e) = prepared.file.set_len(prepared.capacity) {
                    tracing::warn!(file = %prepared.path.display(), error = %e, "a segment could not be cut back");
                }
                Err(Failed {
                    error,
                    existing: Some(prepared),
                })
            }
        }
    }

    /// Fills a file with zeros from one offset to another, durably.
    fn fill(&self, file: &dyn File, from: u64, to: u64) -> io::Result<()> {
        let zeros = vec![0; SYNC_BYTES.min((to - from) as usize)];
        let mut at = from;
        while at < to {
            let started = Instant::now();
            let bytes = zeros.len().min((to - at) as usize);
            file.write_all_at(&zeros[..bytes], at)?;
            at += bytes as u64;
            if at < to {
                file.sync_data()?;
                self.rest(started.elapsed() * REST);
            }
        }
        file.sync_all()
    }

    /// Lets so much time pass, unless somebody is in a hurry.
    fn rest(&self, pause: Duration) {
        if !self.inline {
            let mut slot = self.slot.lock();
            let calm = |slot: &mut Slot| !slot.urgent && !slot.stop;
            self.changed.wait_while_for(&mut slot, calm, pause);
        }
    }
}

/// An attempt that failed, and what there was before it.
struct Failed {
    error: io::Error,
    existing: Option<Prepared>,
}

impl Slot {
    /// What is wanted and not ready.
    fn unmet(&self) -> Option<Wanted> {
        let ready = self.ready.as_ref().map_or(0, |prepared| prepared.capacity);
        self.wanted.filter(|wanted| wanted.bytes > ready)
    }

    fn settle(&mut self, made: Result<Prepared, Failed>, wanted: Wanted, state: &StateHandle) {
        match made {
            Ok(prepared) => {
                self.ready = Some(prepared);
                self.succeed(state);
            }
            Err(Failed { error, existing }) => {
                self.ready = existing;
                if self.failure.is_none() {
                    tracing::warn!(segment = wanted.number, bytes = wanted.bytes, error = %error,
                        "no room to prepare a segment; trying again until there is");
                }
                self.failure = Some(format!(
                    "segment {} of {} bytes: {error}",
                    wanted.number, wanted.bytes
                ));
            }
        }
    }

    fn succeed(&mut self, state: &StateHandle) {
        if self.failure.take().is_some() {
            tracing::info!("there is room to prepare segments again");
        }
        state.clear_full();
    }
}
