//! The background: index full segments, keep the registry's checkpoint young, put evicted windows aside.
//!
//! One thread does all of it, so that these never compete for the disk with each other.

use crate::agent::{AgentName, AgentNo, AgentState};
use crate::checkpoint::{self, Covered};
use crate::shared::Shared;
use crate::{Error, segments};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use parking_lot::{Condvar, Mutex, MutexGuard, RwLockReadGuard};
use std::time::Duration;

/// Full segments without an index, beyond which writers wait: a start has to read all of them.
const MAX_UNSEALED: usize = 3;
/// Evicted windows that wait to be written; more are simply dropped, they can be rebuilt.
const MAX_WAITING_COPIES: usize = 4_096;
/// Log bytes after which a small registry gets a new checkpoint.
const CHECKPOINT_EVERY_BYTES: u64 = 48 << 20;
/// How often who waits for a file looks whether it can come at all.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The background's inbox, and what writers must know of its backlog.
pub(crate) struct Sealing {
    jobs: (Sender<Job>, Receiver<Job>),
    copies: (Sender<Copy>, Receiver<Copy>),
    backlog: Mutex<Backlog>,
    changed: Condvar,
}

enum Job {
    Seal(u64),
    /// Write some derived files anew, and say how that went.
    Renew(Derived, Sender<Result<(), Error>>),
    Close,
}

/// What is derived from the log and kept in files for the next start.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Derived {
    /// The copies of windows, in all their files.
    Copies,
    /// The agents' checkpoint, in the older one of its two files.
    Checkpoint,
}

type Copy = (AgentNo, AgentState);

#[derive(Default)]
struct Backlog {
    unsealed: usize,
    /// Jobs that were handed in and are not done.
    jobs: usize,
    /// How many wait until jobs are done.
    waiting: usize,
    trouble: Option<String>,
    closing: bool,
}

