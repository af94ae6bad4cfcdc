//! The body of `POST /v1/keys`: `{"kind", "name"?, "scopes"?, "expires_at"?}`.

use crate::field::{Field, Stop, body, enter_object, is_null, refuse, text};
use crate::{Fault, KeyKind, Scope, Scopes, timestamp};
use json::{Kind, Reader};
use reputation::Micros;

/// The longest name of a key, in code points.
pub const MAX_KEY_NAME: usize = 100;

/// A key to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRequest {
    /// Publishable or secret.
    pub kind: KeyKind,
    /// What its owner calls it, at most [`MAX_KEY_NAME`] code points, none of them a control character.
    pub name: Option<String>,
    /// What it may do: never nothing, and `admin` only for a secret key.
    pub scopes: Scopes,
    /// When it stops working. Whether that lies ahead is for the caller, who has a clock, to check.
    pub expires_at: Option<Micros>,
}

impl KeyRequest {
    /// Reads a request. Scopes that are not given are those of [`Scopes::default_of`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        body(bytes, |reader| {
            enter_object(reader)?;
            let mut kind = Field::new("kind");
            let mut name = Field::new("name");
            let mut scopes = Field::new("scopes");
            let mut expires_at = Field::new("expires_at");
            while let Some(key) = reader.next_key()? {
                match key.as_ref() {
                    "kind" => kind.read(reader, read_kind)?,
                    "name" => name.read(reader, read_name)?,
                    "scopes" => scopes.read(reader, read_scopes)?,
                    "expires_at" => expires_at.read(reader, read_expiry)?,
                    _ => reader.skip()?,
                }
            }
            let kind = kind.required()?;
            let scopes = scopes.optional().unwrap_or_else(|| Scopes::default_of(kind));
            if kind == KeyKind::Publishable && scopes.contains(Scope::Admin) {
                return Err(Stop::broken("scopes", "`admin` is for secret keys alone"));
            }
            Ok(Self {
                kind,
                name: name.optional(),
                scopes,
                expires_at: expires_at.optional(),
            })
        })
    }
}

fn read_kind(reader: &mut Reader<'_>, name: &'static str) -> Result<KeyKind, Stop> {
    let word = text(reader, name, usize::MAX)?;
    KeyKind::from_word(&word).ok_or_else(|| Stop::broken(name, "neither `publishable` nor `secret`"))
}

fn read_name(reader: &mut Reader<'_>, name: &'static str) -> Result<Option<String>, Stop> {
    if is_null(reader)? {
        return Ok(None);
    }
    let text = text(reader, name, usize::MAX)?;
    match broken_name_rule(&text) {
        Some(rule) => Err(Stop::broken(name, rule)),
        None => Ok(Some(text.into_owned())),
    }
}

/// The rule that a key's name breaks, if any.
#[must_use]
pub fn broken_name_rule(name: &str) -> Option<String> {
    if name.chars().count() > MAX_KEY_NAME {
        return Some(format!("longer than {MAX_KEY_NAME} characters"));
    }
    name.chars()
        .any(is_control)
        .then(|| "has a control character".to_owned())
}

/// Whether a terminal would obey this character: in a table it would begin a row of its own, or turn round what stands beside it
/// (the embeddings, overrides and isolates of Unicode's Annex 9).
#[must_use]
pub fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn read_scopes(reader: &mut Reader<'_>, name: &'static str) -> Result<Option<Scopes>, Stop> {
    if is_null(reader)? {
        return Ok(None);
    }
    if reader.peek()? != Kind::Array {
        return refuse(reader, name, "not an array");
    }
    reader.enter()?;
    let mut scopes = Vec::new();
    while reader.next_element()? {
        // A list without repeats cannot be longer; what is longer need not be kept to be refused.
        if scopes.len() == Scope::ALL.len() {
            return refuse(reader, name, "more than 4 items");
        }
        let word = text(reader, name, usize::MAX)?;
        let scope = Scope::from_word(&word)
            .ok_or_else(|| Stop::broken(name, "not all of `ingest`, `evaluate`, `read`, `admin`"))?;
        scopes.push(scope);
    }
    if scopes.is_empty() {
        return Err(Stop::broken(name, "fewer than 1 item"));
    }
    Ok(Some(scopes.into_iter().collect()))
}

