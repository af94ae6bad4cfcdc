//! A sealed segment written anew, as its next generation: without the agents that were erased.
//!
//! Words keep their numbers and rows their ordinals; what is gone leaves a mark that says nothing. The words
//! that only rows of erased agents used go as well, since a reason may tell as much as a name.

use crate::codec::{
    self, AgentWord, BatchReader, CarryRecord, Gathered, Malformed, RegistrationRecord, Row, TextRef,
    TextWord, Word, read_words, records_by_commit,
};
use crate::index::OpenIndex;
use crate::recover;
use crate::segments::{self, SegmentIndex, damaged};
use crate::shared::Shared;
use crate::{Error, OrgId};
use hashbrown::HashSet;
use journal::{Record, Rewrite, Segment};

/// Replaces a sealed segment by one without the agents of which this is true.
pub(crate) fn without(
    shared: &Shared,
    segment: &Segment,
    is_gone: &dyn Fn(OrgId, &str) -> bool,
) -> Result<(), Error> {
    let sieve = Sieve::of(segment, is_gone)?;
    let mut rewrite = segment.rewrite()?;
    if let Err(error) = sieve.sift(segment, &mut rewrite) {
        rewrite.abandon(); // as on a full disk, whose last bytes are the log's
        return Err(error);
    }
    let anew = rewrite.finish()?;
    let open = OpenIndex::default();
    for frame in anew.frames() {
        let frame = frame.map_err(journal::Error::from)?;
        recover::index_frame(&anew, &frame, &open)?;
    }
    let sealed = segments::write_index(shared, &anew, &open, || ())?;
    segments::replace(shared, segment, anew, SegmentIndex::Sealed(sealed));
    Ok(())
}

/// What of a segment passes.
struct Sieve<'a> {
    is_gone: &'a dyn Fn(OrgId, &str) -> bool,
    /// Words of agents that go or have gone.
    agents: HashSet<AgentWord>,
    /// Words of texts that some row still uses.
    used: HashSet<TextWord>,
    /// Words that have passed so far.
    seen: Seen,
}

#[derive(Default)]
struct Seen {
    agents: u32,
    texts: u32,
}

impl Seen {
    /// Counts a word; its number.
    fn agent(&mut self) -> AgentWord {
        self.agents += 1;
        AgentWord(self.agents - 1)
    }

    fn text(&mut self) -> TextWord {
        self.texts += 1;
        TextWord(self.texts - 1)
    }
}

impl<'a> Sieve<'a> {
    /// Looks through the segment once.
    fn of(segment: &Segment, is_gone: &'a dyn Fn(OrgId, &str) -> bool) -> Result<Self, Error> {
        let mut sieve = Self {
            is_gone,
            agents: HashSet::new(),
            used: HashSet::new(),
            seen: Seen::default(),
        };
        for frame in segment.frames() {
            let frame = frame.map_err(journal::Error::from)?;
            for record in frame.records() {
                let looked = match record.kind {
                    codec::WORDS => sieve.look_at_words(record.body),
                    codec::BATCH => sieve.look_at_batch(record.body),
                    _ => Ok(()),
                };
                let offset = frame.payload_offset + u64::from(record.offset);
                looked.map_err(|what| damaged(segment, offset, what))?;
            }
        }
        sieve.seen = Seen::default();
        Ok(sieve)
    }

    /// Hands on what stays of the segment, frame by frame.
    fn sift(mut self, segment: &Segment, rewrite: &mut Rewrite) -> Result<(), Error> {
        for frame in segment.frames() {
            let frame = frame.map_err(journal::Error::from)?;
            let mut anew = Gathered::default();
            let records = records_by_commit(&frame);
            for (commit, record) in records.map_err(|what| damaged(segment, frame.payload_offset, what))? {
                anew.commit(commit);
                let put = self.put(&record, &mut anew);
                let offset = frame.payload_offset + u64::from(record.offset);
                put.map_err(|what| damaged(segment, offset, what))?;
            }
            anew.commit(frame.seq);
            if let Some((seq, payload)) = anew.take() {
                rewrite.push(seq, &payload)?;
            }
        }
        Ok(())
    }

    fn look_at_words(&mut self, body: &[u8]) -> Result<(), Malformed> {
        for word in read_words(body) {
            let goes = match word? {
                Word::Agent(org, agent_id) => (self.is_gone)(org, agent_id),
                Word::AgentGone => true,
                Word::Text(_) | Word::TextGone => continue,
            };
            let word = self.seen.agent();
            if goes {
                self.agents.insert(word);
            }
        }
        Ok(())
    }

    fn look_at_batch(&mut self, body: &[u8]) -> Result<(), Malformed> {
        for row in BatchReader::new(body)?.rows() {
            if let Some(row) = row?
                && !self.agents.contains(&row.agent)
            {
                self.use_texts(&row)?;
            }
        }
        Ok(())
    }

    fn use_texts(&mut self, row: &Row<'_>) -> Result<(), Malformed> {
        let mut uses = |text: Option<TextRef<'_>>| {
            if let Some(TextRef::Word(word)) = text {
                self.used.insert(word);
            }
        };
        uses(row.tool);
        for gate in row.gates() {
            let gate = gate?;
            uses(Some(gate.name));
            uses(gate.reason);
        }
        Ok(())
    }

    /// Appends what stays of a record.
    fn put(&mut self, record: &Record<'_>, out: &mut Gathered) -> Result<(), Malformed> {
        let body = match record.kind {
            codec::WORDS => self.words(record.body)?,
            codec::BATCH => codec::without_rows(record.body, |word| self.agents.contains(&word))?,
            codec::CARRY if self.agents.contains(&CarryRecord::read(record.body)?.agent) => return Ok(()),
            codec::REGISTRATION => {
                let RegistrationRecord { org, agent_id, .. } = RegistrationRecord::read(record.body)?;
                if (self.is_gone)(org, agent_id) {
                    return Ok(());
                }
                record.body.to_vec()
            }
            _ => record.body.to_vec(),
        };
        out.push(record, &body);
        Ok(())
    }

    fn words(&mut self, body: &[u8]) -> Result<Vec<u8>, Malformed> {
        let Self {
            agents, used, seen, ..
        } = self;
        codec::thin_words(body, |word| match word {
            Word::Agent(..) | Word::AgentGone => !agents.contains(&seen.agent()),
            Word::Text(_) | Word::TextGone => used.contains(&seen.text()),
        })
    }
}
