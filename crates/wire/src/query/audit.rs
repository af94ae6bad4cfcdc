//! The parameters of `GET /v1/audit`.

use super::checked_text;
use super::pairs::{Once, Pairs, whole_number};
use crate::{Fault, Filters};

/// The most entries on a page.
pub const MAX_AUDIT_LIMIT: u64 = 100;
/// Entries on a page that asks for no number.
pub const DEFAULT_AUDIT_LIMIT: u64 = 50;

/// A question about the audit log, within every rule of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditParams {
    /// How many entries at most: 1–100.
    pub limit: u64,
    /// Where the page before ended, still to be opened with [`AuditParams::filters`].
    pub cursor: Option<String>,
}

impl AuditParams {
    /// Reads a query string, without its `?`.
    pub fn parse(query: Option<&str>) -> Result<Self, Fault> {
        let mut limit = Once::new("limit");
        let mut cursor = Once::new("cursor");
        for pair in Pairs::new(query) {
            let pair = pair?;
            match pair.name.as_str() {
                "limit" => limit.take(pair.value, |name, v| whole_number(name, &v, 1, MAX_AUDIT_LIMIT))?,
                "cursor" => cursor.take(pair.value, |name, v| checked_text(name, v, usize::MAX))?,
                _ => return Err(pair.unknown()),
            }
        }
        Ok(Self {
            limit: limit.get().unwrap_or(DEFAULT_AUDIT_LIMIT),
            cursor: cursor.get(),
        })
    }

    /// The digest of everything but `limit`, to bind a cursor to.
    #[must_use]
    pub fn filters(&self) -> Filters {
        Filters::of("GET /v1/audit", &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_limit_and_a_cursor_and_nothing_else() {
        let params = |limit, cursor: Option<&str>| AuditParams {
            limit,
            cursor: cursor.map(str::to_owned),
        };
        assert_eq!(AuditParams::parse(None), Ok(params(50, None)));
        assert_eq!(
            AuditParams::parse(Some("limit=100&cursor=AbC")),
            Ok(params(100, Some("AbC")))
        );
        for (query, sentence) in [
            ("limit=0", "limit: not a whole number from 1 to 100"),
            ("limit=101", "limit: not a whole number from 1 to 100"),
            ("limit=1&limit=1", "limit: given twice"),
            ("cursor=", "cursor: empty"),
            ("offset=1", "offset: no such parameter here"),
        ] {
            let refused = AuditParams::parse(Some(query)).unwrap_err();
            assert_eq!(refused.to_string(), sentence, "{query}");
        }
    }
}
