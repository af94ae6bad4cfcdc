//! Puts a batch together, event by event: a text that comes often is copied once, and repeats are found.

use super::recent::{Mark, Recent};
use super::{Batch, BatchAgent, BatchEvent, BatchGate, Term, Verdict, place};
use crate::Submission;
use hashbrown::{DefaultHashBuilder, HashTable};
use reputation::{Evaluation, Micros};
use std::hash::BuildHasher as _;

/// What most batches have at most, to make room for it.
const LIKELY_EVENTS: usize = 100;
const LIKELY_TERMS: usize = 32;
const LIKELY_AGENTS: usize = 32;
/// What an event and a gate take in a body at least, as most are.
const LIKELY_EVENT_BYTES: usize = 300;
const LIKELY_GATE_BYTES: usize = 80;
/// Bytes of a body for one of the texts that a batch keeps.
const LIKELY_BYTES_A_TEXT_BYTE: usize = 8;

/// A batch that is put together event by event, to be handed to [`Store::hand_in`](crate::Store::hand_in).
///
/// It copies what it is given, so that nothing has to be kept until it is complete.
pub struct Draft {
    batch: Batch,
    recent_terms: Recent,
    recent_agents: Recent,
    /// All agents, by their names.
    agents: HashTable<u32>,
    /// All events that have an id, by agent, time and id. The hash has a seed, so that no sender can make many ids collide.
    ids: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Draft {
    /// Begins a batch with a submission and its events, and makes room for what a body of so many bytes is likely to
    /// bring.
    #[must_use]
    pub fn new(submission: &Submission<'_>, body_bytes: usize) -> Self {
        let likely_events = (body_bytes / LIKELY_EVENT_BYTES + 1).min(LIKELY_EVENTS);
        let mut draft = Self {
            batch: Batch {
                org: submission.org,
                key: submission.key,
                signed: submission.signed,
                source: submission.source,
                max_agents: submission.max_agents,
                lenient: submission.lenient,
                provenance: None,
                text: String::with_capacity(body_bytes / LIKELY_BYTES_A_TEXT_BYTE),
                sent_text_bytes: 0,
                terms: Vec::with_capacity(LIKELY_TERMS),
                agents: Vec::with_capacity(likely_events.min(LIKELY_AGENTS)),
                events: Vec::with_capacity(likely_events),
                gates: Vec::with_capacity(body_bytes / LIKELY_GATE_BYTES),
            },
            recent_terms: Recent::new(),
            recent_agents: Recent::new(),
            agents: HashTable::with_capacity(likely_events.min(LIKELY_AGENTS)),
            ids: HashTable::with_capacity(likely_events),
            hasher: DefaultHashBuilder::default(),
        };
        for evaluation in submission.evaluations {
            draft.push(evaluation);
        }
        draft
    }

    /// Appends a copy of an event, which is within every limit of the contract.
    pub fn push(&mut self, evaluation: &Evaluation<'_>) {
        let agent = self.agent(&evaluation.agent_id);
        let first_gate = place(self.batch.gates.len());
        let mut sent_text_bytes = evaluation.agent_id.len();
        for gate in &evaluation.gates {
            sent_text_bytes += gate.name.len() + gate.reason.as_ref().map_or(0, |reason| reason.len());
            let gate = BatchGate {
                name: self.term(&gate.name),
                passed: gate.passed,
                latency_ms: gate.latency_ms,
                reason: gate.reason.as_deref().map(|reason| self.batch.put(reason)),
                skipped: gate.skipped,
            };
            self.batch.gates.push(gate);
        }
        let tool = evaluation.tool.as_deref().map(|tool| {
            sent_text_bytes += tool.len();
            self.term(tool)
        });
        let id = evaluation.evaluation_id.as_deref();
        let verdict = match id {
            Some(id) if self.came_before(agent, id, evaluation.sent_at) => Verdict::InBatch,
            _ => Verdict::NotAmong(0),
        };
        let event = BatchEvent {
            agent: agent as usize,
            tool,
            passed: evaluation.passed,
            gates: first_gate..place(self.batch.gates.len()),
            total_latency_us: evaluation.total_latency_us,
            sent_at: evaluation.sent_at,
            evaluation_id: id.map(|id| {
                sent_text_bytes += id.len();
                self.batch.put(id)
            }),
            agent_latency_us: evaluation.agent_latency_us,
            verdict,
        };
        self.batch.events.push(event);
        self.batch.sent_text_bytes += sent_text_bytes;
    }

    pub(crate) fn finish(self) -> Batch {
        self.batch
    }

    #[inline(always)]
    fn term(&mut self, text: &str) -> Term {
        let (mark, batch) = (Mark::of(text), &self.batch);
        match self.recent_terms.find(mark) {
            Some(term) if mark.is_whole() || batch.get(batch.terms[term as usize]) == text => Term(term),
            _ => self.new_term(mark, text),
        }
    }

    #[cold]
    fn new_term(&mut self, mark: Mark, text: &str) -> Term {
        let batch = &mut self.batch;
        let term = place(batch.terms.len());
        let text = batch.put(text);
        batch.terms.push(text);
        self.recent_terms.remember(mark, term);
        Term(term)
    }

    /// An agent's place among the batch's; unlike a term's it is the only one.
    fn agent(&mut self, name: &str) -> u32 {
        let (mark, batch) = (Mark::of(name), &self.batch);
        match self.recent_agents.find(mark) {
            Some(agent) if mark.is_whole() || batch.agent_id(agent as usize) == name => agent,
            _ => self.agent_not_recent(mark, name),
        }
    }

    #[cold]
    fn agent_not_recent(&mut self, mark: Mark, name: &str) -> u32 {
        let (batch, hasher) = (&mut self.batch, &self.hasher);
        let hash = hasher.hash_one(name);
        let known = self
            .agents
            .find(hash, |agent| batch.agent_id(*agent as usize) == name);
        let agent = known.copied().unwrap_or_else(|| {
            let new = place(batch.agents.len());
            let name = batch.put(name);
            batch.agents.push(BatchAgent {
                name,
                no: None,
                looked_up: None,
            });
            self.agents.insert_unique(hash, new, |agent| {
                hasher.hash_one(batch.agent_id(*agent as usize))
            });
            new
        });
        self.recent_agents.remember(mark, agent);
        agent
    }

    /// Whether the event that is copied next is the same as an earlier one; if not, it is noted as a new one.
    fn came_before(&mut self, agent: u32, id: &str, sent_at: Option<Micros>) -> bool {
        let (batch, hasher) = (&self.batch, &self.hasher);
        let hash = hasher.hash_one((agent, sent_at, id));
        let is_same = |place: &u32| {
            let event = &batch.events[*place as usize];
            event.agent == agent as usize
                && event.sent_at == sent_at
                && batch.evaluation_id(event) == Some(id)
        };
        if self.ids.find(hash, is_same).is_some() {
            return true;
        }
        let new = place(batch.events.len());
        self.ids.insert_unique(hash, new, |place| {
            let event = &batch.events[*place as usize];
            hasher.hash_one((
                event.agent as u32,
                event.sent_at,
                batch.evaluation_id(event).unwrap_or_default(),
            ))
        });
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyId, OrgId, Source};
    use reputation::GateResult;
    use std::collections::HashSet;

    /// Texts that differ in all places, or in the middle alone, so that their marks are the same.
    fn texts(stem: &str) -> Vec<String> {
        (10..90)
            .flat_map(|i| {
                [
                    format!("{stem}{i}"),
                    format!("{stem}-same-beginning-{i}-same-end-{stem}"),
                ]
            })
            .collect()
    }

    fn event<'t>(agents: &'t [String], names: &'t [String], i: usize) -> Evaluation<'t> {
        let gate = |at: usize| GateResult {
            name: names[at % names.len()].as_str().into(),
            passed: true,
            latency_ms: 1.0,
            reason: at.is_multiple_of(3).then(|| format!("because of {at}").into()),
            skipped: None,
        };
        Evaluation {
            agent_id: agents[i * i % agents.len()].as_str().into(),
            tool: (!i.is_multiple_of(4)).then(|| names[i % 7].as_str().into()),
            passed: true,
            gates: (0..i % 5).map(|at| gate(i + at * 11)).collect(),
            total_latency_us: 5,
            sent_at: (!i.is_multiple_of(3)).then_some(Micros(i as i64 % 50)),
            evaluation_id: (!i.is_multiple_of(5))
                .then(|| format!("same-beginning-{}-same-end", i % 40).into()),
            agent_latency_us: None,
        }
    }

    #[test]
    fn a_batch_says_what_its_events_said_and_knows_its_repeats() {
        let (agents, names) = (texts("agent"), texts("gate"));
        let all: Vec<Evaluation<'_>> = (0..2_000).map(|i| event(&agents, &names, i)).collect();
        let submission = Submission {
            org: OrgId(1),
            key: KeyId(1),
            signed: false,
            source: Source::Ingest,
            max_agents: 1_000,
            lenient: false,
            evaluations: &all,
        };
        let batch = Draft::new(&submission, 0).finish();
        let mut seen = HashSet::new();
        let mut text_bytes = 0;
        assert_eq!(batch.events.len(), all.len());
        for (event, sent) in batch.events.iter().zip(&all) {
            let terms: Vec<&str> = batch.terms.iter().map(|term| batch.get(*term)).collect();
            assert_eq!(batch.agent_id(event.agent), sent.agent_id);
            assert_eq!(
                event.tool.map(|tool| terms[tool.0 as usize]),
                sent.tool.as_deref()
            );
            assert_eq!(batch.evaluation_id(event), sent.evaluation_id.as_deref());
            let gates = &batch.gates[event.gates.start as usize..event.gates.end as usize];
            assert_eq!(gates.len(), sent.gates.len());
            for (gate, sent) in gates.iter().zip(&sent.gates) {
                assert_eq!(terms[gate.name.0 as usize], sent.name);
                assert_eq!(
                    gate.reason.map(|reason| batch.get(reason)),
                    sent.reason.as_deref()
                );
                text_bytes += sent.name.len() + sent.reason.as_ref().map_or(0, |reason| reason.len());
            }
            let optional = [&sent.tool, &sent.evaluation_id].into_iter().flatten();
            text_bytes += sent.agent_id.len() + optional.map(|text| text.len()).sum::<usize>();
            let is_repeat = sent
                .evaluation_id
                .as_ref()
                .is_some_and(|id| !seen.insert((&sent.agent_id, id, sent.sent_at)));
            assert_eq!(event.verdict == Verdict::InBatch, is_repeat);
        }
        assert_eq!(batch.text_bytes(), text_bytes);
        let distinct: HashSet<_> = (0..batch.agents.len())
            .map(|agent| batch.agent_id(agent))
            .collect();
        assert_eq!(distinct.len(), batch.agents.len(), "an agent has one place");
        assert!(
            batch
                .events
                .iter()
                .filter(|event| event.verdict == Verdict::InBatch)
                .count()
                > 500
        );
    }
}
