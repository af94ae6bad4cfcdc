//! What can be kept of a segment, and what is lost of it.

use super::{LostEvents, LostFrames};
use crate::codec::{
    self, BatchReader, CarryRecord, Dictionary, EraseRecord, Malformed, RegistrationRecord, Word,
    first_commit, records_by_commit,
};
use crate::index::{BlockCache, SealedIndex, Vocabulary};
use crate::registry::Registry;
use crate::verify::check_texts;
use crate::{Error, OrgId, segments};
use hashbrown::HashMap;
use journal::{Disk, Frame, FrameRef, Place};
use std::path::Path;
use std::sync::Arc;

/// Bytes of an index in memory while its dictionary is read.
const INDEX_BYTES: u64 = 4 << 20;

/// One segment, read from its first frame to its last.
pub(super) struct Salvage<'a> {
    place: &'a Place,
    dictionary: Dictionary,
    /// The whole dictionary, as the segment's index has it.
    vocabulary: Option<Vocabulary>,
    /// A frame is lost, and with it perhaps words.
    is_broken: bool,
    /// The dictionary was completed from the index.
    is_completed: bool,
    /// The words that completed it, until a frame has them.
    words: Option<Vec<u8>>,
    /// Frames that are lost, oldest first.
    pub(super) lost: Vec<LostFrames>,
    /// Whether frames are lost behind the last that is kept.
    pub(super) end_is_lost: bool,
}

/// A loss whose end is not known yet.
struct Loss {
    offset: u64,
    why: String,
}

/// A frame that is kept, and the first and last commit in it.
struct Kept {
    first: u64,
    last: u64,
    payload: Vec<u8>,
}

impl<'a> Salvage<'a> {
    pub(super) fn of(disk: &dyn Disk, dir: &Path, place: &'a Place) -> Self {
        let vocabulary = place.segment.as_ref().and_then(|segment| {
            let name = (segment.number, segment.generation);
            let path = segments::index_path_of(dir, name);
            let cache = Arc::new(BlockCache::new(INDEX_BYTES));
            let is_its = |extent: &crate::index::SegmentExtent| (extent.number, extent.generation) == name;
            SealedIndex::open_if(disk, &path, &cache, is_its)?
                .vocabulary()
                .ok()
        });
        Self {
            place,
            dictionary: Dictionary::default(),
            vocabulary,
            is_broken: false,
            is_completed: false,
            words: None,
            lost: Vec::new(),
            end_is_lost: false,
        }
    }

    /// Hands each frame that can be kept to `keep`, with its sequence number.
    pub(super) fn run(
        &mut self,
        numbers: &mut Numbers,
        mut keep: impl FnMut(u64, &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let place = self.place;
        let mut seq = place.previous_seq;
        let mut loss: Option<Loss> = None;
        for frame in place.segment.iter().flat_map(journal::Segment::frames) {
            let kept = match frame {
                Ok(frame) if frame.seq > place.last_seq => continue,
                Ok(frame) => self.take(frame, numbers),
                Err(damage) => Err(Loss {
                    offset: damage.offset,
                    why: damage.what,
                }),
            };
            match kept {
                Ok(Kept { first, last, payload }) => {
                    if let Some(loss) = loss.take() {
                        self.lose(seq + 1, first - 1, loss);
                    }
                    seq = last;
                    keep(seq, &payload)?;
                }
                Err(why) => {
                    self.is_broken = true;
                    numbers.may_jump = true;
                    loss.get_or_insert(why);
                }
            }
        }
        let of_all = place
            .damage
            .last()
            .filter(|_| place.last_seq > seq)
            .map(|damage| Loss {
                offset: damage.offset,
                why: damage.what.clone(),
            });
        if let Some(loss) = loss.or(of_all) {
            numbers.may_jump = true;
            self.end_is_lost = true;
            self.lose(seq + 1, place.last_seq, loss);
        }
        Ok(())
    }

    fn lose(&mut self, first: u64, last: u64, Loss { offset, why }: Loss) {
        let file = match &self.place.segment {
            Some(segment) => Some(segment.path.to_path_buf()),
            None => self.place.damage.first().map(|damage| damage.file.clone()),
        };
        self.lost.push(LostFrames {
            file: file.unwrap_or_default(),
            offset,
            first,
            last: last.max(first),
            why,
        });
    }

    /// The frame as it can be kept.
    fn take(&mut self, frame: FrameRef, numbers: &mut Numbers) -> Result<Kept, Loss> {
        let lost = |why: &str| Loss {
            offset: frame.payload_offset,
            why: why.to_owned(),
        };
        if self.is_broken && !self.is_completed {
            self.complete().map_err(lost)?;
        }
        let first = first_commit(&frame).map_err(|Malformed(what)| lost(what))?;
        let batches = self.understand(&frame).map_err(|Malformed(what)| lost(what))?;
        batches.iter().for_each(|batch| numbers.take(*batch));
        let payload = if self.is_completed {
            self.without_words(&frame)
        } else {
            frame.payload
        };
        Ok(Kept {
            first,
            last: frame.seq,
            payload,
        })
    }

    /// Completes the dictionary from the index.
    fn complete(&mut self) -> Result<(), &'static str> {
        let known = self.dictionary.agents.len();
        let vocabulary = self
            .vocabulary
            .take()
            .filter(|all| all.agents.get(..known) == Some(&self.dictionary.agents[..]))
            .ok_or("words that its events need may have stood in a damaged frame, and no index tells them")?;
        let mut new = Vec::new();
        for (org, agent_id) in &vocabulary.agents[known..] {
            let is_gone = agent_id.is_empty();
            codec::put_word(
                &mut new,
                if is_gone {
                    Word::AgentGone
                } else {
                    Word::Agent(*org, agent_id)
                },
            );
        }
        for text in vocabulary.texts.iter().skip(self.dictionary.texts as usize) {
            codec::put_word(&mut new, text.as_deref().map_or(Word::TextGone, Word::Text));
        }
        self.dictionary.texts = u32::try_from(vocabulary.texts.len()).unwrap_or(u32::MAX);
        self.dictionary.agents = vocabulary.agents;
        self.words = Some(new).filter(|new| !new.is_empty());
        self.is_completed = true;
        Ok(())
    }

