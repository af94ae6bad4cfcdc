//! Frames made durable, one at a time and in order, on a thread of their own.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::error::Poisoned;
use crate::frame::{FRAME_HEADER_BYTES, Frame, SpareFrames, frame_end};
use crate::segment::Segment;
use crate::state::StateHandle;

/// Frames that may wait behind the one in flight; more block the owner, which then counts larger groups.
const WAITING_FRAMES: usize = 1;

/// A frame on stable storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its place in the log's order.
    pub seq: u64,
    /// The number of its segment.
    pub segment: u64,
    /// Where its payload starts in the segment's file, in bytes.
    pub offset: u64,
    /// How long writing and syncing took.
    pub latency: Duration,
}

/// Called once with what became of a frame.
pub(crate) type Done = Box<dyn FnOnce(Result<Committed, Poisoned>) + Send>;

/// A frame and the place it was given.
pub(crate) struct Write {
    pub(crate) frame: Frame,
    pub(crate) seq: u64,
    pub(crate) segment: Segment,
    pub(crate) offset: u64,
    /// The segment's header goes before it.
    pub(crate) first: bool,
    /// The segment before, whose frames are all synced once this one's turn comes.
    pub(crate) previous: Option<Segment>,
    pub(crate) done: Done,
}

/// How many frames are queued or in flight.
#[derive(Clone, Default)]
struct Pending(Arc<(Mutex<usize>, Condvar)>);

/// One of them, until this is dropped.
struct PendingFrame(Pending);

impl Pending {
    fn add(&self) -> PendingFrame {
        *self.0.0.lock() += 1;
        PendingFrame(self.clone())
    }

    fn wait_until_none(&self) {
        let (count, none) = &*self.0;
        none.wait_while(&mut count.lock(), |count| *count > 0);
    }
}

impl Drop for PendingFrame {
    fn drop(&mut self) {
        let (count, none) = &*self.0.0;
        let mut count = count.lock();
        *count -= 1;
        if *count == 0 {
            none.notify_all();
        }
    }
}

/// Takes frames in order.
pub(crate) struct Committer {
    writer: Writer,
    pending: Pending,
    queue: Option<SyncSender<(Write, PendingFrame)>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    pub(crate) fn start(sync: bool, inline: bool, state: StateHandle) -> io::Result<Committer> {
        let spare = SpareFrames::default();
        let writer = Writer { sync, state, spare };
        let pending = Pending::default();
        if inline {
            return Ok(Committer {
                writer,
                pending,
                queue: None,
                thread: None,
            });
        }
        let (queue, frames) = sync_channel(WAITING_FRAMES);
        let on_thread = writer.clone();
        let thread = thread::Builder::new()
            .name("repute-commit".into())
            .spawn(move || on_thread.run(&frames))?;
        Ok(Committer {
            writer,
            pending,
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Frames whose room is free.
    pub(crate) fn spare(&self) -> &SpareFrames {
        &self.writer.spare
    }

    /// Queues a frame; blocks while the queue is full.
    pub(crate) fn submit(&self, write: Write) {
        let pending = self.pending.add();
        match &self.queue {
            None => self.writer.commit(write, pending),
            Some(queue) => {
                if let Err(unsent) = queue.send((write, pending)) {
                    self.writer
                        .state
                        .poison("the thread that commits frames has ended");
                    let (write, pending) = unsent.0;
                    self.writer.commit(write, pending);
                }
            }
        }
    }

    /// Waits until no frame is queued or in flight.
    pub(crate) fn wait_until_idle(&self) {
        self.pending.wait_until_none();
    }

    /// Waits until all that was queued is done, and ends the thread.
    pub(crate) fn drain(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            self.writer
                .state
                .poison("the thread that commits frames ended by a panic");
        }
    }
}

#[derive(Clone)]
struct Writer {
    sync: bool,
    state: StateHandle,
    spare: SpareFrames,
}

impl Writer {
    fn run(&self, frames: &Receiver<(Write, PendingFrame)>) {
        for (write, pending) in frames {
            self.commit(write, pending);
        }
    }

    fn commit(&self, mut write: Write, pending: PendingFrame) {
        let outcome = match self.state.poisoned() {
            Some(reason) => Err(Poisoned(reason)),
            None => {
                let written = catch_unwind(AssertUnwindSafe(|| self.write(&mut write)));
                written.unwrap_or_else(|panic| {
                    let reason = format!("writing frame {} panicked: {}", write.seq, message(&*panic));
                    Err(self.give_up(reason))
                })
            }
        };
        drop(pending); // the next group is formed while this one is published
        self.spare.give(write.frame);
        // Those behind must still get their answers, so a panic ends this callback and not the thread.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (write.done)(outcome))) {
            self.give_up(format!(
                "publishing frame {} panicked: {}",
                write.seq,
                message(&*panic)
            ));
        }
    }

    fn write(&self, write: &mut Write) -> Result<Committed, Poisoned> {
        let started = Instant::now();
        let payload_bytes = write.frame.len();
        if let Err(e) = self.put(write) {
            let reason = format!("{}: frame {}: {e}", write.segment.path.display(), write.seq);
            return Err(self.give_up(reason));
        }
        write
            .segment
            .advance(frame_end(write.offset, payload_bytes), write.seq);
        Ok(Committed {
            seq: write.seq,
            segment: write.segment.number,
            offset: write.offset + FRAME_HEADER_BYTES as u64,
            latency: started.elapsed(),
        })
    }

    fn give_up(&self, reason: String) -> Poisoned {
        tracing::error!("the log is not written any more until a restart: {reason}");
        self.state.poison(&reason);
        Poisoned(reason)
    }

    fn put(&self, write: &mut Write) -> io::Result<()> {
        if let Some(previous) = write.previous.take() {
            if !self.sync {
                previous.file().sync_data()?;
            }
            previous.close();
        }
        let (header, file) = (*write.segment.header(), write.segment.file());
        let bytes = write.frame.finish(&header, write.seq, write.first);
        let offset = if write.first { 0 } else { write.offset };
        file.write_all_at(bytes, offset)?;
        if self.sync { file.sync_data() } else { Ok(()) }
    }
}

/// What a panic said.
pub(crate) fn message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "without a message",
    }
}
