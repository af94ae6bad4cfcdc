//! The tables: what of organisations and keys survives.

mod audit;
mod change;

use super::{Actor, Error, KeyInfo, MasterKey, Org, OrgSettings, SignatureRule};
use crate::private_file;
use change::Change;
use reputation::Micros;
use rusqlite::{Connection, OpenFlags, Row, params};
use std::path::Path;
use store::{KeyId, OrgId};
use wire::{KeyKind, Scopes};

const SCHEMA_VERSION: u32 = 4;
/// What brings the tables to each version from the one before.
const STEPS: [&str; SCHEMA_VERSION as usize] = [
    VERSION_1,
    KEYS_NUMBERED_BY_ORGANISATION,
    SIGNATURES_WITH_A_TIME,
    AUDIT_NUMBERED_BY_ORGANISATION,
];
pub(super) const VERSION_1: &str = "
CREATE TABLE org (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    max_agents INTEGER,
    ingest_rate_limit INTEGER,
    rate_limit INTEGER,
    require_signature INTEGER NOT NULL
) STRICT;
CREATE TABLE key (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    org INTEGER NOT NULL REFERENCES org (id),
    kind TEXT NOT NULL,
    name TEXT,
    scopes TEXT NOT NULL,
    last4 TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    sealed BLOB,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    actor_key INTEGER,
    org INTEGER NOT NULL,
    action TEXT NOT NULL,
    key INTEGER,
    detail TEXT
) STRICT;
";
/// Clients see the number of a key, and one counted over all organisations told each of them how many keys
/// the others make. Keys that are there keep their numbers, which old events name and their seals are bound to.
const KEYS_NUMBERED_BY_ORGANISATION: &str = "
CREATE TABLE numbered_key (
    org INTEGER NOT NULL REFERENCES org (id),
    id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    name TEXT,
    scopes TEXT NOT NULL,
    last4 TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    sealed BLOB,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER,
    expires_at INTEGER,
    revoked_at INTEGER,
    PRIMARY KEY (org, id)
) STRICT;
INSERT INTO numbered_key SELECT org, id, kind, name, scopes, last4, digest, sealed, created_at, last_used_at,
    expires_at, revoked_at FROM key;
DROP TABLE key;
ALTER TABLE numbered_key RENAME TO key;
";
/// More than yes or no can be asked of signatures.
const SIGNATURES_WITH_A_TIME: &str = "
ALTER TABLE org ADD COLUMN signature TEXT NOT NULL DEFAULT 'optional';
UPDATE org SET signature = 'required' WHERE require_signature;
ALTER TABLE org DROP COLUMN require_signature;
";
/// Clients see the audit log, and numbers counted over all organisations would tell each of them how much the
/// others change. What is in it can only be added to.
const AUDIT_NUMBERED_BY_ORGANISATION: &str = "
CREATE TABLE numbered_audit (
    org INTEGER NOT NULL,
    id INTEGER NOT NULL,
    at INTEGER NOT NULL,
    actor_key INTEGER,
    action TEXT NOT NULL,
    key INTEGER,
    detail TEXT,
    PRIMARY KEY (org, id)
) STRICT;
INSERT INTO numbered_audit SELECT org, row_number() OVER (PARTITION BY org ORDER BY id), at, actor_key, action, key,
    iif(json_extract(detail, '$.expires_at') IS NULL, detail, json_set(detail, '$.expires_at',
        strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(detail, '$.expires_at') / 1000000.0, 'unixepoch')))
    FROM audit;
