//! Opening a store: recover the log, open or rebuild the indexes, bring the registry up to the log's end.

use crate::agent::{AgentName, AgentNo};
use crate::checkpoint::{self, Covered};
use crate::codec::{
    self, BatchReader, CarryRecord, Dictionary, EraseRecord, Malformed, RegistrationRecord, records_by_commit,
};
use crate::damage::Damage;
use crate::erasure::Erasure;
use crate::facts::{Facts, Recorded};
use crate::identity::Identities;
use crate::index::{BlockCache, CarryPlace, NewBatch, OpenIndex, SealedIndex, SegmentExtent};
use crate::owner::{LIKELY_ROWS, LIKELY_UPDATES, SPARE_ROWS, SPARE_UPDATES, Spare};
use crate::progress::Progress;
use crate::registry::{Carried, Entry, Registry};
use crate::sealing::Sealing;
use crate::secret::{self, Secret};
use crate::segments::{self, SegmentIndex};
use crate::shared::{Published, Shared};
use crate::spill::Spill;
use crate::warming::Expected;
use crate::{Error, Observer, Options};
use journal::{Disk, FrameRef, Journal, Segment, Survey};
use parking_lot::RwLock;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The one shard that there is today.
pub(crate) const SHARD_DIR: &str = "log/0";
/// How often a start that takes long says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Whether a store was ever opened in this data directory.
pub fn has_log(disk: &dyn Disk, data_dir: &Path) -> bool {
    let names = disk.list(&data_dir.join(SHARD_DIR)).unwrap_or_default();
    names.iter().any(|name| name.ends_with(".seg"))
}

/// Whether the log of a data directory has anything in it.
///
/// # Errors
/// Where the log cannot be read.
pub fn has_frames(disk: &Arc<dyn Disk>, data_dir: &Path) -> Result<bool, Error> {
    if !has_log(&**disk, data_dir) {
        return Ok(false);
    }
    let survey = Survey::take(disk, &data_dir.join(SHARD_DIR), 0)?;
    Ok(survey.places.iter().any(|place| place.last_seq > 0))
}

/// A store that was opened but has no threads yet.
pub(crate) struct Recovered {
    pub(crate) shared: Shared,
    pub(crate) journal: Journal,
    pub(crate) covered: Covered,
    pub(crate) secret: Secret,
}

pub(crate) fn open(
    disk: Arc<dyn Disk>,
    data_dir: &Path,
    options: Options,
    observer: Arc<dyn Observer>,
) -> Result<Recovered, Error> {
    crate::backup::refuse_unfinished_backup(&*disk, data_dir)?;
    let dir = data_dir.join(SHARD_DIR);
    disk.create_dir_all(&dir).map_err(|source| Error::Io {
        path: dir.clone(),
        source,
    })?;
    let secret = secret::open(&*disk, data_dir)?;
    let opened = Journal::open(Arc::clone(&disk), &dir, options.journal.clone())?;
    let (registry, covered) = checkpoint_of(&*disk, &dir, &opened.segments)?;
    let spill = Spill::open(Arc::clone(&disk), &dir)?;
    spill.keep(registry.entries_from(0).filter_map(|entry| entry.spilled));
    spill.begin_file().map_err(Error::io(&dir))?;
    let shared = Shared {
        blocks: Arc::new(BlockCache::new(options.cache_bytes)),
        identities: Identities::new(&secret),
        published: RwLock::new(Published {
            registry,
            frame_seq: covered.frame_seq,
            ..Published::default()
        }),
        progress: Progress::default(),
        spill,
        sealing: Sealing::new(),
        damage: Damage::default(),
        resident_windows: Default::default(),
        in_flight: Arc::default(),
        spare_rows: Spare::new(SPARE_ROWS, LIKELY_ROWS),
        spare_updates: Spare::new(SPARE_UPDATES, LIKELY_UPDATES),
        event_bytes: Default::default(),
        expected: Expected::new(),
        waiting: Default::default(),
        transit: Default::default(),
        rebuilding: Default::default(),
        disk,
        dir,
        options,
        observer,
    };
    let newest = opened.segments.last().map(|segment| segment.number);
    let segments = opened.segments.len();
    let mut told = Instant::now();
    for (taken_in, segment) in opened.segments.into_iter().enumerate() {
        if told.elapsed() >= TELL_EVERY {
            tracing::info!(
                taken_in,
                segments,
                "reading segments that have no index, or were not counted yet"
            );
            told = Instant::now();
        }
        let is_newest = Some(segment.number) == newest;
        take_in(&shared, segment, covered.frame_seq, is_newest)?;
    }
    shared.published.write().registry.order();
    remove_stale_indexes(&shared);
    Ok(Recovered {
        shared,
        journal: opened.journal,
        covered,
        secret,
    })
}

