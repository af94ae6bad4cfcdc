//! Each agent's life in numbers, counted anew from the log and compared with the checkpoint.
//!
//! An entry of a checkpoint was copied after some event of its agent, which it names; the recount is compared
//! at just that event.

use super::Report;
use crate::agent::{AgentName, AgentNo};
use crate::checkpoint::Covered;
use crate::codec::{BatchHeader, EraseRecord, Malformed, NameHash, RegistrationRecord, Row};
use crate::facts::{Facts, Recorded};
use crate::identity::Identities;
use crate::registry::Registry;
use crate::{OrgId, Source};
use hashbrown::{HashMap, HashSet};
use std::path::Path;

/// A recount while the log is read.
pub(super) struct FactsRecount<'a> {
    recounted: Recounted,
    checkpoint: Option<(&'a Registry, Covered)>,
    numbers: HashMap<OrgId, Numbers>,
    /// How often frames were found missing so far.
    losses: u32,
}

/// The recount of the whole log.
pub(super) struct Recounted {
    /// All agents, as the log has them.
    pub(super) registry: Registry,
    /// Whether no frame was missing.
    pub(super) is_gapless: bool,
    /// What the log says of the entries of the checkpoint, by their places there, when it came to the event
    /// that each names.
    at_checkpoint: Vec<Option<Facts>>,
    /// The events that the checkpoint must cover, by organisation: the number of the last.
    covered: HashMap<OrgId, u64>,
    /// Agents that were erased after the checkpoint, which still has them; the log may have some of their events.
    erased_since: HashSet<(OrgId, NameHash)>,
}

/// An organisation's numbering.
struct Numbers {
    next: u64,
    losses: u32,
}

