//! Reads all sealed segments again and again, slowly, so that damage is found while a backup still has what is
//! lost, and not only when somebody asks for it.

use crate::Error;
use crate::pace::{Breaks, Pace};
use crate::segments::SegmentIndex;
use crate::shared::Shared;
use crate::upkeep::Step;
use journal::{Frames, Segment};
use std::time::{Duration, Instant};

/// How long after the beginning of one pass the next begins, if that one is done.
const PASS_EVERY: Duration = Duration::from_secs(86_400);
/// Bytes read in one step, about: a stop waits for no more.
const STEP_BYTES: u64 = 1 << 20;

/// How far the reading has come.
pub(crate) struct Scrub {
    reading: Option<(Segment, Frames)>,
    /// The pass goes on with the first sealed segment from this number on.
    next: u64,
    began: Instant,
    pace: Pace,
}

impl Scrub {
    pub(crate) fn new() -> Self {
        Self {
            reading: None,
            next: 0,
            began: Instant::now(),
            pace: Pace::new(),
        }
    }

    /// Reads a little, if the pace allows it. Damage that it finds is noted and no error: it goes on behind it.
    pub(crate) fn step(&mut self, shared: &Shared) -> Result<Step, Error> {
        if !self.pace.allows(shared.options.scrub_bytes_per_second) {
            return Ok(Step::Idle);
        }
        if self.reading.is_none() {
            self.reading = self.next_segment(shared);
        }
        let Some((segment, frames)) = &mut self.reading else {
            if self.began.elapsed() >= PASS_EVERY {
                (self.next, self.began) = (0, Instant::now());
            }
            return Ok(Step::Idle);
        };
        let (mut bytes, breaks) = (0, Breaks::new(|| shared.is_in_a_hurry()));
        while bytes < STEP_BYTES {
            breaks.pause();
            match frames.next() {
                Some(Ok(frame)) => bytes += frame.payload.len() as u64,
                Some(Err(damage)) => {
                    // One that was replaced or removed meanwhile matters to nobody.
                    if shared.published.read().segments.has(segment) {
                        let _ = shared.damage.note::<()>(Err(Error::from_damage(damage)));
                    }
                    bytes += STEP_BYTES;
                }
                None => {
                    self.next = segment.number + 1;
                    self.reading = None;
                    break;
                }
            }
        }
        self.pace.spend(bytes);
        shared.observer.scrubbed(bytes);
        Ok(Step::More)
    }

    fn next_segment(&self, shared: &Shared) -> Option<(Segment, Frames)> {
        let segments = shared.published.read().segments.all();
        let mut left = segments.iter().filter(|entry| entry.segment.number >= self.next);
        let found = left.find(|entry| matches!(entry.index, SegmentIndex::Sealed(_)))?;
        Some((found.segment.clone(), found.segment.frames()))
    }
}
