//! The store as its users see it: hand in submissions, ask questions.

use crate::{
    Agent, AgentOrder, Error, EventPage, EventQuery, Health, KeyId, OrgId, Receipt, Refused, Stats,
    StoredEvent, Submission,
};
use journal::Disk;
use reputation::Summary;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Called once, from a thread of the store, with what became of a submission.
pub type Reply<T> = Box<dyn FnOnce(Result<T, Refused>) + Send>;

/// Settings of a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// How the log is kept.
    pub journal: journal::Options,
    /// How far ahead of the server a timestamp may be; one further ahead is recorded at its receipt.
    pub max_clock_ahead: Duration,
    /// Agents whose windows are kept in memory.
    pub window_cache: usize,
    /// Bytes of index blocks kept in memory.
    pub cache_bytes: u64,
    /// Submissions between hand-over and answer; one more is refused.
    pub max_in_flight: usize,
    /// Age at which the open segment is sealed even if it isn't full.
    pub segment_age: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            journal: journal::Options::default(),
            max_clock_ahead: Duration::from_secs(300),
            window_cache: 20_000,
            cache_bytes: 64 << 20,
            max_in_flight: 4_096,
            segment_age: Duration::from_secs(86_400),
        }
    }
}

/// Hears what the store does, for metrics. Called from its threads: be quick.
pub trait Observer: Send + Sync {
    /// A group was written and synced in this time.
    fn committed(&self, _latency: Duration, _submissions: usize, _events: usize, _bytes: usize) {}
    /// A submission was taken: events recorded anew, repeats, late ones, clamped ones.
    fn recorded(&self, _recorded: u32, _duplicates: u32, _late: u32, _clamped: u32) {}
}

/// Hears nothing.
pub struct Unobserved;
impl Observer for Unobserved {}

/// Durable events, their index, and the agents' standing.
pub struct Store {}

impl Store {
    /// Opens the store in `dir`, recovering what a crash left.
    pub fn open(_disk: Arc<dyn Disk>, _dir: &Path, _options: Options, _observer: Arc<dyn Observer>) -> Result<Self, Error> {
        unimplemented!()
    }
    /// Hands in a batch. Never waits for the disk.
    pub fn submit(&self, _submission: &Submission<'_>, _reply: Reply<Receipt>) {
        unimplemented!()
    }
    /// Makes an agent known before its first event.
    pub fn register(&self, _org: OrgId, _key: KeyId, _agent_id: &str, _max_agents: u64, _reply: Reply<()>) {
        unimplemented!()
    }
    /// The standing of each of these agents; an unknown one has an empty window. May read the disk.
    pub fn reputations(&self, _org: OrgId, _agent_ids: &[&str]) -> Result<Vec<Summary>, Error> {
        unimplemented!()
    }
    /// The standing of an agent if memory knows it.
    pub fn warm_summary(&self, _org: OrgId, _agent_id: &str) -> Option<Summary> {
        unimplemented!()
    }
    /// A page of events. Reads the disk.
    pub fn events(&self, _org: OrgId, _query: &EventQuery) -> Result<EventPage, Error> {
        unimplemented!()
    }
    /// One event. Reads the disk.
    pub fn event(&self, _org: OrgId, _seq: u64) -> Result<Option<StoredEvent>, Error> {
        unimplemented!()
    }
    /// The first `limit` agents in this order. May read the disk.
    pub fn agents(&self, _org: OrgId, _order: &AgentOrder, _limit: usize) -> Result<Vec<Agent>, Error> {
        unimplemented!()
    }
    /// Whether it takes events.
    pub fn health(&self) -> Health {
        unimplemented!()
    }
    /// Figures of this moment.
    pub fn stats(&self) -> Stats {
        unimplemented!()
    }
    /// The key under which cursors are authenticated.
    pub fn cursor_key(&self) -> [u8; 32] {
        unimplemented!()
    }
    /// Takes no more, finishes what was handed in, and leaves everything on disk.
    pub fn close(&self) {
        unimplemented!()
    }
}
