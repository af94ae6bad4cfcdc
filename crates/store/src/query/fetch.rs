//! From a row's address to the event: read its batch record, decode the row, look its words up.

use super::Found;
use crate::codec::{AgentWord, BatchReader, Malformed, Row, TextRef, TextWord};
use crate::facts::Recorded;
use crate::index::{BatchPlace, SealedWords};
use crate::segments::{IndexedSegment, SegmentIndex};
use crate::{Error, StoredEvent};
use journal::{RECORD_HEADER_BYTES, Segment};
use reputation::{Evaluation, GateResult};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An event that takes longer did not come from memory.
const FROM_MEMORY: Duration = Duration::from_micros(50);

/// The batch record that was read last: neighbours often share one, also those of different agents.
#[derive(Default)]
struct LastRecord {
    found: Option<Record>,
    /// The record as it stands in the log; what it held is used again for the next one.
    bytes: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Record {
    /// Number and generation of the segment.
    segment: (u64, u32),
    place: BatchPlace,
    /// How many it has.
    rows: u32,
}

impl LastRecord {
    /// Where it is, if it has the row at this ordinal of this segment.
    fn with(&self, segment: (u64, u32), ordinal: u32) -> Option<BatchPlace> {
        let record = self.found?;
        let nth = ordinal.checked_sub(record.place.first_ordinal)?;
        (record.segment == segment && nth < record.rows).then_some(record.place)
    }

    fn body(&self) -> &[u8] {
        self.bytes.get(RECORD_HEADER_BYTES..).unwrap_or_default()
    }
}

/// What counting a stored event, and telling it from others, takes of it: far less than all.
pub(crate) struct Counted {
    pub(crate) event: Recorded,
    pub(crate) evaluation_id: Option<String>,
    /// `total_latency_ms`, in microseconds.
    pub(crate) latency_us: u32,
    pub(crate) passed: bool,
}

/// Reads rows of some segments, each named by its place among them.
pub(super) struct Fetcher<'a, S> {
    segments: &'a [S],
    last: LastRecord,
    /// The words of sealed segments in use, held so that each is read once.
    words: Vec<(usize, Arc<SealedWords>)>,
    /// The agent of the row that was decoded last.
    agent: Option<((usize, AgentWord), Arc<str>)>,
}

impl<'a, S: AsRef<IndexedSegment>> Fetcher<'a, S> {
    pub(super) fn new(segments: &'a [S]) -> Self {
        Self {
            segments,
            last: LastRecord::default(),
            words: Vec::new(),
            agent: None,
        }
    }

    /// The event at this ordinal of this segment, which is one that its index lists.
    pub(super) fn event(&mut self, at: usize, ordinal: u32) -> Result<StoredEvent, Error> {
        let event = self.event_or_none(at, ordinal)?;
        event.ok_or_else(|| self.damaged(at, 0, "its index lists a row that was erased"))
    }

    /// The event at this ordinal of this segment; `None` if it was erased.
    pub(super) fn event_or_none(&mut self, at: usize, ordinal: u32) -> Result<Option<StoredEvent>, Error> {
        self.with_record(at, ordinal, |fetcher, body, index| {
            fetcher.decode(at, body, index)
        })
    }

    /// The events of these rows, in their order. Each record is read once. Where the disk has to be waited for, it is told
    /// of all others that are wanted, so that they come together.
    pub(super) fn events(&mut self, rows: &[Found]) -> Result<Vec<StoredEvent>, Error> {
        let mut by_place: Vec<(usize, Found)> = rows.iter().copied().enumerate().collect();
        by_place.sort_unstable_by_key(|(_, found)| (found.view, found.ordinal));
        let mut events: Vec<Option<StoredEvent>> = rows.iter().map(|_| None).collect();
        let mut is_told = false;
        for (done, (nth, found)) in by_place.iter().enumerate() {
            let started = Instant::now();
            events[*nth] = Some(self.event(found.view, found.ordinal)?);
            if !is_told && started.elapsed() > FROM_MEMORY {
                is_told = true;
                for (_, found) in &by_place[done + 1..] {
                    let place = self.place(found.view, found.ordinal)?;
                    self.segment(found.view).will_read(place.offset, place.bytes);
                }
            }
        }
        Ok(events.into_iter().flatten().collect())
    }

    /// What counting the event at this ordinal of this segment takes of it.
    pub(super) fn counted(&mut self, at: usize, ordinal: u32) -> Result<Counted, Error> {
        let found = self.with_record(at, ordinal, |_, body, index| {
            let reader = BatchReader::new(body)?;
            Ok(reader.row(index)?.map(|row| Counted {
                event: Recorded::of(
                    &row,
                    reader.header.source,
                    reader.header.first_seq + u64::from(index),
                ),
                evaluation_id: row.evaluation_id.map(|id| id.to_string()),
                latency_us: row.total_latency_us,
                passed: row.passed,
            }))
        })?;
        found.ok_or_else(|| self.damaged(at, 0, "its index lists a row that was erased"))
    }

