//! The machine codes of errors and the status each goes out with.

use serde::{Serialize, Serializer};

/// Every machine code that an error may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The body is not JSON.
    BadJson,
    /// JSON, but not what the endpoint takes; also a bad query parameter.
    ValidationError,
    /// No bearer key.
    AuthMissing,
    /// The key does not look like one.
    AuthFormat,
    /// No such key.
    AuthInvalid,
    /// The key was revoked or has expired.
    AuthRevoked,
    /// A signature was sent and the organisation has no live secret key.
    HmacNoSecret,
    /// The signature matches no live secret key, or is malformed.
    HmacInvalid,
    /// No signature, and the organisation requires one.
    HmacMissing,
    /// The key may not do this.
    ScopeMissing,
    /// A new agent beyond the organisation's `max_agents`.
    AgentLimit,
    /// No such route, or nothing of that name.
    NotFound,
    /// The route does not take this method.
    MethodNotAllowed,
    /// The body stalled.
    RequestTimeout,
    /// Revoking the last live secret key while signatures are required.
    LastSecretKey,
    /// The body is too large, on the wire or decompressed.
    BodyTooLarge,
    /// A `Content-Encoding` that is not taken.
    UnsupportedEncoding,
    /// Too many requests.
    RateLimited,
    /// Too many header bytes.
    HeadersTooLarge,
    /// Our fault.
    Internal,
    /// Not kept, or outcome unknown: send the same bytes again.
    Unavailable,
}

impl Code {
    /// All of them, by status.
    pub const ALL: [Self; 21] = [
        Self::BadJson,
        Self::ValidationError,
        Self::AuthMissing,
        Self::AuthFormat,
        Self::AuthInvalid,
        Self::AuthRevoked,
        Self::HmacNoSecret,
        Self::HmacInvalid,
        Self::HmacMissing,
        Self::ScopeMissing,
        Self::AgentLimit,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::LastSecretKey,
        Self::BodyTooLarge,
        Self::UnsupportedEncoding,
        Self::RateLimited,
        Self::HeadersTooLarge,
        Self::Internal,
        Self::Unavailable,
    ];

    /// The code as clients read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadJson => "bad_json",
            Self::ValidationError => "validation_error",
            Self::AuthMissing => "auth_missing",
            Self::AuthFormat => "auth_format",
            Self::AuthInvalid => "auth_invalid",
            Self::AuthRevoked => "auth_revoked",
            Self::HmacNoSecret => "hmac_no_secret",
            Self::HmacInvalid => "hmac_invalid",
            Self::HmacMissing => "hmac_missing",
            Self::ScopeMissing => "scope_missing",
            Self::AgentLimit => "agent_limit",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RequestTimeout => "request_timeout",
            Self::LastSecretKey => "last_secret_key",
            Self::BodyTooLarge => "body_too_large",
            Self::UnsupportedEncoding => "unsupported_encoding",
            Self::RateLimited => "rate_limited",
            Self::HeadersTooLarge => "headers_too_large",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
        }
    }

    /// The HTTP status that it goes out with.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::BadJson | Self::ValidationError => 400,
            Self::AuthMissing
            | Self::AuthFormat
            | Self::AuthInvalid
            | Self::AuthRevoked
            | Self::HmacNoSecret
            | Self::HmacInvalid
            | Self::HmacMissing => 401,
            Self::ScopeMissing | Self::AgentLimit => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::LastSecretKey => 409,
            Self::BodyTooLarge => 413,
            Self::UnsupportedEncoding => 415,
            Self::RateLimited => 429,
            Self::HeadersTooLarge => 431,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_documented_status() {
        let all: Vec<String> = Code::ALL
            .iter()
            .map(|c| format!("{} {}", c.status(), c.as_str()))
            .collect();
        assert_eq!(
            all,
            [
                "400 bad_json",
                "400 validation_error",
                "401 auth_missing",
                "401 auth_format",
                "401 auth_invalid",
                "401 auth_revoked",
                "401 hmac_no_secret",
                "401 hmac_invalid",
                "401 hmac_missing",
                "403 scope_missing",
                "403 agent_limit",
                "404 not_found",
                "405 method_not_allowed",
                "408 request_timeout",
                "409 last_secret_key",
                "413 body_too_large",
                "415 unsupported_encoding",
                "429 rate_limited",
                "431 headers_too_large",
                "500 internal",
                "503 unavailable",
            ]
        );
    }
}
