//! Writes the index file of a segment (`docs/on-disk.md`, "Index").
//!
//! Everything has a fixed width, so that a reader finds a field by arithmetic. Sections follow each other;
//! behind them stand a checksum per block, then the header, whose place is fixed by the file's length.

use super::blocks::BLOCK_BYTES;
use super::list::RowList;
use super::open::Inner;
use crate::OrgId;
use std::hash::Hasher as _;

pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"RPTINDX2");
pub(super) const SECTIONS: usize = 14;
/// Magic, segment (number, generation, end, first and last frame), rows, batches, orgs, agents, times,
/// newest receipt, sections (start, length), whether rows must be asked for labels, erased rows, block count, checksum of the
/// block checksums, checksum of the header.
pub(super) const HEADER_BYTES: usize =
    8 + 8 + 4 + 8 + 8 + 8 + 4 * 4 + 8 + 8 + 8 + SECTIONS * 16 + 4 + 4 + 4 + 4 + 4;
/// In the place of a text's length: it was erased.
pub(super) const TEXT_GONE: u32 = u32::MAX;
/// In the header, of a segment that received nothing.
pub(super) const NO_RECEIPT: i64 = i64::MIN;
/// In a list: the row passed.
pub(super) const PASSED_BIT: u32 = 1 << 31;
/// Lists hold the number of passed rows before each so many.
pub(super) const SAMPLE_EVERY: u32 = 64;

pub(super) const ORG_BYTES: u64 = 48;
pub(super) const AGENT_BYTES: u64 = 64;
pub(super) const BATCH_BYTES: u64 = 32;
pub(super) const CLAMPED_BYTES: u64 = 12;

/// What each section holds.
#[derive(Clone, Copy)]
pub(super) enum Section {
    /// Recorded times by ordinal: i64.
    Times,
    /// Id fingerprints by ordinal: u16.
    Fingerprints,
    /// Tools by ordinal: u16, word + 1.
    Tools,
    /// Failed sets by ordinal: u16, set + 1.
    Failed,
    /// All lists one after another: u32 ordinal and verdict.
    Lists,
    /// Passed rows in `Lists` before every 64th: u32.
    Samples,
    /// Batches by first ordinal: first ordinal u32, bytes u32, offset u64, first seq u64, org u32, zero u32.
    Batches,
    /// Batch numbers by (org, first seq): u32; each organisation's run is named in `Orgs`.
    OrgBatches,
    /// By organisation: org u32, list start u32, list length u32, batches start u32, batches u32, zero u32,
    /// first seq u64, last seq u64, zero u64.
    Orgs,
    /// By (hash, org, word): hash u64, org u32, word u32, list start u32, list length u32, earliest i64,
    /// latest i64, clamped start u32, clamped length u32, carry offset u64, carry bytes u32 (0: none), zero u32.
    Agents,
    /// Clamped rows by agent and timestamp as sent: sent i64, ordinal u32.
    Clamped,
    /// By agent word: end of its name in `AgentNames`, u64.
    AgentNameEnds,
    /// The agents' names.
    AgentNames,
    /// Texts (count u32, then length u32 and bytes each), then failed sets (count u32, then length u32 and
    /// words u32 each).
    Words,
}

/// Which segment an index is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentExtent {
    pub(crate) number: u64,
    pub(crate) generation: u32,
    pub(crate) end: u64,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
}

impl SegmentExtent {
    pub(crate) fn of(segment: &journal::Segment) -> Self {
        Self {
            number: segment.number,
            generation: segment.generation,
            end: segment.end(),
            first_seq: segment.first_seq,
            last_seq: segment.last_seq(),
        }
    }
}

/// A number that spreads agents over the directory.
pub(super) fn agent_hash(org: OrgId, agent_id: &str) -> u64 {
    let mut hasher = siphasher::sip::SipHasher13::new();
    hasher.write_u32(org.0);
    hasher.write(agent_id.as_bytes());
    hasher.finish()
}

