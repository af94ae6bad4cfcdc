//! After a start: the windows that were in memory before it, read back together.
//!
//! A clean stop leaves copies of them, which are read here in the order in which they lie on the disk. A crash leaves
//! none. One by one, each window takes its rows out of hundreds of batch records, and since agents share those,
//! thousands of windows read the same records again and again: here the newest segments are read once, from the
//! newest record back, and all windows are built on the way.

mod expected;
mod partial;

use crate::agent::{AgentName, AgentNo, AgentState};
use crate::codec::{AgentWord, BatchReader};
use crate::erasure::Erasure;
use crate::facts::Recorded;
use crate::identity::Identities;
use crate::loader;
use crate::owner::{self, Message};
use crate::registry::{Entry, Registry};
use crate::segments::{self, IndexedSegment, SegmentIndex};
use crate::shared::Shared;
use crate::spill::Place;
use crate::{Error, OrgId};
use crossbeam_channel::Sender;
pub(crate) use expected::Expected;
use hashbrown::HashMap;
use journal::Segment;
use partial::Partial;
use reputation::Micros;
use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// One of so many rows must be of a window that is wanted, or the rest is left to the loaders: to them one row costs
/// about as much as so many do here.
const ROWS_FOR_ONE: u64 = 20;
/// States that the owner takes over between two groups.
const STATES_AT_ONCE: usize = 256;
/// How much of a segment is read ahead at once.
const READ_AHEAD_BYTES: u64 = 1 << 20;

/// The windows that are wanted, and where they may be.
pub(crate) struct Warming {
    copies: Vec<(Place, AgentNo)>,
    /// Agents whose windows are in rows; `None` once the owner has the window.
    agents: Vec<Option<Partial>>,
    /// Where among them an agent is.
    places: HashMap<AgentNo, usize>,
    /// The segments that were not read, oldest first.
    unread: Vec<Unread>,
}

struct Unread {
    entry: Arc<IndexedSegment>,
    /// How many it had at the start.
    batches: u32,
    /// The latest recorded time of their rows.
    newest: Option<Micros>,
}

/// What was read of a segment.
#[derive(Default)]
struct Read {
    rows: u64,
    /// Those of agents whose windows are wanted.
    wanted: u64,
}

impl Warming {
    /// Of the agents that were seen last as many as windows are kept in memory, which are about those whose windows
    /// were there; `None` if there are none. To be called before anything is handed in.
    pub(crate) fn of(shared: &Shared) -> Option<Self> {
        let published = shared.published.read();
        let registry = &published.registry;
        let entries = (0u32..).map(AgentNo).zip(registry.entries_from(0));
        let mut wanted: Vec<(AgentNo, &Entry)> = entries
            .filter(|(_, entry)| !entry.is_erased() && entry.facts().count > 0)
            .collect();
        if wanted.is_empty() {
            return None;
        }
        let newest_first = |(no, entry): &(AgentNo, &Entry)| (Reverse(entry.last_seen()), *no);
        let limit = shared.options.window_cache;
        if limit < wanted.len() {
            wanted.select_nth_unstable_by_key(limit, newest_first); // a start doesn't wait for a million to be sorted
            wanted.truncate(limit);
        }
        wanted.sort_unstable_by_key(newest_first);
        shared.expected.begin(wanted.iter().map(|(no, _)| *no));
        // What was counted since the checkpoint is in no copy.
        let copy = |(no, entry): &(AgentNo, &Entry)| {
            let place = entry.spilled.filter(|_| entry.summary().is_some());
            place.map(|place| (place, *no))
        };
        let mut copies: Vec<_> = wanted.iter().filter_map(copy).collect();
        copies.sort_unstable_by_key(|(place, _)| (place.file, place.offset));
        let in_rows = wanted
            .iter()
            .filter(|(_, entry)| is_in_rows(entry, registry, &shared.identities));
        let agents: Vec<_> = in_rows
            .map(|(no, entry)| Partial::new(*no, entry.facts()))
            .collect();
        let unread = |entry: Arc<IndexedSegment>| Unread {
            batches: entry.index.batches(),
            newest: entry.index.time_span().map(|span| span.max),
            entry,
        };
        Some(Self {
            copies,
            places: agents.iter().map(|agent| agent.no).zip(0..).collect(),
            agents: agents.into_iter().map(Some).collect(),
            unread: published.segments.all().into_iter().map(unread).collect(),
        })
    }

