#![doc = include_str!("../README.md")]

mod answer;
mod api;
mod backoff;
mod books;
mod courier;
mod delivery;
mod evaluation_id;
mod event;
mod http;
mod listeners;
mod settings;
mod spool;
mod telemetry;
mod time;
mod valid;

pub use api::answers::{
    Agent, IngestAnswer, Limits, Registration, Reputation, ReputationUpdate, Status, StoredEvent, Whoami,
};
pub use api::{
    Agents, AgentsOrder, ApiError, Client, ClientBuilder, Detail, Evaluate, Evaluation, EvaluationStanding,
    EventFilter, Events, GateOutcome, Refusal,
};
pub use books::{Books, DropReason, State};
pub use event::{Event, Gate};
pub use settings::{SettingError, WhenFull};
pub use telemetry::{Builder, Telemetry};