impl Sealing {
    pub(crate) fn new() -> Self {
        Self {
            jobs: unbounded(), // bounded by MAX_UNSEALED, since writers wait
            copies: bounded(MAX_WAITING_COPIES),
            backlog: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Tells that this segment takes no more frames and is published whole.
    pub(crate) fn seal(&self, number: u64) {
        self.backlog.lock().unsealed += 1;
        self.hand_in(Job::Seal(number));
    }

    fn hand_in(&self, job: Job) {
        self.backlog.lock().jobs += 1;
        // Fails only once the background has ended; then the next start does it.
        let _ = self.jobs.0.send(job);
    }

    /// Waits until what was handed in is done, or can't be done now.
    pub(crate) fn wait_until_idle(&self) {
        drop(self.wait_while(|b| b.jobs > 0 && b.trouble.is_none() && !b.closing));
    }

    fn wait_while(&self, mut is_busy: impl FnMut(&Backlog) -> bool) -> MutexGuard<'_, Backlog> {
        let mut backlog = self.backlog.lock();
        if is_busy(&backlog) {
            backlog.waiting += 1;
            self.changed.notify_all();
            self.changed.wait_while(&mut backlog, |b| is_busy(b));
            backlog.waiting -= 1;
        }
        backlog
    }

    /// Waits until somebody waits for jobs to be done.
    fn wait_for_somebody(&self) {
        let mut backlog = self.backlog.lock();
        self.changed
            .wait_while(&mut backlog, |b| b.waiting == 0 && !b.closing);
    }

    fn done(&self) {
        self.backlog.lock().jobs -= 1;
        self.changed.notify_all();
    }

    /// Puts an evicted window aside when there is time.
    pub(crate) fn put_aside(&self, no: AgentNo, state: AgentState) {
        let _ = self.copies.0.try_send((no, state));
    }

    /// Lets the background finish what it has and end.
    pub(crate) fn close(&self) {
        self.backlog.lock().closing = true;
        self.changed.notify_all();
        let _ = self.jobs.0.send(Job::Close);
    }

    /// Has these files written anew, durably, without agents that were erased. Fails at once while a segment cannot be
    /// indexed: that may last until others let segments go, who must not wait for it here.
    pub(crate) fn renew(&self, what: Derived) -> Result<(), Error> {
        self.check()?;
        let (answer, answers) = bounded(1);
        self.hand_in(Job::Renew(what, answer));
        loop {
            match answers.recv_timeout(LOOK_EVERY) {
                Ok(renewed) => return renewed,
                Err(RecvTimeoutError::Timeout) => self.check()?,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::System {
                        what: "a checkpoint",
                        why: "the store is closing".to_owned(),
                    });
                }
            }
        }
    }

    /// Waits before another attempt; true if there should be none, since the store is closing.
    fn wait_to_retry(&self, pause: Duration) -> bool {
        let mut backlog = self.backlog.lock();
        if !backlog.closing {
            self.changed.wait_for(&mut backlog, pause);
        }
        backlog.closing
    }

    /// Waits while too many full segments have no index yet; says why if that can't be helped now.
    pub(crate) fn wait_for_room(&self) -> Result<(), String> {
        let backlog = self.wait_while(|b| b.unsealed >= MAX_UNSEALED && b.trouble.is_none() && !b.closing);
        match &backlog.trouble {
            Some(trouble) if backlog.unsealed >= MAX_UNSEALED => Err(trouble.clone()),
            _ => Ok(()),
        }
    }

    /// Whether more waits than what is being done.
    pub(crate) fn is_behind(&self) -> bool {
        let backlog = self.backlog.lock();
        backlog.jobs > 1 || backlog.closing
    }

    /// Says that segments will not be indexed any more, and why.
    pub(crate) fn give_up(&self, why: &str) {
        self.backlog.lock().trouble = Some(why.to_owned());
        self.changed.notify_all();
    }

    /// Fails while something keeps a segment from being indexed.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let trouble = self.backlog.lock().trouble.clone();
        trouble.map_or(Ok(()), |why| {
            Err(Error::System {
                what: "an index",
                why,
            })
        })
    }

    /// What keeps segments from being indexed, once writers have to wait for it.
    pub(crate) fn trouble(&self) -> Option<String> {
        let backlog = self.backlog.lock();
        backlog
            .trouble
            .clone()
            .filter(|_| backlog.unsealed >= MAX_UNSEALED)
    }

    fn sealed(&self) {
        let mut backlog = self.backlog.lock();
        backlog.unsealed -= 1;
        backlog.trouble = None;
        self.changed.notify_all();
    }

    fn fail(&self, error: &Error) {
        let mut backlog = self.backlog.lock();
        if backlog.trouble.is_none() {
            tracing::warn!(%error, "a full segment cannot be indexed; trying again");
        }
        backlog.trouble = Some(error.to_string());
        self.changed.notify_all();
    }
}

/// The background thread.
pub(crate) struct Background {
    covered: Covered,
    checkpoint_bytes: u64,
    log_bytes_since: u64,
}

impl Background {
    /// After a start that found this checkpoint.
    pub(crate) fn new(covered: Covered) -> Self {
        Self {
            covered,
            checkpoint_bytes: 0,
            log_bytes_since: 0,
        }
    }

    /// Runs until told to close; then writes the last checkpoint.
    pub(crate) fn run(mut self, shared: &Shared) -> Self {
        loop {
            crossbeam_channel::select_biased! {
                recv(shared.sealing.jobs.1) -> job => match job {
                    Ok(Job::Seal(number)) => {
                        if shared.options.upkeep_every == Duration::MAX {
                            shared.sealing.wait_for_somebody();
                        }
                        self.seal(shared, number);
                        shared.sealing.done();
                    }
                    Ok(Job::Renew(what, answer)) => {
                        drop(answer.send(self.renew(shared, what)));
                        shared.sealing.done();
                    }
                    Ok(Job::Close) | Err(_) => return self,
                },
                recv(shared.sealing.copies.1) -> copy => {
                    if let Ok((no, state)) = copy {
                        put_aside(shared, no, &state);
                    }
                }
            }
        }
    }

