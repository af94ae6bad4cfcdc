//! The index of a sealed segment: a file, read block by block as needed.

use super::blocks::{BlockCache, BlockFile, BlockReader};
use super::list::RowKey;
use super::moments::{FILTER_BLOCK_BYTES, Moment};
use super::open::GONE;
use super::packed::{Packed, number_of};
use super::write::{
    AGENT_BYTES, CLAMPED_BYTES, HEADER_BYTES, MAGIC, NO_RECEIPT, ORG_BYTES, PAIR_BYTES, SAMPLE_EVERY,
    SECTIONS, Section, SegmentExtent, TEXT_GONE, agent_hash, label_bytes, list_bytes,
};
use super::{AgentIn, BatchPlace, CarryPlace, OrgTotals};
use crate::codec::{AgentWord, TextWord};
use crate::span::TimeSpan;
use crate::{Error, OrgId};
use journal::Disk;
use reputation::Micros;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// More rows than this share of the segment's are searched with the whole column in memory.
const READ_COLUMN_FROM_SHARE: u32 = 16;

/// How far an agent is first looked for beside the place where it would be if hashes were spread evenly.
const NEAR: u32 = 16;

/// An open index file.
pub(crate) struct SealedIndex {
    blocks: BlockFile,
    sections: [(u64, u64); SECTIONS],
    rows: u32,
    /// The rows that are there.
    pub(crate) events: u32,
    pub(crate) batches: u32,
    orgs: u32,
    agents: u32,
    pub(crate) span: Option<TimeSpan>,
    /// Bytes of a row in a list.
    list_bytes: usize,
    /// Recorded times by ordinal.
    times: Packed<1>,
    /// Batches by number.
    places: Packed<5>,
    /// Batch numbers by organisation.
    org_batches: Packed<1>,
    pub(crate) file_bytes: u64,
    /// The latest time of receipt of anything in the segment.
    pub(crate) newest_receipt: Option<Micros>,
    /// Rows recorded before this time, and those alone, have their moments in the filter.
    oldest_receipt: Micros,
}

/// The texts and the failed sets of a segment.
pub(crate) struct SealedWords {
    /// `None` for a text that was erased.
    texts: Vec<Option<Arc<str>>>,
    sets: Vec<Vec<TextWord>>,
}

/// A segment's dictionary: agents and texts, each by its number.
pub(crate) struct Vocabulary {
    pub(crate) agents: Vec<(OrgId, Arc<str>)>,
    /// `None` for a text that was erased.
    pub(crate) texts: Vec<Option<Arc<str>>>,
}

/// A list in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListPlace {
    start: u32,
    pub(crate) len: u32,
    /// All its rows were recorded within this time.
    pub(super) span: Option<TimeSpan>,
}

struct OrgEntry {
    list: ListPlace,
    first_batch: u32,
    batches: u32,
    totals: OrgTotals,
}

struct AgentEntry {
    list: ListPlace,
    clamped: (u32, u32),
    carry: Option<CarryPlace>,
}

impl SealedIndex {
    /// Opens the index of this segment. `None` where there is none, or one of another generation, length or
    /// format, or one whose header does not check: it is to be built.
    pub(crate) fn open(
        disk: &dyn Disk,
        path: &Path,
        extent: &SegmentExtent,
        cache: &Arc<BlockCache>,
    ) -> Option<Self> {
        Self::open_if(disk, path, cache, |found| found == extent)
    }

