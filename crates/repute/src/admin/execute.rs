//! Does what is asked, and says what came of it as JSON.

use super::{Kind, Limit, OrgChanges, Request, Signature};
use anyhow::{Result, anyhow, bail};
use serde_json::{Value, json};
use server::accounts::{Accounts, Actor, AuditEntry, KeyInfo, NewKey, Org, OrgSettings, SignatureRule};
use std::sync::{Arc, mpsc};
use store::{Health, KeyId, OrgId, Store};
use wire::{KeyKind, Scopes, timestamp};

/// Does it. `store` gives the events, which hardly anything needs.
pub(super) fn execute(
    accounts: &Accounts,
    store: &dyn Fn() -> Result<Arc<Store>>,
    request: &Request,
) -> Result<Value> {
    let now = store::now();
    match request {
        Request::CreateOrg { name, changes } => {
            let settings = changed(&OrgSettings::default(), changes);
            Ok(org(&accounts.create_org(name, settings, Actor::Operator)?))
        }
        Request::ListOrgs => {
            Ok(json!({ "organisations": accounts.orgs().iter().map(org).collect::<Vec<_>>() }))
        }
        Request::SetOrg { name, changes } => {
            let found = find(accounts, name)?;
            if *changes == OrgChanges::default() {
                bail!("nothing to set: name at least one setting, `repute org set --help` lists them");
            }
            let settings = changed(&found.settings, changes);
            Ok(org(&accounts.set_org(found.id, settings, Actor::Operator)?))
        }
        Request::EraseAgent { org, agent_id } => {
            let (id, store) = (find(accounts, org)?.id, store()?);
            if !store.knows(id, agent_id) {
                bail!("there is no agent `{agent_id}` in the organisation `{org}`");
            }
            accounts.note_erasure(id, Actor::Operator)?;
            erase(&store, id, agent_id)?;
            Ok(json!({ "org": org, "agent_id": agent_id, "erased": true }))
        }
        Request::Audit { org, limit } => {
            let entries = accounts.audit(find(accounts, org)?.id, None, *limit)?;
            let entries: Vec<_> = entries.into_iter().map(AuditEntry::answer).collect();
            Ok(json!({ "entries": entries }))
        }
        Request::CreateKey {
            org,
            kind,
            name,
            scopes,
            expires_at,
        } => {
            let org = find(accounts, org)?;
            let kind = match kind {
                Kind::Publishable => KeyKind::Publishable,
                Kind::Secret => KeyKind::Secret,
            };
            if let Some(rule) = name.as_deref().and_then(wire::broken_name_rule) {
                bail!("--name: {rule}");
            }
            let scopes = match scopes {
                None => Scopes::default_of(kind),
                Some(words) => Scopes::from_words(&words.replace(',', " "))
                    .map_err(|word| anyhow!("--scopes: `{word}` is none of ingest, evaluate, read, admin"))?,
            };
            if scopes.is_empty() {
                bail!("--scopes: name at least one of ingest, evaluate, read, admin");
            }
            let expires_at = match expires_at {
                None => None,
                Some(text) => {
                    Some(timestamp::parse(text).map_err(|wrong| anyhow!("--expires-at: {}", wrong.rule()))?)
                }
            };
            if expires_at.is_some_and(|at| at <= now) {
                bail!("--expires-at: not in the future");
            }
            let new = NewKey {
                kind,
                name: name.clone(),
                scopes,
                expires_at,
                text: None,
            };
            let made = accounts.create_key(org.id, new, now, Actor::Operator)?;
            let mut answer = key(&made.info);
            answer["key"] = json!(made.key.as_str());
            Ok(answer)
        }
        Request::ListKeys { org } => {
            let org = find(accounts, org)?.id;
            let unreadable = accounts.unreadable().into_iter().find(|one| one.org == org);
            let unreadable = unreadable.map_or(Vec::new(), |one| one.keys);
            let keys = accounts.keys(org);
            let listed = keys.iter().map(|info| {
                let mut listed = key(info);
                if unreadable.contains(&info.id) {
                    listed["trouble"] = json!("sealed under another master key: checks no signature");
                }
                listed
            });
            Ok(json!({ "keys": listed.collect::<Vec<_>>() }))
        }
        Request::RevokeKey { org, id } => {
            let org = find(accounts, org)?;
            accounts.revoke_key(org.id, KeyId(*id), now, Actor::Operator)?;
            Ok(json!({ "id": id.to_string(), "revoked": true }))
        }
        Request::RotateMaster { new } => {
            let rotation = accounts.rotate_master(new.as_deref(), Actor::Operator)?;
            let next = if rotation.is_in_file {
                "nothing to do: the new master key is in the data directory; backups of the old one open older backups alone"
            } else {
                "give the new master key at every start from now on: the old one opens older backups alone"
            };
            Ok(json!({ "resealed": rotation.resealed, "forgotten": rotation.forgotten, "next": next }))
        }
    }
}

/// Waits until the agent is gone for good.
fn erase(store: &Store, org: OrgId, agent_id: &str) -> Result<()> {
    if let Health::Full(why) = store.health() {
        bail!("not begun: {why}; nothing was changed, so ask again");
    }
    let (answer, outcome) = mpsc::channel();
    store.erase(
        org,
        None,
        agent_id,
        Box::new(move |outcome| drop(answer.send(outcome))),
    );
    match outcome.recv() {
        Ok(outcome) => outcome.map_err(|refused| {
            anyhow!("{refused}; what was begun goes on by itself, ask again to see its end")
        }),
        Err(_) => bail!("the store gave no answer"),
    }
}

fn find(accounts: &Accounts, name: &str) -> Result<Org> {
    accounts
        .org_named(name)
        .ok_or_else(|| anyhow!("there is no organisation `{name}`"))
}

fn changed(settings: &OrgSettings, changes: &OrgChanges) -> OrgSettings {
    let limit = |given: Option<Limit>, before| given.map_or(before, Limit::own);
    OrgSettings {
        max_agents: limit(changes.max_agents, settings.max_agents),
        ingest_rate_limit: limit(changes.ingest_rate_limit, settings.ingest_rate_limit),
        rate_limit: limit(changes.rate_limit, settings.rate_limit),
        signature: changes
            .require_signature
            .map_or(settings.signature, |rule| match rule {
                Signature::False => SignatureRule::Optional,
                Signature::True => SignatureRule::Required,
                Signature::Timestamped => SignatureRule::Timestamped,
            }),
    }
}

fn org(org: &Org) -> Value {
    json!({
        "id": org.id.0.to_string(),
        "name": org.name,
        "max_agents": org.settings.max_agents,
        "ingest_rate_limit": org.settings.ingest_rate_limit,
        "rate_limit": org.settings.rate_limit,
        "require_signature": org.settings.signature,
    })
}

fn key(info: &KeyInfo) -> Value {
    json!({
        "id": info.id.0.to_string(),
        "kind": info.kind.as_str(),
        "name": info.name,
        "scopes": info.scopes.to_string(),
        "last4": info.last4,
        "created_at": timestamp::format(info.created_at),
        "last_used_at": info.last_used_at.map(timestamp::format),
        "expires_at": info.expires_at.map(timestamp::format),
        "revoked_at": info.revoked_at.map(timestamp::format),
        "trouble": null,
    })
}
