//! The MCP proxy: stands between an MCP client and a stdio server that it starts, and lets gates judge what
//! the server's tools give.
//!
//! Two threads relay, one in each direction, line by line: [`run`]. Only messages that carry a tool's output
//! (and, if asked for, a call's arguments) are held until they are judged; the bytes of everything else, and
//! of all that passes, are forwarded as they came. What is judged, left alone and refused is in `docs/proxy.md`.
//!
//! Invariants:
//! - Bytes that are forwarded are the bytes that came, in their order.
//! - Memory is bounded by the message limit, whatever passes through.
//! - No text of a payload reaches an error, the decision log or telemetry.
//! - What the decision log or the telemetry cannot do never holds up or changes a message.

mod answers;
mod calls;
mod decision;
mod error;
mod glance;
mod home;
mod id;
pub mod install;
mod judge;
mod lines;
mod log;
mod message;
mod payload;
mod pipe;
mod refusal;
mod relay;
mod reporter;
mod requests;
mod server;
mod settings;
mod signals;

pub use error::ProxyError;
pub use home::{default_directory, default_spool};
pub use relay::run;
pub use server::Ended;
pub use settings::{OnDoubt, Settings, default_config, load_config};
