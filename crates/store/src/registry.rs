//! All agents of all organisations, as readers see them: what is published of each.

mod entry;

pub(crate) use entry::{Carried, Entry};

use crate::OrgId;
use crate::agent::{AgentName, AgentNo, AgentState};
use crate::codec::NameHash;
use crate::erasure::Erasure;
use crate::facts::Facts;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use reputation::{Micros, Summary};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::hash::BuildHasher as _;
use std::ops::{Bound, RangeBounds as _};
use std::sync::Arc;

/// Agents of an organisation at most whose place in the order of `last_seen` is not brought up to date yet: a reader of
/// that order sorts them.
const MAX_MOVED: usize = 16_384;

/// The registry. An [`AgentNo`] is an entry's place, in order of appearance; the entry of an agent that was
/// erased keeps its place, empty.
#[derive(Default)]
pub(crate) struct Registry {
    entries: Vec<Entry>,
    by_name: HashTable<AgentNo>,
    hasher: DefaultHashBuilder,
    orgs: HashMap<OrgId, OrgAgents>,
    erased: usize,
    /// Agents whose erasure isn't done yet.
    pub(crate) erasures: Vec<Erasure>,
}

/// The agents of one organisation, in the orders in which they are listed.
#[derive(Default)]
struct OrgAgents {
    by_name: BTreeMap<Arc<str>, AgentNo>,
    by_last_seen: BTreeSet<(Micros, AgentNo)>,
    /// Agents that are not in their place there, and in which they are, oldest first. Busy agents move with every
    /// group, and nobody looks that often.
    moved: VecDeque<(Micros, AgentNo)>,
    last_seq: u64,
}

/// What became of an agent in a group: its state after it.
pub(crate) struct AgentUpdate {
    pub(crate) no: AgentNo,
    pub(crate) facts: Facts,
    pub(crate) summary: Option<Summary>,
    pub(crate) floor: Option<Micros>,
    /// What memory does not know of is not later than this.
    pub(crate) doubtful_until: Micros,
}

impl AgentUpdate {
    pub(crate) fn of(no: AgentNo, state: &AgentState) -> Self {
        Self {
            no,
            facts: state.facts,
            summary: Some(state.window.summary()),
            floor: state.window.floor().map(|floor| floor.recorded_at),
            doubtful_until: state.doubtful_until(),
        }
    }
}

impl Registry {
    /// The erasures of agents of this name that are not done yet, in the order in which they were asked for.
    pub(crate) fn erasures_of(
        &self,
        org: OrgId,
        name: NameHash,
    ) -> impl DoubleEndedIterator<Item = &Erasure> {
        let erasures = self.erasures.iter();
        erasures.filter(move |erasure| erasure.org == org && erasure.name == name)
    }

    /// The number of agents of all organisations.
    pub(crate) fn known(&self) -> usize {
        self.entries.len() - self.erased
    }