    /// Reads for as long as that is worth it, and hands the owner what is whole. What it does not come to, and what
    /// cannot be read, the loaders bring when it is needed.
    pub(crate) fn run(mut self, shared: &Shared, owner: &Sender<Message>, closing: &AtomicBool) {
        let begun = Instant::now();
        let copied = self.read_copies(shared, owner, closing);
        self.forget_residents(shared);
        let wanted = self.left();
        if let Err(error) = self.read_rows(shared, owner, closing) {
            tracing::warn!(%error, "windows cannot be read back together: each will be when it is needed");
        }
        shared.expected.end();
        let (left, millis) = (self.left(), begun.elapsed().as_millis() as u64);
        tracing::info!(
            copied,
            from_rows = wanted - left,
            left,
            millis,
            "windows are in memory again"
        );
    }

    /// How many windows are wanted from rows.
    fn left(&self) -> usize {
        self.agents.iter().flatten().count()
    }

    /// Hands the owner the copies that hold, in the order in which they lie on the disk; says how many.
    fn read_copies(&mut self, shared: &Shared, owner: &Sender<Message>, closing: &AtomicBool) -> usize {
        let mut copied = 0;
        for some in std::mem::take(&mut self.copies).chunks(STATES_AT_ONCE) {
            if closing.load(Ordering::Relaxed) {
                break;
            }
            let states: Vec<_> = some
                .iter()
                .filter_map(|(_, no)| Some((*no, copy_of(shared, *no)?)))
                .collect();
            copied += states.len();
            hand_over(shared, owner, states);
        }
        copied
    }

    fn read_rows(
        &mut self,
        shared: &Shared,
        owner: &Sender<Message>,
        closing: &AtomicBool,
    ) -> Result<(), Error> {
        while self.left() > 0
            && let Some(unread) = self.unread.pop()
        {
            let read = self.read_segment(&unread, shared, closing)?;
            if closing.load(Ordering::Relaxed) {
                break;
            }
            let mut whole = self.whole().peekable();
            while whole.peek().is_some() {
                hand_over(shared, owner, whole.by_ref().take(STATES_AT_ONCE).collect());
            }
            drop(whole);
            if read.wanted * ROWS_FOR_ONE < read.rows {
                break;
            }
            self.forget_residents(shared);
        }
        Ok(())
    }

    /// Wants no more what the owner has, by whomever it was brought.
    fn forget_residents(&mut self, shared: &Shared) {
        for agent in &mut self.agents {
            agent.take_if(|agent| shared.is_resident(agent.no));
        }
    }

    /// Takes out the windows that no row of the segments that were not read can be in.
    fn whole(&mut self) -> impl Iterator<Item = (AgentNo, AgentState)> {
        let newest = self.unread.iter().filter_map(|unread| unread.newest).max();
        let agents = self.agents.iter_mut();
        let whole = agents.filter_map(move |agent| agent.take_if(|agent| agent.is_whole(newest)));
        whole.map(|agent| (agent.no, agent.into_state()))
    }

    /// Takes a segment's rows in, newest first, unless the store closes.
    fn read_segment(
        &mut self,
        unread: &Unread,
        shared: &Shared,
        closing: &AtomicBool,
    ) -> Result<Read, Error> {
        let IndexedSegment { segment, index, .. } = &*unread.entry;
        read_ahead(segment)?;
        let mut lookup = Lookup::default();
        let mut id = String::new();
        let mut buffer = Vec::new();
        let mut read = Read::default();
        for number in (0..unread.batches).rev() {
            if closing.load(Ordering::Relaxed) {
                break;
            }
            let Some(place) = index.batch(number)? else {
                continue;
            };
            let damaged = |what| segments::damaged(segment, place.offset, what);
            let body = journal::read_record(segment, place.offset, place.bytes, &mut buffer)?;
            let reader = BatchReader::new(body).map_err(damaged)?;
            let header = reader.header;
            let rows: Vec<_> = reader.rows().collect::<Result<_, _>>().map_err(damaged)?;
            for (nth, row) in rows.iter().enumerate().rev() {
                let Some(row) = row else { continue };
                let at = lookup.place(row.agent, || self.place_of(shared, index, header.org, row.agent))?;
                let Some(agent) = at.and_then(|at| self.agents[at].as_mut()) else {
                    continue;
                };
                let event = Recorded::of(row, header.source, header.first_seq + nth as u64);
                agent.take(row, &event, &mut id, &shared.identities);
                read.wanted += 1;
            }
            read.rows += rows.len() as u64;
        }
        Ok(read)
    }