    /// Opens the index if it is of a segment that will do.
    pub(crate) fn open_if(
        disk: &dyn Disk,
        path: &Path,
        cache: &Arc<BlockCache>,
        will_do: impl FnOnce(&SegmentExtent) -> bool,
    ) -> Option<Self> {
        let file = disk.open(path).ok()?;
        let len = file.len().ok()?;
        let header_at = len.checked_sub(HEADER_BYTES as u64)?;
        let mut header = [0; HEADER_BYTES];
        file.read_exact_at(&mut header, header_at).ok()?;
        let checked = HEADER_BYTES - 4;
        if crc32c::crc32c(&header[..checked]) != u32_at(&header, checked) || u64_at(&header, 0) != MAGIC {
            return None;
        }
        let found = SegmentExtent {
            number: u64_at(&header, 8),
            generation: u32_at(&header, 16),
            end: u64_at(&header, 20),
            first_seq: u64_at(&header, 28),
            last_seq: u64_at(&header, 36),
        };
        if !will_do(&found) {
            return None;
        }
        let blocks = u32_at(&header, checked - 8) as usize;
        let data_bytes = header_at.checked_sub(4 * blocks as u64)?;
        let mut checksums = vec![0; 4 * blocks];
        file.read_exact_at(&mut checksums, data_bytes).ok()?;
        if crc32c::crc32c(&checksums) != u32_at(&header, checked - 4) {
            return None;
        }
        let checksums = checksums.chunks_exact(4).map(|bytes| u32_at(bytes, 0)).collect();
        let rows = u32_at(&header, 44);
        let span = TimeSpan {
            min: Micros(i64_at(&header, 60)),
            max: Micros(i64_at(&header, 68)),
        };
        let sections = std::array::from_fn(|i| (u64_at(&header, 92 + 16 * i), u64_at(&header, 100 + 16 * i)));
        let [batches, orgs, agents] = [48, 52, 56].map(|at| u32_at(&header, at));
        if !fit(&sections, data_bytes, rows, orgs, agents) {
            return None;
        }
        file.rest();
        let section = |section: Section| sections[section as usize];
        let widths = &header[96 + 16 * SECTIONS..];
        Some(Self {
            blocks: BlockFile::new(file, path, data_bytes, checksums, cache),
            sections,
            rows,
            events: rows - u32_at(&header, 92 + 16 * SECTIONS).min(rows),
            batches,
            orgs,
            agents,
            span: (rows > 0).then_some(span),
            list_bytes: list_bytes(rows),
            times: Packed::new(section(Section::Times), rows, [widths[0]])?,
            places: Packed::new(
                section(Section::Batches),
                batches,
                std::array::from_fn(|i| widths[1 + i]),
            )?,
            org_batches: Packed::new(section(Section::OrgBatches), batches, [widths[6]])?,
            file_bytes: len,
            newest_receipt: Some(i64_at(&header, 76))
                .filter(|at| *at != NO_RECEIPT)
                .map(Micros),
            oldest_receipt: Micros(i64_at(&header, 84)),
        })
    }

    fn read<const N: usize>(&self, section: Section, offset: u64) -> Result<[u8; N], Error> {
        let mut out = [0; N];
        self.read_slice(section, offset, &mut out)?;
        Ok(out)
    }

    fn read_slice(&self, section: Section, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        self.read_with(&mut self.blocks.reader(), section, offset, out)
    }

    fn read_with(
        &self,
        reader: &mut BlockReader<'_>,
        section: Section,
        offset: u64,
        out: &mut [u8],
    ) -> Result<(), Error> {
        let (start, len) = self.sections[section as usize];
        if offset.saturating_add(out.len() as u64) > len {
            return Err(self.blocks.damaged(start, "a section is too short"));
        }
        reader.read(start + offset, out)
    }

    /// The first entry and the number of entries that stand at the front of these bytes, of a section with entries
    /// of that width.
    fn part(&self, section: Section, width: u64, bytes: &[u8]) -> Result<(u32, u32), Error> {
        let (start, len) = (u32_at(bytes, 0), u32_at(bytes, 4));
        let (section_start, section_bytes) = self.sections[section as usize];
        if (u64::from(start) + u64::from(len)) * width > section_bytes {
            return Err(self.blocks.damaged(section_start, "a part of it lies outside"));
        }
        Ok((start, len))
    }

