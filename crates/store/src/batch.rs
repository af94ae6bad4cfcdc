//! A submission on its way through the threads: everything owned, in a few allocations whatever its size.

mod draft;
mod recent;

use crate::agent::{AgentNo, Question};
use crate::codec::{AgentWord, EventView, GateView, TextRef, Words};
use crate::{KeyId, OrgId, Provenance, Source};
pub use draft::Draft;
use reputation::Micros;
use std::ops::Range;

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
    /// The place that it had when somebody looked up its events: their verdicts are about that agent, and one of the
    /// same name that came after it was erased is another.
    pub(crate) looked_up: Option<AgentNo>,
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

/// What is known about an event's being a repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is not among its agent's first so many arrivals; 0 if nobody looked.
    NotAmong(u64),
    /// It was recorded before.
    Recorded,
    /// It stands earlier in the same batch.
    InBatch,
}

impl Verdict {
    /// Whether it is a repeat, and does not count.
    pub(crate) fn is_repeat(self) -> bool {
        !matches!(self, Self::NotAmong(_))
    }
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
    /// The name of one of the batch's agents.
    pub(crate) fn agent_id(&self, agent: usize) -> &str {
        self.get(self.agents[agent].name)
    }

    /// Takes back what was found out of an agent's events: it is about another agent, who had the same name.
    pub(crate) fn forget_verdicts(&mut self, agent: usize) {
        let of_agent = self.events.iter_mut().filter(|event| event.agent == agent);
        for event in of_agent.filter(|event| event.verdict != Verdict::InBatch) {
            event.verdict = Verdict::NotAmong(0);
        }
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

    fn put(&mut self, text: &str) -> Text {
        let start = place(self.text.len());
        self.text.push_str(text);
        Text {
            start,
            end: place(self.text.len()),
        }
    }

    fn get(&self, text: Text) -> &str {
        &self.text[text.start as usize..text.end as usize]
    }
}

fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
