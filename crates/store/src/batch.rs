//! A submission on its way through the threads: everything owned, in three allocations whatever its size.

use crate::agent::AgentNo;
use crate::codec::{EventView, GateView};
use crate::{KeyId, OrgId, Source, Submission};
use hashbrown::{HashMap, HashSet};
use reputation::{Evaluation, Micros};
use std::ops::Range;

/// The events of a submission, their texts one after another in one string.
pub(crate) struct Batch {
    pub(crate) org: OrgId,
    pub(crate) key: KeyId,
    pub(crate) signed: bool,
    pub(crate) source: Source,
    pub(crate) max_agents: u64,
    pub(crate) lenient: bool,
    text: String,
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
    tool: Option<Text>,
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
    name: Text,
    passed: bool,
    latency_ms: f64,
    reason: Option<Text>,
    skipped: Option<bool>,
}

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
        let mut batch = Self {
            org: submission.org,
            key: submission.key,
            signed: submission.signed,
            source: submission.source,
            max_agents: submission.max_agents,
            lenient: submission.lenient,
            text: String::with_capacity(evaluations.iter().map(text_bytes).sum()),
            agents: Vec::new(),
            events: Vec::with_capacity(evaluations.len()),
            gates: Vec::with_capacity(evaluations.iter().map(|e| e.gates.len()).sum()),
        };
        let mut agents: HashMap<&str, usize> = HashMap::new();
        let mut seen: HashSet<(usize, &str, Option<Micros>)> = HashSet::new();
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
            batch.push(
                agent,
                evaluation,
                if repeats_itself {
                    Verdict::Repeat
                } else {
                    Verdict::NotAmong(0)
                },
            );
        }
        batch
    }

    fn push(&mut self, agent: usize, evaluation: &Evaluation<'_>, verdict: Verdict) {
        let text = &mut self.text;
        let first_gate = place(self.gates.len());
        for gate in &evaluation.gates {
            self.gates.push(BatchGate {
                name: put(text, &gate.name),
                passed: gate.passed,
                latency_ms: gate.latency_ms,
                reason: gate.reason.as_deref().map(|reason| put(text, reason)),
                skipped: gate.skipped,
            });
        }
        self.events.push(BatchEvent {
            agent,
            tool: evaluation.tool.as_deref().map(|tool| put(text, tool)),
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

    /// The gate results of all events, for [`Batch::view`].
    pub(crate) fn gates(&self) -> Vec<GateView<'_>> {
        let view = |gate: &BatchGate| GateView {
            name: self.get(gate.name),
            passed: gate.passed,
            latency_ms: gate.latency_ms,
            reason: gate.reason.map(|reason| self.get(reason)),
            skipped: gate.skipped,
        };
        self.gates.iter().map(view).collect()
    }

    /// What was sent with an event, for the codec; `gates` are those of all events.
    pub(crate) fn view<'b>(&'b self, event: &BatchEvent, gates: &'b [GateView<'b>]) -> EventView<'b> {
        EventView {
            agent_id: self.agent_id(event.agent),
            tool: event.tool.map(|tool| self.get(tool)),
            passed: event.passed,
            gates: &gates[event.gates.start as usize..event.gates.end as usize],
            total_latency_us: event.total_latency_us,
            sent_at: event.sent_at,
            evaluation_id: self.evaluation_id(event),
            agent_latency_us: event.agent_latency_us,
        }
    }

    /// Bytes of memory that it holds, about.
    pub(crate) fn text_bytes(&self) -> usize {
        self.text.len()
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
