//! The index of a segment that is still written, or that waits for its index file: in memory.

use super::column::Column;
use super::list::{ListRow, RowList, Times};
use super::settled::Settled;
use super::{ASK_ROW, AgentIn, BatchPlace, CarryPlace, NO_TEXT, OrgTotals};
use crate::OrgId;
use crate::codec::{
    AgentWord, BatchReader, EventView, IdForm, Malformed, Row, TextRef, TextWord, Word, Written, read_words,
};
use crate::span::TimeSpan;
use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use parking_lot::{RwLock, RwLockReadGuard};
use reputation::Micros;
use std::collections::BTreeMap;
use std::hash::BuildHasher as _;
use std::hint::black_box;
use std::sync::Arc;

/// Distinct sets of failed gates that a segment numbers at most; rows with others must be asked.
const MAX_SETS: usize = 4_096;

/// Agents that are looked at between two pauses.
pub(super) const AGENTS_AT_ONCE: usize = 64;

/// Rows that wait for their places in a list and are looked through one by one. More are put there first.
const FEW_WAITING: usize = 32;

/// Stands for the id of an agent that was erased: no agent has it.
pub(super) const GONE: &str = "";

/// What the index keeps of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewRow {
    pub(crate) agent: AgentWord,
    pub(crate) recorded_at: Micros,
    pub(crate) passed: bool,
    /// 0 without an `evaluation_id`.
    pub(crate) fingerprint: u16,
    tool: u16,
    /// The names of the gates that failed, sorted; `None` if one of them is no word of the dictionary.
    failed: Option<Vec<TextWord>>,
    clamped_from: Option<Micros>,
}

/// A batch record that is new in the segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewBatch {
    pub(crate) org: OrgId,
    pub(crate) first_seq: u64,
    /// Where the record starts in the segment's file.
    pub(crate) offset: u64,
    /// The record with its header, in bytes.
    pub(crate) bytes: u32,
    pub(crate) received_at: Micros,
    /// `None` for a row that was erased.
    pub(crate) rows: Vec<Option<NewRow>>,
}

impl NewRow {
    /// What the index keeps of a stored row.
    pub(crate) fn of(row: &Row<'_>) -> Result<Self, Malformed> {
        let mut failed = Some(Vec::new());
        for gate in row.gates() {
            let gate = gate?;
            if gate.failed() {
                match gate.name {
                    TextRef::Word(word) => {
                        if let Some(words) = &mut failed {
                            words.push(word);
                        }
                    }
                    TextRef::Inline(_) => failed = None,
                }
            }
        }
        Ok(Self {
            agent: row.agent,
            recorded_at: row.recorded_at,
            passed: row.passed,
            fingerprint: row.evaluation_id.as_ref().map_or(0, IdForm::fingerprint),
            tool: tool_value(row.tool),
            failed: failed.map(sorted),
            clamped_from: row.clamped_from(),
        })
    }
}

impl NewRow {
    /// Of a row that passed and has no more than it must.
    #[cfg(test)]
    pub(super) fn plain(agent: AgentWord, recorded_at: Micros) -> Self {
        Self {
            agent,
            recorded_at,
            passed: true,
            fingerprint: 0,
            tool: NO_TEXT,
            failed: Some(Vec::new()),
            clamped_from: None,
        }
    }

    /// The same of a row that was just written.
    pub(crate) fn written(event: &EventView<'_>, recorded_at: Micros, written: Written) -> Self {
        Self {
            agent: event.agent,
            recorded_at,
            passed: event.passed,
            fingerprint: written.fingerprint,
            tool: tool_value(event.tool),
            failed: written.failed.map(sorted),
            clamped_from: event.sent_at.filter(|sent| *sent != recorded_at),
        }
    }
}

/// A tool as it stands in its column.
fn tool_value(tool: Option<TextRef<'_>>) -> u16 {
    match tool {
        None => NO_TEXT,
        Some(TextRef::Word(word)) => column_value(word),
        Some(TextRef::Inline(_)) => ASK_ROW,
    }
}

/// Each word once, in order.
fn sorted(mut words: Vec<TextWord>) -> Vec<TextWord> {
    words.sort_unstable();
    words.dedup();
    words
}

