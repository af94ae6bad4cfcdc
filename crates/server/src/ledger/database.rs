//! The ledger's tables: counts by minute and by day, and the last frame of the log that is in them.

use super::pending::Pending;
use super::{Entry, Error, Item, Query, Span};
use crate::private_file;
use reputation::Micros;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::path::{Path, PathBuf};
use store::{KeyId, OrgId};

const SCHEMA_VERSION: u32 = 1;
const SCHEMA: &str = "
CREATE TABLE minute (
    org INTEGER NOT NULL,
    at INTEGER NOT NULL,
    key INTEGER NOT NULL,
    item TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (org, at, key, item)
) STRICT, WITHOUT ROWID;
CREATE TABLE day (
    org INTEGER NOT NULL,
    at INTEGER NOT NULL,
    key INTEGER NOT NULL,
    item TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (org, at, key, item)
) STRICT, WITHOUT ROWID;
CREATE TABLE covered (frame_seq INTEGER NOT NULL) STRICT;
INSERT INTO covered VALUES (0);
";
/// The open database.
pub(super) struct Database {
    connection: Connection,
    path: PathBuf,
    covered: u64,
}

impl Database {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        private_file::make(path).map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })?;
        let sql = |source| Error::Database {
            path: path.to_owned(),
            source,
        };
        let mut connection = Connection::open(path).map_err(sql)?;
        let found = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(sql)?;
        if found > SCHEMA_VERSION {
            return Err(Error::NewerSchema {
                path: path.to_owned(),
                found,
                supported: SCHEMA_VERSION,
            });
        }
        let covered = prepare(&mut connection, found).map_err(sql)?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            covered,
        })
    }

    /// The last frame that is in.
    pub(super) fn covered(&self) -> u64 {
        self.covered
    }

    /// Adds these counts, with the frame that they go up to: all of it or nothing.
    pub(super) fn write(&mut self, pending: &Pending) -> Result<(), Error> {
        if pending.lines().next().is_none() && pending.covered() == self.covered {
            return Ok(());
        }
        write(&mut self.connection, pending).map_err(|source| self.failed(source))?;
        self.covered = pending.covered();
        Ok(())
    }

    /// Removes minutes and days that start before these.
    pub(super) fn prune(&self, minutes_from: Micros, days_from: Option<Micros>) -> Result<(), Error> {
        let days_from = days_from.unwrap_or(Micros(i64::MIN));
        let prune = |sql, from: Micros| self.connection.execute(sql, [from.0]);
        prune("DELETE FROM minute WHERE at < ?", minutes_from)
            .and_then(|_| prune("DELETE FROM day WHERE at < ?", days_from))
            .map(drop)
            .map_err(|source| self.failed(source))
    }

    /// A page of an organisation's entries, newest first.
    pub(super) fn entries(&self, org: OrgId, query: &Query) -> Result<Vec<Entry>, Error> {
        entries(&self.connection, org, query).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: rusqlite::Error) -> Error {
        Error::Database {
            path: self.path.clone(),
            source,
        }
    }
}

/// Sets the connection up; gives the last frame that is in. A power cut may take the newest transactions with it
/// as a whole, and the log then gives them back, so they are not synced one by one.
fn prepare(connection: &mut Connection, found: u32) -> rusqlite::Result<u64> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    if found == 0 {
        let transaction = connection.transaction()?;
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        transaction.commit()?;
    }
    let covered = connection
        .query_row("SELECT frame_seq FROM covered", [], |row| row.get(0))
        .optional()?;
    Ok(covered.unwrap_or(0))
}

fn write(connection: &mut Connection, pending: &Pending) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for (table, span) in [("minute", Span::Minute), ("day", Span::Day)] {
        let mut add = transaction.prepare_cached(&format!(
            "INSERT INTO {table} (org, at, key, item, count) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET count = count + excluded.count"
        ))?;
        for (place, count) in pending.lines() {
            let at = span.start(place.minute).0;
            add.execute(params![place.org.0, at, place.key.0, place.item.to_text(), count])?;
        }
    }
    transaction.execute("UPDATE covered SET frame_seq = ?", [pending.covered()])?;
    transaction.commit()
}

fn entries(connection: &Connection, org: OrgId, query: &Query) -> rusqlite::Result<Vec<Entry>> {
    let table = match query.span {
        Span::Minute => "minute",
        Span::Day => "day",
    };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT at, key, item, count FROM {table}
         WHERE org = ?1 AND at BETWEEN ?2 AND ?3 AND (?4 IS NULL OR key = ?4) AND (at, key) < (?5, ?6)
         ORDER BY at DESC, key DESC, item"
    ))?;
    let (after_at, after_key) = query.after.map_or((i64::MAX, 0), |(at, key)| (at.0, key.0));
    let mut rows = statement.query(params![
        org.0,
        query.from.0,
        query.to.0,
        query.key.map(|key| key.0),
        after_at,
        after_key
    ])?;
    let mut entries: Vec<Entry> = Vec::new();
    while let Some(row) = rows.next()? {
        let (at, key) = (Micros(row.get(0)?), KeyId(row.get(1)?));
        let Some(item) = Item::from_text(row.get_ref(2)?.as_str()?) else {
            continue; // a newer version's, which went back to this one
        };
        let begins = entries
            .last()
            .is_none_or(|entry| (entry.at, entry.key) != (at, key));
        if begins && entries.len() == query.limit {
            break;
        }
        if begins {
            let items = Vec::new();
            entries.push(Entry { at, key, items });
        }
        if let Some(entry) = entries.last_mut() {
            entry.items.push((item, row.get(3)?));
        }
    }
    Ok(entries)
}
