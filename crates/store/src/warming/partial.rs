//! A window on the way back: of the agent's rows, those that arrived last were read.

use crate::agent::{AgentNo, AgentState, Aside, identify};
use crate::codec::Row;
use crate::facts::{Facts, Recorded};
use crate::identity::Identities;
use reputation::{Micros, Slot, WINDOW};
use std::cmp::Reverse;
use std::fmt::Write as _;

/// An agent whose rows are read from the newest arrival back.
pub(super) struct Partial {
    pub(super) no: AgentNo,
    facts: Facts,
    /// How many were read.
    seen: u64,
    /// Those of them that may be in the window; at least all that are.
    slots: Vec<Slot>,
    /// A row that is read from now on is not in the window unless it is later than this.
    floor: Micros,
    /// Of the newest arrivals those that stand aside, newest first.
    aside: Vec<Aside>,
}

impl Partial {
    /// An agent of which this is known and no row was read.
    pub(super) fn new(no: AgentNo, facts: Facts) -> Self {
        Self {
            no,
            facts,
            seen: 0,
            slots: Vec::new(),
            floor: Micros(i64::MIN),
            aside: Vec::new(),
        }
    }

    /// Takes the row in that arrived before all that were read. `id` is room for its id.
    pub(super) fn take(&mut self, row: &Row<'_>, event: &Recorded, id: &mut String, identities: &Identities) {
        let Some(arrival) = self.facts.count.checked_sub(self.seen) else {
            return;
        };
        self.seen += 1;
        let is_recent = arrival + WINDOW as u64 > self.facts.count;
        if event.recorded_at <= self.floor && !(is_recent && event.stands_aside()) {
            return;
        }
        id.clear();
        let evaluation_id = row.evaluation_id.map(|form| {
            let _ = write!(id, "{form}"); // a string takes all
            id.as_str()
        });
        let (identity, aside) = identify(evaluation_id, event, identities);
        if let Some(identity) = aside.filter(|_| is_recent) {
            self.aside.push(Aside { arrival, identity });
        }
        if event.recorded_at > self.floor {
            self.slots.push(Slot {
                recorded_at: event.recorded_at,
                arrival,
                latency_us: row.total_latency_us,
                passed: row.passed,
                identity,
            });
            if self.slots.len() == 2 * WINDOW {
                self.settle();
            }
        }
    }

    /// Lets go of what is not in the window.
    fn settle(&mut self) {
        self.slots
            .sort_by_key(|slot| Reverse((slot.recorded_at, slot.arrival))); // mostly they are in this order
        self.slots.truncate(WINDOW);
        self.floor = self.slots.last().map_or(self.floor, |oldest| oldest.recorded_at);
    }

    /// Whether no row that was not read can be in the window, none of them being later than `newest`; with `None`
    /// there are no others.
    pub(super) fn is_whole(&self, newest: Option<Micros>) -> bool {
        let is_newer = |newest: Micros| {
            let newer = self.slots.iter().filter(|slot| slot.recorded_at >= newest);
            newer.count() >= WINDOW
        };
        self.seen == self.facts.count || newest.is_none_or(is_newer)
    }

    /// The agent's state, which is whole.
    pub(super) fn into_state(mut self) -> AgentState {
        self.settle();
        let window = self.slots.into_iter().rev().collect();
        AgentState::loaded(self.facts, window, self.aside.into_iter().rev().collect())
    }
}
