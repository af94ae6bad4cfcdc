//! Writes the index file of a segment (`docs/on-disk.md`, "Index").
//!
//! Everything has a width that is fixed for its section, so that a reader finds a field by arithmetic. Sections follow each
//! other; behind them stand a checksum per block, then the header, whose place is fixed by the file's length.

use super::BatchPlace;
use super::list::{RowKey, RowList};
use super::moments::{Moment, Moments};
use super::open::{AGENTS_AT_ONCE, AgentRows, Inner, OpenIndex};
use super::output::{Output, Put};
use super::packed::{bytes_of, put_packed};
use crate::OrgId;
use crate::span::TimeSpan;
use hashbrown::HashMap;
use reputation::Micros;
use std::hash::Hasher as _;
use std::io;
use std::iter::once;

pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"RPTINDX5");
pub(super) const SECTIONS: usize = 15;
/// Magic, segment (number, generation, end, first and last frame), rows, batches, orgs, agents, times,
/// newest receipt, oldest receipt, sections (start, length), erased rows, widths of what is packed,
/// block count, checksum of the block checksums, checksum of the header.
pub(super) const HEADER_BYTES: usize =
    8 + 8 + 4 + 8 + 8 + 8 + 4 * 4 + 8 + 8 + 8 + 8 + SECTIONS * 16 + 4 + 8 + 4 + 4 + 4;
/// In the place of a text's length: it was erased.
pub(super) const TEXT_GONE: u32 = u32::MAX;
/// In the header, of a segment that received nothing.
pub(super) const NO_RECEIPT: i64 = i64::MIN;
/// In a list, before it is shifted by the verdict: ordinals below are told in three bytes together with it.
const NARROW_ORDINALS: u32 = 1 << 23;
/// Lists hold the number of passed rows before each so many.
pub(super) const SAMPLE_EVERY: u32 = 64;

pub(super) const ORG_BYTES: u64 = 48;
pub(super) const AGENT_BYTES: u64 = 64;
pub(super) const CLAMPED_BYTES: u64 = 12;
pub(super) const PAIR_BYTES: u64 = 4;

