//! What requests are answered from: organisations and keys in memory.

use super::database::Database;
use super::{AuthFailure, CreatedKey, Error, KeyInfo, MasterKey, Org, Principal, Unreadable};
use reputation::Micros;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use store::{KeyId, OrgId};
use wire::{KeyKind, SigningKey};

type Digest = [u8; 32];

/// A key used again within this time isn't noted again: threads would only fight over the cache line.
const USE_GRAIN_US: i64 = Micros::PER_SECOND;

/// Organisations and keys.
#[derive(Default)]
pub(super) struct Directory {
    orgs: BTreeMap<OrgId, Account>,
    by_name: HashMap<Arc<str>, OrgId>,
    by_digest: HashMap<Digest, (OrgId, KeyId)>,
}

/// An organisation and its keys.
struct Account {
    org: Org,
    name: Arc<str>,
    keys: BTreeMap<KeyId, Entry>,
    /// Secret keys that were not revoked: few, while all keys ever made may be many.
    secrets: Vec<KeyId>,
}

struct Entry {
    info: KeyInfo,
    signing: Option<SigningKey>,
    /// When it was last used; 0 for never.
    used: AtomicI64,
    /// What of that is in the database.
    written: AtomicI64,
}

impl Entry {
    fn last_used(&self) -> Option<Micros> {
        Some(Micros(self.used.load(Ordering::Relaxed))).filter(|at| at.0 > 0)
    }

    fn touch(&self, now: Micros) {
        let used = self.used.load(Ordering::Relaxed);
        if used == 0 || now.0.saturating_sub(used) >= USE_GRAIN_US {
            self.used.store(now.0, Ordering::Relaxed);
        }
    }
}

impl Account {
    fn principal(&self, entry: &Entry, now: Micros) -> Result<Principal, AuthFailure> {
        if !entry.info.is_live(now) {
            return Err(AuthFailure::Revoked);
        }
        entry.touch(now);
        Ok(Principal {
            org: self.org.id,
            org_name: Arc::clone(&self.name),
            key: entry.info.id,
            kind: entry.info.kind,
            scopes: entry.info.scopes,
            settings: self.org.settings.clone(),
        })
    }
}

impl Directory {
    pub(super) fn load(database: &Database, master: Option<&MasterKey>) -> Result<Self, Error> {
        let mut directory = Self::default();
        for org in database.orgs()? {
            directory.put_org(org);
        }
        for key in database.keys()? {
            let text = key
                .sealed
                .as_deref()
                .and_then(|sealed| master?.unseal(key.org, key.info.id, sealed));
            let signing = text.map(|text| SigningKey::new(&text));
            directory.put_key(key.org, key.digest, key.info, signing);
        }
        Ok(directory)
    }

    /// A new organisation, or the new settings of one.
    pub(super) fn put_org(&mut self, org: Org) {
        if let Some(account) = self.orgs.get_mut(&org.id) {
            account.org = org;
            return;
        }
        let name: Arc<str> = org.name.as_str().into();
        self.by_name.insert(Arc::clone(&name), org.id);
        let account = Account {
            name,
            keys: BTreeMap::new(),
            secrets: Vec::new(),
            org,
        };
        self.orgs.insert(account.org.id, account);
    }

    pub(super) fn put_made_key(&mut self, org: OrgId, made: &CreatedKey) {
        let is_secret = made.info.kind == KeyKind::Secret;
        let signing = is_secret.then(|| SigningKey::new(made.key.as_str()));
        self.put_key(org, made.key.digest(), made.info.clone(), signing);
    }

    fn put_key(&mut self, org: OrgId, digest: Digest, info: KeyInfo, signing: Option<SigningKey>) {
        // The database lets no key stand without its organisation.
        let Some(account) = self.orgs.get_mut(&org) else {
            return;
        };
        self.by_digest.insert(digest, (org, info.id));
        if info.kind == KeyKind::Secret && info.revoked_at.is_none() {
            account.secrets.push(info.id);
        }
        let used = info.last_used_at.map_or(0, |at| at.0);
        let entry = Entry {
            signing,
            used: AtomicI64::new(used),
            written: AtomicI64::new(used),
            info,
        };
        account.keys.insert(entry.info.id, entry);
    }

    pub(super) fn revoke(&mut self, org: OrgId, id: KeyId, now: Micros) {
        let Some(account) = self.orgs.get_mut(&org) else {
            return;
        };
        account.secrets.retain(|secret| *secret != id);
        if let Some(entry) = account.keys.get_mut(&id) {
            entry.info.revoked_at = Some(now);
            entry.signing = None;
        }
    }

