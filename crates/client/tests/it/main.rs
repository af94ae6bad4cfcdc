//! The client as its users have it: the public interface, over a real socket.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod calls;
mod deliveries;
mod kit;
mod life;
mod spool;
