//! Ids of JSON-RPC requests: how they are compared, and how they were written.

use json::{Kind, Reader};
use std::hash::{Hash, Hasher};

/// The longest id that is looked at in a message that is not read whole, in bytes.
pub(crate) const MAX_GLANCED_BYTES: usize = 4 << 10;

/// An id. `1`, `1.0` and `1e0` are one, as they are for every reader that makes doubles of them; `1` and
/// `"1"` are two, though they are alike.
#[derive(Clone, Debug)]
pub(crate) struct Id {
    key: Key,
    written: Box<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Null,
    Number(u64),
    Text(Box<str>),
    /// What no id may be; only the same writing is the same.
    Other(Box<str>),
}

impl Id {
    /// Reads an id as it was written; `None` if it is no JSON.
    pub(crate) fn read(written: &str) -> Option<Self> {
        let mut reader = Reader::new(written.as_bytes()).ok()?;
        let key = match reader.peek().ok()? {
            Kind::Null => reader.null().map(|()| Key::Null).ok()?,
            // Adding zero makes 0 of -0.
            Kind::Number => Key::Number((reader.number().ok()?.value() + 0.0).to_bits()),
            Kind::String => Key::Text(reader.string().ok()?.into()),
            _ => Key::Other(written.into()),
        };
        let written = written.into();
        Some(Self { key, written })
    }

    /// Whether a forgiving reader may take one for the other: the official clients make numbers of answers' ids.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.number().is_some_and(|number| Some(number) == other.number())
    }

    /// Whether it names nothing.
    pub(crate) fn is_null(&self) -> bool {
        self.key == Key::Null
    }

    fn number(&self) -> Option<f64> {
        match &self.key {
            Key::Number(bits) => Some(f64::from_bits(*bits)),
            Key::Text(text) => text.trim().parse().ok(),
            Key::Null | Key::Other(_) => None,
        }
    }

    /// As it was written.
    pub(crate) fn written(&self) -> &str {
        &self.written
    }
}

impl PartialEq for Id {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Id {}

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_same_if_readers_take_them_for_the_same() {
        let id = |written| Id::read(written).unwrap();
        for (one, other) in [
            ("1", "1.0"),
            ("10", "1e1"),
            ("0", "-0"),
            (r#""a""#, r#""\u0061""#),
            ("12345678901234567890", "12345678901234567000"),
        ] {
            assert_eq!(id(one), id(other), "{one}");
        }
        for (one, other) in [
            ("1", r#""1""#),
            ("null", r#""null""#),
            ("1", "2"),
            ("[1]", "1"),
            ("true", "false"),
        ] {
            assert_ne!(id(one), id(other), "{one}");
        }
        for (one, other) in [("1", r#""1""#), (r#"" 2\n""#, "2.0"), (r#""1""#, r#""1.0""#)] {
            assert!(
                id(one).is_like(&id(other)) && id(other).is_like(&id(one)),
                "{one}"
            );
        }
        for (one, other) in [
            ("1", r#""2""#),
            (r#""a""#, r#""a""#),
            ("null", "0"),
            (r#""NaN""#, r#""NaN""#),
        ] {
            assert!(!id(one).is_like(&id(other)), "{one}");
        }
        assert_eq!(id("1.0").written(), "1.0");
        assert!(Id::read("nul").is_none());
    }
}