    /// The first of `count` sorted entries that is not `before`.
    fn search(&self, count: u32, mut before: impl FnMut(u32) -> Result<bool, Error>) -> Result<u32, Error> {
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            if before(middle)? {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// The same, searched for from where it is likely to be, in steps that double.
    fn search_near(
        &self,
        guess: u32,
        count: u32,
        mut before: impl FnMut(u32) -> Result<bool, Error>,
    ) -> Result<u32, Error> {
        let (mut low, mut high, mut step) = (0, count, NEAR);
        let mut probe = guess.min(count.saturating_sub(1));
        while low < high && (low..high).contains(&probe) {
            if before(probe)? {
                low = probe + 1;
                probe = probe.saturating_add(step);
            } else {
                high = probe;
                probe = probe.saturating_sub(step);
            }
            step *= 2;
        }
        let rest = self.search(high - low, |at| before(low + at))?;
        Ok(low + rest)
    }

    fn org(&self, org: OrgId) -> Result<Option<OrgEntry>, Error> {
        let number = |at: u32| {
            Ok::<_, Error>(u32::from_le_bytes(
                self.read(Section::Orgs, u64::from(at) * ORG_BYTES)?,
            ))
        };
        let at = self.search(self.orgs, |at| Ok(number(at)? < org.0))?;
        if at == self.orgs || number(at)? != org.0 {
            return Ok(None);
        }
        let entry: [u8; ORG_BYTES as usize] = self.read(Section::Orgs, u64::from(at) * ORG_BYTES)?;
        let (start, len) = self.part(Section::Lists, self.list_bytes as u64, &entry[4..])?;
        let (first_batch, batches) = (u32_at(&entry, 12), u32_at(&entry, 16));
        if u64::from(first_batch) + u64::from(batches) > u64::from(self.batches) {
            let (section_start, _) = self.sections[Section::Orgs as usize];
            return Err(self.blocks.damaged(section_start, "it has batches that are none"));
        }
        Ok(Some(OrgEntry {
            list: ListPlace {
                start,
                len,
                span: self.span,
            },
            first_batch,
            batches,
            totals: OrgTotals {
                first_seq: u64_at(&entry, 24),
                last_seq: u64_at(&entry, 32),
            },
        }))
    }

    fn agent(&self, org: OrgId, agent_id: &str) -> Result<Option<AgentEntry>, Error> {
        let hash = agent_hash(org, agent_id);
        let reader = &mut self.blocks.reader();
        let (start, _) = self.sections[Section::Agents as usize];
        let mut hash_at = |at: u32| {
            let mut hash = [0; 8];
            reader.read(start + u64::from(at) * AGENT_BYTES, &mut hash)?;
            Ok::<_, Error>(u64::from_le_bytes(hash))
        };
        // Hashes are spread evenly.
        let guess = ((u128::from(hash) * u128::from(self.agents)) >> 64) as u32;
        let mut at = self.search_near(guess, self.agents, |at| Ok(hash_at(at)? < hash))?;
        while at < self.agents && hash_at(at)? == hash {
            let entry: [u8; AGENT_BYTES as usize] =
                self.read(Section::Agents, u64::from(at) * AGENT_BYTES)?;
            let word = AgentWord(u32_at(&entry, 12));
            if u32_at(&entry, 8) == org.0 && &*self.agent_id(word)? == agent_id {
                let (start, len) = self.part(Section::Lists, self.list_bytes as u64, &entry[16..])?;
                let span = TimeSpan {
                    min: Micros(i64_at(&entry, 24)),
                    max: Micros(i64_at(&entry, 32)),
                };
                return Ok(Some(AgentEntry {
                    list: ListPlace {
                        start,
                        len,
                        span: (len > 0).then_some(span),
                    },
                    clamped: self.part(Section::Clamped, CLAMPED_BYTES, &entry[40..])?,
                    carry: Some(CarryPlace {
                        offset: u64_at(&entry, 48),
                        bytes: u32_at(&entry, 56),
                    })
                    .filter(|carry| carry.bytes > 0),
                }));
            }
            at += 1;
        }
        Ok(None)
    }

    /// Where the agent's newest carry record of the segment is.
    pub(crate) fn carry(&self, org: OrgId, agent_id: &str) -> Result<Option<CarryPlace>, Error> {
        Ok(self.agent(org, agent_id)?.and_then(|entry| entry.carry))
    }

    /// The agents of the dictionary, with the latest recorded time of their rows; in no order.
    pub(crate) fn agents(&self) -> impl Iterator<Item = Result<AgentIn, Error>> {
        let is_there =
            |agent: &Result<AgentIn, Error>| agent.as_ref().map_or(true, |agent| *agent.agent_id != *GONE);
        let agents = (0..self.agents).map(|at| {
            let entry: [u8; AGENT_BYTES as usize] =
                self.read(Section::Agents, u64::from(at) * AGENT_BYTES)?;
            Ok(AgentIn {
                org: OrgId(u32_at(&entry, 8)),
                agent_id: self.agent_id(AgentWord(u32_at(&entry, 12)))?,
                latest: (u32_at(&entry, 20) > 0).then(|| Micros(i64_at(&entry, 32))),
            })
        });
        agents.filter(is_there)
    }

    /// The list of an organisation's rows, or of one of its agents'.
    pub(crate) fn list(&self, org: OrgId, agent_id: Option<&str>) -> Result<Option<ListPlace>, Error> {
        match agent_id {
            None => Ok(self.org(org)?.map(|entry| entry.list)),
            Some(agent_id) => Ok(self.agent(org, agent_id)?.map(|entry| entry.list)),
        }
    }

    pub(crate) fn totals(&self, org: OrgId) -> Result<Option<OrgTotals>, Error> {
        Ok(self
            .org(org)?
            .map(|entry| entry.totals)
            .filter(|totals| totals.last_seq > 0))
    }

    /// Where the row at this place of all lists stands in their section.
    fn list_offset(&self, at: u32) -> u64 {
        u64::from(at) * self.list_bytes as u64
    }

    /// Some rows of the lists as they stand there.
    fn list_rows(&self, first: u32, count: usize) -> Result<Vec<u8>, Error> {
        let mut rows = vec![0; count * self.list_bytes];
        self.read_slice(Section::Lists, self.list_offset(first), &mut rows)?;
        Ok(rows)
    }

    /// The key and the verdict of the row at this place of a list.
    pub(crate) fn get(&self, list: ListPlace, rank: u32) -> Result<(RowKey, bool), Error> {
        self.lookup(list).row(rank)
    }

    /// Looks up rows of a list, near each other or again and again.
    fn lookup(&self, list: ListPlace) -> Lookup<'_> {
        Lookup {
            index: self,
            list,
            rows: self.blocks.reader(),
            times: self.blocks.reader(),
        }
    }

    /// Whether an agent may have a row recorded at this time, which is its moment's.
    pub(crate) fn may_have(&self, moment: Moment, time: Micros) -> Result<bool, Error> {
        if self.span.is_none_or(|span| !span.holds(time)) {
            return Ok(false);
        }
        if time >= self.oldest_receipt {
            return Ok(true);
        }
        let (_, bytes) = self.sections[Section::Moments as usize];
        let blocks = bytes / FILTER_BLOCK_BYTES as u64;
        if blocks == 0 {
            return Ok(false);
        }
        let block = moment.block(blocks) * FILTER_BLOCK_BYTES as u64;
        Ok(moment.is_in(self.read(Section::Moments, block)?))
    }

    /// The places of a list's rows that were recorded at exactly this time.
    pub(crate) fn at(&self, list: ListPlace, time: Micros) -> Result<Range<u32>, Error> {
        if list.span.is_none_or(|span| !span.holds(time)) {
            return Ok(0..0);
        }
        let mut lookup = self.lookup(list);
        let mut time_at = |rank: u32| Ok::<_, Error>(lookup.row(rank)?.0.recorded_at);
        let start = self.search(list.len, |at| Ok(time_at(at)? < time))?;
        if start == list.len || time_at(start)? != time {
            return Ok(start..start);
        }
        let rows = self.search(list.len - start, |at| Ok(time_at(start + at)? <= time))?;
        Ok(start..start + rows)
    }

    /// The verdicts of the rows at these places of a list.
    pub(crate) fn verdicts(&self, list: ListPlace, places: Range<u32>) -> Result<Vec<bool>, Error> {
        let rows = self.list_rows(list.start + places.start, places.len())?;
        Ok(rows
            .chunks_exact(self.list_bytes)
            .map(|row| list_row(row).1)
            .collect())
    }

    /// How many rows of a list come before this key, and how many of them passed.
    pub(crate) fn rank(&self, list: ListPlace, key: RowKey) -> Result<(u32, u32), Error> {
        let mut lookup = self.lookup(list);
        let rank = self.search(list.len, |at| Ok(lookup.row(at)?.0 < key))?;
        Ok((rank, self.passed_before(list, rank)?))
    }

    /// How many of the first so many rows of a list passed.
    pub(crate) fn passed_before(&self, list: ListPlace, rank: u32) -> Result<u32, Error> {
        let (from, to) = (
            self.passed_in_file_before(list.start)?,
            self.passed_in_file_before(list.start + rank)?,
        );
        to.checked_sub(from)
            .filter(|passed| *passed <= rank)
            .ok_or_else(|| {
                let (samples, _) = self.sections[Section::Samples as usize];
                self.blocks.damaged(samples, "the samples do not count the rows")
            })
    }

    fn passed_in_file_before(&self, at: u32) -> Result<u32, Error> {
        let sample = at / SAMPLE_EVERY;
        let first = sample * SAMPLE_EVERY;
        let total = (self.sections[Section::Lists as usize].1 / self.list_bytes as u64) as u32;
        if at == total && at == first {
            // No sample behind the last row: count from the one before.
            let Some(before) = sample.checked_sub(1) else {
                return Ok(0);
            };
            return self.passed_from_sample(before, at);
        }
        self.passed_from_sample(sample, at)
    }

    fn passed_from_sample(&self, sample: u32, at: u32) -> Result<u32, Error> {
        let first = sample * SAMPLE_EVERY;
        let before = u32::from_le_bytes(self.read(Section::Samples, u64::from(sample) * 4)?);
        let mut rows = [0; SAMPLE_EVERY as usize * 4];
        let rows = &mut rows[..(at - first) as usize * self.list_bytes];
        self.read_slice(Section::Lists, self.list_offset(first), rows)?;
        let passed = rows
            .chunks_exact(self.list_bytes)
            .filter(|row| list_row(row).1)
            .count();
        Ok(before.saturating_add(passed as u32))
    }

    /// The place of the `nth` row, from 0, among those of a list with this verdict.
    pub(crate) fn select(&self, list: ListPlace, passed: bool, nth: u32) -> Result<Option<u32>, Error> {
        let matching = |rank: u32| {
            let passing = self.passed_before(list, rank)?;
            Ok::<_, Error>(if passed { passing } else { rank - passing })
        };
        let rank = self.search(list.len + 1, |rank| Ok(matching(rank)? <= nth))?;
        Ok(if rank > list.len {
            None
        } else {
            rank.checked_sub(1)
        })
    }

    /// How many rows of a list passed.
    pub(crate) fn passed(&self, list: ListPlace) -> Result<u32, Error> {
        self.passed_before(list, list.len)
    }

    /// The ordinals of a list's rows, oldest first.
    pub(crate) fn ordinals(&self, list: ListPlace) -> Result<Vec<u32>, Error> {
        let rows = self.list_rows(list.start, list.len as usize)?;
        Ok(rows
            .chunks_exact(self.list_bytes)
            .map(|row| list_row(row).0)
            .collect())
    }

    /// The rows at these places of a list, those of this verdict alone counted, whose ids have this fingerprint;
    /// oldest first.
    pub(crate) fn with_fingerprint(
        &self,
        list: ListPlace,
        passed: Option<bool>,
        places: Range<u32>,
        fingerprint: u16,
    ) -> Result<Vec<RowKey>, Error> {
        if places.len() as u32 > self.rows / READ_COLUMN_FROM_SHARE {
            self.scan_fingerprints(list, passed, &places, fingerprint)
        } else {
            self.look_at_fingerprints(list, passed, &places, fingerprint)
        }
    }

    /// Row by row of the list.
    fn look_at_fingerprints(
        &self,
        list: ListPlace,
        passed: Option<bool>,
        places: &Range<u32>,
        fingerprint: u16,
    ) -> Result<Vec<RowKey>, Error> {
        // Where verdicts matter, places say nothing of where a row stands in the list: all of it is read.
        let (first, len, skipped) = match passed {
            None => (list.start + places.start, places.len(), 0),
            Some(_) => (list.start, list.len as usize, places.start),
        };
        let rows = self.list_rows(first, len)?;
        let rows = rows.chunks_exact(self.list_bytes).map(list_row);
        let wanted = rows.filter(|(_, has_passed)| passed.is_none_or(|passed| passed == *has_passed));
        let mut keys = Vec::new();
        for (ordinal, _) in wanted.skip(skipped as usize).take(places.len()) {
            let of_row = u16::from_le_bytes(self.read(Section::Fingerprints, u64::from(ordinal) * 2)?);
            if of_row == fingerprint {
                keys.push(RowKey {
                    recorded_at: self.time(ordinal)?,
                    ordinal,
                });
            }
        }
        Ok(keys)
    }

    /// Over the whole segment's column at once; the few rows that match are then looked for in the list.
    fn scan_fingerprints(
        &self,
        list: ListPlace,
        passed: Option<bool>,
        places: &Range<u32>,
        fingerprint: u16,
    ) -> Result<Vec<RowKey>, Error> {
        let mut column = vec![0; self.rows as usize * 2];
        self.read_slice(Section::Fingerprints, 0, &mut column)?;
        let mut keys = Vec::new();
        for ordinal in positions_of(fingerprint, &column) {
            let key = RowKey {
                recorded_at: self.time(ordinal)?,
                ordinal,
            };
            let (rank, passed_before) = self.rank(list, key)?;
            if rank == list.len {
                continue;
            }
            let (found, has_passed) = self.get(list, rank)?;
            let place = match passed {
                None => rank,
                Some(true) => passed_before,
                Some(false) => rank - passed_before,
            };
            let is_wanted = passed.is_none_or(|passed| passed == has_passed);
            if found == key && is_wanted && places.contains(&place) {
                keys.push(key);
            }
        }
        keys.sort_unstable();
        Ok(keys)
    }

    fn time(&self, ordinal: u32) -> Result<Micros, Error> {
        let [time] = self.times.get(&mut self.blocks.reader(), ordinal)?;
        Ok(Micros(time))
    }

    /// Which pair of a tool and a failed set a row has.
    pub(crate) fn label(&self, ordinal: u32) -> Result<usize, Error> {
        let (_, pairs_bytes) = self.sections[Section::LabelPairs as usize];
        let width = label_bytes(pairs_bytes / PAIR_BYTES);
        let mut label = [0; 8];
        self.read_slice(
            Section::Labels,
            u64::from(ordinal) * width as u64,
            &mut label[..width],
        )?;
        Ok(u64::from_le_bytes(label) as usize)
    }

    /// The pairs of a tool and a failed set that rows have.
    pub(crate) fn label_pairs(&self) -> Result<Vec<(u16, u16)>, Error> {
        let mut pairs = vec![0; self.sections[Section::LabelPairs as usize].1 as usize];
        self.read_slice(Section::LabelPairs, 0, &mut pairs)?;
        let (pairs, _) = pairs.as_chunks::<{ PAIR_BYTES as usize }>();
        let halves = |pair: &[u8; 4]| {
            (
                u16::from_le_bytes([pair[0], pair[1]]),
                u16::from_le_bytes([pair[2], pair[3]]),
            )
        };
        Ok(pairs.iter().map(halves).collect())
    }

    /// The rows of an agent that were sent with this timestamp but clamped.
    pub(crate) fn clamped_at(&self, org: OrgId, agent_id: &str, sent: Micros) -> Result<Vec<u32>, Error> {
        let Some(AgentEntry {
            clamped: (start, len),
            ..
        }) = self.agent(org, agent_id)?
        else {
            return Ok(Vec::new());
        };
        let entry = |at: u32| {
            let bytes: [u8; CLAMPED_BYTES as usize] =
                self.read(Section::Clamped, u64::from(start + at) * CLAMPED_BYTES)?;
            Ok::<_, Error>((Micros(i64_at(&bytes, 0)), u32_at(&bytes, 8)))
        };
        let first = self.search(len, |at| Ok(entry(at)?.0 < sent))?;
        let mut ordinals = Vec::new();
        for at in first..len {
            let (time, ordinal) = entry(at)?;
            if time != sent {
                break;
            }
            ordinals.push(ordinal);
        }
        Ok(ordinals)
    }

    /// The batch with this number.
    pub(crate) fn batch(&self, number: u32) -> Result<BatchPlace, Error> {
        self.read_batch(&mut self.blocks.reader(), number)
    }

    fn read_batch(&self, reader: &mut BlockReader<'_>, number: u32) -> Result<BatchPlace, Error> {
        let numbers = self.places.get(reader, number)?;
        let [first_ordinal, bytes, offset, first_seq, org] = numbers.map(i64::cast_unsigned);
        Ok(BatchPlace {
            first_ordinal: first_ordinal as u32,
            bytes: bytes as u32,
            offset,
            first_seq,
            org: OrgId(org as u32),
        })
    }

    /// The batch that holds a row.
    pub(crate) fn batch_of(&self, ordinal: u32) -> Result<Option<BatchPlace>, Error> {
        let reader = &mut self.blocks.reader();
        let after = self.search(self.batches, |at| {
            Ok(self.read_batch(reader, at)?.first_ordinal <= ordinal)
        })?;
        let at = after.checked_sub(1);
        at.map(|at| self.read_batch(reader, at)).transpose()
    }

    /// The ordinal of an organisation's event.
    pub(crate) fn ordinal_of(&self, org: OrgId, seq: u64) -> Result<Option<u32>, Error> {
        let Some(org) = self.org(org)? else {
            return Ok(None);
        };
        if seq < org.totals.first_seq || seq > org.totals.last_seq {
            return Ok(None);
        }
        let number = |at: u32| {
            let [number] = self
                .org_batches
                .get(&mut self.blocks.reader(), org.first_batch + at)?;
            Ok::<_, Error>(number as u32)
        };
        let after = self.search(org.batches, |at| Ok(self.batch(number(at)?)?.first_seq <= seq))?;
        let Some(at) = after.checked_sub(1) else {
            return Ok(None);
        };
        let number = number(at)?;
        let batch = self.batch(number)?;
        let end = match number + 1 {
            next if next < self.batches => self.batch(next)?.first_ordinal,
            _ => self.rows,
        };
        // Numbers between batches may be missing: lost, or not imported.
        let ordinal = u64::from(batch.first_ordinal) + (seq - batch.first_seq);
        Ok((ordinal < u64::from(end)).then_some(ordinal as u32))
    }

    pub(crate) fn agent_id(&self, word: AgentWord) -> Result<Arc<str>, Error> {
        let end =
            |word: u64| Ok::<_, Error>(u64::from_le_bytes(self.read(Section::AgentNameEnds, word * 8)?));
        let word = u64::from(word.0);
        let start = if word == 0 { 0 } else { end(word - 1)? };
        let damaged = |what| {
            self.blocks.damaged(
                self.sections[Section::AgentNames as usize]
                    .0
                    .saturating_add(start),
                what,
            )
        };
        let len = end(word)?.checked_sub(start).filter(|len| *len <= 4 * 200);
        let mut name = vec![0; len.ok_or_else(|| damaged("a name is too long"))? as usize];
        self.read_slice(Section::AgentNames, start, &mut name)?;
        String::from_utf8(name)
            .map(Into::into)
            .map_err(|_| damaged("a name is not UTF-8"))
    }

    /// All words of the segment's dictionary, in order.
    pub(crate) fn vocabulary(&self) -> Result<Vocabulary, Error> {
        let mut agents = vec![None; self.agents as usize];
        for at in 0..self.agents {
            let entry: [u8; AGENT_BYTES as usize] =
                self.read(Section::Agents, u64::from(at) * AGENT_BYTES)?;
            let word = AgentWord(u32_at(&entry, 12));
            if let Some(place) = agents.get_mut(word.0 as usize) {
                *place = Some((OrgId(u32_at(&entry, 8)), self.agent_id(word)?));
            }
        }
        let agents: Option<Vec<_>> = agents.into_iter().collect();
        let start = self.sections[Section::Agents as usize].0;
        Ok(Vocabulary {
            agents: agents.ok_or_else(|| self.blocks.damaged(start, "a word is missing"))?,
            texts: self.words()?.texts.clone(),
        })
    }

    /// The texts and failed sets of the segment.
    pub(crate) fn words(&self) -> Result<Arc<SealedWords>, Error> {
        self.blocks.words(|| {
            let (start, len) = self.sections[Section::Words as usize];
            let mut bytes = vec![0; len as usize];
            self.read_slice(Section::Words, 0, &mut bytes)?;
            SealedWords::read(&bytes).ok_or_else(|| self.blocks.damaged(start, "no words"))
        })
    }
}

/// Looks up rows of a list, holding the blocks that it read last.
struct Lookup<'i> {
    index: &'i SealedIndex,
    list: ListPlace,
    rows: BlockReader<'i>,
    times: BlockReader<'i>,
}

