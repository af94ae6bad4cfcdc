//! What goes into the store and what comes out: plain values, no behaviour.

use reputation::{Evaluation, Micros, Summary};

/// An organisation's number: who owns the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrgId(pub u32);

/// A key's number: who sent the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u32);

/// How an event came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A client reported it to `POST /v1/ingest`.
    Ingest,
    /// The server ran the gates, and the client gave the `evaluation_id` or none was needed.
    Evaluate,
    /// The server ran the gates and made the `evaluation_id`, which carries its recorded millisecond.
    EvaluateMadeId,
}

/// A batch on its way in, already authenticated, parsed and within every limit of the contract.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
    /// Whose agents these are.
    pub org: OrgId,
    /// The key that sent it.
    pub key: KeyId,
    /// Whether a valid signature came with it.
    pub signed: bool,
    /// Where it came from.
    pub source: Source,
    /// How many agents the organisation may have; a new one beyond is refused.
    pub max_agents: u64,
    /// Take the events of known agents when others would pass `max_agents`, instead of none.
    pub lenient: bool,
    /// The events, in the order sent: 1–100.
    pub evaluations: &'a [Evaluation<'a>],
}

/// What the log says of one batch: who sent it, and how its events were counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booked {
    /// Whose events these are.
    pub org: OrgId,
    /// The key that sent them.
    pub key: KeyId,
    /// When the server took them in.
    pub received_at: Micros,
    /// Events recorded anew.
    pub recorded: u32,
    /// Events that were recorded before.
    pub duplicates: u32,
    /// Those recorded that were too late to count in a window.
    pub late: u32,
    /// Those recorded that were too far ahead, and stand at their receipt.
    pub clamped: u32,
}

/// What an imported batch was when it first came in, in the place of what the store would stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// When it was taken in, there.
    pub received_at: Micros,
    /// The time that orders each of its events.
    pub recorded_at: Vec<Micros>,
    /// The number of its first event, to be kept if the organisation has none as high yet.
    pub first_seq: Option<u64>,
}

/// What became of a submission, once it is on stable storage and published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Events taken, repeats included.
    pub accepted: u32,
    /// Those of them that were recorded before and so not again.
    pub duplicates: u32,
    /// Those older than a full window: recorded, but of no effect on a score.
    pub late: u32,
    /// Those that claimed to be too far in the future and were recorded at the time of receipt.
    pub clamped: u32,
    /// One entry per distinct agent among the accepted, in the order the submission first names them.
    pub updates: Vec<Update>,
    /// Indexes of events refused because their agent would pass `max_agents` (lenient submissions only).
    pub rejected: Vec<u32>,
}

/// An agent's standing after a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The agent.
    pub agent_id: String,
    /// Its window's totals, from which score and status follow.
    pub summary: Summary,
}

/// A stored event, as a query answers it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// The organisation's own sequence number of this event, from 1.
    pub seq: u64,
    /// What was sent. `sent_at` is the time as sent, which may differ from `recorded_at`.
    pub evaluation: Evaluation<'static>,
    /// The agent's score just after this event was counted.
    pub score: u16,
    /// The time that orders it: as sent, or of receipt where none was sent or it was clamped.
    pub recorded_at: Micros,
    /// When the server took it in.
    pub received_at: Micros,
    /// Where it came from.
    pub source: Source,
    /// The key that sent it.
    pub key: KeyId,
    /// Whether a valid signature came with it.
    pub signed: bool,
    /// Whether it was older than a full window when it arrived.
    pub late: bool,
}

/// The place of an event in its organisation's order, newest first by (`recorded_at`, `seq`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventKey {
    /// Recorded time.
    pub recorded_at: Micros,
    /// Sequence number within the organisation.
    pub seq: u64,
}

/// Where a page of events starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// After this many newer matching events.
    Offset(u64),
    /// With the newest matching event older than this one.
    After(EventKey),
}

