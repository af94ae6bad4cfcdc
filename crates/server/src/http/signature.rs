//! Signatures of bodies, and the times that come with them.

use super::app::App;
use super::error::Refusal;
use crate::accounts::{Principal, SignatureRule};
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use wire::{SignatureTime, Signatures};

/// The headers that a signature may come in.
const HEADERS: [HeaderName; 2] = [
    HeaderName::from_static("x-pecta-signature"),
    HeaderName::from_static("x-repute-signature"),
];
const TIME: HeaderName = HeaderName::from_static("x-repute-timestamp");

/// Whether a signature came, good or not.
pub(crate) fn is_there(headers: &HeaderMap) -> bool {
    HEADERS.iter().any(|name| headers.contains_key(name))
}

/// Checks the signature over the bytes as sent; whether there is one.
pub(crate) fn check(
    app: &App,
    caller: &Principal,
    headers: &HeaderMap,
    bytes: &[u8],
) -> Result<bool, Refusal> {
    let header = |name: &HeaderName| {
        let mut values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
        (values.next(), values.next().is_some())
    };
    let now = app.now();
    let no_secret = || app.accounts.live_secret_keys(caller.org, now) == 0;
    let (pecta, pecta_again) = header(&HEADERS[0]);
    let (repute, repute_again) = header(&HEADERS[1]);
    let (time, time_again) = header(&TIME);
    if (pecta.is_some() || repute.is_some()) && no_secret() {
        return Err(Refusal::HmacNoSecret);
    }
    if pecta_again || repute_again || time_again {
        return Err(Refusal::HmacInvalid); // which of two under one name is meant is not ours to guess
    }
    let rule = caller.settings.signature;
    let Some(signatures) = Signatures::parse(pecta, repute)? else {
        return match rule {
            SignatureRule::Optional => Ok(false),
            SignatureRule::Required | SignatureRule::Timestamped => Err(Refusal::HmacMissing),
        };
    };
    let time = time.map(SignatureTime::parse).transpose()?;
    match &time {
        None if rule == SignatureRule::Timestamped => return Err(Refusal::HmacTimeMissing),
        Some(time) if !time.is_near(now) => return Err(Refusal::HmacTimeFar),
        _ => {}
    }
    let keys = app.accounts.signing_keys(caller.org, now);
    if signatures.verify(keys.iter(), time.as_ref(), bytes) {
        Ok(true)
    } else if keys.len() < app.accounts.live_secret_keys(caller.org, now) {
        Err(Refusal::HmacUnreadable)
    } else {
        Err(Refusal::HmacInvalid)
    }
}
