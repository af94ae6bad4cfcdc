//! Signatures of bodies.

use super::app::App;
use super::error::Refusal;
use crate::accounts::Principal;
use axum::http::{HeaderMap, HeaderValue};
use wire::Signatures;

/// Checks the signature over the bytes as sent; whether there is one.
pub(crate) fn check(
    app: &App,
    caller: &Principal,
    headers: &HeaderMap,
    bytes: &[u8],
) -> Result<bool, Refusal> {
    let header = |name: &str| {
        let mut values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
        (values.next(), values.next().is_some())
    };
    let now = app.now();
    let no_secret = || !app.accounts.has_live_secret_key(caller.org, now);
    let (pecta, pecta_again) = header("x-pecta-signature");
    let (repute, repute_again) = header("x-repute-signature");
    if (pecta.is_some() || repute.is_some()) && no_secret() {
        return Err(Refusal::HmacNoSecret);
    }
    if pecta_again || repute_again {
        return Err(Refusal::HmacInvalid); // which of two under one name is meant is not ours to guess
    }
    match Signatures::parse(pecta, repute)? {
        None if caller.settings.require_signature => Err(Refusal::HmacMissing),
        None => Ok(false),
        Some(signatures) => {
            let keys = app.accounts.signing_keys(caller.org, now);
            if signatures.verify(keys.iter(), bytes) {
                Ok(true)
            } else {
                Err(Refusal::HmacInvalid)
            }
        }
    }
}
