//! What every implementation of the gates is tested against, and how good their verdicts are.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod corpus;
mod kit;
mod reasons;
mod vectors;
