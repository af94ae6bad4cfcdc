//! The owner's handle: places frames one after the other and begins segments.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::commit::{Committed, Committer, Write};
use crate::disk::Disk;
use crate::error::{Error, Poisoned, Refused};
use crate::frame::{Frame, MAX_PAYLOAD_BYTES, frame_end};
use crate::header::{HEADER_BYTES, Header, fresh_salt};
use crate::options::Options;
use crate::prepare::{Prepared, Preparer};
use crate::recover::recover;
use crate::seal::SEAL_BYTES;
use crate::segment::Segment;
use crate::state::StateHandle;

/// How much larger each segment is than the one before.
const GROWTH: u64 = 4;

/// A journal opened, and what it held.
pub struct Opened {
    /// Takes the next frames.
    pub journal: Journal,
    /// The segments found, all sealed, oldest first.
    pub segments: Vec<Segment>,
}

/// Where the next frame goes.
#[derive(Clone, Debug)]
pub struct Room {
    /// Its segment. Has another number than before when a new one was begun.
    pub segment: Segment,
}

/// The end of the log. One thread owns it: it reserves room, counts, and commits.
///
/// Dropping it waits for queued frames but leaves the segment unsealed, as a killed process would.
pub struct Journal {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    options: Options,
    next_seq: u64,
    /// Of the segment after the current one; of the current one while that has no frame.
    next_number: u64,
    /// Size of the next segment to be prepared.
    next_bytes: u64,
    current: Option<Current>,
    /// The segment that was left for the current one, until the commit thread has it.
    left: Option<Segment>,
    roll: bool,
    /// End of the room granted last.
    reserved: u64,
    state: StateHandle,
    preparer: Preparer,
    committer: Committer,
}

struct Current {
    segment: Segment,
    capacity: u64,
    /// Where the next frame starts.
    offset: u64,
    asked_ahead: bool,
    hurried: bool,
}

impl Current {
    /// The end of a frame here, if it and a seal fit.
    fn place(&self, payload_bytes: usize) -> Option<u64> {
        let end = frame_end(self.offset, payload_bytes);
        (end + SEAL_BYTES <= self.capacity).then_some(end)
    }

    fn has_frames(&self) -> bool {
        self.offset > HEADER_BYTES
    }
}