/// What each section holds.
#[derive(Clone, Copy)]
pub(super) enum Section {
    /// Recorded times by ordinal, packed.
    Times,
    /// Id fingerprints by ordinal: u16.
    Fingerprints,
    /// By ordinal, the number of a pair, in as many bytes as the highest takes.
    Labels,
    /// Tool (u16, word + 1) and failed set (u16, set + 1), each pair that some row has.
    LabelPairs,
    /// All lists one after another: twice the ordinal, and one more if the row passed; u24 in a segment of up to
    /// 2²³ rows, else u32.
    Lists,
    /// Passed rows in `Lists` before every 64th: u32.
    Samples,
    /// Batches by first ordinal: first ordinal, bytes, offset, first seq, org; packed.
    Batches,
    /// Batch numbers by (org, first seq), packed; each organisation's run is named in `Orgs`.
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
    /// Of the rows recorded before the oldest receipt: which agents have them of which times, as blocks of eight u32.
    Moments,
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

/// The times of no row.
const NO_SPAN: TimeSpan = TimeSpan {
    min: Micros(0),
    max: Micros(0),
};

/// The bytes of a row in a list, in a segment of so many rows.
pub(super) fn list_bytes(rows: u32) -> usize {
    if rows <= NARROW_ORDINALS { 3 } else { 4 }
}

/// Of what is packed, the bytes of each column in a row.
#[derive(Clone, Copy)]
pub(super) struct Widths {
    pub(super) times: [u8; 1],
    pub(super) batches: [u8; 5],
    pub(super) org_batches: [u8; 1],
}

/// Hands the index file of a whole segment to `put`, piece by piece from its start; `pause` is called again and again
/// while there is nothing to hand on yet.
pub(crate) fn write(
    extent: &SegmentExtent,
    index: &OpenIndex,
    put: impl FnMut(&[u8]) -> io::Result<()>,
    pause: impl Fn(),
) -> io::Result<()> {
    index.settle(&pause);
    let inner = &*index.read();
    let out = &mut Output::new(put);
    let agents = agents_by_hash(inner, &pause);
    let times = inner.times.runs().map(|run| run.as_chunks().0);
    let times = put_packed(times, out, &pause)?;
    for run in inner.fingerprints.runs() {
        pause();
        out.put_all(run.iter().copied().map(u16::to_le_bytes))?;
    }
    out.end_section();
    labels(inner, out, &pause)?;
    lists(inner, &agents, out)?;
    let batches = put_packed(once(&*batches(inner)), out, &pause)?;
    let org_batches = put_packed(once(&*org_batches(inner)), out, &pause)?;
    orgs(inner, out)?;
    directory(inner, &agents, out)?;
    names(inner, out)?;
    words(inner, out)?;
    moments(inner, &agents, out, &pause)?;
    out.end_sections()?;
    let widths = Widths {
        times,
        batches,
        org_batches,
    };
    ending(extent, inner, widths, out)
}

/// Tools and failed sets: of their pairs there are few.
fn labels(inner: &Inner, out: &mut Output<impl Put>, pause: &impl Fn()) -> io::Result<()> {
    let (mut pairs, mut numbers) = (Vec::new(), HashMap::new());
    let mut labels = Vec::with_capacity(inner.rows as usize);
    for (tools, sets) in inner.tools.runs().zip(inner.failed.runs()) {
        pause();
        labels.extend(tools.iter().copied().zip(sets.iter().copied()).map(|pair| {
            *numbers.entry(pair).or_insert_with(|| {
                pairs.push(pair);
                pairs.len() as u32 - 1
            })
        }));
    }
    let width = label_bytes(pairs.len() as u64);
    for label in labels {
        out.put_number(u64::from(label), width)?;
    }
    out.end_section();
    for (tool, set) in pairs {
        out.put_all([tool, set].map(u16::to_le_bytes))?;
    }
    out.end_section();
    Ok(())
}

/// The bytes that a row takes to name one of so many pairs.
pub(super) fn label_bytes(pairs: u64) -> usize {
    bytes_of(pairs.saturating_sub(1))
}

/// Hash, organisation and word of each agent, sorted.
fn agents_by_hash(inner: &Inner, pause: &impl Fn()) -> Vec<(u64, u32, u32)> {
    let mut order = Vec::with_capacity(inner.agents.len());
    for agents in inner.agents.chunks(AGENTS_AT_ONCE) {
        pause();
        let words = order.len() as u32..;
        let hashed =
            |(word, agent): (u32, &AgentRows)| (agent_hash(agent.org, &agent.agent_id), agent.org.0, word);
        order.extend(words.zip(agents).map(hashed));
    }
    order.sort_unstable();
    order
}

/// All lists, the organisations' before the agents', and their samples.
fn lists(inner: &Inner, agents: &[(u64, u32, u32)], out: &mut Output<impl Put>) -> io::Result<()> {
    let of_agents = agents
        .iter()
        .map(|(_, _, word)| &inner.agents[*word as usize].rows);
    let lists = inner.orgs.values().map(|org| &org.rows).chain(of_agents);
    let width = list_bytes(inner.rows);
    let (mut samples, mut len, mut passed) = (Vec::new(), 0u32, 0u32);
    for run in lists.flat_map(RowList::runs) {
        for row in run {
            if len.is_multiple_of(SAMPLE_EVERY) {
                samples.extend_from_slice(&passed.to_le_bytes());
            }
            out.put_number(u64::from(row.number()), width)?;
            len += 1;
            passed += u32::from(row.passed());
        }
    }
    out.end_section();
    out.put(&samples)?;
    out.end_section();
    Ok(())
}

/// First ordinal, bytes, offset, first sequence number and organisation of each batch.
fn batches(inner: &Inner) -> Vec<[i64; 5]> {
    let numbers = |batch: &BatchPlace| {
        [
            u64::from(batch.first_ordinal),
            u64::from(batch.bytes),
            batch.offset,
            batch.first_seq,
            u64::from(batch.org.0),
        ]
        .map(u64::cast_signed)
    };
    inner.batches.iter().map(numbers).collect()
}

/// The numbers of each organisation's batches.
fn org_batches(inner: &Inner) -> Vec<[i64; 1]> {
    let numbers = inner.orgs.values().flat_map(|org| &org.batches);
    numbers.map(|number| [i64::from(*number)]).collect()
}

fn orgs(inner: &Inner, out: &mut Output<impl Put>) -> io::Result<()> {
    let (mut list, mut first_batch) = (0u32, 0u32);
    for (org, rows) in &inner.orgs {
        let (len, batches) = (rows.rows.len(), rows.batches.len() as u32);
        let counts = [org.0, list, len, first_batch, batches, 0];
        out.put_all(counts.map(u32::to_le_bytes))?;
        out.put_all([rows.totals.first_seq, rows.totals.last_seq, 0].map(u64::to_le_bytes))?;
        list += len;
        first_batch += batches;
    }
    out.end_section();
    Ok(())
}

/// The agents, and their clamped rows.
fn directory(inner: &Inner, agents: &[(u64, u32, u32)], out: &mut Output<impl Put>) -> io::Result<()> {
    let mut list = inner.orgs.values().map(|org| org.rows.len()).sum::<u32>();
    let mut first_clamped = 0u32;
    for (hash, org, word) in agents {
        let agent = &inner.agents[*word as usize];
        let (len, clamped) = (agent.rows.len(), agent.clamped().len() as u32);
        out.put(&hash.to_le_bytes())?;
        out.put_all([*org, *word, list, len].map(u32::to_le_bytes))?;
        let span = agent.rows.span(&inner.times).unwrap_or(NO_SPAN);
        out.put_all([span.min, span.max].map(|time| time.0.to_le_bytes()))?;
        out.put_all([first_clamped, clamped].map(u32::to_le_bytes))?;
        let carry = agent.carry();
        out.put(&carry.map_or(0, |carry| carry.offset).to_le_bytes())?;
        out.put(&carry.map_or(0, |carry| carry.bytes).to_le_bytes())?;
        out.put(&[0; 4])?;
        list += len;
        first_clamped += clamped;
    }
    out.end_section();
    for (_, _, word) in agents {
        for (sent, ordinal) in inner.agents[*word as usize].clamped() {
            out.put(&sent.0.to_le_bytes())?;
            out.put(&ordinal.to_le_bytes())?;
        }
    }
    out.end_section();
    Ok(())
}

fn names(inner: &Inner, out: &mut Output<impl Put>) -> io::Result<()> {
    let mut end = 0u64;
    for agent in &inner.agents {
        end += agent.agent_id.len() as u64;
        out.put(&end.to_le_bytes())?;
    }
    out.end_section();
    for agent in &inner.agents {
        out.put(agent.agent_id.as_bytes())?;
    }
    out.end_section();
    Ok(())
}

fn words(inner: &Inner, out: &mut Output<impl Put>) -> io::Result<()> {
    out.put(&(inner.texts.len() as u32).to_le_bytes())?;
    for text in &inner.texts {
        let Some(text) = text else {
            out.put(&TEXT_GONE.to_le_bytes())?;
            continue;
        };
        out.put(&(text.len() as u32).to_le_bytes())?;
        out.put(text.as_bytes())?;
    }
    out.put(&(inner.sets.all().len() as u32).to_le_bytes())?;
    for set in inner.sets.all() {
        out.put(&(set.len() as u32).to_le_bytes())?;
        out.put_all(set.iter().map(|word| word.0.to_le_bytes()))?;
    }
    out.end_section();
    Ok(())
}

/// The moments of the rows that are older than the segment.
fn moments(
    inner: &Inner,
    agents: &[(u64, u32, u32)],
    out: &mut Output<impl Put>,
    pause: &impl Fn(),
) -> io::Result<()> {
    let behind = RowKey {
        recorded_at: inner.receipts.map_or(Micros(NO_RECEIPT), |span| span.min),
        ordinal: 0,
    };
    let mut older = Vec::new();
    for agents in agents.chunks(AGENTS_AT_ONCE) {
        pause();
        for (hash, _, word) in agents {
            let list = &inner.agents[*word as usize].rows;
            // Few agents have any, and a row is found sooner than a place.
            let oldest = list.get(0).map(|row| row.key(&inner.times));
            if oldest.is_some_and(|oldest| oldest < behind) {
                older.push((*hash, list, list.rank(behind, &inner.times).0 as usize));
            }
        }
    }
    let mut moments = Moments::new(older.iter().map(|(_, _, count)| count).sum());
    for (hash, list, count) in older {
        pause();
        let rows = list.iter().take(count);
        rows.for_each(|row| moments.add(Moment::new(hash, row.recorded_at(&inner.times))));
    }
    out.put_all(moments.words())?;
    out.end_section();
    Ok(())
}

/// The checksums of the blocks, and the header.
fn ending(
    extent: &SegmentExtent,
    inner: &Inner,
    widths: Widths,
    out: &mut Output<impl Put>,
) -> io::Result<()> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(&MAGIC.to_le_bytes());
    header.extend_from_slice(&extent.number.to_le_bytes());
    header.extend_from_slice(&extent.generation.to_le_bytes());
    for number in [extent.end, extent.first_seq, extent.last_seq] {
        header.extend_from_slice(&number.to_le_bytes());
    }
    let counts = [
        inner.rows,
        inner.batches.len() as u32,
        inner.orgs.len() as u32,
        inner.agents.len() as u32,
    ];
    counts
        .iter()
        .for_each(|count| header.extend_from_slice(&count.to_le_bytes()));
    let span = inner.time_span().unwrap_or(NO_SPAN);
    for time in [span.min, span.max] {
        header.extend_from_slice(&time.0.to_le_bytes());
    }
    let receipts = inner.receipts.map(|span| [span.max.0, span.min.0]);
    for receipt in receipts.unwrap_or([NO_RECEIPT; 2]) {
        header.extend_from_slice(&receipt.to_le_bytes());
    }
    header.extend_from_slice(&out.places);
    header.extend_from_slice(&inner.erased.to_le_bytes());
    let Widths {
        times,
        batches,
        org_batches,
    } = widths;
    for widths in [&times[..], &batches, &org_batches, &[0]] {
        header.extend_from_slice(widths);
    }
    header.extend_from_slice(&((out.checksums.len() / 4) as u32).to_le_bytes());
    header.extend_from_slice(&crc32c::crc32c(&out.checksums).to_le_bytes());
    header.extend_from_slice(&crc32c::crc32c(&header).to_le_bytes());
    let mut ending = std::mem::take(&mut out.checksums);
    ending.extend_from_slice(&header);
    out.put_behind(&ending)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::column::CHUNK;
    use crate::index::{BlockCache, NewBatch, OpenIndex, SealedIndex};
    use journal::{Disk as _, SimDisk};
    use std::path::Path;
    use std::sync::Arc;

