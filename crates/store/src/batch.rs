//! A submission on its way through the threads: everything owned, in a few allocations whatever its size.

mod terms;

use crate::agent::{AgentNo, Question};
use crate::codec::{AgentWord, EventView, GateView, TextRef, Words};
use crate::{KeyId, OrgId, Provenance, Source, Submission};
use hashbrown::{HashMap, HashSet};
use reputation::{Evaluation, Micros};
use std::ops::Range;
use terms::Terms;

/// Distinct terms and agents of most batches at most.
const LIKELY_TERMS: usize = 32;
const LIKELY_AGENTS: usize = 32;

/// The events of a submission, their texts one after another in one string.
pub(crate) struct Batch {
    pub(crate) org: OrgId,
    pub(crate) key: KeyId,
    pub(crate) signed: bool,
    pub(crate) source: Source,
    pub(crate) max_agents: u64,
    pub(crate) lenient: bool,
    /// Where it was imported: what it was before.
    pub(crate) provenance: Option<Provenance>,
    text: String,
    /// Bytes of all texts as they were sent: of a tool or gate's name as often as it came.
    sent_text_bytes: usize,
    /// Tools and names of gates, most of them once.
    terms: Vec<Text>,
    /// The distinct agents, in the order in which the submission first names them.
    pub(crate) agents: Vec<BatchAgent>,
    pub(crate) events: Vec<BatchEvent>,
    gates: Vec<BatchGate>,
}

/// An agent that a batch names.
pub(crate) struct BatchAgent {
    name: Text,
    /// Its place in the registry, as far as it was published when the batch came in.
    pub(crate) no: Option<AgentNo>,
}

/// One event of a batch.
pub(crate) struct BatchEvent {
    /// Which of the batch's agents.
    pub(crate) agent: usize,
    tool: Option<Term>,
    pub(crate) passed: bool,
    gates: Range<u32>,
    pub(crate) total_latency_us: u32,
    pub(crate) sent_at: Option<Micros>,
    evaluation_id: Option<Text>,
    agent_latency_us: Option<u32>,
    /// What is known of its being a repeat.
    pub(crate) verdict: Verdict,
}

/// What a look-up found about an event's being a repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is not among its agent's first so many arrivals; 0 if nobody looked.
    NotAmong(u64),
    /// It was recorded before, or stands earlier in the same batch.
    Repeat,
}

struct BatchGate {
    name: Term,
    passed: bool,
    latency_ms: f64,
    reason: Option<Text>,
    skipped: Option<bool>,
}

/// A tool or a gate's name, by its place among the batch's terms.
#[derive(Clone, Copy)]
struct Term(u32);

/// A piece of the batch's text. Batches are far smaller than 4 GiB: the wire's limit is 16 MiB.
#[derive(Clone, Copy)]
struct Text {
    start: u32,
    end: u32,
}

impl Batch {
    /// Copies a submission and finds the repeats inside it.
    pub(crate) fn new(submission: &Submission<'_>) -> Self {
        let evaluations = submission.evaluations;
        let sent_text_bytes = evaluations.iter().map(text_bytes).sum();
        let mut batch = Self {
            org: submission.org,
            key: submission.key,
            signed: submission.signed,
            source: submission.source,
            max_agents: submission.max_agents,
            lenient: submission.lenient,
            provenance: None,
            text: String::with_capacity(sent_text_bytes),
            sent_text_bytes,
            terms: Vec::with_capacity(LIKELY_TERMS),
            agents: Vec::with_capacity(evaluations.len().min(LIKELY_AGENTS)),
            events: Vec::with_capacity(evaluations.len()),
            gates: Vec::with_capacity(evaluations.iter().map(|e| e.gates.len()).sum()),
        };
        let mut terms = Terms::new();
        let mut agents: HashMap<&str, usize> = HashMap::with_capacity(batch.agents.capacity());
        let mut seen: HashSet<(usize, &str, Option<Micros>)> = HashSet::with_capacity(evaluations.len());
        for evaluation in evaluations {
            let agent = *agents.entry(&evaluation.agent_id).or_insert_with(|| {
                let name = put(&mut batch.text, &evaluation.agent_id);
                batch.agents.push(BatchAgent { name, no: None });
                batch.agents.len() - 1
            });
            let repeats_itself = evaluation
                .evaluation_id
                .as_deref()
                .is_some_and(|id| !seen.insert((agent, id, evaluation.sent_at)));
            let verdict = if repeats_itself {
                Verdict::Repeat
            } else {
                Verdict::NotAmong(0)
            };
            batch.push(agent, evaluation, verdict, &mut terms);
        }
        batch
    }

