//! What clients see, as pure functions: bodies, query strings and headers in; answers and errors out; the
//! formats of keys, signatures, cursors and times.
//!
//! This crate knows nothing of HTTP servers, of the store or of who is asking. It reads no clock, no random
//! source and no file: whoever needs one passes it in.
//!
//! Invariants:
//! - Nothing that a client sends can make a function here panic, recurse without bound, or allocate more than
//!   a small multiple of what was sent.
//! - What [`ingest::read`] gives is within every limit of the API, so nobody below checks again.
//! - A refusal is a [`Fault`], whose sentence names the field and its rule and never repeats a key.

pub mod answers;
mod authorization;
mod base62;
mod code_points;
mod cursor;
mod error;
pub mod evaluate;
pub mod evaluation_id;
mod field;
pub mod ingest;
mod key;
mod key_request;
mod number;
pub mod query;
mod registration;
pub mod requests;
mod scope;
mod signature;
pub mod timestamp;

pub use authorization::key_of;
pub use cursor::{AgentPlace, AuditPlace, CursorKey, EventPlace, Filters, LedgerPlace};
pub use error::{Code, ErrorBody, Fault, Invalid};
pub use key::{Key, KeyKind};
pub use key_request::{KeyRequest, MAX_KEY_NAME, broken_name_rule, is_control};
pub use registration::registration;
pub use scope::{Scope, Scopes};
pub use signature::{MAX_SIGNATURE_AGE_S, SignatureTime, Signatures, SigningKey};

/// The longest `agent_id`, in code points.
pub const MAX_AGENT_ID: usize = 200;
/// The longest `tool`, in code points.
pub const MAX_TOOL: usize = 200;
/// The longest name of a gate, in code points.
pub const MAX_GATE_NAME: usize = 200;
/// The longest `reason` of a gate, in code points.
pub const MAX_REASON: usize = 500;
/// The longest time that gates together may take, in microseconds.
pub const MAX_TOTAL_LATENCY_US: u32 = ingest::MAX_TOTAL_LATENCY_MS * 1_000;
/// The longest `evaluation_id`, in code points.
pub const MAX_EVALUATION_ID: usize = 50;