impl Lookup<'_> {
    /// The key and the verdict of the row at this place.
    fn row(&mut self, rank: u32) -> Result<(RowKey, bool), Error> {
        let mut row = [0; 4];
        let row = &mut row[..self.index.list_bytes];
        let offset = self.index.list_offset(self.list.start + rank);
        self.index
            .read_with(&mut self.rows, Section::Lists, offset, row)?;
        let (ordinal, passed) = list_row(row);
        let [time] = self.index.times.get(&mut self.times, ordinal)?;
        Ok((
            RowKey {
                recorded_at: Micros(time),
                ordinal,
            },
            passed,
        ))
    }
}

impl SealedWords {
    fn read(mut bytes: &[u8]) -> Option<Self> {
        let number = |bytes: &mut &[u8]| {
            let (head, rest) = bytes.split_first_chunk::<4>()?;
            *bytes = rest;
            Some(u32::from_le_bytes(*head))
        };
        let mut texts = Vec::new();
        for _ in 0..number(&mut bytes)? {
            let len = number(&mut bytes)?;
            if len == TEXT_GONE {
                texts.push(None);
                continue;
            }
            let (text, rest) = bytes.split_at_checked(len as usize)?;
            texts.push(Some(std::str::from_utf8(text).ok()?.into()));
            bytes = rest;
        }
        let mut sets = Vec::new();
        for _ in 0..number(&mut bytes)? {
            let len = number(&mut bytes)?;
            sets.push(
                (0..len)
                    .map(|_| number(&mut bytes).map(TextWord))
                    .collect::<Option<_>>()?,
            );
        }
        Some(Self { texts, sets })
    }