/// The checkpoint, unless it knows of more than the log has.
fn checkpoint_of(disk: &dyn Disk, dir: &Path, segments: &[Segment]) -> Result<(Registry, Covered), Error> {
    let (registry, covered) = checkpoint::read(disk, dir);
    let newest = segments.last();
    match covered.missing_end(newest.map_or(0, Segment::last_seq), newest, dir) {
        Some(journal::Damage { file, offset, what }) => Err(Error::Damaged { file, offset, what }),
        None => Ok((registry, covered)),
    }
}

/// Publishes a segment: with its index, and with what the checkpoint doesn't cover of it counted.
///
/// The newest segment, which a crash left without an index, keeps it in memory until the background writes
/// it, so that a start does not wait for that.
fn take_in(shared: &Shared, segment: Segment, covered: u64, is_newest: bool) -> Result<(), Error> {
    let extent = SegmentExtent::of(&segment);
    let path = segments::index_path(&shared.dir, &extent);
    let sealed = SealedIndex::open(&*shared.disk, &path, &extent, &shared.blocks).map(Arc::new);
    let open = OpenIndex::default();
    if sealed.is_none() || segment.last_seq() > covered {
        let mut replay = Replay::default();
        for frame in segment.frames() {
            let frame = frame.map_err(journal::Error::from)?;
            if sealed.is_none() {
                index_frame(&segment, &frame, &open)?;
            }
            replay.frame(shared, &segment, &frame, covered)?;
        }
    }
    let index = match sealed {
        Some(sealed) => SegmentIndex::Sealed(sealed),
        None if is_newest => SegmentIndex::Open(Arc::new(open)),
        None => match segments::write_index(shared, &segment, &open, || ()) {
            Ok(sealed) => SegmentIndex::Sealed(sealed),
            Err(error) => {
                tracing::warn!(%error, "a segment's index cannot be written: keeping it in memory");
                SegmentIndex::Open(Arc::new(open))
            }
        },
    };
    shared.published.write().segments.push(segment, index);
    Ok(())
}

/// Takes a frame's words and batches into an index.
pub(crate) fn index_frame(segment: &Segment, frame: &FrameRef, index: &OpenIndex) -> Result<(), Error> {
    for record in frame.records() {
        let offset = frame.payload_offset + u64::from(record.offset);
        let taken = match record.kind {
            codec::WORDS => index.add_words(record.body),
            codec::COMMITS => Ok(()),
            codec::BATCH => BatchReader::new(record.body)
                .and_then(|reader| NewBatch::of(&reader, offset, record.record_bytes()))
                .and_then(|batch| index.add_batches(&[batch])),
            codec::REGISTRATION => RegistrationRecord::read(record.body)
                .map(|registration| index.received(registration.received_at)),
            codec::ERASE => EraseRecord::read(record.body).map(|erase| index.received(erase.received_at)),
            codec::CARRY => CarryRecord::read(record.body).and_then(|carry| {
                let bytes = record.record_bytes();
                index.add_carry(carry.agent, CarryPlace { offset, bytes }, carry.carried_at)
            }),
            kind if record.must_understand => {
                return Err(Error::UnknownRecord {
                    file: segment.path.to_path_buf(),
                    kind,
                });
            }
            _ => Ok(()),
        };
        taken.map_err(|what| segments::damaged(segment, offset, what))?;
    }
    Ok(())
}

/// Counts what a checkpoint doesn't cover, segment by segment.
#[derive(Default)]
struct Replay {
    dictionary: Dictionary,
}

