//! One change to organisations and keys, with the row of the audit that says who made it.

use crate::accounts::{Actor, CreatedKey, Error, KeyInfo, MasterKey, Org, OrgSettings};
use reputation::Micros;
use rusqlite::{Transaction, params};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::{KeyId, OrgId};
use wire::{KeyKind, timestamp};

/// A change that somebody makes at some time; nothing of it is there before the transaction's commit.
pub(in crate::accounts) struct Change<'a> {
    transaction: &'a Transaction<'a>,
    actor: Actor,
    now: Micros,
}

impl<'a> Change<'a> {
    pub(super) fn new(transaction: &'a Transaction<'a>, actor: Actor, now: Micros) -> Self {
        Self {
            transaction,
            actor,
            now,
        }
    }

    pub(in crate::accounts) fn insert_org(&self, name: &str, settings: OrgSettings) -> Result<Org, Error> {
        self.transaction.execute(
            "INSERT INTO org (name, max_agents, ingest_rate_limit, rate_limit, signature) VALUES (?, ?, ?, ?, ?)",
            params![
                name,
                settings.max_agents,
                settings.ingest_rate_limit,
                settings.rate_limit,
                settings.signature.as_str()
            ],
        )?;
        let id = OrgId(number(self.transaction.last_insert_rowid())?);
        self.audit(id, "org.create", None, &detail(&settings))?;
        Ok(Org {
            id,
            name: name.to_owned(),
            settings,
        })
    }

    pub(in crate::accounts) fn update_org(&self, org: &Org) -> Result<(), Error> {
        let settings = &org.settings;
        self.transaction.execute(
            "UPDATE org SET max_agents = ?, ingest_rate_limit = ?, rate_limit = ?, signature = ? WHERE id = ?",
            params![
                settings.max_agents,
                settings.ingest_rate_limit,
                settings.rate_limit,
                settings.signature.as_str(),
                org.id.0
            ],
        )?;
        self.audit(org.id, "org.set", None, &detail(settings))
    }

    /// Stores a key, which gets its number; the copy of a secret one is sealed for that number.
    pub(in crate::accounts) fn insert_key(
        &self,
        org: OrgId,
        made: CreatedKey,
        master: Option<&MasterKey>,
    ) -> Result<CreatedKey, Error> {
        let CreatedKey { info, key } = made;
        // No key is ever removed, so the next number was never given.
        let last: i64 = self.transaction.query_row(
            "SELECT coalesce(max(id), 0) FROM key WHERE org = ?",
            [org.0],
            |row| row.get(0),
        )?;
        let id = KeyId(number(last + 1)?);
        let sealed = match info.kind {
            KeyKind::Secret => {
                let master = master.ok_or(Error::NoMasterKey)?;
                Some(master.seal(org, id, key.as_str())?)
            }
            KeyKind::Publishable => None,
        };
        self.transaction.execute(
            "INSERT INTO key (org, id, kind, name, scopes, last4, digest, sealed, created_at, expires_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                org.0,
                id.0,
                info.kind.as_str(),
                info.name,
                info.scopes.to_string(),
                info.last4,
                key.digest(),
                sealed,
                info.created_at.0,
                info.expires_at.map(|at| at.0)
            ],
        )?;
        let detail = json!({
            "kind": info.kind.as_str(),
            "scopes": info.scopes.to_string(),
            "expires_at": info.expires_at.map(timestamp::format),
        });
        self.audit(org, "key.create", Some(id), &detail)?;
        Ok(CreatedKey {
            info: KeyInfo { id, ..info },
            key,
        })
    }

    /// Seals every live secret key anew, and forgets the copies of all others. How many it were of each.
    pub(in crate::accounts) fn reseal(
        &self,
        from: &MasterKey,
        to: &MasterKey,
    ) -> Result<(usize, usize), Error> {
        let mut query = self.transaction.prepare(
            "SELECT org, id, sealed, revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?) FROM key
             WHERE sealed IS NOT NULL ORDER BY org, id",
        )?;
        let mut update = self
            .transaction
            .prepare("UPDATE key SET sealed = ? WHERE org = ? AND id = ?")?;
        let mut by_org: BTreeMap<OrgId, (usize, usize)> = BTreeMap::new();
        let mut rows = query.query([self.now.0])?;
        while let Some(row) = rows.next()? {
            let (org, id) = (OrgId(row.get(0)?), KeyId(row.get(1)?));
            let (sealed, is_live): (Vec<u8>, bool) = (row.get(2)?, row.get(3)?);
            let counts = by_org.entry(org).or_default();
            let sealed = if is_live {
                counts.0 += 1;
                let text = from.unseal(org, id, &sealed).ok_or(Error::UnreadableSecrets)?;
                Some(to.seal(org, id, &text)?)
            } else {
                counts.1 += 1;
                None
            };
            update.execute(params![sealed, org.0, id.0])?;
        }
        // An entry for each organisation: what happens to its keys is its own affair.
        for (org, (resealed, forgotten)) in &by_org {
            let detail = json!({ "resealed": resealed, "forgotten": forgotten });
            self.audit(*org, "master_key.rotate", None, &detail)?;
        }
        let sum = |(a, b), (c, d): (usize, usize)| (a + c, b + d);
        Ok(by_org.into_values().fold((0, 0), sum))
    }

    pub(in crate::accounts) fn revoke_key(&self, org: OrgId, id: KeyId) -> Result<(), Error> {
        self.transaction.execute(
            "UPDATE key SET revoked_at = ?, sealed = NULL WHERE org = ? AND id = ?",
            params![self.now.0, org.0, id.0],
        )?;
        self.audit(org, "key.revoke", Some(id), &Value::Null)
    }

    /// Adds an entry to the organisation's audit log.
    pub(in crate::accounts) fn audit(
        &self,
        org: OrgId,
        action: &str,
        key: Option<KeyId>,
        detail: &Value,
    ) -> Result<(), Error> {
        let actor_key = match self.actor {
            Actor::Operator => None,
            Actor::Key(id) => Some(id.0),
        };
        let detail = (!detail.is_null()).then(|| detail.to_string());
        // No entry is ever removed, so the next number was never given.
        self.transaction.execute(
            "INSERT INTO audit (org, id, at, actor_key, action, key, detail)
             SELECT ?1, coalesce(max(id), 0) + 1, ?2, ?3, ?4, ?5, ?6 FROM audit WHERE org = ?1",
            params![org.0, self.now.0, actor_key, action, key.map(|key| key.0), detail],
        )?;
        Ok(())
    }
}

/// Settings as the audit keeps them: what is `null` was left to the server.
fn detail(settings: &OrgSettings) -> Value {
    json!({
        "max_agents": settings.max_agents,
        "ingest_rate_limit": settings.ingest_rate_limit,
        "rate_limit": settings.rate_limit,
        "require_signature": settings.signature,
    })
}

fn number(rowid: i64) -> Result<u32, Error> {
    u32::try_from(rowid).map_err(|_| Error::BadRow("more rows than numbers"))
}