    /// The number of places.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn find(&self, name: AgentName<'_>) -> Option<AgentNo> {
        let is_it = |no: &AgentNo| {
            let entry = self.entry(*no);
            entry.org == name.org && *entry.agent_id == *name.agent_id
        };
        self.by_name.find(self.hasher.hash_one(name), is_it).copied()
    }

    /// The entry at this place. Places come from this registry, so there is one.
    pub(crate) fn entry(&self, no: AgentNo) -> &Entry {
        &self.entries[no.0 as usize]
    }

    pub(crate) fn entry_mut(&mut self, no: AgentNo) -> &mut Entry {
        &mut self.entries[no.0 as usize]
    }

    /// The entries from this place on, with their places.
    pub(crate) fn entries_from(&self, first: usize) -> impl Iterator<Item = &Entry> {
        self.entries.iter().skip(first)
    }

    /// Adds an agent, which must be new, at the next place.
    pub(crate) fn add(&mut self, org: OrgId, agent_id: Arc<str>, facts: Facts) -> AgentNo {
        let no = self.add_unordered(Entry::new(org, Arc::clone(&agent_id), facts));
        let agents = self.orgs.entry(org).or_default();
        agents.by_name.insert(agent_id, no);
        agents.by_last_seen.insert((facts.last_seen, no));
        agents.last_seq = agents.last_seq.max(facts.last_seq);
        no
    }

    /// A registry of these agents, which are all different, at places in this order. It answers nothing but
    /// [`Registry::find`] and [`Registry::entry`] until it is put in [`Registry::order`].
    pub(crate) fn unordered(entries: Vec<Entry>) -> Self {
        let mut registry = Self {
            entries,
            ..Self::default()
        };
        let Self {
            entries,
            by_name,
            hasher,
            ..
        } = &mut registry;
        let hash = |no: &AgentNo| hash_of(hasher, entries, *no);
        by_name.reserve(entries.len(), hash);
        for no in (0u32..).map(AgentNo).take(entries.len()) {
            by_name.insert_unique(hash(&no), no, hash);
        }
        registry
    }

    /// Adds an agent, which must be new, to a registry that has no order yet.
    pub(crate) fn add_unordered(&mut self, entry: Entry) -> AgentNo {
        let no = AgentNo(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        self.entries.push(entry);
        let Self {
            entries,
            by_name,
            hasher,
            ..
        } = self;
        let hash = |no: &AgentNo| hash_of(hasher, entries, *no);
        by_name.insert_unique(hash(&no), no, hash);
        no
    }

    /// The place of an agent, which is added with these facts if it is new, in a registry that has no order yet.
    pub(crate) fn find_or_add_unordered(&mut self, name: AgentName<'_>, facts: Facts) -> AgentNo {
        self.find(name)
            .unwrap_or_else(|| self.add_unordered(Entry::new(name.org, name.agent_id.into(), facts)))
    }

    /// Brings the lists of each organisation in order, all at once: much cheaper than agent by agent.
    pub(crate) fn order(&mut self) {
        let Self { entries, orgs, .. } = self;
        let mut of_org: HashMap<OrgId, Vec<AgentNo>> = HashMap::new();
        for (no, entry) in (0u32..)
            .map(AgentNo)
            .zip(entries.iter())
            .filter(|(_, entry)| !entry.is_erased())
        {
            of_org.entry(entry.org).or_default().push(no);
        }
        for (org, numbers) in of_org {
            let entry = |no: &AgentNo| &entries[no.0 as usize];
            let agents = orgs.entry(org).or_default();
            // Collecting sorts once and builds a tree whole.
            agents.by_name = numbers
                .iter()
                .map(|no| (Arc::clone(&entry(no).agent_id), *no))
                .collect();
            agents.by_last_seen = numbers.iter().map(|no| (entry(no).last_seen(), *no)).collect();
            let last_seq = numbers.iter().map(|no| entry(no).facts().last_seq).max();
            agents.last_seq = agents.last_seq.max(last_seq.unwrap_or(0));
        }
    }

    /// Forgets an agent. Its place stays, empty.
    pub(crate) fn erase(&mut self, no: AgentNo) {
        let hash = hash_of(&self.hasher, &self.entries, no);
        if let Ok(found) = self.by_name.find_entry(hash, |other| *other == no) {
            found.remove();
        }
        let empty = Entry::new(self.entry(no).org, "".into(), Facts::new(Micros(0)));
        let erased = std::mem::replace(self.entry_mut(no), empty);
        if let Some(agents) = self.orgs.get_mut(&erased.org) {
            agents.by_name.remove(&erased.agent_id);
            let is_it = |(_, moved): &(Micros, AgentNo)| *moved == no;
            let moved = agents.moved.iter().position(is_it);
            let place = moved.and_then(|at| agents.moved.remove(at));
            agents
                .by_last_seen
                .remove(&place.unwrap_or((erased.last_seen(), no)));
        }
        self.erased += 1;
    }

    /// Takes over what a group made of an agent.
    pub(crate) fn update(&mut self, update: &AgentUpdate) {
        let Self { entries, orgs, .. } = self;
        let entry = &mut entries[update.no.0 as usize];
        let before = entry.last_seen();
        entry.set_facts(&update.facts);
        entry.set_window(update.summary, update.floor);
        entry.set_doubtful_until(update.doubtful_until);
        let Some(agents) = orgs.get_mut(&entry.org) else {
            return;
        };
        agents.last_seq = agents.last_seq.max(update.facts.last_seq);
        if before != update.facts.last_seen && !entry.is_moved {
            entry.is_moved = true;
            agents.moved.push_back((before, update.no));
            if agents.moved.len() > MAX_MOVED {
                agents.move_one(entries);
            }
        }
    }

    /// How many agents the organisation has, and the sequence number of its newest event.
    pub(crate) fn totals(&self, org: OrgId) -> (u64, u64) {
        self.orgs
            .get(&org)
            .map_or((0, 0), |agents| (agents.by_name.len() as u64, agents.last_seq))
    }

    /// The organisations that have agents.
    pub(crate) fn orgs(&self) -> impl Iterator<Item = OrgId> {
        self.orgs.keys().copied()
    }

    /// Raises the newest sequence number of an organisation: a checkpoint may know of events whose agents
    /// it does not list.
    pub(crate) fn raise_last_seq(&mut self, org: OrgId, last_seq: u64) {
        let agents = self.orgs.entry(org).or_default();
        agents.last_seq = agents.last_seq.max(last_seq);
    }

    /// Forgets what is known of all windows and keeps the facts; of each agent and what is still to be erased, `carried`
    /// says anew where its carry record is.
    pub(crate) fn forget_windows(&mut self, carried: impl Fn(&Entry, &[Erasure]) -> Option<Carried>) {
        for entry in &mut self.entries {
            entry.set_window(None, None);
            entry.spilled = None;
            entry.carried = carried(entry, &self.erasures);
        }
    }

    /// The organisation's agents, most recently seen first, from behind the given one.
    pub(crate) fn by_last_seen(
        &self,
        org: OrgId,
        after: Option<(Micros, &str)>,
    ) -> impl Iterator<Item = AgentNo> {
        let end = match after {
            None => Bound::Unbounded,
            Some((seen, agent_id)) => {
                // Where it stood among others of its time is gone with an agent that was erased: none of them is left out.
                let found = self.find(AgentName { org, agent_id });
                let no = found.unwrap_or(AgentNo(u32::MAX));
                Bound::Excluded((seen, no))
            }
        };
        let agents = self.orgs.get(&org);
        agents.into_iter().flat_map(move |agents| {
            let up_to_end = (Bound::Unbounded, end);
            let moved = agents
                .moved
                .iter()
                .map(|(_, no)| (self.entry(*no).last_seen(), *no));
            let mut moved: BinaryHeap<_> = moved.filter(|place| up_to_end.contains(place)).collect();
            let placed = agents.by_last_seen.range(up_to_end).rev().copied();
            let mut placed = placed.filter(|(_, no)| !self.entry(*no).is_moved).peekable();
            std::iter::from_fn(move || {
                let next = match (moved.peek(), placed.peek()) {
                    (Some(moved_next), Some(placed_next)) if moved_next < placed_next => placed.next(),
                    (Some(_), _) => moved.pop(),
                    (None, _) => placed.next(),
                };
                next.map(|(_, no)| no)
            })
        })
    }

    /// The organisation's agents by name, byte for byte, from behind the given one.
    pub(crate) fn by_agent_id(&self, org: OrgId, after: Option<&str>) -> impl Iterator<Item = AgentNo> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let agents = self.orgs.get(&org);
        agents.into_iter().flat_map(move |a| {
            a.by_name
                .range::<str, _>((start, Bound::Unbounded))
                .map(|(_, no)| *no)
        })
    }
}