/// The bytes of the index file of a whole segment.
pub(crate) fn write(extent: &SegmentExtent, inner: &Inner) -> Vec<u8> {
    let mut sections: [Vec<u8>; SECTIONS] = std::array::from_fn(|_| Vec::new());
    let mut lists = Lists::default();
    columns(inner, &mut sections);
    batches(inner, &mut sections);
    orgs(inner, &mut sections, &mut lists);
    agents(inner, &mut sections, &mut lists);
    words(inner, &mut sections[Section::Words as usize]);
    sections[Section::Lists as usize] = lists.rows;
    sections[Section::Samples as usize] = lists.samples;
    assemble(extent, inner, &sections)
}

fn columns(inner: &Inner, sections: &mut [Vec<u8>; SECTIONS]) {
    let rows = inner.rows as usize;
    let (mut times, mut fingerprints) = (vec![0i64; rows], vec![0u16; rows]);
    for row in inner.orgs.values().flat_map(|org| org.rows.iter()) {
        let key = row.key();
        times[key.ordinal as usize] = key.recorded_at.0;
        fingerprints[key.ordinal as usize] = row.fingerprint();
    }
    sections[Section::Times as usize] = times.iter().flat_map(|time| time.to_le_bytes()).collect();
    sections[Section::Fingerprints as usize] = fingerprints.iter().flat_map(|f| f.to_le_bytes()).collect();
    sections[Section::Tools as usize] = inner.tools.iter().flat_map(u16::to_le_bytes).collect();
    sections[Section::Failed as usize] = inner.failed.iter().flat_map(u16::to_le_bytes).collect();
}