    const EXTENT: SegmentExtent = SegmentExtent {
        number: 1,
        generation: 0,
        end: 1 << 20,
        first_seq: 1,
        last_seq: 1,
    };

    /// An index of one agent's rows with these times.
    fn index_of(times: &[i64]) -> OpenIndex {
        let (index, agent) = OpenIndex::of_one_agent();
        let batch = NewBatch::plain(agent, 1, times.iter().copied());
        index.add_batches(&[batch]).expect("a batch is taken");
        index
    }

    #[test]
    fn it_pauses_while_it_goes_through_many_rows() {
        let index = index_of(&vec![0; 3 * CHUNK]);
        let pauses = std::cell::Cell::new(0);
        let pause = || pauses.set(pauses.get() + 1);
        write(&EXTENT, &index, |_| Ok(()), pause).expect("an index");
        let blocks = 3 * CHUNK / 128;
        assert_eq!(
            pauses.get(),
            1 + 1 + 1 + 2 * blocks + 3 + 3 + 2 * 2 + 1,
            "an organisation and its agent, its hash, times, fingerprints, labels, batches, its moments"
        );
    }

    /// The index file of these rows, and in how many pieces it came.
    fn file_of(times: &[i64]) -> (Vec<u8>, usize) {
        let (mut bytes, mut pieces) = (Vec::new(), 0);
        let put = |piece: &[u8]| {
            bytes.extend_from_slice(piece);
            pieces += 1;
            Ok(())
        };
        write(&EXTENT, &index_of(times), put, || ()).expect("an index");
        (bytes, pieces)
    }

