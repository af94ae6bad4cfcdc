//! Segments of small commits written anew. Each commit takes whole sectors of the disk, so single events are
//! mostly padding; the next generation has the records of many commits in one frame.

use crate::codec::{Gathered, records_by_commit};
use crate::index::OpenIndex;
use crate::pace::{Breaks, Pace};
use crate::segments::{self, SegmentIndex, damaged};
use crate::shared::Shared;
use crate::upkeep::Step;
use crate::{Error, recover};
use hashbrown::HashSet;
use journal::{Frames, Rewrite, Segment};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A segment whose batches take more than this, padding included, is as good as compact: two sectors.
const SMALL_BATCH_BYTES: u64 = 1 << 10;
/// How large the new frames are, about: what is lost together when a byte is damaged.
const FRAME_BYTES: usize = 64 << 10;
/// Bytes read in one step, about: a stop waits for no more, but for the index at the end.
const STEP_BYTES: u64 = 1 << 20;
/// Event bytes a second beyond which it waits: the log needs the disk and the processor.
const BUSY_BYTES_PER_SECOND: u64 = 16 << 20;
/// How long the log is watched before it is called busy or not.
const WATCH: Duration = Duration::from_secs(1);
/// How long it rests after a failure, as of a full disk, whose last bytes are the log's.
const REST: Duration = Duration::from_secs(60);

/// How far it has come.
pub(crate) struct Compaction {
    in_hand: Option<InHand>,
    /// Generations that could not be rewritten since they are damaged.
    given_up: HashSet<(u64, u32)>,
    /// When it may be tried again, after a failure.
    rests_until: Option<Instant>,
    pace: Pace,
    load: Load,
}

struct InHand {
    segment: Segment,
    frames: Frames,
    rewrite: Rewrite,
    gathered: Gathered,
}

impl Compaction {
    pub(crate) fn new() -> Self {
        Self {
            in_hand: None,
            given_up: HashSet::new(),
            rests_until: None,
            pace: Pace::new(),
            load: Load::new(),
        }
    }

    /// Takes the next step, if the pace allows it.
    pub(crate) fn step(&mut self, shared: &Shared) -> Result<Step, Error> {
        let bytes_per_second = shared.options.compaction_bytes_per_second;
        let rests = self.rests_until.is_some_and(|until| Instant::now() < until);
        if rests || !self.pace.allows(bytes_per_second) || self.load.is_heavy(shared) {
            return Ok(Step::Idle);
        }
        let in_hand = match self.in_hand.take() {
            Some(in_hand) if shared.published.read().segments.has(&in_hand.segment) => in_hand,
            // Retention or an erasure was faster.
            Some(in_hand) => {
                in_hand.rewrite.abandon();
                return Ok(Step::More);
            }
            None => match self.candidate(shared) {
                Some(segment) => InHand {
                    frames: segment.frames(),
                    rewrite: segment.compact()?,
                    gathered: Gathered::default(),
                    segment,
                },
                None => return Ok(Step::Idle),
            },
        };
        let place = (in_hand.segment.number, in_hand.segment.generation);
        let outcome = self.go_on(shared, in_hand);
        match &outcome {
            Err(error) if error.is_damage() => drop(self.given_up.insert(place)),
            Err(_) => self.rests_until = Some(Instant::now() + REST),
            Ok(_) => {}
        }
        outcome
    }

    fn candidate(&self, shared: &Shared) -> Option<Segment> {
        let segments = shared.published.read().segments.all();
        let is_wasteful = |segment: &Segment, index: &SegmentIndex| match index {
            SegmentIndex::Open(_) => false,
            SegmentIndex::Sealed(index) => {
                index.batches > 1 && segment.end() < u64::from(index.batches) * SMALL_BATCH_BYTES
            }
        };
        let found = segments.iter().find(|entry| {
            let segment = &entry.segment;
            !segment.is_compact()
                && is_wasteful(segment, &entry.index)
                && !self.given_up.contains(&(segment.number, segment.generation))
        });
        found.map(|entry| entry.segment.clone())
    }

    fn go_on(&mut self, shared: &Shared, mut in_hand: InHand) -> Result<Step, Error> {
        let (mut bytes, breaks) = (0, Breaks::new(|| shared.is_in_a_hurry()));
        while bytes < STEP_BYTES {
            breaks.pause();
            let frame = match in_hand.frames.next() {
                Some(Ok(frame)) => frame,
                Some(Err(damage)) => {
                    in_hand.rewrite.abandon();
                    return Err(Error::from_damage(damage));
                }
                None => {
                    self.pace.spend(bytes);
                    return in_hand.finish(shared).map(|()| Step::More);
                }
            };
            bytes += frame.payload.len() as u64;
            if let Err(error) = in_hand.take(&frame) {
                in_hand.rewrite.abandon();
                return Err(error);
            }
        }
        self.pace.spend(bytes);
        self.in_hand = Some(in_hand);
        Ok(Step::More)
    }
}

impl InHand {
    fn take(&mut self, frame: &journal::FrameRef) -> Result<(), Error> {
        let malformed = |what| damaged(&self.segment, frame.payload_offset, what);
        for (seq, record) in records_by_commit(frame).map_err(malformed)? {
            self.gathered.commit(seq);
            self.gathered.push(&record, record.body);
        }
        self.gathered.commit(frame.seq);
        if self.gathered.len() >= FRAME_BYTES {
            self.push()?;
        }
        Ok(())
    }

    fn push(&mut self) -> Result<(), Error> {
        if let Some((seq, payload)) = self.gathered.take() {
            self.rewrite.push(seq, &payload)?;
        }
        Ok(())
    }

    /// Puts the new generation in the place of the old one.
    fn finish(mut self, shared: &Shared) -> Result<(), Error> {
        if let Err(error) = self.push() {
            self.rewrite.abandon();
            return Err(error);
        }
        let before = self.segment.end();
        let anew = self.rewrite.finish()?;
        let open = OpenIndex::default();
        let breaks = Breaks::new(|| shared.is_in_a_hurry());
        for frame in anew.frames() {
            breaks.pause();
            let frame = frame.map_err(journal::Error::from)?;
            recover::index_frame(&anew, &frame, &open)?;
        }
        let sealed = segments::write_index(shared, &anew, &open, || ())?;
        shared.observer.compacted(before.saturating_sub(anew.end()));
        segments::replace(shared, &self.segment, anew, SegmentIndex::Sealed(sealed));
        Ok(())
    }
}

/// Whether the log is busy.
struct Load {
    since: Instant,
    /// Event bytes that were published until then.
    bytes: u64,
    is_heavy: bool,
}

impl Load {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            bytes: 0,
            is_heavy: false,
        }
    }

    fn is_heavy(&mut self, shared: &Shared) -> bool {
        let elapsed = self.since.elapsed();
        if elapsed >= WATCH {
            let bytes = shared.event_bytes.load(Ordering::Relaxed);
            let grown = bytes.saturating_sub(self.bytes) as f64;
            self.is_heavy = grown > elapsed.as_secs_f64() * BUSY_BYTES_PER_SECOND as f64;
            (self.since, self.bytes) = (Instant::now(), bytes);
        }
        self.is_heavy
    }
}
