//! The segments that readers see, each with its index, oldest first.

use crate::agent::AgentNo;
use crate::codec::{AgentWord, Malformed};
use crate::index::{self, AgentIn, BatchPlace, CarryPlace, NewBatch, OpenIndex, SealedIndex, SegmentExtent};
use crate::pace::Breaks;
use crate::query::{Past, Snapshot, View};
use crate::shared::Shared;
use crate::span::TimeSpan;
use crate::{Error, OrgId, Stats, sealing};
use hashbrown::HashSet;
use journal::Segment;
use reputation::Micros;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// All published segments. There may be thousands, and whoever reads takes hold of all: so each is behind one pointer.
#[derive(Default)]
pub(crate) struct Segments {
    entries: Vec<Arc<IndexedSegment>>,
}

/// A segment with its index.
pub(crate) struct IndexedSegment {
    pub(crate) segment: Segment,
    pub(crate) index: SegmentIndex,
    /// That of a sealed index, here again so that a query goes by the segments of other times at a glance.
    pub(crate) sealed_span: Option<TimeSpan>,
}

impl IndexedSegment {
    pub(crate) fn new(segment: Segment, index: SegmentIndex) -> Self {
        let sealed_span = match &index {
            SegmentIndex::Open(_) => None,
            SegmentIndex::Sealed(sealed) => sealed.span,
        };
        Self {
            segment,
            index,
            sealed_span,
        }
    }
}

/// What a group has besides words and batches.
#[derive(Default)]
pub(crate) struct Other {
    pub(crate) received_at: Micros,
    pub(crate) carries: Vec<NewCarry>,
}

/// A carry record that is new in the segment.
pub(crate) struct NewCarry {
    pub(crate) no: AgentNo,
    pub(crate) agent: AgentWord,
    pub(crate) place: CarryPlace,
    pub(crate) has_window: bool,
}

/// Where a segment's index is.
#[derive(Clone)]
pub(crate) enum SegmentIndex {
    /// In memory: the segment is open, or its index file is not written yet.
    Open(Arc<OpenIndex>),
    /// In its file.
    Sealed(Arc<SealedIndex>),
}

impl SegmentIndex {
    /// How many events it has.
    pub(crate) fn events(&self) -> u32 {
        match self {
            Self::Open(index) => index.read().events(),
            Self::Sealed(index) => index.events,
        }
    }

    /// How many batches it has.
    pub(crate) fn batches(&self) -> u32 {
        match self {
            Self::Open(index) => index.read().batches(),
            Self::Sealed(index) => index.batches,
        }
    }

    /// The earliest and the latest recorded time of its rows, if it has any.
    pub(crate) fn time_span(&self) -> Option<TimeSpan> {
        match self {
            Self::Open(index) => index.read().time_span(),
            Self::Sealed(index) => index.span,
        }
    }

    /// The batch with this number, in order of arrival; `None` where it has fewer.
    pub(crate) fn batch(&self, number: u32) -> Result<Option<BatchPlace>, Error> {
        match self {
            Self::Open(index) => Ok(index.read().batch(number)),
            Self::Sealed(index) if number < index.batches => index.batch(number).map(Some),
            Self::Sealed(_) => Ok(None),
        }
    }

    /// The batch that holds the row at this ordinal; `None` where it has no such row.
    pub(crate) fn batch_of(&self, ordinal: u32) -> Result<Option<BatchPlace>, Error> {
        match self {
            Self::Open(index) => Ok(index.read().batch_of(ordinal)),
            Self::Sealed(index) => index.batch_of(ordinal),
        }
    }

    /// The agent with this number in the segment's dictionary.
    pub(crate) fn agent_id(&self, word: AgentWord) -> Result<Option<Arc<str>>, Error> {
        match self {
            Self::Open(index) => Ok(index.read().agent_id(word)),
            Self::Sealed(index) => index.agent_id(word).map(Some),
        }
    }

    /// The latest time of receipt of anything in the segment.
    pub(crate) fn newest_receipt(&self) -> Option<Micros> {
        match self {
            Self::Open(index) => index.read().newest_receipt(),
            Self::Sealed(index) => index.newest_receipt,
        }
    }

    /// The agents of the segment's dictionary.
    pub(crate) fn agents(&self) -> Result<Vec<AgentIn>, Error> {
        match self {
            Self::Open(index) => Ok(index.read().agents().collect()),
            Self::Sealed(index) => index.agents().collect(),
        }
    }
}

impl Segments {
    /// Adds a segment, newer than all before.
    pub(crate) fn push(&mut self, segment: Segment, index: SegmentIndex) {
        self.entries.push(Arc::new(IndexedSegment::new(segment, index)));
    }

