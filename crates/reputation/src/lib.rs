//! The arithmetic of reputation: an evaluation, an agent's window of its newest 500 evaluations, its score
//! and its status.
//!
//! Pure values in, values out: no clock, no disk, no allocation that the caller did not ask for. This crate
//! knows nothing of JSON, of organisations or of files.
//!
//! Invariants:
//! - A window holds the newest [`WINDOW`] evaluations by recorded time, ties by order of arrival, whatever
//!   the order in which they came.
//! - A score is the floor of the exact rational value; no floating point takes part.

mod evaluation;
mod score;
mod time;
mod window;

pub use evaluation::{Evaluation, GateResult};
pub use score::{Status, Summary};
pub use time::Micros;
pub use window::{Placement, Slot, WINDOW, Window};
