//! The tables: what of organisations and keys survives.

use super::{Actor, Error, KeyInfo, Org, OrgSettings};
use reputation::Micros;
use rusqlite::{Connection, Row, Transaction, params};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use store::{KeyId, OrgId};
use wire::{KeyKind, Scopes};

const SCHEMA_VERSION: u32 = 1;
const SCHEMA: &str = "
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
    key INTEGER
) STRICT;
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
        let mut connection = Connection::open(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(|source| {
            Error::Io {
                path: path.to_owned(),
                source,
            }
        })?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match found {
            0 => {
                let transaction = connection.transaction()?;
                transaction.execute_batch(SCHEMA)?;
                transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
                transaction.commit()?;
            }
            SCHEMA_VERSION => {}
            _ => {
                return Err(Error::NewerSchema {
                    found,
                    supported: SCHEMA_VERSION,
                });
            }
        }
        Ok(Self { connection })
    }

    pub(super) fn orgs(&self) -> Result<Vec<Org>, Error> {
        let mut query = self.connection.prepare(
            "SELECT id, name, max_agents, ingest_rate_limit, rate_limit, require_signature FROM org ORDER BY id",
        )?;
        let rows = query.query_map([], |row| {
            Ok(Org {
                id: OrgId(row.get(0)?),
                name: row.get(1)?,
                settings: OrgSettings {
                    max_agents: row.get(2)?,
                    ingest_rate_limit: row.get(3)?,
                    rate_limit: row.get(4)?,
                    require_signature: row.get(5)?,
                },
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(super) fn keys(&self) -> Result<Vec<StoredKey>, Error> {
        let mut query = self.connection.prepare(
            "SELECT id, org, kind, name, scopes, last4, digest, sealed, created_at, last_used_at, expires_at, revoked_at
             FROM key ORDER BY id",
        )?;
        let rows = query.query_map([], |row| Ok(stored_key(row)))?;
        let mut keys = Vec::new();
        for key in rows {
            keys.push(key??);
        }
        Ok(keys)
    }

    pub(super) fn insert_org(
        &mut self,
        name: &str,
        settings: OrgSettings,
        actor: Actor,
    ) -> Result<Org, Error> {
        let transaction = self.connection.transaction()?;
        transaction.execute(
            "INSERT INTO org (name, max_agents, ingest_rate_limit, rate_limit, require_signature) VALUES (?, ?, ?, ?, ?)",
            params![
                name,
                settings.max_agents,
                settings.ingest_rate_limit,
                settings.rate_limit,
                settings.require_signature
            ],
        )?;
        let id = OrgId(number(transaction.last_insert_rowid())?);
        audit(&transaction, actor, id, "org.create", None)?;
        transaction.commit()?;
        Ok(Org {
            id,
            name: name.to_owned(),
            settings,
        })
    }

    pub(super) fn update_org(&mut self, org: &Org, actor: Actor) -> Result<(), Error> {
        let transaction = self.connection.transaction()?;
        let settings = &org.settings;
        transaction.execute(
            "UPDATE org SET max_agents = ?, ingest_rate_limit = ?, rate_limit = ?, require_signature = ? WHERE id = ?",
            params![
                settings.max_agents,
                settings.ingest_rate_limit,
                settings.rate_limit,
                settings.require_signature,
                org.id.0
            ],
        )?;
        audit(&transaction, actor, org.id, "org.set", None)?;
        Ok(transaction.commit()?)
    }

    /// Stores a key; `seal` makes the sealed copy once the key has its number.
    pub(super) fn insert_key(
        &mut self,
        org: OrgId,
        info: KeyInfo,
        digest: &[u8; 32],
        seal: impl FnOnce(KeyId) -> Result<Option<Vec<u8>>, Error>,
        actor: Actor,
    ) -> Result<KeyInfo, Error> {
        let transaction = self.connection.transaction()?;
        transaction.execute(
            "INSERT INTO key (org, kind, name, scopes, last4, digest, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                org.0,
                info.kind.as_str(),
                info.name,
                info.scopes.to_string(),
                info.last4,
                digest,
                info.created_at.0,
                info.expires_at.map(|at| at.0)
            ],
        )?;
        let id = KeyId(number(transaction.last_insert_rowid())?);
        transaction.execute("UPDATE key SET sealed = ? WHERE id = ?", params![seal(id)?, id.0])?;
        audit(&transaction, actor, org, "key.create", Some(id))?;
        transaction.commit()?;
        Ok(KeyInfo { id, ..info })
    }

    pub(super) fn revoke_key(
        &mut self,
        org: OrgId,
        id: KeyId,
        now: Micros,
        actor: Actor,
    ) -> Result<(), Error> {
        let transaction = self.connection.transaction()?;
        transaction.execute("UPDATE key SET revoked_at = ? WHERE id = ?", params![now.0, id.0])?;
        audit(&transaction, actor, org, "key.revoke", Some(id))?;
        Ok(transaction.commit()?)
    }

    pub(super) fn write_last_used(&mut self, used: &[(KeyId, Micros)]) -> Result<(), Error> {
        if used.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction()?;
        for (id, at) in used {
            transaction.execute(
                "UPDATE key SET last_used_at = ? WHERE id = ?",
                params![at.0, id.0],
            )?;
        }
        Ok(transaction.commit()?)
    }
}

/// Writes down who did what, in the transaction that does it.
fn audit(
    transaction: &Transaction<'_>,
    actor: Actor,
    org: OrgId,
    action: &str,
    key: Option<KeyId>,
) -> Result<(), Error> {
    let actor_key = match actor {
        Actor::Operator => None,
        Actor::Key(id) => Some(id.0),
    };
    let at = (store::system_clock())().0;
    transaction.execute(
        "INSERT INTO audit (at, actor_key, org, action, key) VALUES (?, ?, ?, ?, ?)",
        params![at, actor_key, org.0, action, key.map(|key| key.0)],
    )?;
    Ok(())
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

fn number(rowid: i64) -> Result<u32, Error> {
    u32::try_from(rowid).map_err(|_| Error::BadRow("more rows than numbers"))
}
