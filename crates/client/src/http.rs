//! Requests and answers over the network.

use crate::answer::Answer;
use crate::settings::Connection;
use flate2::{Compression, write::GzEncoder};
use std::io::Write as _;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use ureq::tls::{RootCerts, TlsConfig};
use wire::{SignatureTime, SigningKey};

/// The largest answer that is read. A page of events is far below it.
const MAX_ANSWER_BYTES: u64 = 64 << 20;

/// A server, and the key that it knows us by.
pub(crate) struct Http {
    agent: ureq::Agent,
    url: String,
    authorization: RwLock<String>,
    signing: Option<SigningKey>,
    sign_time: bool,
    gzip_above: Option<usize>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NoAnswer(String);

/// A body as it is sent.
pub(crate) struct Packed {
    pub(crate) bytes: Vec<u8>,
    pub(crate) gzip: bool,
}

impl Http {
    pub(crate) fn new(connection: &Connection) -> Self {
        let roots = match &connection.authorities {
            None => RootCerts::WebPki,
            Some(certificates) => RootCerts::Specific(Arc::new(certificates.clone())),
        };
        let agent = ureq::Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .http_status_as_error(false)
            // A key is never sent on to another place.
            .max_redirects(0)
            .user_agent(concat!("repute-client-rust/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Self {
            agent,
            url: connection.url.clone(),
            authorization: RwLock::new(bearer(&connection.api_key)),
            signing: connection.secret_key.as_deref().map(SigningKey::new),
            sign_time: connection.sign_time,
            gzip_above: connection.gzip_above,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn set_api_key(&self, key: &str) {
        *self.authorization.write().unwrap_or_else(PoisonError::into_inner) = bearer(key);
    }

    /// Packs a body, if it is worth it.
    pub(crate) fn pack(&self, json: Vec<u8>, plain: bool) -> Packed {
        let limit = self.gzip_above.filter(|_| !plain);
        pack(json, limit)
    }

    pub(crate) fn get(&self, path: &str, timeout: Duration) -> Result<Answer, NoAnswer> {
        let request = self
            .agent
            .get(format!("{}{path}", self.url))
            .header("Authorization", self.authorization());
        let request = request.config().timeout_global(Some(timeout)).build();
        read(request.call())
    }

    pub(crate) fn post(&self, path: &str, body: &Packed, timeout: Duration) -> Result<Answer, NoAnswer> {
        let mut request = self
            .agent
            .post(format!("{}{path}", self.url))
            .header("Authorization", self.authorization())
            .header("Content-Type", "application/json");
        if body.gzip {
            request = request.header("Content-Encoding", "gzip");
        }
        if let Some(signing) = &self.signing {
            let time = self.sign_time.then(|| SignatureTime::new(unix_s()));
            for (name, value) in signature_headers(signing, time.as_ref(), &body.bytes) {
                request = request.header(name, value);
            }
        }
        let request = request.config().timeout_global(Some(timeout)).build();
        read(request.send(&body.bytes))
    }

    fn authorization(&self) -> String {
        let authorization = self.authorization.read().unwrap_or_else(PoisonError::into_inner);
        authorization.clone()
    }
}

/// What goes along with a body. Each try has the time of its own.
fn signature_headers(
    signing: &SigningKey,
    time: Option<&SignatureTime>,
    body: &[u8],
) -> Vec<(&'static str, String)> {
    match time {
        None => vec![("X-Pecta-Signature", signing.sign(body))],
        Some(time) => vec![
            ("X-Pecta-Signature", signing.sign_at(time, body)),
            ("X-Repute-Timestamp", time.as_str().to_owned()),
        ],
    }
}

fn unix_s() -> u64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since_1970.map_or(0, |time| time.as_secs())
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

/// Packs the body if it has more bytes than that.
pub(crate) fn pack(json: Vec<u8>, gzip_above: Option<usize>) -> Packed {
    if gzip_above.is_some_and(|limit| json.len() > limit) {
        let mut encoder = GzEncoder::new(Vec::with_capacity(json.len() / 4), Compression::fast());
        if let Ok(bytes) = encoder.write_all(&json).and_then(|()| encoder.finish()) {
            return Packed { bytes, gzip: true };
        }
    }
    Packed {
        bytes: json,
        gzip: false,
    }
}

fn read(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Answer, NoAnswer> {
    let mut response = answer.map_err(|error| NoAnswer(error.to_string()))?;
    let header = |name: &str| {
        let value = response.headers().get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let (retry_after, request_id) = (header("Retry-After"), header("X-Request-Id"));
    let body = response.body_mut().with_config().limit(MAX_ANSWER_BYTES);
    Ok(Answer {
        retry_after,
        request_id,
        body: body.read_to_vec().map_err(|error| NoAnswer(error.to_string()))?,
        status: response.status().as_u16(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use serde_json::Value;
    use std::io::Read as _;

    #[test]
    fn bodies_are_signed_as_agreed() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../../sdk/vectors/signatures.json")).unwrap();
        for case in vectors["cases"].as_array().unwrap() {
            let text = |name: &str| case[name].as_str().unwrap();
            let body = base64::engine::general_purpose::STANDARD
                .decode(text("body_base64"))
                .unwrap();
            let time = case["unix_s"].as_u64().map(SignatureTime::new);
            let headers = signature_headers(&SigningKey::new(text("secret_key")), time.as_ref(), &body);
            let mut expected = vec![("X-Pecta-Signature", text("header").to_owned())];
            expected.extend(time.map(|time| ("X-Repute-Timestamp", time.as_str().to_owned())));
            assert_eq!(headers, expected, "{case}");
        }
    }

    #[test]
    fn bodies_are_packed_as_agreed() {
        let vectors: Value = serde_json::from_str(include_str!("../../../sdk/vectors/gzip.json")).unwrap();
        for case in vectors["cases"].as_array().unwrap() {
            let size = |name: &str| case[name].as_u64().map(|size| usize::try_from(size).unwrap());
            let body = vec![b'x'; size("body_bytes").unwrap()];
            let packed = pack(body.clone(), size("gzip_above"));
            assert_eq!(packed.gzip, case["gzip"], "{case}");
            if packed.gzip {
                let mut unpacked = Vec::new();
                flate2::read::GzDecoder::new(&*packed.bytes)
                    .read_to_end(&mut unpacked)
                    .unwrap();
                assert!(unpacked == body, "{case}");
            } else {
                assert!(packed.bytes == body, "{case}");
            }
        }
    }
}
