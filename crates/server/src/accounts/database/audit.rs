//! Reads what every change has written down.

use super::Database;
use crate::accounts::{Actor, AuditEntry, Error};
use reputation::Micros;
use rusqlite::params;
use store::{KeyId, OrgId};

impl Database {
    /// The organisation's entries before this one, or its latest: newest first.
    pub(in crate::accounts) fn audit(
        &self,
        org: OrgId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, Error> {
        let mut query = self.connection.prepare(
            "SELECT id, at, actor_key, action, key, detail FROM audit WHERE org = ? AND id < ? ORDER BY id DESC LIMIT ?",
        )?;
        let before = before.and_then(|id| i64::try_from(id).ok()).unwrap_or(i64::MAX);
        let rows = query.query_map(params![org.0, before, limit], |row| {
            let actor: Option<u32> = row.get(2)?;
            Ok(AuditEntry {
                id: row.get(0)?,
                at: Micros(row.get(1)?),
                actor: actor.map_or(Actor::Operator, |id| Actor::Key(KeyId(id))),
                action: row.get(3)?,
                key: row.get::<_, Option<u32>>(4)?.map(KeyId),
                detail: row.get(5)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
