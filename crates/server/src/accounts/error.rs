//! What administration can be refused for.

use std::path::PathBuf;

/// Why organisations or keys could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused.
    #[error("repute.db: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database was written by a newer version of the program.
    #[error(
        "repute.db has schema version {found}, and this version reads up to {supported}; use a newer version of repute"
    )]
    NewerSchema {
        /// Its version.
        found: u32,
        /// The newest that this program reads.
        supported: u32,
    },
    /// A row of the database is not what this program writes.
    #[error("repute.db: {0}")]
    BadRow(&'static str),
    /// What should be the master key is none.
    #[error("the master key must be 32 bytes, written as 64 hexadecimal digits or as base64")]
    BadMasterKey,
    /// The file of the master key holds none.
    #[error("{} must hold a master key: 32 bytes, written as 64 hexadecimal digits or as base64", .0.display())]
    BadMasterKeyFile(PathBuf),
    /// The master key is neither in the data directory nor given.
    #[error(
        "there is no master key in the data directory: give the one that the server starts with as REPUTE_MASTER_KEY, or in the \
             file that REPUTE_MASTER_KEY_FILE names"
    )]
    NoMasterKey,
    /// The master key was given by the operator, so it is the operator who gives another.
    #[error(
        "the master key is not in the data directory: give the new one as REPUTE_NEW_MASTER_KEY, or in the file that \
             REPUTE_NEW_MASTER_KEY_FILE names"
    )]
    NeedsMasterKey,
    /// Live secret keys are sealed under another master key than the one in force.
    #[error(
        "the master key in force does not open all live secret keys, which would be lost: `repute key list` shows which; \
             start with the master key they were made under, or revoke them"
    )]
    UnreadableSecrets,
    /// Whether the change before took effect is known once the directory is opened anew.
    #[error("an earlier change of the master key failed half-way: restart the server, which settles it")]
    RotationPending,
    /// The name of an organisation breaks its rule.
    #[error("the name of an organisation is 1 to 100 of A-Z, a-z, 0-9, `.`, `_` and `-`")]
    BadName,
    /// The name is taken.
    #[error("there is an organisation `{0}` already")]
    OrgExists(String),
    /// There is no such organisation.
    #[error("no such organisation")]
    UnknownOrg,
    /// The organisation has no such key.
    #[error("no such key")]
    UnknownKey,
    /// The text is a key already.
    #[error("there is such a key already")]
    KeyExists,
    /// Signatures are required, and nothing could make one any more.
    #[error("this is the last live secret key, and the organisation requires signatures")]
    LastSecretKey,
    /// Signatures cannot be required where nothing can make one.
    #[error("the organisation has no live secret key, so it cannot require signatures")]
    NoSecretKey,
    /// The organisation has as many live secret keys as it may.
    #[error("the organisation has 5 live secret keys; revoke one first")]
    TooManySecretKeys,
    /// A publishable key cannot administer.
    #[error("the scope `admin` is for secret keys alone")]
    AdminNeedsSecret,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Random(String),
    /// A secret could not be sealed.
    #[error("a secret key could not be sealed")]
    Seal,
}

impl Error {
    /// Whether the disk had no room for it, so that nothing was changed and it may be tried again.
    #[must_use]
    pub fn is_for_want_of_room(&self) -> bool {
        let Self::Sqlite(error) = self else { return false };
        error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let database = rusqlite::Connection::open_in_memory().unwrap();
        database
            .execute_batch("PRAGMA max_page_count = 2; CREATE TABLE t (x)")
            .unwrap();
        let refused = |sql| Error::from(database.execute(sql, []).unwrap_err());
        assert!(refused("INSERT INTO t VALUES (zeroblob(100000))").is_for_want_of_room());
        assert!(!refused("INSERT INTO u VALUES (1)").is_for_want_of_room());
        assert!(!Error::UnknownKey.is_for_want_of_room());
    }
}
