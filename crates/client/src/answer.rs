//! What an answer to a batch means for its events.

use crate::backoff;
use std::time::{Duration, SystemTime};

/// An answer as it came; no answer at all is [`Outcome::Failed`] from the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// What becomes of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is with the server.
    Delivered(Told),
    /// The server names events that it will never take, in ascending order; the others may be sent again at
    /// once.
    Named { events: Vec<usize>, code: String },
    /// The server will never take any of it.
    Refused { code: String },
    /// The key does not do; another may.
    Paused { code: String },
    /// It is no Repute that answers: each has a `POST /v1/ingest`.
    Elsewhere { status: u16 },
    /// It is too large as a whole.
    TooLarge { code: String },
    /// The server could not read it because it was packed.
    Packed,
    /// It may go better later.
    Failed { retry_after: Option<Duration> },
}

/// What a server says beside "taken".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) duplicates: u64,
    pub(crate) late: u64,
    pub(crate) clamped: u64,
}

/// Reads the answer to a batch of that many events, which was packed or not.
pub(crate) fn read(answer: &Answer, events: usize, packed: bool, now: SystemTime) -> Outcome {
    let body = Body::read(&answer.body);
    let code = body
        .code
        .filter(|code| is_code(code))
        .unwrap_or_else(|| format!("http_{}", answer.status));
    match answer.status {
        202 => Outcome::Delivered(body.told),
        // A page that answers in the server's place has not taken anything.
        200..=299 if body.accepted => Outcome::Delivered(body.told),
        415 if packed => Outcome::Packed,
        400 if packed && code == "bad_json" => Outcome::Packed,
        400 => named_or_refused(body.named, events, code),
        403 if code == "agent_limit" => named_or_refused(body.named, events, code),
        401 | 403 => Outcome::Paused { code },
        404 | 405 => Outcome::Elsewhere {
            status: answer.status,
        },
        413 => Outcome::TooLarge { code },
        408 | 429 => Outcome::Failed {
            retry_after: asked_wait(answer, now),
        },
        300..=499 => Outcome::Refused { code },
        _ => Outcome::Failed {
            retry_after: asked_wait(answer, now),
        },
    }
}

/// What the server names within the batch is refused; where it names nothing, all.
fn named_or_refused(mut named: Vec<usize>, events: usize, code: String) -> Outcome {
    named.retain(|&event| event < events);
    named.sort_unstable();
    named.dedup();
    if named.is_empty() {
        Outcome::Refused { code }
    } else {
        Outcome::Named { events: named, code }
    }
}

pub(crate) fn asked_wait(answer: &Answer, now: SystemTime) -> Option<Duration> {
    backoff::retry_after(answer.retry_after.as_deref()?, now)
}

/// Codes become keys of the books, so a stranger's answer must not make long ones.
fn is_code(code: &str) -> bool {
    const MAX_CODE: usize = 64;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !code.is_empty() && code.len() <= MAX_CODE && code.bytes().all(fits)
}

/// As much of a body as can be understood.
#[derive(Default)]
struct Body {
    accepted: bool,
    told: Told,
    code: Option<String>,
    named: Vec<usize>,
}

impl Body {
    fn read(bytes: &[u8]) -> Self {
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) else {
            return Self::default();
        };
        let count = |name: &str| value[name].as_u64().unwrap_or(0);
        let details = value["details"].as_array().map_or(&[][..], Vec::as_slice);
        Self {
            accepted: value["accepted"].is_number(),
            told: Told {
                duplicates: count("duplicates"),
                late: count("late"),
                clamped: count("clamped"),
            },
            code: value["code"].as_str().map(str::to_owned),
            named: details
                .iter()
                .filter_map(|detail| usize::try_from(detail["event"].as_u64()?).ok())
                .collect(),
        }
    }
}
