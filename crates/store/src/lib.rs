//! Events on the journal: durable, counted once, listed newest first, summed up in each agent's window.
//!
//! The log is the database. A batch is encoded once, appended once and synced once; windows, summaries,
//! indexes and counts are derived from it and can be rebuilt.
//!
//! Invariants:
//! - A reply says "taken" only after the event is on stable storage and readers see it.
//! - Readers see only what is on stable storage ("published"); what is counted but not yet synced is the
//!   owner thread's private business.
//! - The same event (agent, `evaluation_id`, timestamp as sent) is recorded once.
//! - The owner thread never reads a file, so no cold agent and no slow disk holds the others up.

mod agent;
mod backup;
mod batch;
mod books;
mod bytes;
mod checkpoint;
mod clock;
mod codec;
mod compaction;
mod damage;
mod erasure;
mod error;
mod export;
mod facts;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod identity;
mod index;
mod loader;
mod outside;
mod owner;
mod pace;
mod progress;
mod query;
mod recover;
mod registry;
mod repair;
mod retention;
mod rewrite;
mod scrub;
mod sealing;
mod secret;
mod segments;
mod shared;
mod span;
mod spill;
mod store;
mod threads;
mod transit;
mod types;
mod upkeep;
mod verify;
mod warming;

pub use backup::{Backup, BackupFigures, adopt_backup, refuse_unfinished_backup};
pub use batch::Draft;
pub use clock::{Clock, now, system_clock};
pub use error::{Error, NotKept, Refused};
pub use export::export;
pub use recover::{has_frames, has_log};
pub use repair::{LostEvents, LostFrames, Plan};
pub use store::{Observer, Options, Reply, Store, Unobserved};
pub use types::{
    Agent, AgentOrder, Booked, EventKey, EventPage, EventQuery, Health, KeyId, OrgId, Provenance, Receipt,
    Source, Start, Stats, StoredEvent, Submission, Update,
};
pub use verify::{Finding, Remedy, Report, Totals, verify};
