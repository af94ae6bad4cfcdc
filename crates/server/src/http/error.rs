//! Every refusal, and the one place that turns refusals into answers.
//!
//! What the client is told and what the log is told are different: the cause of an internal error travels
//! beside the response and is logged under the request's id.

use super::message::{Response, json};
use crate::accounts::{self, AuthFailure};
use hyper::StatusCode;
use hyper::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use wire::{Code, ErrorBody, Fault, Invalid, MAX_SIGNATURE_AGE_S, Scope};

/// Why a request is not done.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Something in the request breaks a rule of the API.
    Fault(Fault),
    /// A rule that only the server can check.
    Validation(String),
    /// These events of a batch are invalid.
    Invalid(Vec<Invalid>),
    /// The compressed body cannot be read.
    BrokenEncoding(&'static str),
    /// The compressed body begins with more than is read of a beginning.
    LongGzipHeader,
    /// The compressed body has more parts than are unpacked.
    ManyGzipMembers {
        limit: usize,
    },
    AuthInvalid,
    AuthRevoked,
    HmacNoSecret,
    HmacInvalid,
    /// As for the one before, but there are secret keys that the server cannot read.
    HmacUnreadable,
    HmacMissing,
    /// Signed, but without the time that the organisation requires.
    HmacTimeMissing,
    /// Signed at a time that is not now.
    HmacTimeFar,
    ScopeMissing(Scope),
    AgentLimit {
        limit: u64,
        events: Vec<usize>,
    },
    LastSecretKey,
    NotFound(String),
    MethodNotAllowed,
    RequestTimeout,
    HeadersTooLarge,
    /// More of a request's beginning than is read at all.
    BeginningTooLarge,
    /// No request of HTTP/1.1.
    NotHttp,
    BodyTooLarge {
        limit: usize,
    },
    /// `input` and `output` of an evaluation.
    PayloadTooLarge {
        limit: usize,
    },
    UnsupportedEncoding,
    RateLimited {
        retry_after_s: u64,
    },
    /// Too much is in flight.
    Overloaded,
    /// Nothing was done of something that is no submission; says why.
    NotBegun(String),
    /// It may have been begun, and then goes on by itself; says why it is not finished.
    NotFinished(String),
    /// The store keeps nothing at the moment; says why.
    NotKept(String),
    /// A write or sync failed.
    OutcomeUnknown,
    /// Our fault; the cause is for the log alone.
    Internal(String),
}

/// The cause of an internal error, on its way to the log.
#[derive(Clone, Debug)]
pub(crate) struct Cause(pub(crate) String);

/// Why nothing is taken while the disk is full.
pub(super) const NO_ROOM: &str = "there is no room on the server's disk";
/// Seconds after which a refused write is worth another try.
const RETRY_AFTER_S: u64 = 1;
/// Where only a restart helps.
const RETRY_AFTER_RESTART_S: u64 = 10;

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<AuthFailure> for Refusal {
    fn from(failure: AuthFailure) -> Self {
        match failure {
            AuthFailure::Unknown => Self::AuthInvalid,
            AuthFailure::Revoked => Self::AuthRevoked,
        }
    }
}

impl From<accounts::Error> for Refusal {
    fn from(error: accounts::Error) -> Self {
        if error.is_for_want_of_room() {
            Self::NotBegun(NO_ROOM.to_owned())
        } else {
            Self::Internal(error.to_string())
        }
    }
}