    fn find(&self, digest: &Digest) -> Option<(&Account, &Entry)> {
        let (org, id) = self.by_digest.get(digest)?;
        let account = self.orgs.get(org)?;
        Some((account, account.keys.get(id)?))
    }

    pub(super) fn authenticate(&self, digest: &Digest, now: Micros) -> Result<Principal, AuthFailure> {
        let (account, entry) = self.find(digest).ok_or(AuthFailure::Unknown)?;
        account.principal(entry, now)
    }

    pub(super) fn authenticate_again(
        &self,
        before: &Principal,
        now: Micros,
    ) -> Result<Principal, AuthFailure> {
        let account = self.orgs.get(&before.org).ok_or(AuthFailure::Unknown)?;
        let entry = account.keys.get(&before.key).ok_or(AuthFailure::Unknown)?;
        account.principal(entry, now)
    }

    pub(super) fn is_live(&self, digest: &Digest, now: Micros) -> bool {
        self.find(digest)
            .is_some_and(|(_, entry)| entry.info.is_live(now))
    }

    pub(super) fn knows(&self, digest: &Digest) -> bool {
        self.by_digest.contains_key(digest)
    }

    fn live_secrets(&self, org: OrgId, now: Micros) -> impl Iterator<Item = &Entry> {
        self.orgs
            .get(&org)
            .into_iter()
            .flat_map(|account| account.secrets.iter().filter_map(|id| account.keys.get(id)))
            .filter(move |entry| entry.info.is_live(now))
    }

    pub(super) fn live_secret_keys(&self, org: OrgId, now: Micros) -> usize {
        self.live_secrets(org, now).count()
    }

    pub(super) fn signing_keys(&self, org: OrgId, now: Micros) -> Arc<[SigningKey]> {
        self.live_secrets(org, now)
            .filter_map(|entry| entry.signing.clone())
            .collect()
    }

    pub(super) fn unreadable(&self, now: Micros) -> Vec<Unreadable> {
        let of_org = |org: &OrgId| {
            let (readable, unreadable): (Vec<_>, Vec<_>) = self
                .live_secrets(*org, now)
                .partition(|entry| entry.signing.is_some());
            (!unreadable.is_empty()).then(|| Unreadable {
                org: *org,
                keys: unreadable.iter().map(|entry| entry.info.id).collect(),
                is_shut: readable.is_empty()
                    && self
                        .org(*org)
                        .is_some_and(|org| org.settings.signature.requires()),
            })
        };
        self.orgs.keys().filter_map(of_org).collect()
    }

    pub(super) fn shut_by(&self, by: Micros) -> Vec<OrgId> {
        let of_org = |(org, account): (&OrgId, &Account)| {
            let requires = account.org.settings.signature.requires();
            (requires && self.live_secret_keys(*org, by) == 0).then_some(*org)
        };
        self.orgs.iter().filter_map(of_org).collect()
    }

    pub(super) fn orgs(&self) -> Vec<Org> {
        self.orgs.values().map(|account| account.org.clone()).collect()
    }

    pub(super) fn org(&self, id: OrgId) -> Option<&Org> {
        self.orgs.get(&id).map(|account| &account.org)
    }

    pub(super) fn org_named(&self, name: &str) -> Option<Org> {
        self.org(*self.by_name.get(name)?).cloned()
    }

    pub(super) fn key(&self, org: OrgId, id: KeyId) -> Option<&KeyInfo> {
        Some(&self.orgs.get(&org)?.keys.get(&id)?.info)
    }

    pub(super) fn keys(&self, org: OrgId) -> Vec<KeyInfo> {
        let keys = self
            .orgs
            .get(&org)
            .into_iter()
            .flat_map(|account| account.keys.values());
        keys.map(|entry| KeyInfo {
            last_used_at: entry.last_used(),
            ..entry.info.clone()
        })
        .collect()
    }

    /// When each key was used last that was used since this was last written down.
    pub(super) fn unwritten_uses(&self) -> Vec<(OrgId, KeyId, Micros)> {
        let mut uses = Vec::new();
        for (org, account) in &self.orgs {
            for (id, entry) in &account.keys {
                if let Some(at) = entry.last_used()
                    && at.0 != entry.written.load(Ordering::Relaxed)
                {
                    uses.push((*org, *id, at));
                }
            }
        }
        uses
    }

    pub(super) fn uses_written(&self, uses: &[(OrgId, KeyId, Micros)]) {
        for (org, id, at) in uses {
            if let Some(entry) = self.orgs.get(org).and_then(|account| account.keys.get(id)) {
                entry.written.store(at.0, Ordering::Relaxed);
            }
        }
    }
}