DROP TABLE audit;
ALTER TABLE numbered_audit RENAME TO audit;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit WHEN EXISTS
    (SELECT 1 FROM audit WHERE org = NEW.org AND id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
";

/// The open database.
pub(super) struct Database {
    connection: Connection,
}

/// A key as it's stored.
pub(super) struct StoredKey {
    pub(super) org: OrgId,
    pub(super) info: KeyInfo,
    pub(super) digest: [u8; 32],
    pub(super) sealed: Option<Vec<u8>>,
}

impl Database {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        private_file::make(path).map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })?;
        let mut connection = Connection::open(path)?;
        // The version first: a newer one's file is left as it is.
        let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found > SCHEMA_VERSION {
            return Err(Error::NewerSchema {
                found,
                supported: SCHEMA_VERSION,
            });
        }
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        // A seal that is replaced or forgotten lies in no free page.
        connection.pragma_update(None, "secure_delete", true)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        if found < SCHEMA_VERSION {
            let transaction = connection.transaction()?;
            for step in &STEPS[found as usize..] {
                transaction.execute_batch(step)?;
            }
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            transaction.commit()?;
        }
        Ok(Self { connection })
    }

    /// Opens a copy to look at it.
    pub(super) fn open_copy(path: &Path) -> Result<Self, Error> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok(Self { connection })
    }

    pub(super) fn orgs(&self) -> Result<Vec<Org>, Error> {
        let mut query = self.connection.prepare(
            "SELECT id, name, max_agents, ingest_rate_limit, rate_limit, signature FROM org ORDER BY id",
        )?;
        let rows = query.query_map([], |row| Ok(stored_org(row)))?;
        let mut orgs = Vec::new();
        for org in rows {
            orgs.push(org??);
        }
        Ok(orgs)
    }

    pub(super) fn keys(&self) -> Result<Vec<StoredKey>, Error> {
        let mut query = self.connection.prepare(
            "SELECT id, org, kind, name, scopes, last4, digest, sealed, created_at, last_used_at, expires_at, revoked_at
             FROM key ORDER BY org, id",
        )?;
        let rows = query.query_map([], |row| Ok(stored_key(row)))?;
        let mut keys = Vec::new();
        for key in rows {
            keys.push(key??);
        }
        Ok(keys)
    }

    /// Whether this master key opens all live secret keys.
    pub(super) fn opens(&self, master: &MasterKey) -> Result<bool, Error> {
        let now = store::now();
        let is_open = |key: &StoredKey| {
            let sealed = key.sealed.as_deref();
            sealed.is_none_or(|sealed| master.unseal(key.org, key.info.id, sealed).is_some())
        };
        let keys = self.keys()?;
        Ok(keys.iter().filter(|key| key.info.is_live(now)).all(is_open))
    }

    /// Changes something, and writes down who did: all of it or nothing.
    pub(super) fn change<T>(
        &mut self,
        actor: Actor,
        now: Micros,
        change: impl FnOnce(&Change<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let transaction = self.connection.transaction()?;
        let done = change(&Change::new(&transaction, actor, now))?;
        transaction.commit()?;
        Ok(done)
    }

    pub(super) fn write_last_used(&mut self, uses: &[(OrgId, KeyId, Micros)]) -> Result<(), Error> {
        if uses.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction()?;
        for (org, id, at) in uses {
            transaction.execute(
                "UPDATE key SET last_used_at = ? WHERE org = ? AND id = ?",
                params![at.0, org.0, id.0],
            )?;
        }
        Ok(transaction.commit()?)
    }

    /// Moves everything from SQLite's log into the database's own file.
    pub(super) fn fold(&self) -> Result<(), Error> {
        let busy: bool = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy {
            tracing::info!("another program reads repute.db, so its log stays beside it");
        }
        Ok(())
    }
}

fn stored_org(row: &Row<'_>) -> Result<Org, Error> {
    let signature: String = row.get(5)?;
    Ok(Org {
        id: OrgId(row.get(0)?),
        name: row.get(1)?,
        settings: OrgSettings {
            max_agents: row.get(2)?,
            ingest_rate_limit: row.get(3)?,
            rate_limit: row.get(4)?,
            signature: SignatureRule::from_word(&signature).ok_or(Error::BadRow(
                "an organisation has an unknown rule for signatures",
            ))?,
        },
    })
}

fn stored_key(row: &Row<'_>) -> Result<StoredKey, Error> {
    let kind: String = row.get(2)?;
    let scopes: String = row.get(4)?;
    let time =
        |at: usize| -> Result<Option<Micros>, Error> { Ok(row.get::<_, Option<i64>>(at)?.map(Micros)) };
    Ok(StoredKey {
        org: OrgId(row.get(1)?),
        info: KeyInfo {
            id: KeyId(row.get(0)?),
            kind: KeyKind::from_word(&kind).ok_or(Error::BadRow("a key is of no known kind"))?,
            name: row.get(3)?,
            scopes: Scopes::from_words(&scopes).map_err(|_| Error::BadRow("a key has an unknown scope"))?,
            last4: row.get(5)?,
            created_at: Micros(row.get(8)?),
            last_used_at: time(9)?,
            expires_at: time(10)?,
            revoked_at: time(11)?,
        },
        digest: row.get(6)?,
        sealed: row.get(7)?,
    })
}