    /// After all threads have ended: indexes the last segment, puts the windows in memory aside, and writes
    /// the checkpoint, so that the next start reads little.
    pub(crate) fn finish(&mut self, shared: &Shared, residents: &[Copy]) {
        let last = shared.published.read().segments.unsealed();
        for number in last {
            if let Err(error) = segments::seal(shared, number) {
                tracing::warn!(%error, "the last segment is not indexed; the next start does it");
            }
        }
        for (no, state) in residents {
            put_aside(shared, *no, state);
        }
        if shared.spill.has_many_files()
            && let Err(error) = move_copies(shared)
        {
            tracing::warn!(%error, "copies of windows cannot be moved to a new file");
        }
        self.checkpoint(shared);
    }

    fn renew(&mut self, shared: &Shared, what: Derived) -> Result<(), Error> {
        match what {
            Derived::Copies => move_copies(shared)
                .and_then(|()| shared.disk.sync_dir(&shared.dir))
                .map_err(Error::io(&shared.dir)),
            Derived::Checkpoint => self.write_checkpoint(shared),
        }
    }

    fn seal(&mut self, shared: &Shared, number: u64) {
        loop {
            match segments::seal(shared, number) {
                Ok(bytes) => {
                    self.log_bytes_since += bytes;
                    shared.sealing.sealed();
                    break;
                }
                Err(error) => shared.sealing.fail(&error),
            }
            if shared.sealing.wait_to_retry(shared.options.journal.retry) {
                return; // closing: the next start indexes it
            }
        }
        if self.log_bytes_since >= CHECKPOINT_EVERY_BYTES.max(self.checkpoint_bytes) {
            self.checkpoint(shared);
        }
        if let Err(error) = move_stale_copies(shared) {
            tracing::warn!(%error, "copies of windows cannot be moved to a new file");
        }
    }

    /// Writes what a start needs instead of the log so far.
    pub(crate) fn checkpoint(&mut self, shared: &Shared) {
        if let Err(error) = self.write_checkpoint(shared) {
            tracing::warn!(%error, "the agents' checkpoint cannot be written; trying again later");
        }
    }

    fn write_checkpoint(&mut self, shared: &Shared) -> Result<(), Error> {
        let (frame_seq, newest) = {
            let published = shared.published.read();
            (published.frame_seq, published.segments.newest())
        };
        // What a checkpoint covers must be in the log after whatever crash: a start without it is refused.
        if let Some(newest) = newest.filter(|_| !shared.options.journal.sync) {
            newest.sync()?;
        }
        let next = Covered {
            frame_seq,
            turn: self.covered.turn + 1,
        };
        let lock = || -> RwLockReadGuard<'_, _> { shared.published.read() };
        self.checkpoint_bytes = checkpoint::write(&*shared.disk, &shared.dir, next, lock, |published| {
            &published.registry
        })?;
        self.covered = next;
        self.log_bytes_since = 0;
        Ok(())
    }
}

/// Puts aside what waits for it now: again and again within work that takes longer than the queue has room for.
pub(crate) fn put_aside_waiting(shared: &Shared) {
    let copies = &shared.sealing.copies.1;
    for (no, state) in copies.try_iter().take(copies.len()) {
        put_aside(shared, no, &state);
    }
}

/// Writes a window's copy and tells the registry where it is.
pub(crate) fn put_aside(shared: &Shared, no: AgentNo, state: &AgentState) {
    let (org, agent_id) = {
        let published = shared.published.read();
        let entry = published.registry.entry(no);
        if entry.is_erased() {
            return;
        }
        (entry.org, std::sync::Arc::clone(&entry.agent_id))
    };
    match shared.spill.write(
        AgentName {
            org,
            agent_id: &agent_id,
        },
        state,
    ) {
        Ok(place) => shared.published.write().registry.entry_mut(no).spilled = place,
        Err(error) => tracing::debug!(%error, "a window's copy cannot be written"),
    }
}

/// Moves the copies that still hold to a new file once most of the files' bytes are stale.
fn move_stale_copies(shared: &Shared) -> std::io::Result<()> {
    let live: u64 = {
        let published = shared.published.read();
        published
            .registry
            .entries_from(0)
            .filter_map(|entry| entry.spilled)
            .map(|p| u64::from(p.bytes))
            .sum()
    };
    if shared.spill.wants_moving(live) {
        move_copies(shared)
    } else {
        Ok(())
    }
}