impl Refusal {
    /// The body, and after how many seconds to try again.
    pub(super) fn body(&self) -> (ErrorBody, Option<u64>) {
        let once = |code, sentence: &str| (ErrorBody::new(code, sentence), None);
        match self {
            Self::Fault(fault) => (fault.into(), None),
            Self::Validation(sentence) => once(Code::ValidationError, sentence),
            Self::Invalid(events) => (ErrorBody::invalid(events.clone()), None),
            Self::BrokenEncoding(encoding) => (
                ErrorBody::new(Code::BadJson, format!("the body is not whole {encoding} data")),
                None,
            ),
            Self::LongGzipHeader => once(
                Code::BadJson,
                "the body's gzip header has a field of more than 65535 bytes",
            ),
            Self::ManyGzipMembers { limit } => (
                ErrorBody::new(
                    Code::BadJson,
                    format!("the body has more than {limit} gzip members: pack it as one"),
                ),
                None,
            ),
            Self::AuthInvalid => once(Code::AuthInvalid, "Authorization: no such key"),
            Self::AuthRevoked => once(
                Code::AuthRevoked,
                "Authorization: the key is revoked or has expired",
            ),
            Self::HmacNoSecret => once(
                Code::HmacNoSecret,
                "a signature was sent, but the organisation has no live secret key to check it with",
            ),
            Self::HmacInvalid => once(
                Code::HmacInvalid,
                "the signature matches the body under no live secret key of the organisation",
            ),
            Self::HmacUnreadable => once(
                Code::HmacInvalid,
                "the signature matches the body under no secret key that the server can read; others of the organisation are \
                 sealed under another master key: sign with a newer one, or tell the server's operator",
            ),
            Self::HmacMissing => once(
                Code::HmacMissing,
                "the organisation requires X-Pecta-Signature or X-Repute-Signature",
            ),
            Self::HmacTimeMissing => once(
                Code::HmacMissing,
                "the organisation requires X-Repute-Timestamp and a signature over it and the body",
            ),
            Self::HmacTimeFar => (
                ErrorBody::new(
                    Code::HmacInvalid,
                    format!(
                        "X-Repute-Timestamp: more than {MAX_SIGNATURE_AGE_S} s from the server's clock: sign again, and look at \
                         your own clock"
                    ),
                ),
                None,
            ),
            Self::ScopeMissing(scope) => (
                ErrorBody::new(
                    Code::ScopeMissing,
                    format!("this key lacks the scope `{}`", scope.as_str()),
                ),
                None,
            ),
            Self::AgentLimit { limit, events } => (ErrorBody::agent_limit(*limit, events), None),
            Self::LastSecretKey => once(
                Code::LastSecretKey,
                "this is the last live secret key, and the organisation requires signatures",
            ),
            Self::NotFound(sentence) => once(Code::NotFound, sentence),
            Self::MethodNotAllowed => once(Code::MethodNotAllowed, "this route does not take that method"),
            Self::RequestTimeout => once(Code::RequestTimeout, "the body did not arrive in time"),
            Self::HeadersTooLarge => once(
                Code::HeadersTooLarge,
                "the headers are larger than 32 KiB or more than 100",
            ),
            Self::BeginningTooLarge => once(
                Code::HeadersTooLarge,
                "the request line or the headers are larger than the server reads",
            ),
            Self::NotHttp => once(Code::ValidationError, "the request is not well-formed HTTP/1.1"),
            Self::BodyTooLarge { limit } => (
                ErrorBody::new(
                    Code::BodyTooLarge,
                    format!("the body is larger than {limit} bytes: send fewer events"),
                ),
                None,
            ),
            Self::PayloadTooLarge { limit } => (
                ErrorBody::new(
                    Code::BodyTooLarge,
                    format!("`input` and `output` together are larger than {limit} bytes"),
                ),
                None,
            ),
            Self::UnsupportedEncoding => once(
                Code::UnsupportedEncoding,
                "Content-Encoding: only identity, gzip or zstd, and only one",
            ),
            Self::RateLimited { retry_after_s } => (
                ErrorBody::new(
                    Code::RateLimited,
                    format!("too many requests: try again in {retry_after_s} s"),
                ),
                Some((*retry_after_s).max(1)),
            ),
            Self::Overloaded => (
                ErrorBody::new(
                    Code::Unavailable,
                    "not kept: the server has too much in flight; send the same bytes again",
                ),
                Some(RETRY_AFTER_S),
            ),
            Self::NotBegun(why) => (
                ErrorBody::new(
                    Code::Unavailable,
                    format!("not begun: {why}; nothing was changed, so ask again"),
                ),
                Some(RETRY_AFTER_S),
            ),
            Self::NotFinished(why) => (
                ErrorBody::new(
                    Code::Unavailable,
                    format!(
                        "not finished: {why}; what was begun goes on by itself, so ask again until it is done"
                    ),
                ),
                Some(RETRY_AFTER_S),
            ),
            Self::NotKept(why) => (
                ErrorBody::new(
                    Code::Unavailable,
                    format!("not kept: {why}; send the same bytes again"),
                ),
                Some(RETRY_AFTER_S),
            ),
            Self::OutcomeUnknown => (
                ErrorBody::new(
                    Code::Unavailable,
                    "outcome unknown: writing to the server's disk failed, and nothing is taken until it is restarted; \
                     send the same bytes again",
                ),
                Some(RETRY_AFTER_RESTART_S),
            ),
            Self::Internal(_) => once(
                Code::Internal,
                "an internal error; the server's log names its cause under the X-Request-Id",
            ),
        }
    }

