//! What is wrong with a configuration: file, line, field, rule.

use std::path::{Path, PathBuf};
use std::{fmt, io};

/// A configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {why}", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why not.
        why: String,
    },
    /// Something in it cannot be.
    #[error("{}:{line}: {wrong}", file.display())]
    Wrong {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        wrong: Wrong,
    },
}

impl ConfigError {
    pub(super) fn unreadable(file: &Path, why: &io::Error) -> Self {
        Self::Unreadable {
            file: file.to_owned(),
            why: why.to_string(),
        }
    }
}

/// Something in the text of a configuration that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The offset in bytes.
    pub at: usize,
    /// The field, as a path; empty for the text itself.
    pub field: String,
    /// The rule that it breaks.
    pub rule: String,
}

impl Wrong {
    pub(super) fn new(at: usize, field: &str, rule: impl Into<String>) -> Self {
        Self {
            at,
            field: field.to_owned(),
            rule: rule.into(),
        }
    }

    pub(super) fn in_file(self, file: &Path, text: &str) -> ConfigError {
        let before = text.as_bytes().iter().take(self.at);
        ConfigError::Wrong {
            file: file.to_owned(),
            line: before.filter(|&&byte| byte == b'\n').count() + 1,
            wrong: self,
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if self.field.is_empty() { "" } else { ": " };
        write!(f, "{}{colon}{}", self.field, self.rule)
    }
}