impl OrgAgents {
    /// Puts the agent that moved first in its place.
    fn move_one(&mut self, entries: &mut [Entry]) {
        if let Some((seen, no)) = self.moved.pop_front() {
            let entry = &mut entries[no.0 as usize];
            entry.is_moved = false;
            self.by_last_seen.remove(&(seen, no));
            self.by_last_seen.insert((entry.last_seen(), no));
        }
    }
}

fn hash_of(hasher: &DefaultHashBuilder, entries: &[Entry], no: AgentNo) -> u64 {
    hasher.hash_one(entries[no.0 as usize].name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ORG: OrgId = OrgId(1);

    fn facts(last_seen: i64, last_seq: u64) -> Facts {
        Facts {
            count: 1,
            last_seq,
            ..Facts::new(Micros(last_seen))
        }
    }

    fn names(registry: &Registry, numbers: impl Iterator<Item = AgentNo>) -> Vec<String> {
        numbers
            .map(|no| registry.entry(no).agent_id.to_string())
            .collect()
    }

    fn three() -> Registry {
        let mut registry = Registry::default();
        registry.add(ORG, "b".into(), facts(20, 2));
        registry.add(ORG, "a".into(), facts(30, 3));
        registry.add(ORG, "c".into(), facts(20, 1));
        registry.add(OrgId(2), "a".into(), facts(99, 7));
        registry
    }

    #[test]
    fn agents_are_found_by_organisation_and_name() {
        let registry = three();
        assert_eq!(
            registry.find(AgentName {
                org: ORG,
                agent_id: "a"
            }),
            Some(AgentNo(1))
        );
        assert_eq!(
            registry.find(AgentName {
                org: OrgId(2),
                agent_id: "a"
            }),
            Some(AgentNo(3))
        );
        assert_eq!(
            registry.find(AgentName {
                org: OrgId(2),
                agent_id: "b"
            }),
            None
        );
        assert_eq!(registry.totals(ORG), (3, 3));
    }

    #[test]
    fn both_orders_go_on_behind_a_given_agent() {
        let registry = three();
        assert_eq!(
            names(&registry, registry.by_last_seen(ORG, None)),
            ["a", "c", "b"]
        );
        assert_eq!(
            names(&registry, registry.by_last_seen(ORG, Some((Micros(20), "c")))),
            ["b"]
        );
        assert_eq!(names(&registry, registry.by_agent_id(ORG, None)), ["a", "b", "c"]);
        assert_eq!(names(&registry, registry.by_agent_id(ORG, Some("a"))), ["b", "c"]);
        assert_eq!(names(&registry, registry.by_agent_id(OrgId(9), None)), [""; 0]);
    }

    #[test]
    fn behind_an_agent_that_was_erased_come_all_that_were_seen_when_it_was() {
        let mut registry = Registry::default();
        for name in ["a", "b", "c"] {
            registry.add(ORG, name.into(), facts(20, 1));
        }
        assert_eq!(
            names(&registry, registry.by_last_seen(ORG, None)),
            ["c", "b", "a"]
        );
        registry.erase(AgentNo(2));
        let behind = registry.by_last_seen(ORG, Some((Micros(20), "c")));
        assert_eq!(names(&registry, behind), ["b", "a"]);
    }

    #[test]
    fn a_restored_registry_is_as_it_was() {
        let before = three();
        let entries = before
            .entries_from(0)
            .map(|e| Entry::new(e.org, Arc::clone(&e.agent_id), e.facts()))
            .collect();
        let mut after = Registry::unordered(entries);
        after.order();
        for org in [ORG, OrgId(2)] {
            assert_eq!(after.totals(org), before.totals(org));
            assert_eq!(
                names(&after, after.by_last_seen(org, None)),
                names(&before, before.by_last_seen(org, None))
            );
            assert_eq!(
                names(&after, after.by_agent_id(org, None)),
                names(&before, before.by_agent_id(org, None))
            );
        }
        assert_eq!(
            after.find(AgentName {
                org: ORG,
                agent_id: "c"
            }),
            Some(AgentNo(2))
        );
    }

    #[test]
    fn an_update_moves_an_agent_in_the_order_of_last_seen() {
        let mut registry = three();
        registry.update(&AgentUpdate {
            no: AgentNo(0),
            facts: facts(40, 9),
            summary: None,
            floor: None,
            doubtful_until: Micros(i64::MIN),
        });
        assert_eq!(
            names(&registry, registry.by_last_seen(ORG, None)),
            ["b", "a", "c"]
        );
        assert_eq!(registry.totals(ORG), (3, 9));
    }

    fn seen(registry: &mut Registry, no: u32, at: i64) {
        registry.update(&AgentUpdate {
            no: AgentNo(no),
            facts: facts(at, 1),
            summary: None,
            floor: None,
            doubtful_until: Micros(i64::MIN),
        });
    }

    /// All agents of the organisation that are there, most recently seen first, by sorting them.
    fn sorted(registry: &Registry) -> Vec<(Micros, AgentNo)> {
        let entries = (0u32..).map(AgentNo).zip(registry.entries_from(0));
        let mut sorted: Vec<_> = entries
            .filter(|(_, entry)| entry.org == ORG && !entry.is_erased())
            .map(|(no, entry)| (entry.last_seen(), no))
            .collect();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        sorted
    }

    #[derive(Clone, Debug)]
    enum Change {
        Seen(u32, i64),
        Erased(u32),
        Settled,
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            8 => (0u32..20, 0i64..100).prop_map(|(no, at)| Change::Seen(no, at)),
            1 => (0u32..20).prop_map(Change::Erased),
            2 => Just(Change::Settled),
        ]
    }

    proptest! {
        #[test]
        fn the_order_of_last_seen_is_that_of_sorted_entries(changes in prop::collection::vec(change(), 0..80)) {
            let mut registry = Registry::default();
            for no in 0..20 {
                registry.add(ORG, format!("a{no}").into(), facts(i64::from(no % 7), 0));
            }
            for change in changes {
                match change {
                    Change::Seen(no, at) if !registry.entry(AgentNo(no)).is_erased() => {
                        seen(&mut registry, no, at);
                    }
                    Change::Erased(no) if !registry.entry(AgentNo(no)).is_erased() => {
                        registry.erase(AgentNo(no));
                    }
                    Change::Settled => {
                        let Registry { entries, orgs, .. } = &mut registry;
                        orgs.get_mut(&ORG).expect("it has agents").move_one(entries);
                    }
                    Change::Seen(..) | Change::Erased(_) => {}
                }
            }
            let sorted = sorted(&registry);
            let numbers: Vec<_> = sorted.iter().map(|(_, no)| *no).collect();
            prop_assert_eq!(registry.by_last_seen(ORG, None).collect::<Vec<_>>(), numbers.clone());
            for (at, (seen, no)) in sorted.iter().enumerate() {
                let agent_id = &*registry.entry(*no).agent_id;
                let behind: Vec<_> = registry.by_last_seen(ORG, Some((*seen, agent_id))).collect();
                prop_assert_eq!(&behind, &numbers[at + 1..]);
            }
        }
    }

    #[test]
    fn no_more_agents_than_allowed_wait_for_their_place() {
        let mut registry = Registry::default();
        let agents = MAX_MOVED as u32 * 2;
        for no in 0..agents {
            registry.add(ORG, format!("a{no}").into(), facts(i64::from(no), 0));
        }
        for no in (0..agents).rev() {
            seen(&mut registry, no, i64::from(agents + no % 1_000));
        }
        assert_eq!(registry.orgs[&ORG].moved.len(), MAX_MOVED);
        let numbers: Vec<_> = sorted(&registry).into_iter().map(|(_, no)| no).collect();
        assert_eq!(registry.by_last_seen(ORG, None).collect::<Vec<_>>(), numbers);
    }
}
