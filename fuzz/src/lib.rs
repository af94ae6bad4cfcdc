//! Fuzz targets: what comes from outside, from a client or from a disk, read as hostile bytes.
//!
//! A target is a plain function of bytes. It panics where what is under test panics, or gives another answer than
//! an independent reading of the same bytes. `fuzz/corpus/TARGET` holds the inputs to start from and those that once found a
//! fault; plain tests run them. `cargo run --profile fuzz -p fuzz -- all --seconds 60` changes them at random, without end.

mod corpus;
mod mutation;
mod run;
mod targets;

pub use corpus::{directory, seeds};
pub use mutation::Mutator;
pub use run::{Found, Limits, Totals, run};
pub use targets::{Outcome, TARGETS, Target};