    /// Shows a group's words and batches; says which segment is full, if this group began another.
    pub(crate) fn publish(
        &mut self,
        segment: &Segment,
        words: &[Vec<u8>],
        batches: &[NewBatch],
        other: &Other,
    ) -> Result<Option<u64>, Malformed> {
        let before = self
            .entries
            .last()
            .map(|entry| (entry.segment.number, &entry.index));
        let full = match before {
            Some((number, SegmentIndex::Open(_))) if number != segment.number => Some(number),
            _ => None,
        };
        if before.is_none_or(|(number, _)| number != segment.number) {
            self.push(segment.clone(), SegmentIndex::Open(Arc::default()));
        }
        if let Some(SegmentIndex::Open(index)) = self.entries.last().map(|entry| &entry.index) {
            words.iter().try_for_each(|words| index.add_words(words))?;
            index.add_batches(batches)?;
            let mut carries = other.carries.iter();
            carries.try_for_each(|carry| index.add_carry(carry.agent, carry.place, other.received_at))?;
            index.received(other.received_at);
        }
        Ok(full)
    }

    /// All of them as they are now, to look for an organisation's rows in.
    pub(crate) fn past(&self, org: OrgId) -> Past {
        Past::new(org, self.entries.clone())
    }

    /// What is stored of an organisation, or of one of its agents, now, from this segment on.
    pub(crate) fn snapshot(&self, org: OrgId, agent_id: Option<&str>, from: u64) -> Snapshot {
        let views = self
            .entries
            .iter()
            .filter(|entry| entry.segment.number >= from)
            .map(|entry| View::new(Arc::clone(entry), org, agent_id));
        Snapshot::new(org, agent_id, views.collect())
    }

    /// The segments whose indexes are in memory.
    pub(crate) fn unsealed(&self) -> Vec<u64> {
        let open = self
            .entries
            .iter()
            .filter(|entry| matches!(entry.index, SegmentIndex::Open(_)));
        open.map(|entry| entry.segment.number).collect()
    }

    /// The segments that have frames after this one, oldest first.
    pub(crate) fn after(&self, frame_seq: u64) -> Vec<Segment> {
        let segments = self.entries.iter().map(|entry| &entry.segment);
        segments
            .filter(|segment| segment.last_seq() > frame_seq)
            .cloned()
            .collect()
    }

    /// The names of the index files that segments have or will have.
    pub(crate) fn index_names(&self) -> HashSet<String> {
        let name = |entry: &Arc<IndexedSegment>| index_name((entry.segment.number, entry.segment.generation));
        self.entries.iter().map(name).collect()
    }

    fn place_of(&self, number: u64) -> Option<usize> {
        let found = self
            .entries
            .binary_search_by_key(&number, |entry| entry.segment.number);
        found.ok()
    }

    fn find(&self, number: u64) -> Option<&Arc<IndexedSegment>> {
        self.place_of(number).map(|at| &self.entries[at])
    }

    /// Gives a segment another index, unless it is gone or another generation has taken its place; says whether it did.
    fn set_index(&mut self, segment: &Segment, index: SegmentIndex) -> bool {
        let at = self.place_of(segment.number);
        let at = at.filter(|at| self.entries[*at].segment.generation == segment.generation);
        if let Some(at) = at {
            self.entries[at] = Arc::new(IndexedSegment::new(segment.clone(), index));
        }
        at.is_some()
    }

    /// Whether this very generation is shown.
    pub(crate) fn has(&self, segment: &Segment) -> bool {
        self.find(segment.number)
            .is_some_and(|entry| entry.segment.generation == segment.generation)
    }

    /// The newest segment.
    pub(crate) fn newest(&self) -> Option<Segment> {
        self.entries.last().map(|entry| entry.segment.clone())
    }

    /// All segments with their indexes, oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<IndexedSegment>> {
        self.entries.clone()
    }

    /// The oldest segment, with its index, and the number of the newest.
    pub(crate) fn ends(&self) -> Option<(Arc<IndexedSegment>, u64)> {
        let (oldest, newest) = (self.entries.first()?, self.entries.last()?);
        Some((Arc::clone(oldest), newest.segment.number))
    }

    /// Shows the oldest segment no more.
    fn drop_oldest(&mut self, number: u64) {
        if self
            .entries
            .first()
            .is_some_and(|entry| entry.segment.number == number)
        {
            self.entries.remove(0);
        }
    }

    /// Figures of the segments.
    pub(crate) fn stats(&self) -> Stats {
        let mut stats = Stats {
            segments: self.entries.len() as u64,
            ..Stats::default()
        };
        for entry in &self.entries {
            stats.bytes += entry.segment.end();
            if let SegmentIndex::Sealed(index) = &entry.index {
                stats.bytes += index.file_bytes;
            }
            stats.events += u64::from(entry.index.events());
            if let Some(TimeSpan { min, max }) = entry.index.time_span() {
                stats.oldest_event = Some(stats.oldest_event.map_or(min, |oldest| oldest.min(min)));
                stats.newest_event = stats.newest_event.max(Some(max));
            }
        }
        stats
    }
}

/// Writes the index of a full segment, lets it take the place of the one in memory, and gives the segment
/// its exact length. Says how many bytes of log that settles.
pub(crate) fn seal(shared: &Shared, number: u64) -> Result<u64, Error> {
    let Some(entry) = shared.published.read().segments.find(number).cloned() else {
        return Ok(0);
    };
    let SegmentIndex::Open(open) = &entry.index else {
        return Ok(0);
    };
    // With its breaks it takes a second, in which far more windows may leave memory than can wait.
    let sealed = write_index(shared, &entry.segment, open, || {
        sealing::put_aside_waiting(shared);
    })?;
    entry.segment.trim()?;
    shared
        .published
        .write()
        .segments
        .set_index(&entry.segment, SegmentIndex::Sealed(sealed));
    Ok(entry.segment.end())
}

