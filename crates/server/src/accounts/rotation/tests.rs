//! Changes of the master key, whole and cut short at every step.

use super::*;
use crate::accounts::{CreatedKey, MasterKeyFile, NewKey, OrgSettings};
use reputation::Micros;
use std::fs;
use std::path::Path;
use wire::{KeyKind, Scopes, SigningKey};

const OLD: &str = "0101010101010101010101010101010101010101010101010101010101010101";
const NEW: &str = "0202020202020202020202020202020202020202020202020202020202020202";

/// A data directory, as the program has it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> Accounts {
        let file = MasterKeyFile::new(self.file("master.key"), self.file("master.key.new"));
        Accounts::open_with_file(self.0.path(), file).unwrap()
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn master_key(&self) -> String {
        fs::read_to_string(self.file("master.key")).unwrap()
    }
}

fn secret(accounts: &Accounts, org: OrgId, expires_at: Option<Micros>) -> CreatedKey {
    let new = NewKey {
        kind: KeyKind::Secret,
        name: None,
        scopes: Scopes::default_of(KeyKind::Secret),
        expires_at,
        text: None,
    };
    accounts
        .create_key(org, new, store::now(), Actor::Operator)
        .unwrap()
}

fn org(accounts: &Accounts, name: &str) -> OrgId {
    accounts
        .create_org(name, OrgSettings::default(), Actor::Operator)
        .unwrap()
        .id
}

/// Whether exactly these keys check signatures.
fn checks(accounts: &Accounts, org: OrgId, keys: &[&CreatedKey]) -> bool {
    let sign = |key: &SigningKey| key.sign(b"body");
    let signing = accounts.signing_keys(org, store::now());
    let found: Vec<String> = signing.iter().map(sign).collect();
    let expected = keys.iter().map(|made| sign(&SigningKey::new(made.key.as_str())));
    found == expected.collect::<Vec<_>>()
}

fn bytes_of(dir: &Path, name: &str) -> Vec<u8> {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let named = files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(name));
    named.flat_map(|path| fs::read(path).unwrap()).collect()
}

fn sealed(accounts: &Accounts) -> Vec<(KeyId, Option<Vec<u8>>)> {
    let keys = accounts.database.lock().keys().unwrap();
    keys.into_iter().map(|key| (key.info.id, key.sealed)).collect()
}

#[test]
fn everything_is_sealed_anew_and_old_seals_are_gone() {
    let place = Place::new();
    let accounts = place.open();
    let (one, two) = (org(&accounts, "one"), org(&accounts, "two"));
    let (first, second) = (secret(&accounts, one, None), secret(&accounts, two, None));
    let revoked = secret(&accounts, one, None);
    accounts
        .revoke_key(one, revoked.info.id, store::now(), Actor::Operator)
        .unwrap();
    secret(&accounts, two, Some(Micros(1)));
    let (old_key, old_seals) = (place.master_key(), sealed(&accounts));
    assert_eq!(old_seals[1], (KeyId(2), None), "a revoked key needs no copy");

    let done = accounts.rotate_master(None, Actor::Operator).unwrap();
    let expected = Rotation {
        resealed: 2,
        forgotten: 1,
        is_in_file: true,
    };
    assert_eq!(done, expected);
    assert_ne!(place.master_key(), old_key);
    assert!(!place.file("master.key.new").exists());
    let on_disk = bytes_of(place.0.path(), "repute.db");
    for (_, old) in old_seals {
        let Some(old) = old else { continue };
        assert!(!on_disk.windows(old.len()).any(|window| window == old));
    }
    // At once, for keys made since, and after a restart.
    let third = secret(&accounts, one, None);
    for accounts in [accounts, place.open()] {
        assert!(checks(&accounts, one, &[&first, &third]));
        assert!(checks(&accounts, two, &[&second]));
        assert_eq!(accounts.unreadable(), []);
    }
}

#[test]
fn a_change_that_is_cut_short_leaves_a_key_that_opens_everything() {
    let place = Place::new();
    let accounts = place.open();
    let org = org(&accounts, "one");
    let made = secret(&accounts, org, None);
    let old = place.master_key();
    drop(accounts);
    // After the new key was put beside the old one.
    fs::write(place.file("master.key.new"), NEW).unwrap();
    let accounts = place.open();
    assert!(checks(&accounts, org, &[&made]));
    assert_eq!(
        (place.master_key(), place.file("master.key.new").exists()),
        (old.clone(), false)
    );

    // After the database's commit.
    accounts.rotate_master(Some(NEW), Actor::Operator).unwrap();
    drop(accounts);
    fs::write(place.file("master.key"), &old).unwrap();
    fs::write(place.file("master.key.new"), NEW).unwrap();
    let accounts = place.open();
    assert!(checks(&accounts, org, &[&made]));
    assert_eq!(
        (place.master_key().as_str(), place.file("master.key.new").exists()),
        (NEW, false)
    );
    assert_eq!(place.open().unreadable(), []);
}

