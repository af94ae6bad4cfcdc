//! Signature headers and the time signed with them, against a reading by the letter. Zero bytes divide the two signatures,
//! the time and the body.

use super::{Outcome, Target};
use wire::{SignatureTime, Signatures, SigningKey};

pub(super) const TARGET: Target = Target {
    name: "signature",
    read,
    words: &[
        "sha256=",
        "SHA256=",
        "\0",
        " ",
        "\t",
        "00112233445566778899aabbccddeeff",
        "AABBCCDD",
        "0x",
        "g",
        "1795478400",
        "+1",
    ],
};

fn read(bytes: &[u8]) -> Outcome {
    let mut parts = bytes.splitn(4, |byte| *byte == 0);
    let mut header = || parts.next().filter(|part| !part.is_empty());
    let (pecta, repute, sent_time) = (header(), header(), header());
    let body = parts.next().unwrap_or_default();
    let parsed = Signatures::parse(pecta, repute);
    let plain = [pecta, repute].map(|header| header.map(digest_by_the_letter));
    assert_eq!(
        parsed.is_ok(),
        !plain.contains(&Some(None)),
        "another form is taken"
    );
    let time = sent_time.and_then(|time| SignatureTime::parse(time).ok());
    let plain_time = sent_time.and_then(time_by_the_letter);
    assert_eq!(
        time.as_ref().map(SignatureTime::as_str),
        plain_time,
        "another time is taken"
    );

    let key = SigningKey::new("sk_live_0123456789abcdefghijABCDEFGHIJxy");
    let signature = match &time {
        Some(time) => key.sign_at(time, body),
        None => key.sign(body),
    };
    check_own(&key, &signature, time.as_ref(), body, bytes);
    match parsed {
        Ok(Some(signatures)) => {
            let expected = digest_by_the_letter(signature.as_bytes());
            let all_match = plain.into_iter().flatten().all(|digest| digest == expected);
            let verified = signatures.verify([&key], time.as_ref(), body);
            assert_eq!(verified, all_match, "a signature is mistaken");
            Outcome::good((pecta.is_some(), repute.is_some(), time.is_some(), all_match))
        }
        Ok(None) => Outcome::refused("none"),
        Err(fault) => Outcome::refused(&fault.to_string()),
    }
}

/// The right signature is taken, with as many of its digits in capitals as the input says, and of no other body.
fn check_own(key: &SigningKey, signature: &str, time: Option<&SignatureTime>, body: &[u8], input: &[u8]) {
    let shouts = |at: usize| {
        input
            .get(at % input.len().max(1))
            .is_some_and(|byte| byte % 2 == 1)
    };
    let written: String = signature
        .char_indices()
        .map(|(at, c)| {
            if at >= "sha256=".len() && shouts(at) {
                c.to_ascii_uppercase()
            } else {
                c
            }
        })
        .collect();
    let own = Signatures::parse(Some(written.as_bytes()), None).ok().flatten();
    let own = own.unwrap_or_else(|| panic!("its own signature is misread"));
    assert!(own.verify([key], time, body), "its own signature is refused");
    let longer = [body, b"."].concat();
    assert!(!own.verify([key], time, &longer), "it stands for another body");
}

/// `sha256=` and 64 hexadecimal digits, blanks around them aside.
fn digest_by_the_letter(header: &[u8]) -> Option<Vec<u8>> {
    let digits = trimmed(header)?.strip_prefix("sha256=")?;
    let is_hex = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| digits.to_ascii_lowercase().into_bytes())
}

/// One to twelve decimal digits, blanks around them aside.
fn time_by_the_letter(header: &[u8]) -> Option<&str> {
    let digits = trimmed(header)?;
    let is_time = (1..=12).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_time.then_some(digits)
}

fn trimmed(header: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(header).ok()?;
    Some(text.trim_matches([' ', '\t', '\n', '\r', '\x0c']))
}
