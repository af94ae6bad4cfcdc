//! Why a request is refused, as a value: the one error of this crate.

mod body;
mod code;

pub use body::{ErrorBody, Invalid};
pub use code::Code;

use json::NotJson;
use std::borrow::Cow;

/// Why something that a client sent is not taken. Its text is the sentence that the client reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The body is not JSON (RFC 8259), not UTF-8, or nested too deep.
    #[error("not JSON: {what} at byte {at}")]
    BadJson {
        /// Offset into the (decompressed) body.
        at: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// Well-formed, but not what the endpoint takes.
    #[error("{field}: {rule}")]
    Validation {
        /// The field or parameter: a path like `events[3].gates[0].name`.
        field: Cow<'static, str>,
        /// The rule that it breaks.
        rule: Cow<'static, str>,
    },
    /// No `Authorization` header, or not `Bearer <something>`.
    #[error("Authorization: missing, or not of the form `Bearer <key>`")]
    AuthMissing,
    /// What follows `Bearer` does not look like a key.
    #[error("Authorization: not a key: `pk_live_` or `sk_live_` and 32 characters of A-Z, a-z, 0-9")]
    AuthFormat,
    /// A signature header is not of its form.
    #[error("{header}: not of the form `sha256=<64 hexadecimal digits>`")]
    SignatureFormat {
        /// Which of the two headers.
        header: &'static str,
    },
    /// The time of a signature is none.
    #[error("X-Repute-Timestamp: not a time in whole seconds since 1970")]
    SignatureTimeFormat,
}

impl From<NotJson> for Fault {
    fn from(NotJson { at, what }: NotJson) -> Self {
        Self::BadJson { at, what }
    }
}

impl Fault {
    /// A broken rule of a field or parameter.
    pub(crate) fn validation(
        field: impl Into<Cow<'static, str>>,
        rule: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::Validation {
            field: field.into(),
            rule: rule.into(),
        }
    }

    /// The machine code that goes with it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::BadJson { .. } => Code::BadJson,
            Self::Validation { .. } => Code::ValidationError,
            Self::AuthMissing => Code::AuthMissing,
            Self::AuthFormat => Code::AuthFormat,
            Self::SignatureFormat { .. } | Self::SignatureTimeFormat => Code::HmacInvalid,
        }
    }
}