#[test]
fn a_change_whose_outcome_is_unknown_is_settled_by_a_restart_alone() {
    let place = Place::new();
    let accounts = place.open();
    let org = org(&accounts, "one");
    let made = secret(&accounts, org, None);
    let old = place.master_key();
    // The database fails in the middle: nothing of it is there, and the new key waits.
    let refuse = "CREATE TRIGGER refuse BEFORE UPDATE OF sealed ON key BEGIN SELECT RAISE(ABORT, 'no'); END";
    let database = rusqlite::Connection::open(place.file("repute.db")).unwrap();
    database.execute_batch(refuse).unwrap();
    let failed = accounts.rotate_master(None, Actor::Operator);
    assert!(matches!(failed, Err(Error::Sqlite(_))));
    assert!(checks(&accounts, org, &[&made]));
    database.execute_batch("DROP TRIGGER refuse").unwrap();
    let again = accounts.rotate_master(None, Actor::Operator);
    assert!(matches!(again, Err(Error::RotationPending)));
    drop(accounts);
    let accounts = place.open();
    assert!(checks(&accounts, org, &[&made]));
    assert_eq!(place.master_key(), old);
    accounts.rotate_master(None, Actor::Operator).unwrap();
    assert!(checks(&place.open(), org, &[&made]));
}

#[test]
fn a_key_that_the_operator_keeps_is_changed_for_one_that_the_operator_gives() {
    let dir = tempfile::tempdir().unwrap();
    let open = |text| Accounts::open(dir.path(), MasterKey::parse(text).unwrap()).unwrap();
    let accounts = open(OLD);
    let org = org(&accounts, "one");
    let made = secret(&accounts, org, None);
    let refused = accounts.rotate_master(None, Actor::Operator);
    assert!(matches!(refused, Err(Error::NeedsMasterKey)));
    let refused = accounts.rotate_master(Some("short"), Actor::Operator);
    assert!(matches!(refused, Err(Error::BadMasterKey)));
    let done = accounts.rotate_master(Some(NEW), Actor::Operator).unwrap();
    assert_eq!((done.resealed, done.is_in_file), (1, false));
    assert!(checks(&accounts, org, &[&made]));
    drop(accounts);
    assert!(checks(&open(NEW), org, &[&made]));
    assert_eq!(open(OLD).unreadable().len(), 1);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no file of a key");
}

#[test]
fn keys_that_would_be_lost_refuse_the_change() {
    let dir = tempfile::tempdir().unwrap();
    let open = |text| Accounts::open(dir.path(), MasterKey::parse(text).unwrap()).unwrap();
    let (org, lost) = {
        let accounts = open(OLD);
        let org = org(&accounts, "one");
        (org, secret(&accounts, org, None))
    };
    let accounts = open(NEW);
    let refused = accounts.rotate_master(Some(OLD), Actor::Operator);
    assert!(matches!(refused, Err(Error::UnreadableSecrets)));
    assert!(checks(&open(OLD), org, &[&lost]), "nothing has changed");
    accounts
        .revoke_key(org, lost.info.id, store::now(), Actor::Operator)
        .unwrap();
    accounts.rotate_master(Some(OLD), Actor::Operator).unwrap();
}

#[test]
fn each_organisation_is_told_of_its_own_keys() {
    let place = Place::new();
    let accounts = place.open();
    let (one, two) = (org(&accounts, "one"), org(&accounts, "two"));
    secret(&accounts, one, None);
    accounts.rotate_master(None, Actor::Operator).unwrap();
    let last = |org| accounts.audit(org, None, 1).unwrap().remove(0);
    let entry = last(one);
    assert_eq!((entry.action.as_str(), entry.key), ("master_key.rotate", None));
    // As values: the order of fields is nobody's promise.
    let detail: serde_json::Value = serde_json::from_str(&entry.detail.unwrap()).unwrap();
    assert_eq!(detail, serde_json::json!({ "resealed": 1, "forgotten": 0 }));
    assert_eq!(last(two).action, "org.create");
}