    /// What they take of memory, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        let texts = self.texts.iter().map(|text| {
            size_of_val(text)
                + text
                    .as_ref()
                    .map_or(0, |text| 2 * size_of::<usize>() + text.len())
        });
        let sets = self
            .sets
            .iter()
            .map(|set| size_of_val(set) + size_of_val(&set[..]));
        texts.chain(sets).sum::<usize>() as u64
    }

    pub(crate) fn text(&self, word: TextWord) -> Option<Arc<str>> {
        self.texts.get(word.0 as usize).cloned().flatten()
    }

    /// The number of a text, if the segment's dictionary has it.
    pub(crate) fn word_of(&self, text: &str) -> Option<TextWord> {
        self.texts
            .iter()
            .position(|word| word.as_deref() == Some(text))
            .map(|at| TextWord(at as u32))
    }

    /// Which sets of failed gates hold this gate, by number.
    pub(crate) fn sets_with(&self, word: TextWord) -> Vec<u16> {
        let sets = (1u16..).zip(&self.sets);
        sets.filter(|(_, words)| words.contains(&word))
            .map(|(number, _)| number)
            .collect()
    }
}

/// Whether the sections lie within so many bytes and those that are not packed are as long as the counts say, so that no
/// number out of the file asks for more memory than the file has bytes.
fn fit(sections: &[(u64, u64); SECTIONS], data_bytes: u64, rows: u32, orgs: u32, agents: u32) -> bool {
    let is_inside = |(start, len): &(u64, u64)| start.checked_add(*len).is_some_and(|end| end <= data_bytes);
    let lists = sections[Section::Lists as usize].1 / list_bytes(rows) as u64;
    let pairs = sections[Section::LabelPairs as usize].1 / PAIR_BYTES;
    let exact = [
        (Section::Fingerprints, 2 * u64::from(rows)),
        (Section::Labels, label_bytes(pairs) as u64 * u64::from(rows)),
        (Section::Samples, 4 * lists.div_ceil(u64::from(SAMPLE_EVERY))),
        (Section::Orgs, ORG_BYTES * u64::from(orgs)),
        (Section::Agents, AGENT_BYTES * u64::from(agents)),
        (Section::AgentNameEnds, 8 * u64::from(agents)),
    ];
    // A place in a list is told in 32 bits.
    sections.iter().all(is_inside)
        && lists <= u64::from(u32::MAX)
        && exact
            .iter()
            .all(|(section, len)| sections[*section as usize].1 == *len)
}

