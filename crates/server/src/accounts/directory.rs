//! What requests are answered from: organisations and keys in memory.

use super::database::Database;
use super::{AuthFailure, Error, KeyInfo, MasterKey, Org, Principal};
use reputation::Micros;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use store::{KeyId, OrgId};
use wire::{KeyKind, SigningKey};

type Digest = [u8; 32];

/// Organisations and keys.
#[derive(Default)]
pub(super) struct Directory {
    orgs: BTreeMap<OrgId, (Org, Arc<str>)>,
    keys: BTreeMap<KeyId, Entry>,
    by_digest: HashMap<Digest, KeyId>,
}

struct Entry {
    org: OrgId,
    info: KeyInfo,
    signing: Option<SigningKey>,
    /// When it was last used; 0 for never.
    used: AtomicI64,
}

impl Entry {
    fn last_used(&self) -> Option<Micros> {
        Some(Micros(self.used.load(Ordering::Relaxed))).filter(|at| at.0 > 0)
    }
}

impl Directory {
    pub(super) fn load(database: &Database, master: &MasterKey) -> Result<Self, Error> {
        let mut directory = Self::default();
        for org in database.orgs()? {
            directory.put_org(org);
        }
        for key in database.keys()? {
            let text = key
                .sealed
                .as_deref()
                .and_then(|sealed| master.unseal(key.org, key.info.id, sealed));
            let signing = text.map(|text| SigningKey::new(&text));
            directory.put_key(key.org, key.digest, key.info, signing);
        }
        Ok(directory)
    }

    pub(super) fn put_org(&mut self, org: Org) {
        let name = org.name.as_str().into();
        self.orgs.insert(org.id, (org, name));
    }

    pub(super) fn put_key(&mut self, org: OrgId, digest: Digest, info: KeyInfo, signing: Option<SigningKey>) {
        self.by_digest.insert(digest, info.id);
        let used = AtomicI64::new(info.last_used_at.map_or(0, |at| at.0));
        self.keys.insert(
            info.id,
            Entry {
                org,
                info,
                signing,
                used,
            },
        );
    }

    pub(super) fn revoke(&mut self, id: KeyId, now: Micros) {
        if let Some(entry) = self.keys.get_mut(&id) {
            entry.info.revoked_at = Some(now);
        }
    }

    pub(super) fn authenticate(&self, digest: &Digest, now: Micros) -> Result<Principal, AuthFailure> {
        let entry = self
            .by_digest
            .get(digest)
            .and_then(|id| self.keys.get(id))
            .ok_or(AuthFailure::Unknown)?;
        if !entry.info.is_live(now) {
            return Err(AuthFailure::Revoked);
        }
        let (org, name) = self.orgs.get(&entry.org).ok_or(AuthFailure::Unknown)?;
        entry.used.store(now.0, Ordering::Relaxed);
        Ok(Principal {
            org: entry.org,
            org_name: Arc::clone(name),
            key: entry.info.id,
            kind: entry.info.kind,
            scopes: entry.info.scopes,
            settings: org.settings.clone(),
        })
    }

    pub(super) fn knows(&self, digest: &Digest) -> bool {
        self.by_digest.contains_key(digest)
    }

    fn live_secrets(&self, org: OrgId, now: Micros) -> impl Iterator<Item = &Entry> {
        let is_one = move |entry: &&Entry| {
            entry.org == org && entry.info.kind == KeyKind::Secret && entry.info.is_live(now)
        };
        self.keys.values().filter(is_one)
    }

    pub(super) fn live_secret_keys(&self, org: OrgId, now: Micros) -> usize {
        self.live_secrets(org, now).count()
    }

    pub(super) fn signing_keys(&self, org: OrgId, now: Micros) -> Arc<[SigningKey]> {
        self.live_secrets(org, now)
            .filter_map(|entry| entry.signing.clone())
            .collect()
    }

    pub(super) fn unreadable_secrets(&self) -> usize {
        let is_one = |entry: &&Entry| {
            entry.info.kind == KeyKind::Secret && entry.info.revoked_at.is_none() && entry.signing.is_none()
        };
        self.keys.values().filter(is_one).count()
    }

    pub(super) fn orgs(&self) -> Vec<Org> {
        self.orgs.values().map(|(org, _)| org.clone()).collect()
    }

    pub(super) fn keys(&self, org: OrgId) -> Vec<KeyInfo> {
        let of_org = self.keys.values().filter(|entry| entry.org == org);
        of_org
            .map(|entry| KeyInfo {
                last_used_at: entry.last_used(),
                ..entry.info.clone()
            })
            .collect()
    }

    /// When each key that was used was used last.
    pub(super) fn used(&self) -> Vec<(KeyId, Micros)> {
        self.keys
            .iter()
            .filter_map(|(id, entry)| Some((*id, entry.last_used()?)))
            .collect()
    }
}
