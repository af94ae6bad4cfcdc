//! What is known of an organisation.

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
    /// Whether bodies must be signed.
    pub require_signature: bool,
}