/// Where a column of 16-bit values has this one. Without a branch a value, a compiler looks at many at once.
fn positions_of(value: u16, column: &[u8]) -> Vec<u32> {
    const AT_ONCE: usize = 64;
    let is_it = |bytes: &[u8]| u16::from_le_bytes([bytes[0], bytes[1]]) == value;
    let mut found = Vec::new();
    for (nth, piece) in column.chunks(2 * AT_ONCE).enumerate() {
        if piece.chunks_exact(2).fold(false, |any, bytes| any | is_it(bytes)) {
            let places = piece
                .chunks_exact(2)
                .enumerate()
                .filter(|(_, bytes)| is_it(bytes));
            found.extend(places.map(|(place, _)| (nth * AT_ONCE + place) as u32));
        }
    }
    found
}

/// The ordinal and the verdict of a row as it stands in a list.
fn list_row(bytes: &[u8]) -> (u32, bool) {
    let number = number_of(bytes);
    ((number >> 1) as u32, number & 1 != 0)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    u64_at(bytes, at).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_value_is_found_wherever_it_stands(column in prop::collection::vec(0u16..4, 0..300)) {
            let bytes: Vec<u8> = column.iter().flat_map(|value| value.to_le_bytes()).collect();
            let naive: Vec<u32> = (0..).zip(&column).filter(|(_, value)| **value == 3).map(|(at, _)| at).collect();
            prop_assert_eq!(positions_of(3, &bytes), naive);
        }
    }

    #[test]
    fn a_row_of_a_list_has_room_for_every_ordinal_of_its_segment() {
        for rows in [1, (1 << 23) - 1, 1 << 23, (1 << 23) + 1, 1 << 31] {
            let last = rows - 1;
            for passed in [false, true] {
                let packed = (last << 1 | u32::from(passed)).to_le_bytes();
                assert_eq!(
                    list_row(&packed[..list_bytes(rows)]),
                    (last, passed),
                    "{rows} rows"
                );
            }
        }
        assert_eq!((list_bytes(1 << 23), list_bytes((1 << 23) + 1)), (3, 4));
    }
}