fn read_expiry(reader: &mut Reader<'_>, name: &'static str) -> Result<Option<Micros>, Stop> {
    if is_null(reader)? {
        return Ok(None);
    }
    let text = text(reader, name, usize::MAX)?;
    timestamp::parse(&text)
        .map(Some)
        .map_err(|misread| Stop::broken(name, misread.rule()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_has_its_default() {
        let least = KeyRequest {
            kind: KeyKind::Publishable,
            name: None,
            scopes: Scopes::default_of(KeyKind::Publishable),
            expires_at: None,
        };
        for bytes in [
            r#"{"kind":"publishable"}"#,
            r#"{"name":null,"scopes":null,"expires_at":null,"kind":"publishable","colour":1}"#,
        ] {
            assert_eq!(KeyRequest::parse(bytes.as_bytes()), Ok(least.clone()));
        }
    }

    #[test]
    fn everything_can_be_given() {
        let name = "é".repeat(100);
        let bytes = format!(
            r#"{{"kind":"secret","name":"{name}","scopes":["read","admin"],"expires_at":"2027-01-01T00:00:00Z"}}"#
        );
        let expected = KeyRequest {
            kind: KeyKind::Secret,
            name: Some(name),
            scopes: [Scope::Read, Scope::Admin].into_iter().collect(),
            expires_at: Some(Micros(1_798_761_600_000_000)),
        };
        assert_eq!(KeyRequest::parse(bytes.as_bytes()), Ok(expected));
    }

    #[test]
    fn everything_else_is_refused_with_its_rule() {
        let long = format!(r#"{{"kind":"secret","name":"{}"}}"#, "é".repeat(101));
        for (bytes, sentence) in [
            ("{}", "kind: missing"),
            ("7", "body: not an object"),
            (r#"{"kind":null}"#, "kind: not a string"),
            (r#"{"kind":"public"}"#, "kind: neither `publishable` nor `secret`"),
            (r#"{"kind":"secret","kind":"secret"}"#, "kind: given twice"),
            (&long, "name: longer than 100 characters"),
            (r#"{"kind":"secret","name":1}"#, "name: not a string"),
            (
                r#"{"kind":"secret","name":"ci\n2   secret"}"#,
                "name: has a control character",
            ),
            (
                r#"{"kind":"secret","name":"\u009b2J"}"#,
                "name: has a control character",
            ),
            (
                r#"{"kind":"secret","name":"ci\u202eterces"}"#,
                "name: has a control character",
            ),
            (
                r#"{"kind":"secret","name":"ci\u2028"}"#,
                "name: has a control character",
            ),
            (r#"{"kind":"secret","scopes":"read"}"#, "scopes: not an array"),
            (r#"{"kind":"secret","scopes":[]}"#, "scopes: fewer than 1 item"),
            (
                r#"{"kind":"secret","scopes":["root"]}"#,
                "scopes: not all of `ingest`, `evaluate`, `read`, `admin`",
            ),
            (r#"{"kind":"secret","scopes":[1]}"#, "scopes: not a string"),
            (
                r#"{"kind":"secret","scopes":["read","read","read","read","read"]}"#,
                "scopes: more than 4 items",
            ),
            (
                r#"{"kind":"publishable","scopes":["admin"]}"#,
                "scopes: `admin` is for secret keys alone",
            ),
            (r#"{"kind":"secret","expires_at":1}"#, "expires_at: not a string"),
            (
                r#"{"kind":"secret","expires_at":"tomorrow"}"#,
                "expires_at: not an ISO 8601 date and time like 2026-01-31T12:00:00Z",
            ),
        ] {
            assert_eq!(
                KeyRequest::parse(bytes.as_bytes()).unwrap_err().to_string(),
                sentence,
                "{bytes}"
            );
        }
    }
}
