//! Who asks, and who changes what.

use super::OrgSettings;
use std::sync::Arc;
use store::{KeyId, OrgId};
use wire::{KeyKind, Scopes};

/// Who sent a request.
#[derive(Clone, Debug)]
pub struct Principal {
    /// Whose data it may see.
    pub org: OrgId,
    /// The organisation's name.
    pub org_name: Arc<str>,
    /// The key that was presented.
    pub key: KeyId,
    /// Publishable or secret.
    pub kind: KeyKind,
    /// What it may do.
    pub scopes: Scopes,
    /// What the organisation may and must.
    pub settings: OrgSettings,
}

/// Why a key was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthFailure {
    /// There is no such key.
    Unknown,
    /// It was revoked, or it has expired.
    Revoked,
}

/// Who does something administrative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody with access to the machine.
    Operator,
    /// Somebody with this key.
    Key(KeyId),
}
