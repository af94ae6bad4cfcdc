//! The format of API keys: `pk_live_` or `sk_live_` and 32 characters of `[A-Za-z0-9]`.

use crate::{Fault, base62};
use ring::digest::{SHA256, digest};
use serde::Serialize;
use std::fmt;
use utoipa::ToSchema;

const PREFIX_BYTES: usize = 8;
const KEY_BYTES: usize = PREFIX_BYTES + 32;

/// Who may hold a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// May lie in a client that others can read.
    Publishable,
    /// Stays on the caller's own servers; also signs bodies.
    Secret,
}

impl KeyKind {
    /// The word that clients see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publishable => "publishable",
            Self::Secret => "secret",
        }
    }

    /// The kind that this word means.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Publishable, Self::Secret]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }

    fn prefix(self) -> &'static [u8; PREFIX_BYTES] {
        match self {
            Self::Publishable => b"pk_live_",
            Self::Secret => b"sk_live_",
        }
    }
}

/// A key of the right format; whether there is such a key, it does not say.
///
/// It is a secret: `Debug` shows the last four characters alone, and it cannot be compared, since that would
/// not take the same time for every key. Look keys up by [`Key::digest`].
#[derive(Clone)]
pub struct Key {
    kind: KeyKind,
    text: [u8; KEY_BYTES],
}

impl Key {
    /// Reads a key. `pk_test_` and `sk_test_` are reserved and refused.
    pub fn parse(text: &[u8]) -> Result<Self, Fault> {
        let text: [u8; KEY_BYTES] = text.try_into().map_err(|_| Fault::AuthFormat)?;
        let (prefix, random) = text.split_at(PREFIX_BYTES);
        let kind = [KeyKind::Publishable, KeyKind::Secret]
            .into_iter()
            .find(|kind| kind.prefix() == prefix)
            .ok_or(Fault::AuthFormat)?;
        if random.iter().all(u8::is_ascii_alphanumeric) {
            Ok(Self { kind, text })
        } else {
            Err(Fault::AuthFormat)
        }
    }

    /// Makes a key. `fill` overwrites a buffer from the operating system's random source; its error is handed
    /// on. The key holds 190 bits of it.
    pub fn generate<E>(kind: KeyKind, fill: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut text = [0; KEY_BYTES];
        let (prefix, random) = text.split_at_mut(PREFIX_BYTES);
        prefix.copy_from_slice(kind.prefix());
        base62::randomise(random, fill)?;
        Ok(Self { kind, text })
    }

    /// Publishable or secret.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The whole key: to show it once, to seal it, to sign with it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text)
            .unwrap_or_else(|_| unreachable!("every character was checked to be ASCII"))
    }

    /// Its last four characters, by which a person tells it from others.
    #[must_use]
    pub fn last4(&self) -> &str {
        &self.as_str()[KEY_BYTES - 4..]
    }

    /// Its SHA-256, by which it is found. A key has too many bits for the digest to need salt or stretching.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, &self.text).as_ref());
        bytes
    }

    /// How many different characters follow the prefix: few of them mean that nobody's dice made it.
    #[must_use]
    pub fn distinct_characters(&self) -> usize {
        let random = &self.text[PREFIX_BYTES..];
        base62::ALPHABET
            .iter()
            .filter(|digit| random.contains(digit))
            .count()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} …{})", self.kind.as_str(), self.last4())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk_live_0123456789abcdefghijABCDEFGHIJxy";

    #[test]
    fn a_key_is_read_and_known_by_its_digest_and_last_characters() {
        let key = Key::parse(KEY.as_bytes()).unwrap();
        assert_eq!(
            (key.kind(), key.as_str(), key.last4()),
            (KeyKind::Secret, KEY, "IJxy")
        );
        let digest = "db98343b9e341a4958da0b1a6a48e4476e409296786864e5f05291ecc1216341"; // sha256sum's
        assert_eq!(hex::encode(key.digest()), digest);
        assert_eq!(key.distinct_characters(), 32);
        assert_eq!(
            Key::parse(format!("pk_live_{}", "a".repeat(32)).as_bytes())
                .unwrap()
                .distinct_characters(),
            1
        );
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        let random = "a".repeat(32);
        for text in [
            String::new(),
            "pk_live_".to_owned(),
            format!("pk_live_{}", "a".repeat(31)),
            format!("pk_live_{}", "a".repeat(33)),
            format!("pk_test_{random}"),
            format!("sk_test_{random}"),
            format!("PK_live_{random}"),
            format!("xk_live_{random}"),
            format!("pk_live_{}-", "a".repeat(31)),
            format!("pk_live_{}é", "a".repeat(30)),
            format!("pk_live_{random}\n"),
        ] {
            assert_eq!(
                Key::parse(text.as_bytes()).err(),
                Some(Fault::AuthFormat),
                "{text}"
            );
        }
    }

    #[test]
    fn a_made_key_can_be_read() {
        for kind in [KeyKind::Publishable, KeyKind::Secret] {
            let fill = |buffer: &mut [u8]| {
                buffer
                    .iter_mut()
                    .zip((0u8..=255).cycle())
                    .for_each(|(byte, next)| *byte = next);
                Ok::<(), ()>(())
            };
            let made = Key::generate(kind, fill).unwrap();
            let read = Key::parse(made.as_str().as_bytes()).unwrap();
            assert_eq!((read.kind(), read.as_str()), (kind, made.as_str()));
        }
    }

    #[test]
    fn a_key_is_not_shown_in_logs() {
        assert_eq!(
            format!("{:?}", Key::parse(KEY.as_bytes()).unwrap()),
            "Key(secret …IJxy)"
        );
    }
}
