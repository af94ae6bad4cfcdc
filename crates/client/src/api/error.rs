//! What can go wrong with a call.

use crate::answer::Answer;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// Why a call has no result.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The server refused.
    #[error(transparent)]
    Refused(#[from] Box<Refusal>),
    /// There was no answer, or not a whole one. The call may have had its effect.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// There was an answer that is none of the API's.
    #[error("an answer that can't be understood: {reason}")]
    Answer {
        /// Its HTTP status.
        status: u16,
        /// The id under which the server's log has the request.
        request_id: Option<String>,
        /// What is wrong with it.
        reason: String,
    },
    /// The request could not be made of what was given.
    #[error("a request that can't be made: {0}")]
    Request(String),
}

impl ApiError {
    /// The HTTP status, if there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => Some(refusal.status),
            Self::Answer { status, .. } => Some(*status),
            Self::NoAnswer(_) | Self::Request(_) => None,
        }
    }

    /// The server's machine code, if it gave one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => Some(&refusal.code),
            _ => None,
        }
    }

    /// The events that are at fault, if the server named them.
    #[must_use]
    pub fn details(&self) -> &[Detail] {
        match self {
            Self::Refused(refusal) => &refusal.details,
            _ => &[],
        }
    }

    /// The id under which the server's log has the request.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => refusal.request_id.as_deref(),
            Self::Answer { request_id, .. } => request_id.as_deref(),
            Self::NoAnswer(_) | Self::Request(_) => None,
        }
    }

    /// How long the server wants us to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            _ => None,
        }
    }

    /// Whether the same call may go better later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Refused(refusal) => matches!(refusal.status, 408 | 429 | 500..),
            Self::NoAnswer(_) => true,
            Self::Answer { .. } | Self::Request(_) => false,
        }
    }
}

/// An error as the server tells it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The machine code, such as `validation_error`; `http_<status>` if the answer had none.
    pub code: String,
    /// The sentence for a person.
    pub sentence: String,
    /// The events that are at fault.
    pub details: Vec<Detail>,
    /// The id under which the server's log has the request.
    pub request_id: Option<String>,
    /// How long to wait until it is worth trying again, at most five minutes.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    pub(super) fn read(answer: Answer, retry_after: Option<Duration>) -> Box<Self> {
        #[derive(Default, Deserialize)]
        struct Body {
            error: Option<String>,
            code: Option<String>,
            #[serde(default)]
            details: Vec<Detail>,
        }
        let body: Body = serde_json::from_slice(&answer.body).unwrap_or_default();
        let status = answer.status;
        Box::new(Self {
            status,
            code: body.code.unwrap_or_else(|| format!("http_{status}")),
            sentence: body
                .error
                .unwrap_or_else(|| "the answer does not say why".to_owned()),
            details: body.details,
            request_id: answer.request_id,
            retry_after,
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} {})", self.sentence, self.status, self.code)
    }
}

impl std::error::Error for Refusal {}

/// One event of a batch that is not taken, and its first fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Detail {
    /// Its place in the batch, from 0.
    pub event: usize,
    /// The field, as a path within the event.
    pub field: String,
    /// The rule that it breaks.
    pub rule: String,
}
