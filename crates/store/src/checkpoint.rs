//! The agents registry on disk: what a start reads instead of the whole log.
//!
//! Two files take turns, `registry-0` and `registry-1`, each replaced as a whole; a start takes the newest
//! that is whole. It is written while events keep coming, entry by entry, so an entry may already know of
//! events after the position that the file names. That does no harm: replaying the log from that position
//! skips, agent by agent, what the entry's own `last_seq` already covers.

use crate::bytes::{Fields, PutFields as _};
use crate::erasure::Erasure;
use crate::registry::{Carried, Entry, Registry};
use crate::spill::Place;
use crate::{Error, OrgId};
use journal::{Damage, Disk, Segment};
use parking_lot::RwLockReadGuard;
use reputation::Summary;
use std::cmp::Reverse;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: u64 = u64::from_le_bytes(*b"RPTAGNT3");
/// Entries that are copied under one short hold of the lock, and handed on together: a million take far more than memory
/// should hold at once.
const ENTRIES_AT_ONCE: usize = 512;
/// The checksum of all before it ends the file.
const CHECKSUM_BYTES: usize = 4;

/// What a checkpoint covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Covered {
    /// Frames up to this sequence number are in.
    pub(crate) frame_seq: u64,
    /// Counts the checkpoints, so that the newer of two is known.
    pub(crate) turn: u64,
}

impl Covered {
    /// What is wrong with a log that ends with this frame, in this segment if it has any, or else beside this file. A
    /// checkpoint is written after what it covers is durable: a log without that has lost it.
    pub(crate) fn missing_end(
        self,
        last_seq: u64,
        segment: Option<&Segment>,
        otherwise: &Path,
    ) -> Option<Damage> {
        (self.frame_seq > last_seq).then(|| Damage {
            file: segment.map_or(otherwise, |segment| &segment.path).to_path_buf(),
            offset: segment.map_or(0, Segment::end),
            what: format!(
                "the log ends with frame {last_seq}, but the agents' checkpoint covers frame {}: acknowledged events are missing",
                self.frame_seq
            ),
        })
    }
}

/// Writes the registry, taking the lock again and again through `lock`. Gives the bytes written.
pub(crate) fn write<'a, T: 'a>(
    disk: &dyn Disk,
    dir: &Path,
    covered: Covered,
    lock: impl Fn() -> RwLockReadGuard<'a, T>,
    registry: impl Fn(&T) -> &Registry,
) -> Result<u64, Error> {
    let path = path_of(dir, covered.turn);
    let (mut bytes, mut checksum) = (0, 0);
    let written = journal::replace_atomically(disk, &path, |put| {
        let mut hand_on = |piece: &mut Vec<u8>| -> io::Result<()> {
            checksum = crc32c::crc32c_append(checksum, piece);
            bytes += piece.len() as u64;
            put(piece)?;
            piece.clear();
            Ok(())
        };
        let mut piece = Vec::new();
        piece.put_u64(MAGIC);
        piece.put_u64(covered.turn);
        piece.put_u64(covered.frame_seq);
        put_orgs(&mut piece, registry(&lock()));
        put_erasures(&mut piece, registry(&lock()));
        let mut first = 0;
        while put_entries(&mut piece, registry(&lock()), first) {
            first += ENTRIES_AT_ONCE;
            hand_on(&mut piece)?;
        }
        piece.put_u8(0);
        hand_on(&mut piece)?;
        piece.put_u32(checksum);
        put(&piece)
    });
    match written {
        Ok(()) => Ok(bytes + CHECKSUM_BYTES as u64),
        Err(source) => Err(Error::Io { path, source }),
    }
}

/// Some entries from this place on; whether there were any.
fn put_entries(out: &mut Vec<u8>, registry: &Registry, first: usize) -> bool {
    let some = registry.entries_from(first).take(ENTRIES_AT_ONCE);
    for entry in some.filter(|entry| !entry.is_erased()) {
        out.put_u8(1);
        out.put_u32(entry.org.0);
        out.put_text(&entry.agent_id);
        out.put_facts(&entry.facts());
        out.put_option(entry.summary, |out, summary| {
            out.put_u32(summary.evaluations);
            out.put_u32(summary.passed);
            out.put_u64(summary.latency_sum_us);
            out.put_u32(summary.streak);
        });
        out.put_option(entry.floor(), Vec::put_micros);
        out.put_option(entry.spilled, |out, place| {
            out.put_u32(place.file);
            out.put_u64(place.offset);
            out.put_u32(place.bytes);
        });
        out.put_option(entry.carried, |out, carried| {
            out.put_u64(carried.segment);
            out.put_u8(u8::from(carried.has_window));
        });
    }
    first < registry.len()
}

fn put_orgs(out: &mut Vec<u8>, registry: &Registry) {
    for org in registry.orgs() {
        out.put_u8(1);
        out.put_u32(org.0);
        out.put_u64(registry.totals(org).1);
    }
    out.put_u8(0);
}

fn put_erasures(out: &mut Vec<u8>, registry: &Registry) {
    for erasure in &registry.erasures {
        out.put_u8(1);
        out.put_u32(erasure.org.0);
        out.extend_from_slice(&erasure.name);
        out.put_u64(erasure.before);
    }
    out.put_u8(0);
}

/// Reads the newest whole checkpoint, as a registry without order; an empty one that covers nothing where
/// there is none.
pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> (Registry, Covered) {
    // A million agents take a while to read: the older file is read only where the newer is not whole.
    let mut turns = [0, 1];
    turns.sort_by_key(|turn| Reverse(announced_turn(disk, dir, *turn)));
    turns
        .into_iter()
        .find_map(|turn| read_one(disk, dir, turn))
        .unwrap_or_default()
}