impl<'a> FactsRecount<'a> {
    pub(super) fn new(checkpoint: Option<(&'a Registry, Covered)>) -> Self {
        Self {
            recounted: Recounted {
                registry: Registry::default(),
                is_gapless: true,
                at_checkpoint: vec![None; checkpoint.map_or(0, |(registry, _)| registry.len())],
                covered: HashMap::new(),
                erased_since: HashSet::new(),
            },
            checkpoint,
            numbers: HashMap::new(),
            losses: 0,
        }
    }

    /// Whether the checkpoint covers what was committed in this frame.
    fn is_covered(&self, frame_seq: u64) -> bool {
        self.checkpoint
            .is_some_and(|(_, covered)| frame_seq <= covered.frame_seq)
    }

    /// Frames are missing here: numbers may jump.
    pub(super) fn lose_frames(&mut self) {
        self.losses += 1;
        self.recounted.is_gapless = false;
    }

    pub(super) fn register(&mut self, record: &RegistrationRecord<'_>) {
        let name = AgentName {
            org: record.org,
            agent_id: record.agent_id,
        };
        let registry = &mut self.recounted.registry;
        if registry.find(name).is_none() {
            let facts = Facts::new(record.received_at);
            registry.find_or_add_unordered(name, facts);
            self.note(name, facts);
        }
    }

    /// A carry says what all the agent's events before it come to: the same as the recount, where that has all
    /// of them.
    pub(super) fn carry(
        &mut self,
        name: AgentName<'_>,
        facts: Facts,
        frame_seq: u64,
    ) -> Result<(), Malformed> {
        let registry = &mut self.recounted.registry;
        let no = registry.find_or_add_unordered(name, facts);
        let counted = registry.entry(no).facts();
        registry.entry_mut(no).set_facts(&facts);
        if self.recounted.is_gapless && counted != facts {
            return Err(Malformed("a carry is not what a recount gives"));
        }
        self.note(name, facts);
        if self.is_covered(frame_seq) {
            let last = self.recounted.covered.entry(name.org).or_default();
            *last = facts.last_seq.max(*last);
        }
        Ok(())
    }

    /// An agent goes from the segments before. Until that is done, what they have of it is not the beginning of
    /// what comes later under the same name.
    pub(super) fn erase(&mut self, record: &EraseRecord, frame_seq: u64) {
        let is_covered = self.is_covered(frame_seq);
        if !is_covered {
            self.recounted.erased_since.insert((record.org, record.name));
        }
        let none_is_pending = |(registry, _): (&Registry, Covered)| registry.erasures.is_empty();
        if !(is_covered && self.checkpoint.is_some_and(none_is_pending)) {
            self.lose_frames();
        }
    }

    pub(super) fn count(
        &mut self,
        name: AgentName<'_>,
        source: Source,
        seq: u64,
        row: &Row<'_>,
        frame_seq: u64,
    ) {
        let registry = &mut self.recounted.registry;
        let no = registry.find_or_add_unordered(name, Facts::new(row.recorded_at));
        let mut facts = registry.entry(no).facts();
        facts.record(&Recorded::of(row, source, seq));
        registry.entry_mut(no).set_facts(&facts);
        self.note(name, facts);
        if self.is_covered(frame_seq) {
            self.recounted.covered.insert(name.org, seq);
        }
    }

    /// Keeps the facts if the checkpoint's entry was copied at just this point.
    fn note(&mut self, name: AgentName<'_>, facts: Facts) {
        let Some((checkpoint, _)) = self.checkpoint else {
            return;
        };
        if let Some(no) = checkpoint.find(name)
            && checkpoint.entry(no).facts().last_seq == facts.last_seq
        {
            self.recounted.at_checkpoint[no.0 as usize] = Some(facts);
        }
    }

    /// A batch takes these numbers of its organisation: they follow those before, unless frames are missing
    /// in between.
    pub(super) fn take_numbers(&mut self, header: BatchHeader, next: u64) -> Result<(), Malformed> {
        let (losses, first) = (self.losses, header.first_seq);
        let numbers = self
            .numbers
            .entry(header.org)
            .or_insert(Numbers { next: 1, losses: 0 });
        let may_jump = numbers.losses != losses || header.imported_at.is_some();
        let follows = first == numbers.next || (may_jump && first > numbers.next);
        *numbers = Numbers { next, losses };
        if follows {
            Ok(())
        } else {
            Err(Malformed("the numbers of its events do not follow those before"))
        }
    }

    pub(super) fn finish(self) -> Recounted {
        self.recounted
    }
}

impl Recounted {
    /// Whether the checkpoint has an agent that was erased after it. Without the secret nobody knows which ones were.
    pub(super) fn is_erased(&self, name: AgentName<'_>, identities: Option<&Identities>) -> bool {
        let is_it = |identities: &Identities| {
            let hash = identities.of_agent(name.org, name.agent_id);
            self.erased_since.contains(&(name.org, hash))
        };
        !self.erased_since.is_empty() && identities.is_none_or(is_it)
    }

    /// Compares with the checkpoint that was recounted along.
    pub(super) fn compare(
        &self,
        checkpoint: &Registry,
        file: &Path,
        identities: Option<&Identities>,
        report: &mut Report,
    ) {
        let entries = (0u32..).map(AgentNo).zip(checkpoint.entries_from(0));
        for ((_, entry), counted) in entries.zip(&self.at_checkpoint) {
            match counted {
                _ if self.is_erased(entry.name(), identities) => {}
                Some(facts) if *facts == entry.facts() => {}
                Some(facts) => report.derived(
                    file,
                    0,
                    format!(
                        "an agent of organisation {} has {} events up to event {}, and the checkpoint says {}, or differs in \
                         their times",
                        entry.org.0, facts.count, entry.facts().last_seq, entry.facts().count
                    ),
                ),
                None => report.derived(
                    file,
                    0,
                    format!(
                        "an agent of organisation {} is not in the log as the checkpoint has it (event {})",
                        entry.org.0, entry.facts().last_seq
                    ),
                ),
            }
        }
        for (org, last) in &self.covered {
            let known = checkpoint.totals(*org).1;
            if known < *last {
                let what = format!(
                    "organisation {} has event {last} in the frames that the checkpoint covers, and it says {known}",
                    org.0
                );
                report.derived(file, 0, what);
            }
        }
    }
}
