//! The first start makes an organisation and its keys, and shows them once.
//!
//! The organisation and its keys are made in one go, so that a crash leaves a first start or a finished one.
//! A file of keys is written before: one that a crash leaves names keys that never were, and the next start
//! writes it anew; the other way round, keys would be there that nobody ever saw.

use crate::address::Address;
use crate::settings::Secrets;
use anyhow::{Context as _, Result};
use journal::OsDisk;
use server::accounts::{Accounts, Actor, NewKey, OrgSettings, generate_key};
use std::io::{IsTerminal as _, Write as _, stderr};
use std::path::Path;
use wire::{Key, KeyKind, Scopes};

const ORGANISATION: &str = "default";
const KEYS_FILE: &str = "first-keys.txt";

/// Makes what the first start makes; on a later start, warns of bootstrap keys that are of no use.
pub(crate) fn greet(accounts: &Accounts, secrets: &Secrets, dir: &Path, address: Address) -> Result<()> {
    if !accounts.orgs().is_empty() {
        warn_of_useless(accounts, secrets);
        return Ok(());
    }
    let (publishable, shown_publishable) =
        given_or_made(&secrets.bootstrap_publishable, KeyKind::Publishable)?;
    let (secret, shown_secret) = given_or_made(&secrets.bootstrap_secret, KeyKind::Secret)?;
    let shown: Vec<Key> = shown_publishable.into_iter().chain(shown_secret).collect();
    let text = introduction(&shown, address);
    let is_watched = stderr().is_terminal();
    let path = dir.join(KEYS_FILE);
    if !shown.is_empty() && !is_watched {
        journal::write_atomically(&OsDisk, &path, text.as_bytes())
            .with_context(|| format!("cannot write the first keys to {}", path.display()))?;
    }
    let now = store::now();
    let keys = vec![publishable, secret];
    accounts.create_org_with_keys(ORGANISATION, OrgSettings::default(), keys, now, Actor::Operator)?;
    if shown.is_empty() {
        tracing::info!("made the first organisation, with the keys of the environment");
    } else if is_watched {
        writeln!(stderr(), "\n{text}").context("cannot show the first keys")?;
    } else {
        tracing::info!(file = %path.display(), "made the first organisation; its keys are in this file");
    }
    Ok(())
}

/// The key of the environment, or a random one, which is then to be shown.
fn given_or_made(given: &Option<Key>, kind: KeyKind) -> Result<(NewKey, Option<Key>)> {
    let made = match given {
        Some(_) => None,
        None => Some(generate_key(kind)?),
    };
    let new = NewKey {
        kind,
        name: Some("first".to_owned()),
        scopes: Scopes::default_of(kind),
        expires_at: None,
        text: given.clone().or_else(|| made.clone()),
    };
    Ok((new, made))
}

fn warn_of_useless(accounts: &Accounts, secrets: &Secrets) {
    let now = store::now();
    let given = [
        ("REPUTE_BOOTSTRAP_PUBLISHABLE_KEY", &secrets.bootstrap_publishable),
        ("REPUTE_BOOTSTRAP_SECRET_KEY", &secrets.bootstrap_secret),
    ];
    for (variable, key) in given {
        if key.as_ref().is_some_and(|key| !accounts.is_live(key, now)) {
            tracing::warn!(
                variable,
                "this is no live key; it only counts at the first start, so it is not made now"
            );
        }
    }
}

/// The keys, and a command to paste.
fn introduction(keys: &[Key], address: Address) -> String {
    let mut text = format!("Organisation `{ORGANISATION}`. These keys are shown once:\n\n");
    for key in keys {
        let kind = match key.kind() {
            KeyKind::Publishable => "publishable (sends events, reads)",
            KeyKind::Secret => "secret (signs, administers)",
        };
        text += &format!("  {}  {kind}\n", key.as_str());
    }
    if let Some(key) = keys.first() {
        text += &format!("\nTry it:\n\n{}\n", example(key, address));
    }
    text
}

fn example(key: &Key, address: Address) -> String {
    let address = address.reachable();
    format!(
        r#"curl -s {address}/v1/ingest -H 'Authorization: Bearer {}' -d '{{"events":[{{"agent_id":"my-agent","tool":"search","passed":true,"gates":[{{"name":"pii","passed":true,"latency_ms":2}}],"total_latency_ms":2}}]}}'"#,
        key.as_str()
    )
}