    /// Hands over the body of the batch record that holds a row, and the row's place in it.
    fn with_record<T>(
        &mut self,
        at: usize,
        ordinal: u32,
        read: impl FnOnce(&mut Self, &[u8], u32) -> Result<T, Wrong>,
    ) -> Result<T, Error> {
        let mut last = std::mem::take(&mut self.last);
        let segment = self.segment(at);
        let place = match last.with((segment.number, segment.generation), ordinal) {
            Some(place) => place,
            None => self.read_record(at, ordinal, &mut last)?,
        };
        let result = read(self, last.body(), ordinal - place.first_ordinal);
        self.last = last;
        result.map_err(|what| match what {
            Wrong::Record(Malformed(what)) => self.damaged(at, place.offset, what),
            Wrong::Words(error) => error,
        })
    }

    /// Reads the batch record that holds a row.
    fn read_record(&self, at: usize, ordinal: u32, record: &mut LastRecord) -> Result<BatchPlace, Error> {
        let segment = self.segment(at);
        let place = self.place(at, ordinal)?;
        record.found = None;
        let body = journal::read_record(segment, place.offset, place.bytes, &mut record.bytes)?;
        let reader =
            BatchReader::new(body).map_err(|Malformed(what)| self.damaged(at, place.offset, what))?;
        record.found = Some(Record {
            segment: (segment.number, segment.generation),
            place,
            rows: reader.whole_rows(),
        });
        Ok(place)
    }

    /// Where the batch record is that holds a row.
    fn place(&self, at: usize, ordinal: u32) -> Result<BatchPlace, Error> {
        let place = self.index(at).batch_of(ordinal)?;
        place.ok_or_else(|| self.damaged(at, 0, "its index names a row that it does not have"))
    }

    fn decode(&mut self, at: usize, body: &[u8], index: u32) -> Result<Option<StoredEvent>, Wrong> {
        let reader = BatchReader::new(body)?;
        let Some(row) = reader.row(index)? else {
            return Ok(None);
        };
        let header = reader.header;
        Ok(Some(StoredEvent {
            seq: header.first_seq + u64::from(index),
            evaluation: self.evaluation(at, &row)?,
            score: row.score,
            recorded_at: row.recorded_at,
            received_at: header.received_at,
            source: header.source,
            key: header.key,
            signed: header.signed,
            late: row.late,
        }))
    }

    fn evaluation(&mut self, at: usize, row: &Row<'_>) -> Result<Evaluation<'static>, Wrong> {
        let mut gates = Vec::new();
        for gate in row.gates() {
            let gate = gate?;
            gates.push(GateResult {
                name: self.text(at, gate.name)?,
                passed: gate.passed,
                latency_ms: gate.latency_ms,
                reason: gate.reason.map(|reason| self.text(at, reason)).transpose()?,
                skipped: gate.skipped,
            });
        }
        Ok(Evaluation {
            agent_id: Cow::Owned(self.agent_id(at, row.agent)?.to_string()),
            tool: row.tool.map(|tool| self.text(at, tool)).transpose()?,
            passed: row.passed,
            gates,
            total_latency_us: row.total_latency_us,
            sent_at: row.sent_at,
            evaluation_id: row.evaluation_id.map(|id| Cow::Owned(id.to_string())),
            agent_latency_us: row.agent_latency_us,
        })
    }

    fn agent_id(&mut self, at: usize, word: AgentWord) -> Result<Arc<str>, Wrong> {
        if let Some((of, agent_id)) = &self.agent
            && *of == (at, word)
        {
            return Ok(Arc::clone(agent_id));
        }
        let agent_id = self.index(at).agent_id(word)?;
        let agent_id = agent_id.ok_or(Malformed("a row names no known agent"))?;
        self.agent = Some(((at, word), Arc::clone(&agent_id)));
        Ok(agent_id)
    }

    fn text(&mut self, at: usize, text: TextRef<'_>) -> Result<Cow<'static, str>, Wrong> {
        match text {
            TextRef::Inline(text) => Ok(Cow::Owned(text.to_owned())),
            TextRef::Word(word) => Ok(Cow::Owned(self.word(at, word)?.to_string())),
        }
    }

    fn word(&mut self, at: usize, word: TextWord) -> Result<Arc<str>, Wrong> {
        let text = match self.index(at) {
            SegmentIndex::Open(index) => index.read().text(word),
            SegmentIndex::Sealed(index) => match self.words.iter().find(|(of, _)| *of == at) {
                Some((_, words)) => words.text(word),
                None => {
                    let words = index.words()?;
                    let text = words.text(word);
                    self.words.push((at, words));
                    text
                }
            },
        };
        text.ok_or(Wrong::Record(Malformed("a row names no known text")))
    }

    fn segment(&self, at: usize) -> &Segment {
        &self.segments[at].as_ref().segment
    }

    fn index(&self, at: usize) -> &SegmentIndex {
        &self.segments[at].as_ref().index
    }

    fn damaged(&self, at: usize, offset: u64, what: &str) -> Error {
        Error::Damaged {
            file: self.segment(at).path.to_path_buf(),
            offset,
            what: what.to_owned(),
        }
    }
}

/// Why a row could not be decoded.
enum Wrong {
    Record(Malformed),
    Words(Error),
}

impl From<Malformed> for Wrong {
    fn from(malformed: Malformed) -> Self {
        Self::Record(malformed)
    }
}

impl From<Error> for Wrong {
    fn from(error: Error) -> Self {
        Self::Words(error)
    }
}
