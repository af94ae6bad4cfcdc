//! What the routes about the server itself answer.

use serde::Serialize;
use utoipa::ToSchema;

/// The process serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`.
    #[schema(example = "ok")]
    pub status: &'static str,
}

impl Health {
    /// The only answer.
    pub const OK: Self = Self { status: "ok" };
}

/// An ingest would be accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Ready {
    /// Always `ready`; a server that is not answers with an error.
    #[schema(example = "ready")]
    pub status: &'static str,
    /// What an operator should look at all the same: damaged files that were found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub damage: Vec<String>,
}

impl Ready {
    /// Ready, with what was found damaged.
    #[must_use]
    pub fn new(damage: Vec<String>) -> Self {
        Self {
            status: "ready",
            damage,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_and_readiness_are_one_word() {
        assert_eq!(serde_json::to_string(&Health::OK).unwrap(), r#"{"status":"ok"}"#);
        assert_eq!(
            serde_json::to_string(&Ready::new(vec![])).unwrap(),
            r#"{"status":"ready"}"#
        );
        assert_eq!(
            serde_json::to_string(&Ready::new(vec!["a.seg at 512: bad".to_owned()])).unwrap(),
            r#"{"status":"ready","damage":["a.seg at 512: bad"]}"#
        );
    }
}