impl NewBatch {
    /// What the index keeps of a batch record that starts at this offset of the file.
    pub(crate) fn of(reader: &BatchReader<'_>, offset: u64, bytes: u32) -> Result<Self, Malformed> {
        let rows = reader
            .rows()
            .map(|row| row?.as_ref().map(NewRow::of).transpose())
            .collect::<Result<_, _>>()?;
        Ok(Self {
            org: reader.header.org,
            first_seq: reader.header.first_seq,
            offset,
            bytes,
            received_at: reader.header.kept_since(),
            rows,
        })
    }
}

/// The rows of a batch that were not erased, with their ordinals.
fn rows_of(first_ordinal: u32, batch: &NewBatch) -> impl Iterator<Item = (u32, &NewRow)> {
    (first_ordinal..)
        .zip(&batch.rows)
        .filter_map(|(ordinal, row)| Some((ordinal, row.as_ref()?)))
}

/// How a word stands in a column: its number plus one.
pub(crate) fn column_value(word: TextWord) -> u16 {
    u16::try_from(word.0 + 1).unwrap_or(ASK_ROW)
}

/// The index. Written by one thread at a time, read by any.
#[derive(Default)]
pub(crate) struct OpenIndex {
    inner: RwLock<Inner>,
}

/// All that the index knows.
#[derive(Default)]
pub(crate) struct Inner {
    pub(super) agents: Vec<AgentRows>,
    by_name: HashTable<AgentWord>,
    hasher: DefaultHashBuilder,
    /// `None` for a text that was erased.
    pub(super) texts: Vec<Option<Arc<str>>>,
    pub(super) orgs: BTreeMap<OrgId, OrgRows>,
    pub(super) batches: Vec<BatchPlace>,
    /// By ordinal; 0 of a row that was erased.
    pub(super) times: Times,
    /// Of ids, by ordinal; 0 of a row that was erased.
    pub(super) fingerprints: Column<u16>,
    pub(super) tools: Column<u16>,
    pub(super) failed: Column<u16>,
    pub(super) sets: Sets,
    pub(super) rows: u32,
    /// Those of them that were erased.
    pub(super) erased: u32,
    /// The earliest and the latest recorded time of a row.
    span: Option<TimeSpan>,
    /// Some row's tool or failed gates stand in the row alone.
    asks_rows: bool,
    /// The times of receipt of anything in the segment.
    pub(super) receipts: Option<TimeSpan>,
}

/// The rows of one agent in the segment.
pub(super) struct AgentRows {
    pub(super) org: OrgId,
    pub(super) agent_id: Arc<str>,
    pub(super) rows: RowList,
    /// What few agents have. Apart, so that the entries, of which each row needs one, stay in the processor's cache.
    rare: Option<Box<Rare>>,
}

#[derive(Default)]
struct Rare {
    /// Rows that were clamped: timestamp as sent, ordinal. Sorted.
    clamped: Vec<(Micros, u32)>,
    /// The agent's newest carry record in the segment.
    carry: Option<CarryPlace>,
}

impl AgentRows {
    fn new(org: OrgId, agent_id: Arc<str>) -> Self {
        Self {
            org,
            agent_id,
            rows: RowList::default(),
            rare: None,
        }
    }

    /// Rows that were clamped: timestamp as sent, ordinal. Sorted.
    pub(super) fn clamped(&self) -> &[(Micros, u32)] {
        self.rare.as_ref().map_or(&[], |rare| &rare.clamped)
    }

    /// The agent's newest carry record in the segment.
    pub(super) fn carry(&self) -> Option<CarryPlace> {
        self.rare.as_ref()?.carry
    }

    fn add_clamped(&mut self, sent: Micros, ordinal: u32) {
        let clamped = &mut self.rare.get_or_insert_default().clamped;
        let at = clamped.partition_point(|other| *other < (sent, ordinal));
        clamped.insert(at, (sent, ordinal));
    }
}

/// The rows of one organisation in the segment.
pub(super) struct OrgRows {
    pub(super) rows: RowList,
    pub(super) totals: OrgTotals,
    /// The organisation's batches, by number, in order.
    pub(super) batches: Vec<u32>,
}

impl Default for OrgRows {
    fn default() -> Self {
        Self {
            rows: RowList::default(),
            totals: OrgTotals {
                first_seq: u64::MAX,
                last_seq: 0,
            },
            batches: Vec::new(),
        }
    }
}