fn batches(inner: &Inner, sections: &mut [Vec<u8>; SECTIONS]) {
    let out = &mut sections[Section::Batches as usize];
    for batch in &inner.batches {
        out.extend_from_slice(&batch.first_ordinal.to_le_bytes());
        out.extend_from_slice(&batch.bytes.to_le_bytes());
        out.extend_from_slice(&batch.offset.to_le_bytes());
        out.extend_from_slice(&batch.first_seq.to_le_bytes());
        out.extend_from_slice(&batch.org.0.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
    }
}

fn orgs(inner: &Inner, sections: &mut [Vec<u8>; SECTIONS], lists: &mut Lists) {
    for (org, rows) in &inner.orgs {
        let start = lists.push(&rows.rows);
        let first_batch = sections[Section::OrgBatches as usize].len() as u32 / 4;
        let out = &mut sections[Section::Orgs as usize];
        let counts = [
            org.0,
            start,
            rows.rows.len(),
            first_batch,
            rows.batches.len() as u32,
            0,
        ];
        counts
            .iter()
            .for_each(|count| out.extend_from_slice(&count.to_le_bytes()));
        out.extend_from_slice(&rows.totals.first_seq.to_le_bytes());
        out.extend_from_slice(&rows.totals.last_seq.to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        let numbers = rows.batches.iter().flat_map(|batch| batch.to_le_bytes());
        sections[Section::OrgBatches as usize].extend(numbers);
    }
}

fn agents(inner: &Inner, sections: &mut [Vec<u8>; SECTIONS], lists: &mut Lists) {
    let mut order: Vec<(u64, u32, u32)> = (0u32..)
        .zip(&inner.agents)
        .map(|(word, agent)| (agent_hash(agent.org, &agent.agent_id), agent.org.0, word))
        .collect();
    order.sort_unstable();
    for (hash, org, word) in order {
        let agent = &inner.agents[word as usize];
        let start = lists.push(&agent.rows);
        let first_clamped = sections[Section::Clamped as usize].len() as u64 / CLAMPED_BYTES;
        let out = &mut sections[Section::Agents as usize];
        out.extend_from_slice(&hash.to_le_bytes());
        [org, word, start, agent.rows.len()]
            .iter()
            .for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
        for key in [agent.rows.first(), agent.rows.last()] {
            out.extend_from_slice(&key.map_or(0, |key| key.recorded_at.0).to_le_bytes());
        }
        let clamped = [first_clamped as u32, agent.clamped().len() as u32];
        clamped
            .iter()
            .for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
        out.extend_from_slice(&agent.carry().map_or(0, |carry| carry.offset).to_le_bytes());
        out.extend_from_slice(&agent.carry().map_or(0, |carry| carry.bytes).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        for (sent, ordinal) in agent.clamped() {
            sections[Section::Clamped as usize].extend_from_slice(&sent.0.to_le_bytes());
            sections[Section::Clamped as usize].extend_from_slice(&ordinal.to_le_bytes());
        }
    }
    for agent in &inner.agents {
        sections[Section::AgentNames as usize].extend_from_slice(agent.agent_id.as_bytes());
        let end = sections[Section::AgentNames as usize].len() as u64;
        sections[Section::AgentNameEnds as usize].extend_from_slice(&end.to_le_bytes());
    }
}

fn words(inner: &Inner, out: &mut Vec<u8>) {
    out.extend_from_slice(&(inner.texts.len() as u32).to_le_bytes());
    for text in &inner.texts {
        let Some(text) = text else {
            out.extend_from_slice(&TEXT_GONE.to_le_bytes());
            continue;
        };
        out.extend_from_slice(&(text.len() as u32).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    }
    out.extend_from_slice(&(inner.sets.len() as u32).to_le_bytes());
    for set in &inner.sets {
        out.extend_from_slice(&(set.len() as u32).to_le_bytes());
        set.iter()
            .for_each(|word| out.extend_from_slice(&word.0.to_le_bytes()));
    }
}

/// All lists of the file, one after another.
#[derive(Default)]
struct Lists {
    rows: Vec<u8>,
    samples: Vec<u8>,
    len: u32,
    passed: u32,
}

impl Lists {
    /// Appends a list and says where it starts.
    fn push(&mut self, list: &RowList) -> u32 {
        let start = self.len;
        for row in list.iter() {
            if self.len.is_multiple_of(SAMPLE_EVERY) {
                self.samples.extend_from_slice(&self.passed.to_le_bytes());
            }
            let verdict = if row.passed() { PASSED_BIT } else { 0 };
            self.rows
                .extend_from_slice(&(row.key().ordinal | verdict).to_le_bytes());
            self.len += 1;
            self.passed += u32::from(row.passed());
        }
        start
    }
}

fn assemble(extent: &SegmentExtent, inner: &Inner, sections: &[Vec<u8>; SECTIONS]) -> Vec<u8> {
    let mut out = Vec::with_capacity(sections.iter().map(Vec::len).sum::<usize>() + (64 << 10));
    let mut places = Vec::with_capacity(SECTIONS * 16);
    for section in sections {
        places.extend_from_slice(&(out.len() as u64).to_le_bytes());
        places.extend_from_slice(&(section.len() as u64).to_le_bytes());
        out.extend_from_slice(section);
    }
    let checksums: Vec<u8> = out
        .chunks(BLOCK_BYTES)
        .flat_map(|block| crc32c::crc32c(block).to_le_bytes())
        .collect();
    let blocks = (checksums.len() / 4) as u32;
    let span = inner.time_span();
    out.extend_from_slice(&checksums);
    let header = out.len();
    out.extend_from_slice(&MAGIC.to_le_bytes());
    out.extend_from_slice(&extent.number.to_le_bytes());
    out.extend_from_slice(&extent.generation.to_le_bytes());
    for number in [extent.end, extent.first_seq, extent.last_seq] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    let counts = [
        inner.rows,
        inner.batches.len() as u32,
        inner.orgs.len() as u32,
        inner.agents.len() as u32,
    ];
    counts
        .iter()
        .for_each(|count| out.extend_from_slice(&count.to_le_bytes()));
    out.extend_from_slice(&span.map_or(0, |span| span.min.0).to_le_bytes());
    out.extend_from_slice(&span.map_or(0, |span| span.max.0).to_le_bytes());
    out.extend_from_slice(&inner.newest_receipt.map_or(NO_RECEIPT, |at| at.0).to_le_bytes());
    out.extend_from_slice(&places);
    out.extend_from_slice(&u32::from(inner.asks_rows).to_le_bytes());
    out.extend_from_slice(&inner.erased.to_le_bytes());
    out.extend_from_slice(&blocks.to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c(&checksums).to_le_bytes());
    let checksum = crc32c::crc32c(&out[header..]);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}
