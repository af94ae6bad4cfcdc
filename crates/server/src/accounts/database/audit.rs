//! Reads what every change has written down.

use super::Database;
use crate::accounts::{Actor, AuditEntry, Error};
use reputation::Micros;
use rusqlite::params;
use store::{KeyId, OrgId};

impl Database {
    pub(in crate::accounts) fn audit(
        &self,
        org: Option<OrgId>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, Error> {
        let mut query = self.connection.prepare(
            "SELECT at, actor_key, org, action, key, detail FROM audit WHERE ?1 IS NULL OR org = ?1
             ORDER BY id DESC LIMIT ?2",
        )?;
        let rows = query.query_map(params![org.map(|org| org.0), limit], |row| {
            let actor: Option<u32> = row.get(1)?;
            Ok(AuditEntry {
                at: Micros(row.get(0)?),
                actor: actor.map_or(Actor::Operator, |id| Actor::Key(KeyId(id))),
                org: OrgId(row.get(2)?),
                action: row.get(3)?,
                key: row.get::<_, Option<u32>>(4)?.map(KeyId),
                detail: row.get(5)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
