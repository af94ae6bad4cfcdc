//! What a key may do.

use crate::KeyKind;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// One thing that a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Report events and register agents.
    Ingest,
    /// Have outputs evaluated.
    Evaluate,
    /// Read events, agents and reputations.
    Read,
    /// Make, list and revoke keys. For secret keys alone.
    Admin,
}

impl Scope {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 4] = [Self::Ingest, Self::Evaluate, Self::Read, Self::Admin];

    /// The word that clients see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Evaluate => "evaluate",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }

    /// The scope that this word means.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scopes(u8);

impl Scopes {
    /// What a key of that kind may do unless it was made with other scopes.
    #[must_use]
    pub fn default_of(kind: KeyKind) -> Self {
        Scope::ALL
            .into_iter()
            .filter(|&scope| kind == KeyKind::Secret || scope != Scope::Admin)
            .collect()
    }

    /// Whether it contains that scope.
    #[must_use]
    pub fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether it contains none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The scopes, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |&scope| self.contains(scope))
    }

    /// Reads words with commas or blanks between them, as [`Display`](std::fmt::Display) writes them; `Err`
    /// is the first that is no scope.
    pub fn from_words(words: &str) -> Result<Self, &str> {
        words
            .split([',', ' '])
            .filter(|word| !word.is_empty())
            .map(|word| Scope::from_word(word).ok_or(word))
            .collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

impl std::fmt::Display for Scopes {
    /// The words with commas between them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, scope) in self.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { "," })?;
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_is_a_default_of_secret_keys_alone() {
        assert_eq!(
            Scopes::default_of(KeyKind::Publishable).to_string(),
            "ingest,evaluate,read"
        );
        assert_eq!(
            Scopes::default_of(KeyKind::Secret).to_string(),
            "ingest,evaluate,read,admin"
        );
    }

    #[test]
    fn every_set_can_be_written_and_read() {
        for bits in 0..16 {
            let scopes = Scopes(bits);
            assert_eq!(Scopes::from_words(&scopes.to_string()), Ok(scopes));
            assert_eq!(scopes.is_empty(), bits == 0);
        }
        assert_eq!(Scopes::from_words("read, root"), Err("root"));
        assert_eq!(serde_json::to_string(&Scopes(5)).unwrap(), r#"["ingest","read"]"#);
    }
}
