//! The parameters of `GET /v1/ledger`.

use super::checked_text;
use super::pairs::{Once, Pairs, instant, whole_number};
use crate::{Fault, Filters};
use reputation::Micros;

/// The most entries on a page.
pub const MAX_LEDGER_LIMIT: u64 = 1_440;
/// Entries on a page that asks for no number.
pub const DEFAULT_LEDGER_LIMIT: u64 = 100;

/// How long a stretch an entry is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LedgerSpan {
    /// A minute; kept for a day.
    Minute,
    /// A day (UTC); kept as long as events are.
    #[default]
    Day,
}

impl LedgerSpan {
    /// The word that clients send.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Day => "day",
        }
    }
}

/// A question about the ledger, within every rule of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerParams {
    /// By minute or by day.
    pub by: LedgerSpan,
    /// Only what this key sent.
    pub key_id: Option<u32>,
    /// Only stretches that start at or after this time.
    pub from: Option<Micros>,
    /// Only stretches that start at or before this time.
    pub to: Option<Micros>,
    /// How many entries at most: 1–1,440.
    pub limit: u64,
    /// Where the page before ended, still to be opened with [`LedgerParams::filters`].
    pub cursor: Option<String>,
}

impl LedgerParams {
    /// Reads a query string, without its `?`.
    pub fn parse(query: Option<&str>) -> Result<Self, Fault> {
        let mut by = Once::new("by");
        let mut key_id = Once::new("key_id");
        let mut from = Once::new("from");
        let mut to = Once::new("to");
        let mut limit = Once::new("limit");
        let mut cursor = Once::new("cursor");
        for pair in Pairs::new(query) {
            let pair = pair?;
            match pair.name.as_str() {
                "by" => by.take(pair.value, |name, v| span(name, &v))?,
                "key_id" => key_id.take(pair.value, |name, v| key_number(name, &v))?,
                "from" => from.take(pair.value, |name, v| instant(name, &v))?,
                "to" => to.take(pair.value, |name, v| instant(name, &v))?,
                "limit" => limit.take(pair.value, |name, v| whole_number(name, &v, 1, MAX_LEDGER_LIMIT))?,
                "cursor" => cursor.take(pair.value, |name, v| checked_text(name, v, usize::MAX))?,
                _ => return Err(pair.unknown()),
            }
        }
        Ok(Self {
            by: by.get().unwrap_or_default(),
            key_id: key_id.get(),
            from: from.get(),
            to: to.get(),
            limit: limit.get().unwrap_or(DEFAULT_LEDGER_LIMIT),
            cursor: cursor.get(),
        })
    }

    /// The digest of everything but `limit`, to bind a cursor to.
    #[must_use]
    pub fn filters(&self) -> Filters {
        let time = |time: Option<Micros>| time.map(|time| time.0.to_le_bytes().to_vec());
        let parameters = [
            Some(self.by.as_str().as_bytes().to_vec()),
            self.key_id.map(|key| key.to_le_bytes().to_vec()),
            time(self.from),
            time(self.to),
        ];
        Filters::of("GET /v1/ledger", &parameters.each_ref().map(Option::as_deref))
    }
}

fn span(name: &'static str, text: &str) -> Result<LedgerSpan, Fault> {
    [LedgerSpan::Minute, LedgerSpan::Day]
        .into_iter()
        .find(|span| span.as_str() == text)
        .ok_or_else(|| Fault::validation(name, "neither `minute` nor `day`"))
}

/// A key id as answers show it. One that cannot be is an error, not an empty page.
fn key_number(name: &'static str, text: &str) -> Result<u32, Fault> {
    text.parse()
        .ok()
        .filter(|number: &u32| number.to_string() == text)
        .ok_or_else(|| Fault::validation(name, "not the id of a key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_has_its_default() {
        let default = LedgerParams {
            by: LedgerSpan::Day,
            key_id: None,
            from: None,
            to: None,
            limit: 100,
            cursor: None,
        };
        assert_eq!(LedgerParams::parse(None), Ok(default));
    }

    #[test]
    fn everything_can_be_given() {
        let given = LedgerParams {
            by: LedgerSpan::Minute,
            key_id: Some(3),
            from: Some(Micros(0)),
            to: Some(Micros(60_000_000)),
            limit: 1_440,
            cursor: Some("AbC".to_owned()),
        };
        let query = "by=minute&key_id=3&from=1970-01-01T00:00Z&to=1970-01-01T00:01Z&limit=1440&cursor=AbC";
        assert_eq!(LedgerParams::parse(Some(query)), Ok(given));
    }

    #[test]
    fn everything_else_is_refused_with_its_rule() {
        for (query, sentence) in [
            ("by=hour", "by: neither `minute` nor `day`"),
            ("key_id=03", "key_id: not the id of a key"),
            ("key_id=-1", "key_id: not the id of a key"),
            ("key_id=", "key_id: not the id of a key"),
            ("limit=0", "limit: not a whole number from 1 to 1440"),
            ("limit=1441", "limit: not a whole number from 1 to 1440"),
            ("by=day&by=day", "by: given twice"),
            ("cursor=", "cursor: empty"),
            ("offset=1", "offset: no such parameter here"),
        ] {
            let refused = LedgerParams::parse(Some(query)).unwrap_err();
            assert_eq!(refused.to_string(), sentence, "{query}");
        }
        assert!(LedgerParams::parse(Some("from=yesterday")).is_err());
    }

    #[test]
    fn filters_are_everything_but_the_limit() {
        let filters = |query| LedgerParams::parse(Some(query)).unwrap().filters();
        assert_eq!(filters(""), filters("limit=7&by=day"));
        for other in [
            "by=minute",
            "key_id=1",
            "from=2026-01-01T00:00Z",
            "to=2026-01-01T00:00Z",
        ] {
            assert_ne!(filters(""), filters(other));
        }
    }
}
