//! Signatures of bodies: `sha256=<hex>`, HMAC-SHA256 over the body as sent, keyed with the text of a secret
//! key. Where a time is sent with it, the digest is over `<time>.<body>`, so that neither can be exchanged.

use crate::Fault;
use reputation::Micros;
use ring::hmac;
use std::fmt;
use subtle::{Choice, ConstantTimeEq};

/// A secret key prepared for checking signatures: the state of the hash after the key went in.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

impl SigningKey {
    /// Prepares the key with this text, `sk_live_…`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()))
    }

    /// The signature of a body, as the header carries it.
    #[must_use]
    pub fn sign(&self, body: &[u8]) -> String {
        written(self.digest(None, body))
    }

    /// The signature of a body together with the time that `X-Repute-Timestamp` carries.
    #[must_use]
    pub fn sign_at(&self, time: &SignatureTime, body: &[u8]) -> String {
        written(self.digest(Some(time), body))
    }

    fn digest(&self, time: Option<&SignatureTime>, body: &[u8]) -> [u8; 32] {
        let mut mac = hmac::Context::with_key(&self.0);
        if let Some(time) = time {
            mac.update(time.text.as_bytes());
            mac.update(b".");
        }
        mac.update(body);
        let mut digest = [0; 32];
        digest.copy_from_slice(mac.sign().as_ref());
        digest
    }
}

fn written(digest: [u8; 32]) -> String {
    format!("sha256={}", hex::encode(digest))
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// How far the time of a signature may lie from the server's clock, before or behind it.
pub const MAX_SIGNATURE_AGE_S: u64 = 300;
/// No time that is near has more digits.
const MAX_TIME_DIGITS: usize = 12;

/// When a body was signed: the value of `X-Repute-Timestamp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureTime {
    /// As sent, since that is what is signed.
    text: String,
    unix_s: u64,
}

impl SignatureTime {
    /// This second since 1970.
    #[must_use]
    pub fn new(unix_s: u64) -> Self {
        Self {
            text: unix_s.to_string(),
            unix_s,
        }
    }

    /// Reads the header's value: seconds since 1970 in decimal digits.
    pub fn parse(value: &[u8]) -> Result<Self, Fault> {
        let digits = value.trim_ascii();
        let is_time = (1..=MAX_TIME_DIGITS).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
        let text = String::from_utf8(digits.to_vec()).ok().filter(|_| is_time);
        text.and_then(|text| {
            let unix_s = text.parse().ok()?;
            Some(Self { text, unix_s })
        })
        .ok_or(Fault::SignatureTimeFormat)
    }

    /// Whether it lies within [`MAX_SIGNATURE_AGE_S`] of this time.
    #[must_use]
    pub fn is_near(&self, now: Micros) -> bool {
        let now_s = u64::try_from(now.0.div_euclid(Micros::PER_SECOND)).unwrap_or(0);
        self.unix_s.abs_diff(now_s) <= MAX_SIGNATURE_AGE_S
    }

    /// As the header carries it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
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

    /// Whether every signature is that of this body, and of the time that came with it, under some of these
    /// keys. It takes as long whichever key it is, and wherever the first difference lies.
    #[must_use]
    pub fn verify<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k SigningKey>,
        time: Option<&SignatureTime>,
        body: &[u8],
    ) -> bool {
        let mut matched = [Choice::from(0); 2];
        for key in keys {
            let digest = key.digest(time, body);
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
            assert!(sent.verify([&key('a')], None, BODY));
            assert!(sent.verify([&key('b'), &key('a'), &key('c')], None, BODY));
            assert!(!sent.verify([&key('b')], None, BODY));
            assert!(!sent.verify([&key('a')], None, b"{}"));
            assert!(!sent.verify([], None, BODY));
        }
    }

    #[test]
    fn of_two_signatures_both_must_match() {
        let (good, other, bad) = (key('a').sign(BODY), key('b').sign(BODY), key('c').sign(BODY));
        let verify = |pecta: &str, repute: &str| {
            let sent = Signatures::parse(Some(pecta.as_bytes()), Some(repute.as_bytes()))
                .unwrap()
                .unwrap();
            sent.verify([&key('a'), &key('b')], None, BODY)
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

    #[test]
    fn a_time_is_signed_with_the_body() {
        let (time, other) = (
            SignatureTime::new(1_795_478_400),
            SignatureTime::new(1_795_478_401),
        );
        let header = key('a').sign_at(&time, BODY);
        let as_one = [b"1795478400.", BODY].concat();
        assert_eq!(header, key('a').sign(&as_one));
        let sent = Signatures::parse(None, Some(header.as_bytes())).unwrap().unwrap();
        assert!(sent.verify([&key('a')], Some(&time), BODY));
        assert!(!sent.verify([&key('a')], Some(&other), BODY));
        assert!(!sent.verify([&key('a')], None, BODY));
        assert!(!sent.verify([&key('b')], Some(&time), BODY));
    }

    #[test]
    fn a_time_is_near_within_300_seconds_either_way() {
        let now = Micros(1_795_478_400_999_999);
        let near = |unix_s: u64| SignatureTime::new(unix_s).is_near(now);
        let at = 1_795_478_400;
        assert_eq!(
            [at - 301, at - 300, at, at + 300, at + 301].map(near),
            [false, true, true, true, false]
        );
        assert!(!near(0) && !near(u64::MAX));
    }

    #[test]
    fn a_time_is_seconds_in_digits() {
        let parse = |value: &str| SignatureTime::parse(value.as_bytes());
        assert_eq!(parse(" 1795478400 "), Ok(SignatureTime::new(1_795_478_400)));
        // What is signed is the text.
        assert_eq!(parse("01795478400").unwrap().as_str(), "01795478400");
        for value in [
            "",
            "-1",
            "+1",
            "1.5",
            "1e9",
            "1795478400000000",
            "2026-11-24T00:00:00Z",
            "١",
        ] {
            let fault = parse(value).unwrap_err();
            assert_eq!(
                fault.to_string(),
                "X-Repute-Timestamp: not a time in whole seconds since 1970",
                "{value}"
            );
            assert_eq!(fault.code(), crate::Code::HmacInvalid);
        }
    }
}