    fn opened(bytes: &[u8]) -> SealedIndex {
        let disk = SimDisk::new(0);
        let path = Path::new("index");
        disk.create_dir_all(Path::new("."))
            .and_then(|()| disk.create_new(path))
            .and_then(|file| file.write_all_at(bytes, 0))
            .expect("a file");
        let cache = Arc::new(BlockCache::new(1 << 20));
        SealedIndex::open(&disk, path, &EXTENT, &cache).expect("it opens")
    }

    #[test]
    fn times_are_read_back_whatever_they_span() {
        let max = i64::from(u32::MAX);
        for times in [
            vec![7, 5, 7 + max, 6],
            vec![-3, 9, 0],
            vec![i64::MIN, i64::MAX, 0],
            vec![0],
        ] {
            let (bytes, _) = file_of(&times);
            let sealed = opened(&bytes);
            let list = sealed.list(OrgId(1), Some("a")).expect("sound").expect("a list");
            let mut found: Vec<(u32, i64)> = (0..list.len)
                .map(|rank| sealed.get(list, rank).expect("a row").0)
                .map(|key| (key.ordinal, key.recorded_at.0))
                .collect();
            found.sort_unstable();
            let sent: Vec<(u32, i64)> = (0..).zip(times.iter().copied()).collect();
            assert_eq!(found, sent);
        }
    }

