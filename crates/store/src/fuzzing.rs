//! For fuzz targets: reads arbitrary bytes as the index file of a sealed segment, and asks it everything.

use crate::index::{BlockCache, Moment, RowKey, Rows, SealedIndex};
use crate::{Error, OrgId};
use journal::{Disk, SimDisk};
use reputation::Micros;
use std::path::Path;
use std::sync::Arc;

/// No more of a list's places, agents and rows than this are asked about one by one.
const ASKED: u32 = 16;

/// What an index file said.
#[derive(Debug)]
pub enum IndexReading {
    /// It is none, and would be built anew.
    NotOne,
    /// It is one, and something in it is wrong.
    Damaged(String),
    /// Every question had an answer; how many rows the lists have together.
    Sound(u64),
}

/// Reads a file whole.
///
/// # Panics
/// If the reader has a fault.
#[must_use]
pub fn read_index(bytes: &[u8]) -> IndexReading {
    let disk = SimDisk::new(0);
    let path = Path::new("index");
    let made = disk
        .create_dir_all(Path::new("."))
        .and_then(|()| disk.create_new(path));
    made.and_then(|file| file.write_all_at(bytes, 0))
        .unwrap_or_else(|error| panic!("{error}"));
    let cache = Arc::new(BlockCache::new(1 << 20));
    let Some(index) = SealedIndex::open_if(&disk, path, &cache, |_| true) else {
        return IndexReading::NotOne;
    };
    match ask_everything(&Arc::new(index)) {
        Ok(rows) => IndexReading::Sound(rows),
        Err(error) => IndexReading::Damaged(error.to_string()),
    }
}

fn ask_everything(index: &Arc<SealedIndex>) -> Result<u64, Error> {
    let words = index.words()?;
    let vocabulary = index.vocabulary()?;
    for text in vocabulary.texts.iter().flatten().take(ASKED as usize) {
        let word = words.word_of(text).unwrap_or_else(|| panic!("a word of its own"));
        assert!(words.text(word).is_some(), "a number of its own");
        words.sets_with(word);
    }
    let mut rows = 0;
    let mut orgs: Vec<OrgId> = vec![OrgId(0), OrgId(1)];
    for agent in index.agents().take(ASKED as usize) {
        let agent = agent?;
        orgs.push(agent.org);
        rows += ask_list(index, agent.org, Some(&agent.agent_id))?;
        index.carry(agent.org, &agent.agent_id)?;
        index.clamped_at(agent.org, &agent.agent_id, Micros(0))?;
        if let Some(latest) = agent.latest {
            index.may_have(Moment::of(agent.org, &agent.agent_id, latest), latest)?;
            index.clamped_at(agent.org, &agent.agent_id, latest)?;
        }
    }
    orgs.sort_unstable_by_key(|org| org.0);
    orgs.dedup();
    for org in orgs {
        rows += ask_list(index, org, None)?;
        if let Some(totals) = index.totals(org)? {
            for seq in [totals.first_seq, totals.last_seq] {
                if let Some(ordinal) = index.ordinal_of(org, seq)? {
                    index.batch_of(ordinal)?;
                }
            }
        }
    }
    index.label_pairs()?;
    for ordinal in 0..index.events.min(ASKED) {
        index.label(ordinal)?;
        index.batch_of(ordinal)?;
    }
    Ok(rows)
}

/// Asks about the rows of an organisation or of an agent, with each verdict.
fn ask_list(index: &Arc<SealedIndex>, org: OrgId, agent: Option<&str>) -> Result<u64, Error> {
    let Some(list) = index.list(org, agent)? else {
        return Ok(0);
    };
    for passed in [None, Some(true), Some(false)] {
        let mut rows = Rows::sealed(Arc::clone(index), list, passed)?;
        for nth in (0..rows.len()).take(ASKED as usize) {
            let key = rows.key(nth)?;
            for beside in [key.ordinal, key.ordinal.wrapping_add(1)] {
                rows.rank(RowKey {
                    recorded_at: key.recorded_at,
                    ordinal: beside,
                })?;
            }
        }
        let (first, last) = (rows.before(Micros(0))?, rows.until(Micros(i64::MAX))?);
        for fingerprint in [0, 1, 0x1234] {
            rows.with_fingerprint(0, rows.len().min(first.max(last)), fingerprint)?;
            rows.with_fingerprint(0, rows.len().min(1), fingerprint)?;
        }
        rows.ordinals()?;
    }
    Ok(u64::from(list.len))
}
