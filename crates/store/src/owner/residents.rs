//! The agents whose states are in memory: bounded, the least recently counted leave first.

use crate::agent::{AgentNo, AgentState};
use std::collections::VecDeque;
use std::hint::black_box;

/// Stands for an agent that isn't here.
const NOWHERE: u32 = u32::MAX;

/// States by agent, with the group that last counted each.
pub(crate) struct Residents {
    /// By [`AgentNo`]: where in `slots` its state is. Agents are numbered without gaps, so that finding one
    /// takes no hash.
    places: Vec<u32>,
    slots: Vec<Option<Resident>>,
    /// The slots that are empty.
    free: Vec<u32>,
    /// Every use in order: (agent, group). An agent's own entry is the one with its last group; those
    /// before are skipped when their turn comes.
    uses: VecDeque<(AgentNo, u64)>,
    limit: usize,
}

struct Resident {
    no: AgentNo,
    state: AgentState,
    last_group: u64,
}

impl Residents {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            places: Vec::new(),
            slots: Vec::new(),
            free: Vec::new(),
            uses: VecDeque::new(),
            limit,
        }
    }

    fn find(&self, no: AgentNo) -> Option<&Resident> {
        let place = *self.places.get(no.0 as usize)?;
        self.slots.get(place as usize)?.as_ref()
    }

    fn find_mut(&mut self, no: AgentNo) -> Option<&mut Resident> {
        let place = *self.places.get(no.0 as usize)?;
        self.slots.get_mut(place as usize)?.as_mut()
    }

    pub(crate) fn contains(&self, no: AgentNo) -> bool {
        self.places
            .get(no.0 as usize)
            .is_some_and(|place| *place != NOWHERE)
    }

    pub(crate) fn get(&self, no: AgentNo) -> Option<&AgentState> {
        self.find(no).map(|resident| &resident.state)
    }

    /// Brings what counting these agents will touch into the processor's cache. The windows of many agents are far
    /// larger than that, and counting waits for one miss after the other, since what it does next depends on what it
    /// finds. Here no load of a level waits for another one, so that the memory answers many at once.
    pub(crate) fn fetch(&self, agents: &[Option<AgentNo>]) {
        let residents = || agents.iter().flatten().filter_map(|no| self.find(*no));
        let fields = residents().fold(0, |sum, resident| {
            sum ^ resident.last_group ^ resident.state.sum_of_fields()
        });
        let ends = residents().fold(0, |sum, resident| sum ^ resident.state.sum_of_ends());
        black_box((fields, ends)); // or the loads would be left out, nobody needing their sums
    }

    /// The state, to be changed without being counted.
    pub(crate) fn get_mut(&mut self, no: AgentNo) -> Option<&mut AgentState> {
        self.find_mut(no).map(|resident| &mut resident.state)
    }

    /// Lets go of a state for good.
    pub(crate) fn remove(&mut self, no: AgentNo) {
        self.take(no);
    }

    fn take(&mut self, no: AgentNo) -> Option<AgentState> {
        let place = std::mem::replace(self.places.get_mut(no.0 as usize)?, NOWHERE);
        let resident = self.slots.get_mut(place as usize)?.take()?;
        self.free.push(place);
        Some(resident.state)
    }

    /// Takes in a state that no group has counted yet.
    pub(crate) fn insert(&mut self, no: AgentNo, state: AgentState) {
        let resident = Resident {
            no,
            state,
            last_group: 0,
        };
        let index = no.0 as usize;
        if index >= self.places.len() {
            self.places.resize(index + 1, NOWHERE);
        }
        match self.places[index] {
            NOWHERE => self.places[index] = self.put(resident),
            place => self.slots[place as usize] = Some(resident),
        }
        self.uses.push_back((no, 0));
    }

    /// Puts a state in an empty slot and says in which.
    fn put(&mut self, resident: Resident) -> u32 {
        if let Some(place) = self.free.pop() {
            self.slots[place as usize] = Some(resident);
            return place;
        }
        self.slots.push(Some(resident));
        self.slots.len() as u32 - 1
    }

    /// The state, to be counted in this group, and whether the group touches it for the first time.
    pub(crate) fn touch(&mut self, no: AgentNo, group: u64) -> Option<(&mut AgentState, bool)> {
        let place = *self.places.get(no.0 as usize)?;
        let resident = self.slots.get_mut(place as usize)?.as_mut()?;
        let first = resident.last_group != group;
        if first {
            resident.last_group = group;
            self.uses.push_back((no, group));
        }
        Some((&mut resident.state, first))
    }

    /// How many are in memory beyond the limit. Also keeps the order of use from growing without bound.
    pub(crate) fn over_limit(&mut self) -> usize {
        if self.uses.len() > 4 * self.len() + 1_024 {
            let mut uses = std::mem::take(&mut self.uses);
            uses.retain(|(no, group)| self.find(*no).is_some_and(|r| r.last_group == *group));
            self.uses = uses;
        }
        self.len().saturating_sub(self.limit)
    }

    /// Removes the least recently counted state if there are too many and its last group is published.
    pub(crate) fn evict(&mut self, published: u64) -> Option<(AgentNo, AgentState)> {
        while self.len() > self.limit {
            let (no, group) = *self.uses.front()?;
            if self.find(no).is_some_and(|resident| resident.last_group == group) {
                if group > published {
                    return None;
                }
                self.uses.pop_front();
                return self.take(no).map(|state| (no, state));
            }
            self.uses.pop_front();
        }
        None
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// All states that hold nothing but what is published, when counting has ended.
    pub(crate) fn into_published(self, published: u64) -> impl Iterator<Item = (AgentNo, AgentState)> {
        let states = self.slots.into_iter().flatten();
        states
            .filter(move |resident| resident.last_group <= published)
            .map(|resident| (resident.no, resident.state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reputation::Micros;

    fn state() -> AgentState {
        AgentState::new(Micros(0))
    }

    #[test]
    fn the_least_recently_counted_leaves_first_and_never_before_it_is_published() {
        let mut residents = Residents::new(1);
        for (no, group) in [(1, 1), (2, 2), (1, 3), (3, 4)] {
            let no = AgentNo(no);
            if !residents.contains(no) {
                residents.insert(no, state());
            }
            residents.touch(no, group);
        }
        assert_eq!(residents.over_limit(), 2);
        assert_eq!(residents.evict(1), None);
        assert_eq!(residents.evict(3).map(|(no, _)| no), Some(AgentNo(2)));
        assert_eq!(residents.evict(3).map(|(no, _)| no), Some(AgentNo(1)));
        assert_eq!(residents.evict(9), None);
        assert!(residents.contains(AgentNo(3)));
    }

    #[test]
    fn what_was_counted_but_never_published_is_not_handed_out() {
        let mut residents = Residents::new(10);
        for (no, group) in [(1, 1), (2, 2), (3, 3)] {
            residents.insert(AgentNo(no), state());
            residents.touch(AgentNo(no), group);
        }
        let mut published: Vec<u32> = residents.into_published(2).map(|(no, _)| no.0).collect();
        published.sort_unstable();
        assert_eq!(published, [1, 2]);
    }

    #[test]
    fn the_order_of_use_stays_bounded() {
        let mut residents = Residents::new(10);
        residents.insert(AgentNo(1), state());
        for group in 1..100_000 {
            residents.touch(AgentNo(1), group);
            residents.over_limit();
        }
        assert!(residents.uses.len() < 2_000);
    }
}