    /// Where an agent of a segment's dictionary is among those that are wanted, if it is.
    fn place_of(
        &self,
        shared: &Shared,
        index: &SegmentIndex,
        org: OrgId,
        word: AgentWord,
    ) -> Result<Option<usize>, Error> {
        let Some(agent_id) = index.agent_id(word)? else {
            return Ok(None);
        };
        let agent_id = &agent_id;
        let found = shared.find(AgentName { org, agent_id });
        Ok(found.and_then(|(no, _)| self.places.get(&no).copied()))
    }
}

/// Gives states to the owner, and waits until it has taken them over.
fn hand_over(shared: &Shared, owner: &Sender<Message>, states: Vec<(AgentNo, AgentState)>) {
    let agents: Vec<_> = states.iter().map(|(no, _)| *no).collect();
    for (no, state) in &states {
        shared.remember(*no, state);
    }
    if owner.send(Message::Warm(states)).is_ok() {
        owner::settle(owner);
    }
    shared.expected.arrived(&agents);
}

/// The copy of an agent's window, if it holds and nobody brought it meanwhile.
fn copy_of(shared: &Shared, no: AgentNo) -> Option<AgentState> {
    if shared.is_resident(no) {
        return None;
    }
    let (org, agent_id) = {
        let published = shared.published.read();
        let entry = published.registry.entry(no);
        (entry.org, Arc::clone(&entry.agent_id))
    };
    let agent_id = &agent_id;
    loader::copy_of(shared, no, AgentName { org, agent_id })
}

/// Whether all of the agent's window lies in rows.
fn is_in_rows(entry: &Entry, registry: &Registry, identities: &Identities) -> bool {
    // Rows of one that had its name and was erased may still be there.
    let same_name = |erasure: &Erasure| {
        erasure.org == entry.org && erasure.name == identities.of_agent(entry.org, &entry.agent_id)
    };
    !entry.carried.is_some_and(|carried| carried.has_window) && !registry.erasures.iter().any(same_name)
}

/// Has the system read a segment in order. Then it is read backwards, which the system does not foresee: without its
/// pages in memory each record would be waited for.
fn read_ahead(segment: &Segment) -> Result<(), Error> {
    let mut room = vec![0; READ_AHEAD_BYTES as usize];
    let mut at = 0;
    while at < segment.end() {
        let some = READ_AHEAD_BYTES.min(segment.end() - at);
        segment.read_at(&mut room[..some as usize], at)?;
        at += some;
    }
    Ok(())
}

/// Where the agents of a segment's dictionary are, as far as somebody asked.
#[derive(Default)]
struct Lookup(Vec<Option<Option<usize>>>);