/// A question about an organisation's events. All given filters must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct EventQuery {
    /// Only this agent's.
    pub agent_id: Option<String>,
    /// Only with this verdict.
    pub passed: Option<bool>,
    /// Only recorded at or after this instant.
    pub from: Option<Micros>,
    /// Only recorded at or before this instant.
    pub to: Option<Micros>,
    /// Only with this tool.
    pub tool: Option<String>,
    /// Only where a gate of this name failed (and was not skipped).
    pub failed_gate: Option<String>,
    /// Only with this id; needs `agent_id`.
    pub evaluation_id: Option<String>,
    /// Where to start. An offset does not go with `tool` or `failed_gate`.
    pub start: Start,
    /// How many at most.
    pub limit: usize,
}

impl EventQuery {
    /// Whether it asks for a tool or a failed gate.
    pub(crate) fn has_labels(&self) -> bool {
        self.tool.is_some() || self.failed_gate.is_some()
    }

    /// Whether all filters let this event through.
    pub(crate) fn admits(&self, event: &StoredEvent) -> bool {
        let evaluation = &event.evaluation;
        let is_asked = |asked: &Option<String>, found: Option<&str>| {
            asked.as_deref().is_none_or(|asked| found == Some(asked))
        };
        let failed = |name: &str| {
            let mut gates = evaluation.gates.iter();
            gates.any(|gate| gate.name == name && gate.failed())
        };
        is_asked(&self.agent_id, Some(&evaluation.agent_id))
            && is_asked(&self.tool, evaluation.tool.as_deref())
            && is_asked(&self.evaluation_id, evaluation.evaluation_id.as_deref())
            && self.failed_gate.as_deref().is_none_or(failed)
            && self.passed.is_none_or(|passed| passed == evaluation.passed)
            && self.from.is_none_or(|from| from <= event.recorded_at)
            && self.to.is_none_or(|to| event.recorded_at <= to)
    }
}

/// A page of events, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct EventPage {
    /// The events.
    pub events: Vec<StoredEvent>,
    /// From where to go on; `None` on the last page. With `tool` or `failed_gate` a short page may have one.
    pub next: Option<EventKey>,
}

/// How a list of agents is ordered and where it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentOrder {
    /// Most recently seen first; after this agent, seen at this time, if given.
    LastSeen(Option<(Micros, String)>),
    /// By `agent_id`, byte for byte; after this one if given.
    AgentId(Option<String>),
}

/// An agent as the registry knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its id.
    pub agent_id: String,
    /// The earliest recorded time of its events, or the time of registration while it has none.
    pub first_seen: Micros,
    /// The latest recorded time of its events, or the time of registration while it has none.
    pub last_seen: Micros,
    /// Lifetime count of recorded events.
    pub eval_count: u64,
    /// The totals of its window.
    pub summary: Summary,
}

/// Whether the store takes events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Writable,
    /// There is no room to prepare a segment: it resumes by itself.
    Full(String),
    /// A write or sync failed: nothing is taken until a restart.
    Poisoned(String),
}

/// Figures for an operator, read at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Submissions between hand-over and answer.
    pub in_flight: u64,
    /// Segments, the open one included.
    pub segments: u64,
    /// Bytes of segments and indexes.
    pub bytes: u64,
    /// Agents whose windows are in memory.
    pub resident_windows: u64,
    /// Windows read for submissions that the owner has not taken yet.
    pub windows_in_transit: u64,
    /// Agents known, over all organisations.
    pub agents: u64,
    /// Agents whose erasure isn't done yet.
    pub erasures: u64,
    /// Events stored.
    pub events: u64,
    /// The earliest recorded time of an event.
    pub oldest_event: Option<Micros>,
    /// The latest recorded time of an event.
    pub newest_event: Option<Micros>,
    /// What a read found damaged: file, offset and what is wrong, at most the first 16.
    pub damage: Vec<String>,
}