    /// Whether all of a frame can be read; gives its batches: organisation, first number, next number.
    fn understand(&mut self, frame: &FrameRef) -> Result<Vec<(OrgId, u64, u64)>, Malformed> {
        let mut batches = Vec::new();
        for (_, record) in records_by_commit(frame)? {
            match record.kind {
                codec::WORDS if self.is_completed => {}
                codec::WORDS => self.dictionary.add(record.body)?,
                codec::REGISTRATION => drop(RegistrationRecord::read(record.body)?),
                codec::CARRY => {
                    let carry = CarryRecord::read(record.body)?;
                    self.dictionary.agent_or_gone(carry.agent)?;
                }
                codec::ERASE => drop(EraseRecord::read(record.body)?),
                codec::BATCH => {
                    let reader = BatchReader::new(record.body)?;
                    let org = reader.header.org;
                    let mut next = reader.header.first_seq;
                    for row in reader.rows() {
                        next += 1;
                        // An erased row has but its number.
                        let Some(row) = row? else { continue };
                        self.dictionary.agent(org, row.agent)?;
                        check_texts(&row, self.dictionary.texts)?;
                    }
                    batches.push((org, reader.header.first_seq, next));
                }
                _ => {}
            }
        }
        Ok(batches)
    }

    /// The frame's payload without words of its own, behind those that are still to be written.
    fn without_words(&mut self, frame: &FrameRef) -> Vec<u8> {
        let mut new = Frame::new();
        if let Some(words) = self.words.take() {
            new.record(codec::WORDS, true, &words);
        }
        for record in frame.records().filter(|record| record.kind != codec::WORDS) {
            new.record(record.kind, record.must_understand, record.body);
        }
        new.payload().to_vec()
    }
}

/// The numbers of each organisation's events, as far as they were seen.
#[derive(Default)]
pub(super) struct Numbers {
    next: HashMap<OrgId, u64>,
    may_jump: bool,
    lost: Vec<LostEvents>,
}

impl Numbers {
    fn take(&mut self, (org, first, next): (OrgId, u64, u64)) {
        let expected = self.next.insert(org, next).unwrap_or(1);
        if self.may_jump && first > expected {
            self.lost.push(LostEvents {
                org,
                first: expected,
                last: first - 1,
            });
        }
    }

    /// What is lost, with the events at the end that the checkpoint still knew of.
    pub(super) fn lost(self, checkpoint: &Registry) -> Vec<LostEvents> {
        let Self { next, mut lost, .. } = self;
        for org in checkpoint.orgs() {
            let (first, last) = (next.get(&org).copied().unwrap_or(1), checkpoint.totals(org).1);
            if last >= first {
                lost.push(LostEvents { org, first, last });
            }
        }
        lost.sort_by_key(|lost| (lost.org, lost.first));
        lost
    }

    /// The last number given in each organisation, as far as it is known.
    pub(super) fn last_seqs(&self, checkpoint: &Registry) -> Vec<(OrgId, u64)> {
        let mut last: HashMap<OrgId, u64> = self.next.iter().map(|(org, next)| (*org, next - 1)).collect();
        for org in checkpoint.orgs() {
            let seen = last.entry(org).or_default();
            *seen = checkpoint.totals(org).1.max(*seen);
        }
        last.into_iter().collect()
    }
}
