//! One agent of the registry: kept small, since there may be millions.

use crate::OrgId;
use crate::agent::AgentName;
use crate::facts::Facts;
use crate::span::TimeSpan;
use reputation::{Micros, Summary};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One agent.
pub(crate) struct Entry {
    pub(crate) org: OrgId,
    /// Whether the owner has its state in memory. Written by the owner alone.
    resident: AtomicBool,
    /// It was seen since it got its place in the order of `last_seen`.
    pub(super) is_moved: bool,
    pub(crate) agent_id: Arc<str>,
    facts: Packed,
    /// The totals of its window; `None` after a crash until somebody loads the window.
    pub(crate) summary: Option<Summary>,
    floor: MaybeTime,
    doubtful_until: Micros,
    /// Where a copy of its window lies, if one was put aside.
    pub(crate) spilled: Option<crate::spill::Place>,
    /// Where its newest carry record is, if it has one.
    pub(crate) carried: Option<Carried>,
}

/// Which carry record is an agent's newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Carried {
    /// The number of the segment that has it.
    pub(crate) segment: u64,
    /// Whether it has the agent's window.
    pub(crate) has_window: bool,
}

impl Carried {
    /// The segment that has it, if the agent's window is in it.
    pub(crate) fn segment_of_window(self) -> Option<u64> {
        self.has_window.then_some(self.segment)
    }
}

/// [`Facts`] in half of their bytes: what few agents have is apart.
struct Packed {
    count: u64,
    first_seen: Micros,
    last_seen: Micros,
    last_seq: u64,
    newest_sent: MaybeTime,
    rare: Option<Box<Rare>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Rare {
    clamped: Option<TimeSpan>,
    made: Option<TimeSpan>,
    last_aside: u64,
}

/// A time that may be absent, in eight bytes: no event has the earliest time that there is.
#[derive(Clone, Copy)]
struct MaybeTime(i64);

impl MaybeTime {
    const NONE: Self = Self(i64::MIN);

    fn of(time: Option<Micros>) -> Self {
        time.map_or(Self::NONE, |time| Self(time.0))
    }

    fn get(self) -> Option<Micros> {
        (self.0 != Self::NONE.0).then_some(Micros(self.0))
    }
}

impl Packed {
    fn of(facts: &Facts) -> Self {
        let rare = Rare {
            clamped: facts.clamped,
            made: facts.made,
            last_aside: facts.last_aside,
        };
        Self {
            count: facts.count,
            first_seen: facts.first_seen,
            last_seen: facts.last_seen,
            last_seq: facts.last_seq,
            newest_sent: MaybeTime::of(facts.newest_sent),
            rare: (rare != Rare::default()).then(|| Box::new(rare)),
        }
    }

    fn get(&self) -> Facts {
        let Rare {
            clamped,
            made,
            last_aside,
        } = self.rare.as_deref().copied().unwrap_or_default();
        Facts {
            count: self.count,
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            last_seq: self.last_seq,
            newest_sent: self.newest_sent.get(),
            clamped,
            made,
            last_aside,
        }
    }
}

impl Entry {
    /// An agent of whose window nothing is known.
    pub(crate) fn new(org: OrgId, agent_id: Arc<str>, facts: Facts) -> Self {
        Self {
            org,
            resident: AtomicBool::new(false),
            is_moved: false,
            agent_id,
            facts: Packed::of(&facts),
            summary: None,
            floor: MaybeTime::NONE,
            doubtful_until: Micros(i64::MIN),
            spilled: None,
            carried: None,
        }
    }

    pub(crate) fn name(&self) -> AgentName<'_> {
        AgentName {
            org: self.org,
            agent_id: &self.agent_id,
        }
    }

    pub(crate) fn facts(&self) -> Facts {
        self.facts.get()
    }

    pub(crate) fn set_facts(&mut self, facts: &Facts) {
        self.facts = Packed::of(facts);
    }

    /// Latest recorded time; the time of registration while there is no event.
    pub(crate) fn last_seen(&self) -> Micros {
        self.facts.last_seen
    }

    /// The recorded time of the oldest slot of a full window.
    pub(crate) fn floor(&self) -> Option<Micros> {
        self.floor.get()
    }

    /// What is known of its window: the totals, and the oldest slot's time if it is full.
    pub(crate) fn set_window(&mut self, summary: Option<Summary>, floor: Option<Micros>) {
        self.summary = summary;
        self.floor = MaybeTime::of(floor);
    }

    /// Whether an event of this time may be one that memory does not know of: only a look-up can tell. A guess
    /// while the owner counts the agent, which is asked in any case.
    pub(crate) fn may_be_forgotten(&self, time: Micros) -> bool {
        if self.is_resident() {
            time <= self.doubtful_until
        } else {
            self.floor().is_some_and(|floor| time <= floor)
        }
    }

    /// Told of an agent that the owner counts: what memory does not know of is not later than this.
    pub(super) fn set_doubtful_until(&mut self, time: Micros) {
        self.doubtful_until = time;
    }

    /// Whether the agent was erased: nothing is known of it.
    pub(crate) fn is_erased(&self) -> bool {
        self.agent_id.is_empty()
    }

    /// Whether the owner has the agent's state in memory, at this moment.
    pub(crate) fn is_resident(&self) -> bool {
        self.resident.load(Ordering::Relaxed)
    }

    /// Told by the owner.
    pub(crate) fn set_resident(&self, resident: bool) {
        self.resident.store(resident, Ordering::Relaxed);
    }

    /// The totals, as far as they are known without its window.
    pub(crate) fn summary(&self) -> Option<Summary> {
        if self.facts.count == 0 {
            Some(Summary::default())
        } else {
            self.summary
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn time() -> impl Strategy<Value = Micros> {
        (-1_000i64..1_000).prop_map(Micros)
    }

    fn span() -> impl Strategy<Value = Option<TimeSpan>> {
        prop::option::of((time(), time()).prop_map(|(min, max)| TimeSpan { min, max }))
    }

    proptest! {
        #[test]
        fn an_entry_gives_back_the_facts_that_it_was_given(
            (count, last_seq, last_aside) in (0u64..5, any::<u64>(), 0u64..3),
            (first_seen, last_seen, newest_sent) in (time(), time(), prop::option::of(time())),
            (clamped, made) in (span(), span()),
        ) {
            let facts =
                Facts { count, first_seen, last_seen, last_seq, newest_sent, clamped, made, last_aside };
            prop_assert_eq!(Entry::new(OrgId(1), "a".into(), facts).facts(), facts);
            let mut entry = Entry::new(OrgId(1), "a".into(), Facts::new(Micros(5)));
            entry.set_facts(&facts);
            prop_assert_eq!(entry.facts(), facts);
            entry.set_window(None, newest_sent);
            prop_assert_eq!(entry.floor(), newest_sent);
        }
    }

    #[test]
    fn an_entry_is_no_larger_than_operators_are_told() {
        assert!(size_of::<Entry>() <= 160, "{} bytes", size_of::<Entry>());
    }
}