#[cfg(test)]
impl OpenIndex {
    /// Of a segment whose dictionary has one agent, `a` of organisation 1.
    pub(super) fn of_one_agent() -> (Self, AgentWord) {
        let (index, mut words) = (Self::default(), crate::codec::Words::new());
        let agent = words.agent(crate::agent::AgentNo(0), OrgId(1), "a");
        let body = words.take_new().expect("a word is new");
        index.add_words(&body).expect("words are taken");
        (index, agent)
    }
}

#[cfg(test)]
impl NewBatch {
    /// Of plain rows of this agent of organisation 1, recorded at these times.
    pub(super) fn plain(agent: AgentWord, first_seq: u64, times: impl IntoIterator<Item = i64>) -> Self {
        let rows = times.into_iter();
        Self {
            org: OrgId(1),
            first_seq,
            offset: 0,
            bytes: 1,
            received_at: Micros(0),
            rows: rows
                .map(|time| Some(NewRow::plain(agent, Micros(time))))
                .collect(),
        }
    }
}

impl OpenIndex {
    /// Takes in the new words of a `WORDS` record.
    pub(crate) fn add_words(&self, body: &[u8]) -> Result<(), Malformed> {
        let mut inner = self.inner.write();
        for word in read_words(body) {
            match word? {
                Word::Text(text) => inner.texts.push(Some(text.into())),
                Word::TextGone => inner.texts.push(None),
                Word::AgentGone => inner.agents.push(AgentRows::new(OrgId(0), GONE.into())),
                Word::Agent(org, agent_id) => inner.add_agent(org, agent_id.into()),
            }
        }
        Ok(())
    }

    /// Takes in the batches of a group.
    pub(crate) fn add_batches(&self, batches: &[NewBatch]) -> Result<(), Malformed> {
        let mut inner = self.inner.write();
        let known = inner.agents.len();
        let mut rows = batches.iter().flat_map(|batch| batch.rows.iter().flatten());
        if rows.any(|row| row.agent.0 as usize >= known) {
            return Err(Malformed("a row names an agent that the dictionary lacks"));
        }
        for batch in batches {
            inner.add_batch(batch);
        }
        Ok(())
    }

    /// Takes in an agent's carry record.
    pub(crate) fn add_carry(
        &self,
        agent: AgentWord,
        carry: CarryPlace,
        carried_at: Micros,
    ) -> Result<(), Malformed> {
        let mut inner = self.inner.write();
        let entry = inner.agents.get_mut(agent.0 as usize);
        let entry = entry.ok_or(Malformed("a carry names an agent that the dictionary lacks"))?;
        entry.rare.get_or_insert_default().carry = Some(carry);
        inner.received(carried_at);
        Ok(())
    }

    /// Takes note that something without rows was received.
    pub(crate) fn received(&self, at: Micros) {
        self.inner.write().received(at);
    }

    /// The index to read from, for a short while: writers wait.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read()
    }

    /// The list of an organisation's rows, or of one of its agents'.
    pub(crate) fn list(&self, org: OrgId, agent_id: Option<&str>) -> Option<Settled> {
        let settled = |inner: &Inner, list: &RowList| {
            Settled::new(list.clone(), inner.times.clone(), inner.fingerprints.clone())
        };
        let inner = self.inner.read();
        let list = inner.list(org, agent_id)?;
        if list.is_settled() {
            return Some(settled(&inner, list));
        }
        drop(inner);
        let mut inner = self.inner.write();
        inner.settle(org, agent_id);
        Some(settled(&inner, inner.list(org, agent_id)?))
    }

    /// The ordinals of an agent's rows of exactly this time whose ids have this fingerprint.
    pub(crate) fn at(&self, org: OrgId, agent_id: &str, time: Micros, fingerprint: u16) -> Vec<u32> {
        let inner = self.inner.read();
        let Some(list) = inner.list(org, Some(agent_id)) else {
            return Vec::new();
        };
        if list.waiting().len() <= FEW_WAITING {
            return inner.at(list, time, fingerprint);
        }
        drop(inner);
        let mut inner = self.inner.write();
        inner.settle(org, Some(agent_id));
        let list = inner.list(org, Some(agent_id));
        list.map_or_else(Vec::new, |list| inner.at(list, time, fingerprint))
    }

    /// Puts all rows in their places, calling `pause` between some and others: writing the index needs their order.
    pub(super) fn settle(&self, pause: &impl Fn()) {
        let orgs: Vec<OrgId> = self.inner.read().orgs.keys().copied().collect();
        for org in orgs {
            self.inner.write().settle(org, None);
            pause();
        }
        let agents = self.inner.read().agents.len();
        for first in (0..agents).step_by(AGENTS_AT_ONCE) {
            self.inner.write().settle_agents(first);
            pause();
        }
    }
}