impl Lookup {
    fn place(
        &mut self,
        word: AgentWord,
        find: impl FnOnce() -> Result<Option<usize>, Error>,
    ) -> Result<Option<usize>, Error> {
        let at = word.0 as usize;
        if at >= self.0.len() {
            self.0.resize(at + 1, None);
        }
        match self.0[at] {
            Some(place) => Ok(place),
            None => Ok(*self.0[at].insert(find()?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recover::{self, Recovered};
    use crate::{Draft, KeyId, Options, Source, Store, Submission, Unobserved};
    use journal::OsDisk;
    use proptest::prelude::*;
    use reputation::Evaluation;
    use std::path::Path;
    use std::sync::mpsc;

    const ORG: OrgId = OrgId(1);
    const NOW: i64 = 1_795_478_400_000_000;

    /// An event: its agent's number, how long after the time of receipt it was sent, if that was said, and whether
    /// it has an id.
    type Sent = (u32, Option<i64>, bool);

    fn options() -> Options {
        let mut options = Options {
            clock: Arc::new(|| Micros(NOW)),
            upkeep_every: std::time::Duration::MAX,
            ..Options::default()
        };
        options.journal.first_segment_bytes = 16 << 10;
        options.journal.max_segment_bytes = 16 << 10;
        options
    }

    fn open(dir: &Path) -> Store {
        Store::open(Arc::new(OsDisk), dir, options(), Arc::new(Unobserved)).unwrap()
    }

    fn send(store: &Store, source: Source, batch: usize, events: &[Sent]) {
        let names: Vec<_> = events
            .iter()
            .map(|(agent, ..)| format!("agent-{agent}"))
            .collect();
        let ids: Vec<_> = (0..events.len()).map(|nth| format!("id-{batch}-{nth}")).collect();
        let evaluation = |nth: usize| Evaluation {
            agent_id: names[nth].as_str().into(),
            tool: None,
            passed: !nth.is_multiple_of(7),
            gates: Vec::new(),
            total_latency_us: nth as u32,
            sent_at: events[nth].1.map(|after| Micros(NOW + after)),
            evaluation_id: events[nth].2.then(|| ids[nth].as_str().into()),
            agent_latency_us: None,
        };
        let evaluations: Vec<_> = (0..events.len()).map(evaluation).collect();
        let submission = Submission {
            org: ORG,
            key: KeyId(1),
            signed: false,
            source,
            max_agents: 100,
            lenient: false,
            evaluations: &evaluations,
        };
        let (answer, answers) = mpsc::channel();
        let reply = Box::new(move |outcome| drop(answer.send(outcome)));
        store.hand_in(Draft::new(&submission, 0), reply);
        answers.recv().unwrap().unwrap();
    }

    /// What a window is made of, but for the numbers of arrival, which a window of rows knows only roughly.
    fn content(state: &AgentState) -> impl PartialEq + std::fmt::Debug {
        let slot = |slot: reputation::Slot| (slot.recorded_at, slot.latency_us, slot.passed, slot.identity);
        let slots: Vec<_> = state.window.slots().map(slot).collect();
        (state.facts, slots, state.window.summary(), state.aside.clone())
    }

    /// Times in order, spread over some seconds, far apart, ahead of the clock by more than is taken, or not sent.
    fn batches() -> impl Strategy<Value = Vec<(Source, Vec<Sent>)>> {
        let event = (
            0u32..4,
            prop::option::weighted(0.9, -2_000_000i64..600_000_000),
            any::<bool>(),
        );
        let source = prop_oneof![9 => Just(Source::Ingest), 1 => Just(Source::Evaluate)];
        let batch = (source, prop::collection::vec(event, 1..60));
        (prop::collection::vec(batch, 1..60), 0i64..1_000).prop_map(|(mut batches, spread)| {
            for (nth, (_, events)) in (0..).zip(&mut batches) {
                for (_, after, _) in events {
                    // Mostly a little before the batch's own time, which moves on.
                    *after = after.map(|after| match after % 10 {
                        0 => after,
                        _ => 1_000 * nth - after % (spread + 1),
                    });
                }
            }
            batches
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn a_window_that_is_handed_over_is_what_a_loader_reads(batches in batches()) {
            let dir = tempfile::tempdir().unwrap();
            let store = open(dir.path());
            for (nth, (source, events)) in batches.iter().enumerate() {
                send(&store, *source, nth, events);
            }
            store.close();
            let Recovered { shared, .. } =
                recover::open(Arc::new(OsDisk), dir.path(), options(), Arc::new(Unobserved)).unwrap();
            shared.published.write().registry.forget_windows(|entry, _| entry.carried);
            let mut warming = Warming::of(&shared).unwrap();
            prop_assert_eq!(warming.left(), shared.published.read().registry.known());
            while let Some(unread) = warming.unread.pop() {
                warming.read_segment(&unread, &shared, &AtomicBool::new(false)).unwrap();
                for (no, state) in warming.whole() {
                    let agent_id = Arc::clone(&shared.published.read().registry.entry(no).agent_id);
                    let loaded = loader::load(&shared, no, ORG, &agent_id).unwrap();
                    prop_assert_eq!(content(&state), content(&loaded), "{}", agent_id);
                }
            }
            prop_assert_eq!(warming.left(), 0, "all was read");
        }
    }
}