    #[test]
    fn what_is_older_than_the_segment_is_looked_for_only_where_there_may_be_some() {
        let received = 0; // as all batches are
        let (bytes, _) = file_of(&[received - 30, received - 10, received, received + 20]);
        let sealed = opened(&bytes);
        let may_have = |agent_id, time| {
            let time = Micros(time);
            let moment = Moment::of(OrgId(1), agent_id, time);
            sealed.may_have(moment, time).expect("sound")
        };
        assert!([-30, -10, 0, 20].iter().all(|time| may_have("a", *time)));
        assert!([-31, -29, -11, -1, 21].iter().all(|time| !may_have("a", *time)));
        assert!(
            !may_have("b", -10) && may_have("b", 0),
            "only what is older has its moment told"
        );
    }

    #[test]
    fn pieces_have_the_checksums_of_their_blocks() {
        let times: Vec<i64> = (0..300_000).collect();
        let (bytes, pieces) = file_of(&times);
        assert!(pieces > 10, "{pieces} pieces");
        let sealed = opened(&bytes);
        let list = sealed.list(OrgId(1), None).expect("sound").expect("a list");
        let ordinals = sealed.ordinals(list).expect("every block checks");
        assert_eq!(ordinals, (0..300_000).collect::<Vec<u32>>());
        assert_eq!(sealed.passed(list).expect("every block checks"), 300_000);
    }
}
