//! The bodies of good answers, as plain values that serialise to what the API documents.
//!
//! Answers may gain fields; none is ever lost or renamed.

mod agents;
mod audit;
mod evaluate;
mod events;
mod health;
mod ingest;
mod keys;
mod ledger;
mod plain_number;
mod reputation;

pub use agents::{AgentEntry, AgentsPage, Registration};
pub use audit::{AuditActor, AuditEntry, AuditPage};
pub use evaluate::{
    ConfiguredGate, EvaluateAnswer, EvaluatedGate, EvaluatedReputation, GateRule, GateSet, GatesAnswer,
};
pub use events::{Event, EventsPage, Gate, Recorded, Source, seq_of_id};
pub use health::{Health, Ready};
pub use ingest::{IngestAnswer, ReputationUpdate};
pub use keys::{KeyEntry, KeysPage, Limits, NewKey, Whoami};
pub use ledger::{EventBooks, LedgerEntry, LedgerPage, RequestBooks};
pub use reputation::{Reputation, Reputations, Status};
