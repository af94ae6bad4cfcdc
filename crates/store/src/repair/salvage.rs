//! What can be kept of a segment, and what is lost of it.

use super::{LostEvents, LostFrames};
use crate::codec::{
    self, BatchReader, CarryRecord, Dictionary, EraseRecord, Malformed, RegistrationRecord, Word,
    first_commit, records_by_commit,
};
use crate::erasure::Erasure;
use crate::identity::Identities;
use crate::index::{BlockCache, SealedIndex, Vocabulary};
use crate::registry::{Carried, Entry, Registry};
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

/// What a frame says of events, carries and erasures.
#[derive(Default)]
struct Content {
    /// Of each batch its organisation, its first number and the next one.
    batches: Vec<(OrgId, u64, u64)>,
    carries: Vec<(OrgId, Arc<str>, Carried)>,
    erasures: Vec<Erasure>,
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
        seen: &mut Seen,
        mut keep: impl FnMut(u64, &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let place = self.place;
        let mut seq = place.previous_seq;
        let mut loss: Option<Loss> = None;
        for frame in place.segment.iter().flat_map(journal::Segment::frames) {
            let kept = match frame {
                Ok(frame) if frame.seq > place.last_seq => continue,
                Ok(frame) => self.take(frame, seen),
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
                    seen.may_jump = true;
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
            seen.may_jump = true;
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
    fn take(&mut self, frame: FrameRef, seen: &mut Seen) -> Result<Kept, Loss> {
        let lost = |why: &str| Loss {
            offset: frame.payload_offset,
            why: why.to_owned(),
        };
        if self.is_broken && !self.is_completed {
            self.complete().map_err(lost)?;
        }
        let first = first_commit(&frame).map_err(|Malformed(what)| lost(what))?;
        let content = self.understand(&frame).map_err(|Malformed(what)| lost(what))?;
        seen.take(content);
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

    /// Whether all of a frame can be read; gives what it says.
    fn understand(&mut self, frame: &FrameRef) -> Result<Content, Malformed> {
        let segment = self.place.number;
        let mut content = Content::default();
        for (_, record) in records_by_commit(frame)? {
            match record.kind {
                codec::WORDS if self.is_completed => {}
                codec::WORDS => self.dictionary.add(record.body)?,
                codec::REGISTRATION => drop(RegistrationRecord::read(record.body)?),
                codec::CARRY => {
                    let carry = CarryRecord::read(record.body)?;
                    if let Some(name) = self.dictionary.agent_or_gone(carry.agent)? {
                        let carried = Carried {
                            segment,
                            has_window: carry.window.is_some(),
                        };
                        content.carries.push((name.org, name.agent_id.into(), carried));
                    }
                }
                codec::ERASE => {
                    let EraseRecord { org, name, .. } = EraseRecord::read(record.body)?;
                    content.erasures.push(Erasure {
                        org,
                        name,
                        before: segment,
                    });
                }
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
                    content.batches.push((org, reader.header.first_seq, next));
                }
                _ => {}
            }
        }
        Ok(content)
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

/// What the frames that are kept say: the numbers of each organisation's events, and which carry of each agent is its
/// newest.
#[derive(Default)]
pub(super) struct Seen {
    next: HashMap<OrgId, u64>,
    may_jump: bool,
    lost: Vec<LostEvents>,
    carries: HashMap<(OrgId, Arc<str>), Carried>,
    erasures: Vec<Erasure>,
}

impl Seen {
    fn take(&mut self, content: Content) {
        for (org, first, next) in content.batches {
            let expected = self.next.insert(org, next).unwrap_or(1);
            if self.may_jump && first > expected {
                self.lost.push(LostEvents {
                    org,
                    first: expected,
                    last: first - 1,
                });
            }
        }
        let carries = content.carries.into_iter();
        self.carries
            .extend(carries.map(|(org, agent_id, carried)| ((org, agent_id), carried)));
        self.erasures.extend(content.erasures);
    }

    /// The agent's newest carry that is kept; what came before its name was erased is not its own.
    pub(super) fn carried(
        &self,
        entry: &Entry,
        checkpoint: &[Erasure],
        identities: &Identities,
    ) -> Option<Carried> {
        let key = (entry.org, Arc::clone(&entry.agent_id));
        let carried = *self.carries.get(&key)?;
        let is_of_erased = |erasure: &Erasure| {
            erasure.org == entry.org
                && carried.segment < erasure.before
                && erasure.name == identities.of_agent(entry.org, &entry.agent_id)
        };
        let mut erasures = self.erasures.iter().chain(checkpoint);
        (!erasures.any(is_of_erased)).then_some(carried)
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
