//! Gates: checks of what an agent put out, and the engine that runs them.
//!
//! A [`Gate`] is a value: it looks at a [`Context`] and says passed or not. An [`Engine`] runs a list of them
//! within one wall-clock [`Budget`] and gives a [`Verdict`]. What each built-in gate checks is in
//! `docs/gates.md`; what every implementation is tested against is in `gates/`.
//!
//! Gates are pure computation over borrowed JSON: they read no clock but the budget's, no file and no network.
//!
//! Invariants:
//! - Work is linear in the payload's bytes; long walks look at the budget as they go.
//! - No reason or detail holds text of a payload, but for numbers, entries of a gate's own list, and entries
//!   of the request's `bcat`.
//! - A skipped gate is never a failure.

mod budget;
mod builtin;
pub mod config;
mod context;
mod decimal;
mod engine;
mod gate;
mod text;
mod whereabouts;

pub use budget::{Budget, OutOfBudget};
pub use builtin::{
    AdomainVerify, AudienceSafety, BcatCompliance, BidSanity, Content, Filesystem, ImpidMatch, Latency, Pii,
    Schema, SchemaOptions, Secrets, Target, TmaxGuard, WrongSchema,
};
pub use context::{Context, Subject};
pub use engine::{
    Ending, Engine, GateResult, Listed, MAX_GATES, MAX_NAME, MAX_REASON, Settings, Unfit, Verdict,
};
pub use gate::{Gate, Outcome, Stopped};
pub use text::{Detector, Detectors, Findings, Hit};
