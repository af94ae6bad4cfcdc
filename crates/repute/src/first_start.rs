//! The first start makes an organisation and its keys, and shows them once.

use crate::settings::Secrets;
use anyhow::{Context as _, Result};
use reputation::Micros;
use server::accounts::{Accounts, Actor, NewKey, OrgSettings};
use std::fs::{self, File, OpenOptions};
use std::io::{IsTerminal as _, Write as _, stderr};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use wire::{Key, KeyKind, Scopes};

const ORGANISATION: &str = "default";
const KEYS_FILE: &str = "first-keys.txt";

/// Makes what the first start makes; on a later start, warns of bootstrap keys that are of no use.
pub(crate) fn greet(accounts: &Accounts, secrets: &Secrets, dir: &Path, address: &SocketAddr) -> Result<()> {
    let now = (store::system_clock())();
    let has_keys = accounts
        .orgs()
        .iter()
        .any(|org| !accounts.keys(org.id).is_empty());
    if has_keys {
        warn_of_useless(accounts, secrets, now);
        return Ok(());
    }
    let org = match accounts.org_named(ORGANISATION) {
        Some(org) => org, // a crash came between the organisation and its keys
        None => accounts.create_org(ORGANISATION, OrgSettings::default(), Actor::Operator)?,
    };
    let is_given = secrets.bootstrap_publishable.is_some() || secrets.bootstrap_secret.is_some();
    let keys = [
        (KeyKind::Secret, secrets.bootstrap_secret.clone()),
        (KeyKind::Publishable, secrets.bootstrap_publishable.clone()),
    ];
    let mut made = Vec::new();
    for (kind, text) in keys {
        let was_given = text.is_some();
        let new = NewKey {
            kind,
            name: Some("first".to_owned()),
            scopes: Scopes::default_of(kind),
            expires_at: None,
            text,
        };
        let key = accounts.create_key(org.id, new, now, Actor::Operator)?.key;
        if !was_given {
            made.push(key);
        }
    }
    if is_given {
        tracing::info!(
            organisation = ORGANISATION,
            "made the first organisation with the keys of the environment"
        );
    }
    if made.is_empty() {
        Ok(())
    } else {
        show(&made, dir, address)
    }
}

fn warn_of_useless(accounts: &Accounts, secrets: &Secrets, now: Micros) {
    let given = [
        ("REPUTE_BOOTSTRAP_PUBLISHABLE_KEY", &secrets.bootstrap_publishable),
        ("REPUTE_BOOTSTRAP_SECRET_KEY", &secrets.bootstrap_secret),
    ];
    for (variable, key) in given {
        if key
            .as_ref()
            .is_some_and(|key| accounts.authenticate(key, now).is_err())
        {
            tracing::warn!(
                variable,
                "this is no live key; it only counts at the first start, so it is not made now"
            );
        }
    }
}

/// Shows new keys once: on a terminal, else in a file for their owner alone.
fn show(keys: &[Key], dir: &Path, address: &SocketAddr) -> Result<()> {
    let mut text = format!("Organisation `{ORGANISATION}`. These keys are shown once:\n\n");
    for key in keys {
        let kind = match key.kind() {
            KeyKind::Publishable => "publishable (sends events, reads)",
            KeyKind::Secret => "secret (signs, administers)",
        };
        text += &format!("  {}  {kind}\n", key.as_str());
    }
    let shown = keys
        .iter()
        .find(|key| key.kind() == KeyKind::Publishable)
        .or(keys.first());
    if let Some(key) = shown {
        text += &format!("\nTry it:\n\n{}\n", example(key, address));
    }
    if stderr().is_terminal() {
        return writeln!(stderr(), "\n{text}").context("cannot show the first keys");
    }
    let path = dir.join(KEYS_FILE);
    let temporary = dir.join(format!("{KEYS_FILE}.tmp"));
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        File::open(dir)?.sync_all()
    };
    write().with_context(|| format!("cannot write the first keys to {}", path.display()))?;
    tracing::info!(file = %path.display(), "made the first organisation; its keys are in this file");
    Ok(())
}

fn example(key: &Key, address: &SocketAddr) -> String {
    format!(
        r#"curl -s http://{address}/v1/ingest -H 'Authorization: Bearer {}' -d '{{"events":[{{"agent_id":"my-agent","tool":"search","passed":true,"gates":[{{"name":"pii","passed":true,"latency_ms":2}}],"total_latency_ms":2}}]}}'"#,
        key.as_str()
    )
}