/// The sets of gates that failed together, numbered from 1.
#[derive(Default)]
pub(super) struct Sets {
    all: Vec<Vec<TextWord>>,
    numbers: HashMap<Vec<TextWord>, u16>,
}

impl Sets {
    /// All of them, in the order of their numbers.
    pub(super) fn all(&self) -> &[Vec<TextWord>] {
        &self.all
    }

    /// How a row's failed gates stand in their column; a set that is new gets a number.
    fn number_of(&mut self, failed: Option<&[TextWord]>) -> u16 {
        match failed {
            None => ASK_ROW,
            Some([]) => NO_TEXT,
            Some(words) => match self.numbers.get(words) {
                Some(number) => *number,
                None if self.all.len() == MAX_SETS => ASK_ROW,
                None => {
                    self.all.push(words.to_vec());
                    let number = self.all.len() as u16;
                    self.numbers.insert(words.to_vec(), number);
                    number
                }
            },
        }
    }
}

/// Reads one word of all that a batch's rows will be put into: independent loads, which the processor does at
/// once, where putting the rows in one by one would wait for each.
fn fetch(agents: &[AgentRows], batch: &NewBatch) {
    let lists = || {
        batch
            .rows
            .iter()
            .flatten()
            .map(|row| &agents[row.agent.0 as usize].rows)
    };
    let lens = lists().fold(0, |sum, list| sum ^ list.newest().len());
    let newest = lists().filter_map(|list| list.newest().last());
    let ends = newest.fold(0, |sum, row| sum ^ row.ordinal());
    black_box((lens, ends)); // or the loads would be left out, nobody needing their sums
}

impl Inner {
    fn add_agent(&mut self, org: OrgId, agent_id: Arc<str>) {
        let word = AgentWord(self.agents.len() as u32);
        self.org_mut(org);
        let Self {
            agents,
            by_name,
            hasher,
            ..
        } = self;
        let hash = |agent: &AgentRows| hasher.hash_one((agent.org, &*agent.agent_id));
        let new = AgentRows::new(org, agent_id);
        let is_same = |known: &AgentWord| {
            let known = &agents[known.0 as usize];
            (known.org, &known.agent_id) == (new.org, &new.agent_id)
        };
        match by_name.entry(hash(&new), is_same, |known| hash(&agents[known.0 as usize])) {
            Entry::Occupied(mut known) => *known.get_mut() = word,
            Entry::Vacant(place) => drop(place.insert(word)),
        }
        agents.push(new);
    }

    /// The number of an agent in the dictionary; of two of one name the later.
    fn word_of_agent(&self, org: OrgId, agent_id: &str) -> Option<AgentWord> {
        let is_it = |word: &AgentWord| {
            let agent = &self.agents[word.0 as usize];
            agent.org == org && *agent.agent_id == *agent_id
        };
        let hash = self.hasher.hash_one((org, agent_id));
        self.by_name.find(hash, is_it).copied()
    }

    fn agent(&self, org: OrgId, agent_id: &str) -> Option<&AgentRows> {
        let word = self.word_of_agent(org, agent_id)?;
        Some(&self.agents[word.0 as usize])
    }

    fn received(&mut self, at: Micros) {
        self.receipts = TimeSpan::with(self.receipts, at);
    }

    fn org_mut(&mut self, org: OrgId) -> &mut OrgRows {
        self.orgs.entry(org).or_default()
    }