    fn push<'e>(
        &mut self,
        agent: usize,
        evaluation: &'e Evaluation<'_>,
        verdict: Verdict,
        terms: &mut Terms<'e>,
    ) {
        let (text, all) = (&mut self.text, &mut self.terms);
        let mut term = |text: &mut String, name: &'e str| {
            terms.place_of(name, || {
                all.push(put(text, name));
                place(all.len() - 1)
            })
        };
        let first_gate = place(self.gates.len());
        for gate in &evaluation.gates {
            self.gates.push(BatchGate {
                name: Term(term(text, &gate.name)),
                passed: gate.passed,
                latency_ms: gate.latency_ms,
                reason: gate.reason.as_deref().map(|reason| put(text, reason)),
                skipped: gate.skipped,
            });
        }
        self.events.push(BatchEvent {
            agent,
            tool: evaluation.tool.as_deref().map(|tool| Term(term(text, tool))),
            passed: evaluation.passed,
            gates: first_gate..place(self.gates.len()),
            total_latency_us: evaluation.total_latency_us,
            sent_at: evaluation.sent_at,
            evaluation_id: evaluation.evaluation_id.as_deref().map(|id| put(text, id)),
            agent_latency_us: evaluation.agent_latency_us,
            verdict,
        });
    }

    /// The name of one of the batch's agents.
    pub(crate) fn agent_id(&self, agent: usize) -> &str {
        self.get(self.agents[agent].name)
    }

    /// The id of an event, if it has one.
    pub(crate) fn evaluation_id(&self, event: &BatchEvent) -> Option<&str> {
        event.evaluation_id.map(|id| self.get(id))
    }

    /// What an event has to ask before it is counted; nothing without an id.
    pub(crate) fn question(&self, event: &BatchEvent) -> Option<Question<'_>> {
        Some(Question {
            evaluation_id: self.evaluation_id(event)?,
            sent_at: event.sent_at,
        })
    }

    /// Its tools and names of gates as a segment's rows name them.
    pub(crate) fn terms_in(&self, words: &mut Words) -> Vec<TextRef<'_>> {
        let terms = self.terms.iter();
        terms.map(|term| words.term(self.get(*term))).collect()
    }

    /// What was sent with an event, for the codec: under the number that its agent has in the segment, and with
    /// the batch's terms as they are there.
    pub(crate) fn view<'b>(
        &'b self,
        event: &BatchEvent,
        agent: AgentWord,
        terms: &[TextRef<'b>],
    ) -> EventView<'b> {
        EventView {
            agent,
            tool: event.tool.map(|tool| terms[tool.0 as usize]),
            passed: event.passed,
            total_latency_us: event.total_latency_us,
            sent_at: event.sent_at,
            evaluation_id: self.evaluation_id(event),
            agent_latency_us: event.agent_latency_us,
        }
    }

    /// The gates of an event, likewise.
    pub(crate) fn gates<'r, 'b: 'r>(
        &'b self,
        event: &BatchEvent,
        terms: &'r [TextRef<'b>],
    ) -> impl ExactSizeIterator<Item = GateView<'b>> + 'r {
        let gates = &self.gates[event.gates.start as usize..event.gates.end as usize];
        gates.iter().map(|gate| GateView {
            name: terms[gate.name.0 as usize],
            passed: gate.passed,
            latency_ms: gate.latency_ms,
            reason: gate.reason.map(|reason| self.get(reason)),
            skipped: gate.skipped,
        })
    }

    /// Bytes of all its texts, each as often as it was sent.
    pub(crate) fn text_bytes(&self) -> usize {
        self.sent_text_bytes
    }

    /// How many gate results all its events have.
    pub(crate) fn gate_count(&self) -> usize {
        self.gates.len()
    }

    fn get(&self, text: Text) -> &str {
        &self.text[text.start as usize..text.end as usize]
    }
}

fn put(all: &mut String, text: &str) -> Text {
    let start = place(all.len());
    all.push_str(text);
    Text {
        start,
        end: place(all.len()),
    }
}

fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn text_bytes(evaluation: &Evaluation<'_>) -> usize {
    let gates = evaluation
        .gates
        .iter()
        .map(|gate| gate.name.len() + gate.reason.as_ref().map_or(0, |r| r.len()));
    evaluation.agent_id.len()
        + evaluation.tool.as_ref().map_or(0, |tool| tool.len())
        + evaluation.evaluation_id.as_ref().map_or(0, |id| id.len())
        + gates.sum::<usize>()
}