/// The index of a segment, as it is now.
pub(crate) fn index_of(shared: &Shared, number: u64) -> Option<SegmentIndex> {
    let published = shared.published.read();
    published.segments.find(number).map(|entry| entry.index.clone())
}

/// Shows a new generation, which is in its place on the disk, instead of the old one.
pub(crate) fn replace(shared: &Shared, old: &Segment, new: Segment, index: SegmentIndex) {
    {
        let segments = &mut shared.published.write().segments;
        if let Some(at) = segments.place_of(old.number) {
            segments.entries[at] = Arc::new(IndexedSegment::new(new, index));
        }
    }
    remove_index(shared, old);
}

/// Removes the index of a generation that is gone. If it stays, the next start removes it.
fn remove_index(shared: &Shared, segment: &Segment) {
    let path = index_path(&shared.dir, &SegmentExtent::of(segment));
    let removed = shared
        .disk
        .remove(&path)
        .and_then(|()| shared.disk.sync_dir(&shared.dir));
    if let Err(error) = removed {
        tracing::warn!(file = %path.display(), %error, "an index of a segment that is gone cannot be removed");
    }
}

/// Removes the oldest segment for good: first from the disk, so that a failure leaves all as it was.
pub(crate) fn remove_oldest(shared: &Shared, segment: &Segment) -> Result<(), Error> {
    segment.remove()?;
    shared.published.write().segments.drop_oldest(segment.number);
    remove_index(shared, segment);
    Ok(())
}

/// Writes the index file of a segment and opens it; calls `meanwhile` again and again.
pub(crate) fn write_index(
    shared: &Shared,
    segment: &Segment,
    open: &OpenIndex,
    meanwhile: impl Fn(),
) -> Result<Arc<SealedIndex>, Error> {
    let extent = SegmentExtent::of(segment);
    let path = index_path(&shared.dir, &extent);
    let io = |source| Error::Io {
        path: path.clone(),
        source,
    };
    let breaks = Breaks::new(|| shared.is_in_a_hurry());
    let pause = || {
        meanwhile();
        breaks.pause();
    };
    let written = journal::replace_atomically(&*shared.disk, &path, |put| {
        let put = |piece: &[u8]| {
            put(piece)?;
            pause();
            Ok(())
        };
        index::write(&extent, open, put, pause)
    });
    written.map_err(io)?;
    let opened = SealedIndex::open(&*shared.disk, &path, &extent, &shared.blocks);
    opened.map(Arc::new).ok_or_else(|| Error::Index {
        file: path,
        offset: 0,
        what: "it reads back different from what was written".to_owned(),
    })
}

/// Builds the index of a segment anew from the segment itself, since its file turned out to be damaged. Of those who find
/// that out together one does it, and the others wait.
pub(crate) fn rebuild(shared: &Shared, file: &Path) -> Result<(), Error> {
    let find = || {
        let published = shared.published.read();
        let is_it = |entry: &&Arc<IndexedSegment>| {
            index_path(&shared.dir, &SegmentExtent::of(&entry.segment)) == file
        };
        published.segments.entries.iter().find(is_it).cloned()
    };
    let Some(entry) = find() else { return Ok(()) };
    let _turn = shared.rebuilding.lock();
    if find().is_none_or(|now| !Arc::ptr_eq(&now, &entry)) {
        return Ok(()); // it was done, or the segment is gone
    }
    tracing::warn!(file = %file.display(), "an index is damaged: building it anew from its segment");
    let open = OpenIndex::default();
    for frame in entry.segment.frames() {
        let frame = frame.map_err(journal::Error::from)?;
        crate::recover::index_frame(&entry.segment, &frame, &open)?;
    }
    let sealed = SegmentIndex::Sealed(write_index(shared, &entry.segment, &open, || ())?);
    if !shared
        .published
        .write()
        .segments
        .set_index(&entry.segment, sealed)
    {
        remove_index(shared, &entry.segment);
    }
    Ok(())
}

/// Where the index of a segment lies.
pub(crate) fn index_path(dir: &Path, extent: &SegmentExtent) -> PathBuf {
    index_path_of(dir, (extent.number, extent.generation))
}

/// The same by the number and the generation of the segment.
pub(crate) fn index_path_of(dir: &Path, name: (u64, u32)) -> PathBuf {
    dir.join(index_name(name))
}

fn index_name((number, generation): (u64, u32)) -> String {
    format!("{number:010}-{generation:03}.idx")
}

/// Says where a record of a segment makes no sense.
pub(crate) fn damaged(segment: &Segment, offset: u64, what: Malformed) -> Error {
    Error::Damaged {
        file: segment.path.to_path_buf(),
        offset,
        what: what.to_string(),
    }
}