/// Moves the copies that still hold to a new file, and removes the others with theirs.
fn move_copies(shared: &Shared) -> std::io::Result<()> {
    shared.spill.begin_file()?;
    let newest = shared.spill.newest_file();
    let agents = shared.published.read().registry.len();
    for no in (0..agents).map(|no| AgentNo(u32::try_from(no).unwrap_or(u32::MAX))) {
        put_aside_waiting(shared);
        let (org, agent_id, facts, place) = {
            let published = shared.published.read();
            let entry = published.registry.entry(no);
            (
                entry.org,
                std::sync::Arc::clone(&entry.agent_id),
                entry.facts(),
                entry.spilled,
            )
        };
        let name = AgentName {
            org,
            agent_id: &agent_id,
        };
        let Some(old) = place.filter(|place| Some(place.file) != newest) else {
            continue;
        };
        let moved = match shared.spill.read(old, name).filter(|state| state.facts == facts) {
            Some(state) => shared.spill.write(name, &state)?,
            None => None,
        };
        let mut published = shared.published.write();
        let spilled = &mut published.registry.entry_mut(no).spilled;
        if *spilled == Some(old) {
            *spilled = moved;
        }
    }
    shared.spill.drop_old_files()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segments::SegmentIndex;
    use crate::{Options, OrgId, Unobserved, recover};
    use journal::SimDisk;
    use reputation::Micros;
    use std::path::Path;
    use std::sync::Arc;

    #[test]
    fn windows_that_leave_memory_are_put_aside_also_while_a_segment_is_indexed() {
        let recover::Recovered {
            shared, mut journal, ..
        } = recover::open(
            Arc::new(SimDisk::new(0)),
            Path::new("/data"),
            Options::default(),
            Arc::new(Unobserved),
        )
        .expect("a new store");
        let state = AgentState::new(Micros(0));
        let segment = journal.reserve(100).expect("room").segment;
        let (number, no) = {
            let mut published = shared.published.write();
            let open = SegmentIndex::Open(Arc::default());
            published.segments.push(segment.clone(), open);
            let no = published.registry.add(OrgId(1), "a".into(), state.facts);
            (segment.number, no)
        };
        shared.sealing.put_aside(no, state);
        // The index is written; to give the segment its length would take another one after it.
        let sealed = segments::seal(&shared, number);
        assert!(matches!(
            sealed,
            Err(Error::Journal(journal::Error::StillOpen { .. }))
        ));
        assert!(shared.published.read().registry.entry(no).spilled.is_some());
        journal.close();
    }

    #[test]
    fn it_is_behind_when_more_waits_than_one_segment_and_when_it_ends() {
        let sealing = Sealing::new();
        sealing.seal(1);
        assert!(!sealing.is_behind());
        sealing.seal(2);
        assert!(sealing.is_behind());
        sealing.done();
        assert!(!sealing.is_behind());
        sealing.close();
        assert!(sealing.is_behind());
    }

    #[test]
    fn nobody_waits_for_a_file_behind_a_segment_that_cannot_be_indexed() {
        let sealing = Arc::new(Sealing::new());
        let renew = || {
            let (sealing, (answer, answers)) = (Arc::clone(&sealing), bounded(1));
            std::thread::spawn(move || answer.send(sealing.renew(Derived::Checkpoint)));
            answers
        };
        sealing.seal(1);
        let early = renew();
        let waits = early.recv_timeout(Duration::from_millis(100));
        assert!(matches!(waits, Err(RecvTimeoutError::Timeout)), "{waits:?}");
        sealing.fail(&Error::System {
            what: "an index",
            why: "no room".to_owned(),
        });
        for renewed in [early, renew()] {
            let told = renewed.recv_timeout(Duration::from_secs(10)).expect("an answer");
            assert!(
                matches!(told, Err(Error::System { what: "an index", .. })),
                "{told:?}"
            );
        }
    }
}
