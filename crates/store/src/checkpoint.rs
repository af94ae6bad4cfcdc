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
use journal::Disk;
use parking_lot::RwLockReadGuard;
use reputation::Summary;
use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: u64 = u64::from_le_bytes(*b"RPTAGNT2");
/// Entries that are copied under one short hold of the lock.
const ENTRIES_AT_ONCE: usize = 512;
/// Bytes before the checksummed rest: magic, checksum.
const HEADER_BYTES: usize = 12;

/// What a checkpoint covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Covered {
    /// Frames up to this sequence number are in.
    pub(crate) frame_seq: u64,
    /// Counts the checkpoints, so that the newer of two is known.
    pub(crate) turn: u64,
}

/// Writes the registry, taking the lock again and again through `lock`. Gives the bytes written.
pub(crate) fn write<'a, T: 'a>(
    disk: &dyn Disk,
    dir: &Path,
    covered: Covered,
    lock: impl Fn() -> RwLockReadGuard<'a, T>,
    registry: impl Fn(&T) -> &Registry,
) -> Result<u64, Error> {
    let mut out = Vec::new();
    out.put_u64(MAGIC);
    out.put_u32(0);
    out.put_u64(covered.turn);
    out.put_u64(covered.frame_seq);
    put_orgs(&mut out, registry(&lock()));
    put_erasures(&mut out, registry(&lock()));
    let mut first = 0;
    loop {
        let guard = lock();
        let entries = registry(&guard);
        if first >= entries.len() {
            break;
        }
        let some = entries.entries_from(first).take(ENTRIES_AT_ONCE);
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
        first += ENTRIES_AT_ONCE;
    }
    out.put_u8(0);
    let checksum = crc32c::crc32c(&out[HEADER_BYTES..]);
    out[8..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
    let path = path_of(dir, covered.turn);
    match journal::write_atomically(disk, &path, &out) {
        Ok(()) => Ok(out.len() as u64),
        Err(source) => Err(Error::Io { path, source }),
    }
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
    let mut begin = [0; HEADER_BYTES + 8];
    let file = disk.open(&path_of(dir, turn)).ok()?;
    file.read_exact_at(&mut begin, 0).ok()?;
    Fields(&begin[HEADER_BYTES..]).u64()
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
    let mut fields = Fields(bytes);
    if fields.u64()? != MAGIC || fields.u32()? != crc32c::crc32c(bytes.get(HEADER_BYTES..)?) {
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
