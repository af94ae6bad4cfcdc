//! What is known of a key, and what is asked for to make one.

use super::Error;
use reputation::Micros;
use store::KeyId;
use wire::{Key, KeyKind, Scopes};

/// A random key of this kind: its text alone, nothing is stored.
///
/// # Errors
/// Where the operating system gives no random bytes.
pub fn generate_key(kind: KeyKind) -> Result<Key, Error> {
    Key::generate(kind, getrandom::fill).map_err(|why| Error::Random(why.to_string()))
}

/// A key, without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its number, its organisation's own.
    pub id: KeyId,
    /// Publishable or secret.
    pub kind: KeyKind,
    /// What its owner calls it.
    pub name: Option<String>,
    /// What it may do.
    pub scopes: Scopes,
    /// Its last four characters.
    pub last4: String,
    /// When it was made.
    pub created_at: Micros,
    /// When it was last used, to the minute or so.
    pub last_used_at: Option<Micros>,
    /// When it stops working.
    pub expires_at: Option<Micros>,
    /// When it was revoked.
    pub revoked_at: Option<Micros>,
}

impl KeyInfo {
    /// Whether it works at this time.
    pub(super) fn is_live(&self, now: Micros) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| now < at)
    }
}

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Publishable or secret.
    pub kind: KeyKind,
    /// What its owner calls it.
    pub name: Option<String>,
    /// What it may do.
    pub scopes: Scopes,
    /// When it stops working.
    pub expires_at: Option<Micros>,
    /// Its text, where somebody chose it; else a random one is made.
    pub text: Option<Key>,
}

/// A key just made: the only time that its text is there.
#[derive(Clone, Debug)]
pub struct CreatedKey {
    /// What is kept of it.
    pub info: KeyInfo,
    /// Its text.
    pub key: Key,
}
