//! A limit that an organisation has of its own, or leaves to the server.

use serde::{Deserialize, Serialize};

/// A limit as it's set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Limit {
    /// As the server says.
    Default,
    /// This much.
    Of(u64),
}

impl Limit {
    /// As organisations keep it.
    pub(super) fn own(self) -> Option<u64> {
        match self {
            Self::Default => None,
            Self::Of(limit) => Some(limit),
        }
    }
}

/// Reads `default` or a number; the database holds no larger one than the largest `i64`.
pub(super) fn parse(text: &str) -> Result<Limit, String> {
    if text == "default" {
        return Ok(Limit::Default);
    }
    crate::units::count(text)
        .ok()
        .filter(|limit| i64::try_from(*limit).is_ok())
        .map(Limit::Of)
        .ok_or_else(|| format!("`{text}` is neither a whole number nor `default`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_or_left_to_the_server() {
        assert_eq!(
            [parse("0"), parse("9223372036854775807"), parse("default")],
            [
                Ok(Limit::Of(0)),
                Ok(Limit::Of(i64::MAX as u64)),
                Ok(Limit::Default)
            ]
        );
        for wrong in ["", "-1", "none", "9223372036854775808"] {
            assert_eq!(
                parse(wrong),
                Err(format!("`{wrong}` is neither a whole number nor `default`"))
            );
        }
    }
}
