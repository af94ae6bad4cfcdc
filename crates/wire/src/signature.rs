//! Signatures of bodies: `sha256=<hex>`, HMAC-SHA256 over the body as sent, keyed with the text of a secret
//! key.

use crate::Fault;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use subtle::{Choice, ConstantTimeEq};

/// A secret key prepared for checking signatures: the state of the hash after the key went in.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// Prepares the key with this text, `sk_live_…`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(keyed(text.as_bytes()))
    }

    /// The signature of a body, as the header carries it.
    #[must_use]
    pub fn sign(&self, body: &[u8]) -> String {
        format!("sha256={}", hex::encode(self.digest(body)))
    }

    fn digest(&self, body: &[u8]) -> [u8; 32] {
        self.0.clone().chain_update(body).finalize().into_bytes().into()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// HMAC-SHA256 with this key.
pub(crate) fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"))
}

/// The signatures that came with a request: one or two.
#[derive(Clone, Debug)]
pub struct Signatures {
    digests: [[u8; 32]; 2],
}

impl Signatures {
    /// Reads the values of the headers `X-Pecta-Signature` and `X-Repute-Signature`; `None` if neither came.
    pub fn parse(pecta: Option<&[u8]>, repute: Option<&[u8]>) -> Result<Option<Self>, Fault> {
        let read = |header, value: Option<&[u8]>| value.map(|value| parse_one(header, value)).transpose();
        let pecta = read("X-Pecta-Signature", pecta)?;
        let repute = read("X-Repute-Signature", repute)?;
        // One signature stands for both, so that there is one way through the check.
        Ok(pecta
            .or(repute)
            .zip(repute.or(pecta))
            .map(|(first, second)| Self {
                digests: [first, second],
            }))
    }

    /// Whether every signature is that of this body under some of these keys. It takes as long whichever key
    /// it is, and wherever the first difference lies.
    #[must_use]
    pub fn verify<'k>(&self, keys: impl IntoIterator<Item = &'k SigningKey>, body: &[u8]) -> bool {
        let mut matched = [Choice::from(0); 2];
        for key in keys {
            let digest = key.digest(body);
            for (matched, sent) in matched.iter_mut().zip(&self.digests) {
                *matched |= digest.ct_eq(sent);
            }
        }
        (matched[0] & matched[1]).into()
    }
}

fn parse_one(header: &'static str, value: &[u8]) -> Result<[u8; 32], Fault> {
    let mut digest = [0; 32];
    value
        .trim_ascii()
        .strip_prefix(b"sha256=")
        .and_then(|digits| hex::decode_to_slice(digits, &mut digest).ok())
        .ok_or(Fault::SignatureFormat { header })?;
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"events":[]}"#;

    fn key(last: char) -> SigningKey {
        SigningKey::new(&format!("sk_live_{}{last}", "k".repeat(31)))
    }

    #[test]
    fn the_digest_is_that_of_rfc_4231() {
        // Test case 2 of the RFC.
        assert_eq!(
            SigningKey::new("Jefe").sign(b"what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_signature_matches_its_key_and_body_alone() {
        let good = key('a').sign(BODY);
        let shouting = format!("sha256={}", good["sha256=".len()..].to_uppercase());
        for header in [&good, &shouting] {
            let sent = Signatures::parse(Some(header.as_bytes()), None).unwrap().unwrap();
            assert!(sent.verify([&key('a')], BODY));
            assert!(sent.verify([&key('b'), &key('a'), &key('c')], BODY));
            assert!(!sent.verify([&key('b')], BODY));
            assert!(!sent.verify([&key('a')], b"{}"));
            assert!(!sent.verify([], BODY));
        }
    }

    #[test]
    fn of_two_signatures_both_must_match() {
        let (good, other, bad) = (key('a').sign(BODY), key('b').sign(BODY), key('c').sign(BODY));
        let verify = |pecta: &str, repute: &str| {
            let sent = Signatures::parse(Some(pecta.as_bytes()), Some(repute.as_bytes()))
                .unwrap()
                .unwrap();
            sent.verify([&key('a'), &key('b')], BODY)
        };
        assert!(verify(&good, &good));
        assert!(verify(&good, &other));
        assert!(!verify(&good, &bad));
        assert!(!verify(&bad, &good));
    }

    #[test]
    fn a_malformed_signature_is_told_with_its_header() {
        let good = key('a').sign(BODY);
        let digits = &good["sha256=".len()..];
        for value in [
            "",
            "sha256=",
            digits,
            &good[..70],
            &format!("{good}0"),
            &format!("sha1={digits}"),
            "sha256=zz",
        ] {
            let fault = Signatures::parse(Some(good.as_bytes()), Some(value.as_bytes())).unwrap_err();
            assert_eq!(
                fault.to_string(),
                "X-Repute-Signature: not of the form `sha256=<64 hexadecimal digits>`",
                "{value}"
            );
            assert_eq!(fault.code(), crate::Code::HmacInvalid);
        }
        assert!(Signatures::parse(None, None).unwrap().is_none());
    }
}