    fn add_batch(&mut self, batch: &NewBatch) {
        self.received(batch.received_at);
        if batch.rows.is_empty() {
            return;
        }
        let (first_ordinal, number) = (self.rows, self.batches.len() as u32);
        self.batches.push(BatchPlace {
            org: batch.org,
            first_seq: batch.first_seq,
            first_ordinal,
            offset: batch.offset,
            bytes: batch.bytes,
        });
        self.add_columns(batch);
        self.rows += batch.rows.len() as u32;
        let Self {
            agents,
            orgs,
            times,
            span,
            ..
        } = self;
        fetch(agents, batch);
        let org = orgs.entry(batch.org).or_default();
        org.totals.first_seq = org.totals.first_seq.min(batch.first_seq);
        org.totals.last_seq = batch.first_seq + batch.rows.len() as u64 - 1;
        org.batches.push(number);
        for (ordinal, row) in rows_of(first_ordinal, batch) {
            let list_row = ListRow::new(ordinal, row.passed);
            let agent = &mut agents[row.agent.0 as usize];
            agent.rows.push(list_row, times);
            if let Some(sent) = row.clamped_from {
                agent.add_clamped(sent, ordinal);
            }
            org.rows.push(list_row, times);
            *span = TimeSpan::with(*span, row.recorded_at);
        }
    }

    /// Puts the rows of an organisation, or of one of its agents, in their places.
    fn settle(&mut self, org: OrgId, agent_id: Option<&str>) {
        let list = match agent_id {
            None => self.orgs.get_mut(&org).map(|org| &mut org.rows),
            Some(agent_id) => {
                let word = self.word_of_agent(org, agent_id);
                word.map(|word| &mut self.agents[word.0 as usize].rows)
            }
        };
        if let Some(list) = list {
            list.settle(&self.times);
        }
    }

    /// The same of [`AGENTS_AT_ONCE`] agents, from this one on.
    fn settle_agents(&mut self, first: usize) {
        let Self { agents, times, .. } = self;
        let some = agents[first..].iter_mut().take(AGENTS_AT_ONCE);
        some.for_each(|agent| agent.rows.settle(times));
    }

    /// The ordinals of those rows of a list that were recorded at this time and whose ids have this fingerprint.
    fn at(&self, list: &RowList, time: Micros, fingerprint: u16) -> Vec<u32> {
        let ordinals = list.at(time, &self.times).map(ListRow::ordinal);
        ordinals
            .filter(|ordinal| self.fingerprints.get(*ordinal) == Some(fingerprint))
            .collect()
    }

    /// What is kept of each row by its ordinal.
    fn add_columns(&mut self, batch: &NewBatch) {
        let Self {
            times,
            fingerprints,
            tools,
            failed,
            sets,
            erased,
            asks_rows,
            ..
        } = self;
        let rows = || batch.rows.iter().map(Option::as_ref);
        times.append(rows().map(|row| row.map_or(0, |row| row.recorded_at.0)));
        fingerprints.append(rows().map(|row| row.map_or(0, |row| row.fingerprint)));
        tools.append(batch.rows.iter().map(|row| {
            let tool = row.as_ref().map_or(NO_TEXT, |row| row.tool);
            *erased += u32::from(row.is_none());
            *asks_rows |= tool == ASK_ROW;
            tool
        }));
        failed.append(batch.rows.iter().map(|row| {
            let set = row
                .as_ref()
                .map_or(NO_TEXT, |row| sets.number_of(row.failed.as_deref()));
            *asks_rows |= set == ASK_ROW;
            set
        }));
    }

    /// Whether some row's tool or failed gates stand in the row alone.
    pub(crate) fn asks_rows(&self) -> bool {
        self.asks_rows
    }

    /// How many batches there are.
    pub(crate) fn batches(&self) -> u32 {
        self.batches.len() as u32
    }

    /// The rows that are there.
    pub(crate) fn events(&self) -> u32 {
        self.rows - self.erased
    }

    /// The list of an organisation's rows, or of one of its agents'.
    fn list(&self, org: OrgId, agent_id: Option<&str>) -> Option<&RowList> {
        match agent_id {
            None => Some(&self.orgs.get(&org)?.rows),
            Some(agent_id) => Some(&self.agent(org, agent_id)?.rows),
        }
    }

    pub(crate) fn totals(&self, org: OrgId) -> Option<OrgTotals> {
        self.orgs
            .get(&org)
            .map(|org| org.totals)
            .filter(|totals| totals.last_seq > 0)
    }

    /// The columns of tools and of failed sets.
    pub(crate) fn labels(&self) -> (Column<u16>, Column<u16>) {
        (self.tools.clone(), self.failed.clone())
    }