/// The turn that a file says it's of, whether or not it is whole.
fn announced_turn(disk: &dyn Disk, dir: &Path, turn: u64) -> Option<u64> {
    let mut begin = [0; 16];
    let file = disk.open(&path_of(dir, turn)).ok()?;
    file.read_exact_at(&mut begin, 0).ok()?;
    let mut fields = Fields(&begin);
    let _magic = fields.u64()?;
    fields.u64()
}

/// The newest whole checkpoint as it lies in its file, and what it covers.
pub(crate) fn read_newest(disk: &dyn Disk, dir: &Path) -> Option<(Covered, Vec<u8>)> {
    let found = [read_bytes(disk, dir, 0), read_bytes(disk, dir, 1)];
    let decoded = found
        .into_iter()
        .flatten()
        .filter_map(|bytes| Some((decode(&bytes)?.1, bytes)));
    decoded.max_by_key(|(covered, _)| covered.turn)
}

fn read_bytes(disk: &dyn Disk, dir: &Path, turn: u64) -> Option<Vec<u8>> {
    let file = disk.open(&path_of(dir, turn)).ok()?;
    let mut bytes = vec![0; usize::try_from(file.len().ok()?).ok()?];
    file.read_exact_at(&mut bytes, 0).ok()?;
    Some(bytes)
}

/// The checkpoint of this turn, if it is there and whole.
pub(crate) fn read_one(disk: &dyn Disk, dir: &Path, turn: u64) -> Option<(Registry, Covered)> {
    decode(&read_bytes(disk, dir, turn)?)
}

fn decode(bytes: &[u8]) -> Option<(Registry, Covered)> {
    let (content, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
    let mut fields = Fields(content);
    if fields.u64()? != MAGIC || u32::from_le_bytes(*checksum) != crc32c::crc32c(content) {
        return None;
    }
    let covered = Covered {
        turn: fields.u64()?,
        frame_seq: fields.u64()?,
    };
    let mut last_seqs = Vec::new();
    while fields.u8()? == 1 {
        last_seqs.push((OrgId(fields.u32()?), fields.u64()?));
    }
    let mut erasures = Vec::new();
    while fields.u8()? == 1 {
        erasures.push(Erasure {
            org: OrgId(fields.u32()?),
            name: fields.array()?,
            before: fields.u64()?,
        });
    }
    let mut entries = Vec::new();
    while fields.u8()? == 1 {
        let org = OrgId(fields.u32()?);
        let agent_id: Arc<str> = fields.text()?.into();
        let mut entry = Entry::new(org, agent_id, fields.facts()?);
        let summary = fields.option(|fields| {
            Some(Summary {
                evaluations: fields.u32()?,
                passed: fields.u32()?,
                latency_sum_us: fields.u64()?,
                streak: fields.u32()?,
            })
        })?;
        let floor = fields.option(Fields::micros)?;
        entry.set_window(summary, floor);
        entry.spilled = fields.option(|fields| {
            Some(Place {
                file: fields.u32()?,
                offset: fields.u64()?,
                bytes: fields.u32()?,
            })
        })?;
        entry.carried = fields.option(|fields| {
            Some(Carried {
                segment: fields.u64()?,
                has_window: fields.u8()? == 1,
            })
        })?;
        entries.push(entry);
    }
    let mut registry = Registry::unordered(entries);
    registry.erasures = erasures;
    for (org, last_seq) in last_seqs {
        registry.raise_last_seq(org, last_seq);
    }
    Some((registry, covered))
}

/// The file of this turn.
pub(crate) fn path_of(dir: &Path, turn: u64) -> PathBuf {
    dir.join(format!("registry-{}", turn % 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Facts;
    use journal::SimDisk;
    use parking_lot::RwLock;
    use reputation::Micros;

    #[test]
    fn a_registry_of_many_pieces_is_read_back_as_it_was() {
        let (disk, dir) = (SimDisk::new(1), Path::new("/log"));
        disk.create_dir_all(dir).expect("a directory");
        let mut registry = Registry::default();
        for no in 0..3_000 {
            let mut facts = Facts::new(Micros(no));
            facts.count = no.cast_unsigned();
            let mut entry = Entry::new(OrgId(no as u32 % 3), format!("agent-{no}").into(), facts);
            entry.set_window(None, Some(Micros(no)).filter(|_| no % 2 == 0));
            registry.add_unordered(entry);
        }
        let registry = RwLock::new(registry);
        let covered = Covered {
            frame_seq: 7,
            turn: 4,
        };
        let bytes = write(&disk, dir, covered, || registry.read(), |registry| registry).expect("written");
        assert!(bytes > 3 * (64 << 10), "{bytes}");
        let file = disk.open(&path_of(dir, covered.turn)).expect("it is there");
        assert_eq!(file.len().expect("a length"), bytes);
        let (again, of) = read(&disk, dir);
        assert_eq!((of, again.len()), (covered, 3_000));
        let registry = registry.read();
        for (found, written) in again.entries_from(0).zip(registry.entries_from(0)) {
            let all = |entry: &Entry| (entry.org, entry.facts(), entry.floor());
            assert_eq!((&found.agent_id, all(found)), (&written.agent_id, all(written)));
        }
        file.set_len(bytes - 1).expect("cut");
        assert_eq!(read(&disk, dir).1, Covered::default(), "a part of one is none");
    }
}
