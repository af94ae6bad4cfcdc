//! The HTTP API over a real socket, with real organisations and a real store.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod audit;
mod bad_days;
mod books;
mod errors;
mod evaluate;
mod hostile;
mod isolation;
mod kit;
mod overload;
mod tls;