impl Replay {
    fn frame(
        &mut self,
        shared: &Shared,
        segment: &Segment,
        frame: &FrameRef,
        covered: u64,
    ) -> Result<(), Error> {
        let mut published = shared.published.write();
        let published = &mut *published;
        let records = records_by_commit(frame);
        let records = records.map_err(|what| segments::damaged(segment, frame.payload_offset, what))?;
        for (seq, record) in records {
            let counts = seq > covered;
            let taken = match record.kind {
                codec::WORDS => self.dictionary.add(record.body),
                codec::BATCH if counts => self.batch(&mut published.registry, record.body),
                codec::REGISTRATION if counts => register(&mut published.registry, record.body),
                codec::CARRY if counts => self.carry(&mut published.registry, segment.number, record.body),
                codec::ERASE if counts => erase(
                    &mut published.registry,
                    &shared.identities,
                    segment.number,
                    record.body,
                ),
                codec::BATCH | codec::REGISTRATION | codec::CARRY | codec::ERASE => Ok(()),
                kind if record.must_understand => {
                    return Err(Error::UnknownRecord {
                        file: segment.path.to_path_buf(),
                        kind,
                    });
                }
                _ => Ok(()),
            };
            taken.map_err(|what| {
                segments::damaged(segment, frame.payload_offset + u64::from(record.offset), what)
            })?;
        }
        if frame.seq > covered {
            published.frame_seq = frame.seq;
        }
        Ok(())
    }

    fn batch(&self, registry: &mut Registry, body: &[u8]) -> Result<(), Malformed> {
        let reader = BatchReader::new(body)?;
        let header = reader.header;
        for (seq, row) in (header.first_seq..).zip(reader.rows()) {
            let Some(row) = row? else { continue };
            let name = self.dictionary.agent(header.org, row.agent)?;
            let no = registry.find_or_add_unordered(name, Facts::new(row.recorded_at));
            let entry = registry.entry_mut(no);
            let mut facts = entry.facts();
            if facts.last_seq >= seq {
                continue; // the checkpoint's entry was copied after this event was counted
            }
            facts.record(&Recorded::of(&row, header.source, seq));
            entry.set_facts(&facts);
            entry.set_window(None, None);
        }
        Ok(())
    }

    /// Takes over what a carry says of all that came before it, in place of what was counted of that: some of
    /// it may have gone.
    fn carry(&self, registry: &mut Registry, segment: u64, body: &[u8]) -> Result<(), Malformed> {
        let carry = CarryRecord::read(body)?;
        let Some(name) = self.dictionary.agent_or_gone(carry.agent)? else {
            return Ok(()); // what is carried of an agent that was erased says nothing
        };
        let no = registry.find_or_add_unordered(name, Facts::new(carry.facts.first_seen));
        let entry = registry.entry_mut(no);
        entry.carried = Some(Carried {
            segment,
            has_window: carry.window.is_some(),
        });
        // The checkpoint's entry may know of events after the carry.
        let facts = entry.facts();
        if facts.last_seq <= carry.facts.last_seq && facts != carry.facts {
            entry.set_facts(&carry.facts);
            entry.set_window(None, None);
        }
        Ok(())
    }
}

fn register(registry: &mut Registry, body: &[u8]) -> Result<(), Malformed> {
    let record = RegistrationRecord::read(body)?;
    let name = AgentName {
        org: record.org,
        agent_id: record.agent_id,
    };
    registry.find_or_add_unordered(name, Facts::new(record.received_at));
    Ok(())
}

/// Forgets an agent; what the segments have of it is pending, unless a checkpoint knows that it is done.
fn erase(
    registry: &mut Registry,
    identities: &Identities,
    segment: u64,
    body: &[u8],
) -> Result<(), Malformed> {
    let record = EraseRecord::read(body)?;
    let is_it = |entry: &Entry| {
        entry.org == record.org
            && !entry.is_erased()
            && identities.of_agent(entry.org, &entry.agent_id) == record.name
    };
    let found = (0u32..)
        .zip(registry.entries_from(0))
        .find(|(_, entry)| is_it(entry));
    if let Some((no, _)) = found {
        registry.erase(AgentNo(no));
    }
    registry.raise_last_seq(record.org, record.last_seq);
    let erasure = Erasure {
        org: record.org,
        name: record.name,
        before: segment,
    };
    if !registry.erasures.contains(&erasure) {
        registry.erasures.push(erasure);
    }
    Ok(())
}

/// Removes the index files of generations that are gone.
fn remove_stale_indexes(shared: &Shared) {
    let wanted = shared.published.read().segments.index_names();
    let Ok(names) = shared.disk.list(&shared.dir) else {
        return;
    };
    for name in names
        .iter()
        .filter(|name| name.ends_with(".idx") && !wanted.contains(*name))
    {
        let path = shared.dir.join(name);
        if let Err(error) = shared.disk.remove(&path) {
            tracing::warn!(file = %path.display(), %error, "an index of a segment that is gone cannot be removed");
        }
    }
}
