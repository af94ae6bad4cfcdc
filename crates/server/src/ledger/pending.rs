//! What was counted and is not written down yet.

use super::{Fate, Item, Span};
use reputation::Micros;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use store::{Booked, KeyId, OrgId};

/// Lines beyond which no further minute is begun: what comes is counted in the newest one, so that memory stays
/// bounded where the database cannot be written for long.
const MAX_LINES: usize = 200_000;

/// Where a count belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) org: OrgId,
    pub(super) key: KeyId,
    pub(super) minute: Micros,
    pub(super) item: Item,
}

/// Counts, and the last frame of the log that is among them or was written before.
#[derive(Debug, Default)]
pub(super) struct Pending {
    lines: HashMap<Place, u64>,
    covered: u64,
    newest: Micros,
}

impl Pending {
    /// Nothing, after a database that has all frames up to this one.
    pub(super) fn after(covered: u64) -> Self {
        Self {
            covered,
            ..Self::default()
        }
    }

    /// The last frame whose batches are counted.
    pub(super) fn covered(&self) -> u64 {
        self.covered
    }

    pub(super) fn cover(&mut self, frame_seq: u64) {
        self.covered = frame_seq;
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = (&Place, u64)> {
        self.lines.iter().map(|(place, count)| (place, *count))
    }

    /// Counts a frame's batches.
    pub(super) fn book(&mut self, frame_seq: u64, batches: &[Booked]) {
        for batch in batches {
            let minute = Span::Minute.start(batch.received_at);
            let of = |fate| Place {
                org: batch.org,
                key: batch.key,
                minute,
                item: Item::Events(fate),
            };
            self.add(of(Fate::Recorded), batch.recorded.into());
            self.add(of(Fate::Duplicate), batch.duplicates.into());
        }
        self.covered = frame_seq;
    }

    pub(super) fn add(&mut self, mut place: Place, count: u64) {
        if count == 0 {
            return;
        }
        let is_full = self.lines.len() >= MAX_LINES;
        if place.minute > self.newest {
            if is_full {
                place.minute = self.newest;
            } else {
                self.newest = place.minute;
            }
        }
        match self.lines.entry(place) {
            Entry::Occupied(line) => *line.into_mut() += count,
            Entry::Vacant(line) => {
                line.insert(count);
            }
        }
    }

    /// Everything, to be written; what is counted from now on is another's.
    pub(super) fn take(&mut self) -> Self {
        Self {
            lines: std::mem::take(&mut self.lines),
            ..*self
        }
    }

    /// What could not be written.
    pub(super) fn put_back(&mut self, taken: Self) {
        for (place, count) in taken.lines {
            self.add(place, count);
        }
    }
}
