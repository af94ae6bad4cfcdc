//! What became of one output, or of one call's arguments: for the log, for people, and for the answer.

use gate::GateResult;
use repute_client::Gate;
use serde::Serialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// All gates let it pass.
    Passed,
    /// It was answered with an error.
    Blocked,
    /// It would have been, but for `--dry-run`.
    WouldBlock,
    /// Gates could not tell, and it passed.
    Unjudged,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Looked {
    Result,
    Arguments,
}

/// A line of the log. No text of a payload is in it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Decision {
    #[serde(serialize_with = "written")]
    pub(crate) time: SystemTime,
    pub(crate) agent_id: String,
    pub(crate) tool: Option<Box<str>>,
    pub(crate) of: Looked,
    pub(crate) decision: Outcome,
    /// Why gates could not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) doubt: Option<Doubt>,
    pub(crate) gates: Vec<Gate>,
    pub(crate) total_latency_ms: f64,
    /// How long the payload was, as written.
    pub(crate) bytes: usize,
}

/// Why gates could not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Doubt {
    /// The message is longer than `--max-message`.
    TooLong,
    /// The message is no JSON, or has a member twice.
    NotJson,
    /// A gate broke, or there was no time left for it.
    NotFinished,
    /// More calls are open than are remembered.
    TooManyCalls,
    /// It answers nothing that the client asked for.
    NotAsked,
}

impl Doubt {
    /// In words.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::TooLong => "the message is longer than --max-message",
            Self::NotJson => "the message is not JSON, or has a member twice",
            Self::NotFinished => "a gate did not finish",
            Self::TooManyCalls => "too many calls are open",
            Self::NotAsked => "it answers nothing that was asked",
        }
    }
}

impl Decision {
    /// The gates that failed, with their reasons.
    pub(crate) fn failed(&self) -> impl Iterator<Item = (&str, &str)> {
        let failed = self.gates.iter().filter(|gate| !gate.passed && !gate.skipped);
        failed.map(|gate| (gate.name.as_str(), gate.reason.as_deref().unwrap_or_default()))
    }

    /// Why it did not simply pass, for people: `secrets: AWS access key detected in output`.
    pub(crate) fn why(&self) -> String {
        let failed = self.failed().map(|(name, reason)| format!("{name}: {reason}"));
        let mut parts: Vec<String> = failed.collect();
        parts.extend(self.doubt.map(|doubt| doubt.sentence().to_owned()));
        parts.join("; ")
    }
}

/// What a gate said, as it is logged and sent.
pub(crate) fn gate(result: &GateResult<'_>) -> Gate {
    let reason = result.reason.as_deref();
    let mut gate = match (result.passed, reason) {
        (false, reason) => Gate::failed(result.name, result.latency, reason.unwrap_or_default()),
        (true, reason) => {
            let mut gate = Gate::passed(result.name, result.latency);
            gate.reason = reason.map(str::to_owned);
            gate
        }
    };
    gate.skipped = result.skipped;
    gate.latency_ms = ms(result.latency);
    gate
}

/// In milliseconds, to the microsecond.
pub(crate) fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// A time as the log has it: `2026-05-07T14:22:10.000Z`.
pub(crate) fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
    wire::timestamp::format(reputation::Micros(micros))
}

fn written<S: serde::Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&timestamp(*time))
}