    /// The answer.
    pub(crate) fn into_response(self) -> Response {
        let (body, retry_after_s) = self.body();
        let mut response = json(StatusCode::from_u16(body.status).unwrap_or_default(), &body);
        let headers = response.headers_mut();
        if let Some(seconds) = retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if body.status == 401 {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Self::Internal(cause) = self {
            response.extensions_mut().insert(Cause(cause));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_status_code_and_sentence() {
        let all = [
            Refusal::Validation("field: rule".to_owned()),
            Refusal::Invalid(vec![Invalid {
                event: 3,
                field: "agent_id".to_owned(),
                rule: "missing".to_owned(),
            }]),
            Refusal::BrokenEncoding("gzip"),
            Refusal::LongGzipHeader,
            Refusal::ManyGzipMembers { limit: 1_000 },
            Refusal::Fault(Fault::AuthMissing),
            Refusal::Fault(Fault::AuthFormat),
            Refusal::AuthInvalid,
            Refusal::AuthRevoked,
            Refusal::HmacNoSecret,
            Refusal::HmacInvalid,
            Refusal::HmacUnreadable,
            Refusal::HmacMissing,
            Refusal::HmacTimeMissing,
            Refusal::HmacTimeFar,
            Refusal::ScopeMissing(Scope::Admin),
            Refusal::AgentLimit {
                limit: 5,
                events: vec![1],
            },
            Refusal::LastSecretKey,
            Refusal::NotFound("no such route".to_owned()),
            Refusal::MethodNotAllowed,
            Refusal::RequestTimeout,
            Refusal::HeadersTooLarge,
            Refusal::BeginningTooLarge,
            Refusal::NotHttp,
            Refusal::BodyTooLarge { limit: 16_777_216 },
            Refusal::PayloadTooLarge { limit: 1_048_576 },
            Refusal::UnsupportedEncoding,
            Refusal::RateLimited { retry_after_s: 7 },
            Refusal::Overloaded,
            Refusal::NotBegun(NO_ROOM.to_owned()),
            Refusal::NotFinished("the server is stopping".to_owned()),
            Refusal::NotKept("the server is stopping".to_owned()),
            Refusal::OutcomeUnknown,
            Refusal::Internal("a secret cause".to_owned()),
        ];
        let lines = all.map(|refusal| {
            let (body, retry) = refusal.body();
            let response = refusal.into_response();
            assert_eq!(response.status().as_u16(), body.status);
            assert_eq!(
                response.headers().contains_key(WWW_AUTHENTICATE),
                body.status == 401
            );
            assert_eq!(response.headers().contains_key(RETRY_AFTER), retry.is_some());
            format!(
                "{}{}",
                serde_json::to_string(&body).unwrap(),
                retry.map_or(String::new(), |s| format!(" retry {s}"))
            )
        });
        insta::assert_snapshot!(lines.join("\n"));
    }
}