    /// The rows of an agent that were sent with this timestamp but clamped.
    pub(crate) fn clamped_at(&self, org: OrgId, agent_id: &str, sent: Micros) -> Vec<u32> {
        let agent = self.agent(org, agent_id);
        let all = agent.into_iter().flat_map(AgentRows::clamped);
        all.filter(|(time, _)| *time == sent)
            .map(|(_, ordinal)| *ordinal)
            .collect()
    }

    /// Where the agent's newest carry record of the segment is.
    pub(crate) fn carry(&self, org: OrgId, agent_id: &str) -> Option<CarryPlace> {
        self.agent(org, agent_id)?.carry()
    }

    /// The latest time of receipt of anything in the segment.
    pub(crate) fn newest_receipt(&self) -> Option<Micros> {
        Some(self.receipts?.max)
    }

    /// The agents of the dictionary, with the latest recorded time of their rows.
    pub(crate) fn agents(&self) -> impl Iterator<Item = AgentIn> {
        let there = self.agents.iter().filter(|agent| *agent.agent_id != *GONE);
        there.map(|agent| AgentIn {
            org: agent.org,
            agent_id: Arc::clone(&agent.agent_id),
            latest: agent.rows.latest(&self.times),
        })
    }

    /// The batch with this number.
    pub(crate) fn batch(&self, number: u32) -> Option<BatchPlace> {
        self.batches.get(number as usize).copied()
    }

    /// The batch that holds a row.
    pub(crate) fn batch_of(&self, ordinal: u32) -> Option<BatchPlace> {
        let after = self
            .batches
            .partition_point(|batch| batch.first_ordinal <= ordinal);
        self.batches.get(after.checked_sub(1)?).copied()
    }

    /// The ordinal of an organisation's event.
    pub(crate) fn ordinal_of(&self, org: OrgId, seq: u64) -> Option<u32> {
        let org = self.orgs.get(&org)?;
        if seq < org.totals.first_seq || seq > org.totals.last_seq {
            return None;
        }
        let after = org
            .batches
            .partition_point(|batch| self.batches[*batch as usize].first_seq <= seq);
        let number = *org.batches.get(after.checked_sub(1)?)? as usize;
        let batch = &self.batches[number];
        let end = self
            .batches
            .get(number + 1)
            .map_or(self.rows, |next| next.first_ordinal);
        // Numbers between batches may be missing: lost, or not imported.
        let ordinal = u64::from(batch.first_ordinal) + (seq - batch.first_seq);
        (ordinal < u64::from(end)).then_some(ordinal as u32)
    }

    pub(crate) fn agent_id(&self, word: AgentWord) -> Option<Arc<str>> {
        self.agents
            .get(word.0 as usize)
            .map(|agent| Arc::clone(&agent.agent_id))
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
        let sets = (1u16..).zip(self.sets.all());
        sets.filter(|(_, words)| words.contains(&word))
            .map(|(number, _)| number)
            .collect()
    }

    /// The earliest and the latest recorded time.
    pub(crate) fn time_span(&self) -> Option<TimeSpan> {
        self.span
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_finds_the_rows_that_wait_for_their_places_in_order() {
        let (index, agent) = OpenIndex::of_one_agent();
        for group in 0..9i64 {
            // Each group is earlier than the one before.
            let times = (0..100).map(|row| row * 7 % 100 - 100 * group);
            let batch = NewBatch::plain(agent, 100 * group.cast_unsigned() + 1, times);
            index.add_batches(&[batch]).expect("a batch is taken");
            let is_settled = || {
                let inner = index.read();
                [None, Some("a")]
                    .map(|agent_id| inner.list(OrgId(1), agent_id).is_some_and(RowList::is_settled))
            };
            assert_eq!(is_settled(), [false; 2]);
            if group % 3 == 2 {
                for agent_id in [None, Some("a")] {
                    let list = index.list(OrgId(1), agent_id).expect("there are rows");
                    let keys: Vec<_> = (0..list.len()).map_while(|place| list.key(place)).collect();
                    assert_eq!(keys.len(), 100 * (group as usize + 1));
                    assert!(keys.is_sorted());
                }
                assert_eq!(is_settled(), [true; 2]);
            }
        }
    }
}
