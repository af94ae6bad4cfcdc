//! What is known of an organisation.

use serde::{Serialize, Serializer};
use store::OrgId;

/// An organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Org {
    /// Its number.
    pub id: OrgId,
    /// Its name, unique: 1–100 of `[A-Za-z0-9._-]`.
    pub name: String,
    /// What it may and must.
    pub settings: OrgSettings,
}

/// What an organisation may and must; what is `None` is as the server says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrgSettings {
    /// How many agents it may have.
    pub max_agents: Option<u64>,
    /// `POST /v1/ingest` requests per rolling 60 seconds; 0 is no limit.
    pub ingest_rate_limit: Option<u64>,
    /// All other requests per rolling 60 seconds; 0 is no limit.
    pub rate_limit: Option<u64>,
    /// Whether bodies must be signed, and how.
    pub signature: SignatureRule,
}

/// What an organisation asks of the bodies that are sent to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignatureRule {
    /// A signature is checked where there is one.
    #[default]
    Optional,
    /// There must be one.
    Required,
    /// There must be one, over a time as well, so that a captured request is soon of no use.
    Timestamped,
}

impl SignatureRule {
    /// The word that stands for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Optional => "optional",
            Self::Required => "required",
            Self::Timestamped => "timestamped",
        }
    }

    /// The rule that this word stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let rules = [Self::Optional, Self::Required, Self::Timestamped];
        rules.into_iter().find(|rule| rule.as_str() == word)
    }

    /// Whether an unsigned body is refused.
    #[must_use]
    pub fn requires(self) -> bool {
        self != Self::Optional
    }
}

/// As the setting `require_signature` is given: `false`, `true` or `"timestamped"`.
impl Serialize for SignatureRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Optional => serializer.serialize_bool(false),
            Self::Required => serializer.serialize_bool(true),
            Self::Timestamped => serializer.serialize_str(self.as_str()),
        }
    }
}