impl Journal {
    /// Opens the log in `dir`, making it if it is not there. What a crash left is put in order first: a torn
    /// end is dropped, and what is whole is made durable. The next frame begins a new segment.
    ///
    /// The caller sees to it that no other process has the directory open.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::MissingSegment`] and [`Error::NewerFormat`], each before anything is
    /// changed; [`Error::Io`].
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, options: Options) -> Result<Opened, Error> {
        let recovered = recover(&disk, dir, options.shard)?;
        let state = StateHandle::new();
        let preparer = Preparer::start(
            Arc::clone(&disk),
            dir,
            options.retry,
            options.inline,
            state.clone(),
        )
        .map_err(Error::io("start a thread for", dir))?;
        let committer = Committer::start(options.sync, options.inline, state.clone())
            .map_err(Error::io("start a thread for", dir))?;
        let journal = Journal {
            disk,
            dir: dir.to_path_buf(),
            next_seq: recovered.next_seq,
            next_number: recovered.next_number,
            next_bytes: options.first_segment_bytes,
            current: None,
            left: None,
            roll: false,
            reserved: 0,
            state,
            preparer,
            committer,
            options,
        };
        // Not awaited: readers need no segment, and the first frame waits for this one if it comes sooner.
        journal.preparer.want(journal.next_number, journal.next_bytes);
        Ok(Opened {
            journal,
            segments: recovered.segments,
        })
    }

    /// Makes sure that a frame with up to this payload will find room, before anything is counted for it.
    /// Waits while a segment is prepared. Room not used is given again.
    ///
    /// # Errors
    /// [`Refused::Full`], at once while the disk has no room; [`Refused::Poisoned`]; [`Refused::TooLarge`].
    pub fn reserve(&mut self, payload_bytes: usize) -> Result<Room, Refused> {
        if let Some(reason) = self.state.poisoned() {
            return Err(Refused::Poisoned(reason));
        }
        if payload_bytes > MAX_PAYLOAD_BYTES {
            return Err(Refused::TooLarge { payload_bytes });
        }
        let here = self
            .current
            .as_ref()
            .and_then(|current| current.place(payload_bytes));
        let may_stay = !self.roll || self.current.as_ref().is_some_and(|current| !current.has_frames());
        self.reserved = match here.filter(|_| may_stay) {
            Some(end) => end,
            // Rolling can wait for room on the disk, where there is room in the segment.
            None => self
                .begin_segment(payload_bytes)
                .or_else(|refused| here.ok_or(refused))?,
        };
        self.state.clear_full();
        match &self.current {
            Some(current) => Ok(Room {
                segment: current.segment.clone(),
            }),
            None => unreachable!("a frame was placed in the current segment"),
        }
    }

    /// Lets the next frame begin a new segment, unless the current one has no frame yet.
    pub fn roll(&mut self) {
        self.roll = true;
    }

    /// A frame without records, in the room of one that was committed if there is some.
    pub fn frame(&self) -> Frame {
        self.committer.spare().take()
    }

    /// Takes back a frame that is not needed after all, for its room.
    pub fn give_back(&self, frame: Frame) {
        self.committer.spare().give(frame);
    }

    /// Queues the frame, which must fit the room reserved last. Blocks while one frame waits behind the one
    /// in flight. `done` is called once, on the commit thread, in the order of the frames: after the frame is
    /// written and synced, or with [`Poisoned`] when it, or one before it, could not be.
    pub fn commit(&mut self, frame: Frame, done: Box<dyn FnOnce(Result<Committed, Poisoned>) + Send>) {
        let reserved = std::mem::take(&mut self.reserved);
        let current = match &mut self.current {
            Some(current) if frame_end(current.offset, frame.len()) <= reserved => current,
            _ => {
                // Nothing may be counted without room for it; that it was shows that the owner is broken.
                self.state
                    .poison("a frame was committed without room reserved for it");
                return done(Err(Poisoned("no room was reserved for the frame".into())));
            }
        };
        let (first, offset, seq) = (!current.has_frames(), current.offset, self.next_seq);
        current.offset = frame_end(offset, frame.len());
        self.next_seq += 1;
        if first {
            self.next_number += 1;
        }
        // Soon enough for the next one to be there in time, and late enough for small logs to stay small.
        if !current.asked_ahead && current.offset >= current.capacity / 4 {
            current.asked_ahead = true;
            self.next_bytes = self
                .next_bytes
                .saturating_mul(GROWTH)
                .min(self.options.max_segment_bytes);
            self.preparer.want(self.next_number, self.next_bytes);
        }
        // It rests meanwhile; what is left of the segment is time enough to do the whole without.
        if !current.hurried && current.offset >= current.capacity / 4 * 3 {
            current.hurried = true;
            self.preparer.hurry();
        }
        let segment = current.segment.clone();
        self.committer.submit(Write {
            frame,
            seq,
            segment,
            offset,
            first,
            previous: self.left.take(),
            done,
        });
    }

    /// Waits until no frame is queued or in flight, so that the next one is written at once.
    pub fn wait_until_idle(&self) {
        self.committer.wait_until_idle();
    }

    /// A view of the state, for other threads.
    pub fn state(&self) -> StateHandle {
        self.state.clone()
    }

    /// Waits for queued frames and seals the segment, so that the next open has nothing to repair. What
    /// cannot be sealed is logged and left to recovery: acknowledged frames are safe either way.
    pub fn close(mut self) {
        self.committer.drain();
        let unused = self.preparer.stop();
        let current = self.current.take();
        let mut blank = unused.map(|prepared| prepared.path);
        if let Some(current) = current {
            if current.has_frames() {
                self.seal(&current.segment);
            } else {
                blank = Some(current.segment.path.to_path_buf());
            }
        }
        if let Some(left) = self.left.take() {
            self.seal(&left);
        }
        if let Some(path) = blank
            && let Err(e) = self
                .disk
                .remove(&path)
                .and_then(|()| self.disk.sync_dir(&self.dir))
        {
            tracing::warn!(file = %path.display(), error = %e, "an unused segment could not be removed");
        }
    }

    /// Begins a segment with room for this payload and gives the end of that room.
    fn begin_segment(&mut self, payload_bytes: usize) -> Result<u64, Refused> {
        let end = frame_end(HEADER_BYTES, payload_bytes);
        let needed = end + SEAL_BYTES;
        if let Some(current) = self.current.take_if(|current| !current.has_frames()) {
            self.preparer.give_back(Prepared {
                file: Arc::clone(current.segment.file()),
                path: current.segment.path.to_path_buf(),
                capacity: current.capacity,
                segment: Some(current.segment),
            });
        }
        let prepared = self
            .preparer
            .take(self.next_number, needed, self.next_bytes)
            .map_err(Refused::Full)?;
        let capacity = prepared.capacity;
        let segment = prepared.segment.unwrap_or_else(|| {
            let header = self.header();
            Segment::empty(Arc::clone(&self.disk), prepared.file, &prepared.path, header)
        });
        let current = Current {
            segment,
            capacity,
            offset: HEADER_BYTES,
            asked_ahead: false,
            hurried: false,
        };
        if let Some(left) = self.current.replace(current) {
            self.left = Some(left.segment);
        }
        self.roll = false;
        Ok(end)
    }

    fn header(&self) -> Header {
        Header {
            unsynced: !self.options.sync,
            compact: false,
            shard: self.options.shard,
            epoch: self.options.epoch,
            number: self.next_number,
            generation: 0,
            previous_seq: self.next_seq - 1,
            salt: fresh_salt(),
        }
    }

    /// Seals a segment after all its frames were committed.
    fn seal(&self, segment: &Segment) {
        // A seal says that everything before it is durable, which nobody knows after a failure.
        if self.state.poisoned().is_some() {
            return;
        }
        let synced = if self.options.sync {
            Ok(())
        } else {
            segment
                .file()
                .sync_data()
                .map_err(Error::io("sync", &segment.path))
        };
        let sealed = synced.and_then(|()| {
            segment.close();
            segment.trim()
        });
        if let Err(e) = sealed {
            tracing::warn!(error = %e, "a segment could not be sealed");
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.committer.drain();
        self.preparer.stop();
    }
}
