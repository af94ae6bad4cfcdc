//! The store as a whole, on a real directory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod backup;
mod books;
mod cold;
mod compaction;
mod crash;
mod erase;
mod forgetting;
mod kit;
mod model;
mod once;
mod panics;
mod repair;
mod restart;
mod retention;
mod simulation;
mod varied;
mod verify;
