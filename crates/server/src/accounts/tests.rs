//! What keys and organisations promise.

use super::*;
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;
use wire::Scopes;

const NOW: Micros = Micros(1_795_478_400_000_000);
const LATER: Micros = Micros(NOW.0 + 1);

fn master(byte: u8) -> MasterKey {
    MasterKey::parse(&hex::encode([byte; 32])).unwrap()
}

fn open(dir: &Path) -> Accounts {
    Accounts::open(dir, master(1)).unwrap()
}

fn new(kind: KeyKind) -> NewKey {
    NewKey {
        kind,
        name: None,
        scopes: Scopes::default_of(kind),
        expires_at: None,
        text: None,
    }
}

fn make(accounts: &Accounts, org: OrgId, kind: KeyKind) -> CreatedKey {
    accounts.create_key(org, new(kind), NOW, Actor::Operator).unwrap()
}

fn org(accounts: &Accounts) -> OrgId {
    accounts
        .create_org("default", OrgSettings::default(), Actor::Operator)
        .unwrap()
        .id
}

#[test]
fn a_key_authenticates_its_organisation_until_it_is_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = open(dir.path());
    let org = org(&accounts);
    let made = make(&accounts, org, KeyKind::Publishable);
    let principal = accounts.authenticate(&made.key, NOW).unwrap();
    assert_eq!(
        (principal.org, principal.key, &*principal.org_name),
        (org, made.info.id, "default")
    );
    accounts
        .revoke_key(org, made.info.id, NOW, Actor::Operator)
        .unwrap();
    accounts
        .revoke_key(org, made.info.id, LATER, Actor::Operator)
        .unwrap();
    assert_eq!(
        accounts.authenticate(&made.key, NOW).err(),
        Some(AuthFailure::Revoked)
    );
    assert_eq!(accounts.keys(org)[0].revoked_at, Some(NOW));
    let unknown = Key::parse(b"pk_live_00000000000000000000000000000000").unwrap();
    assert_eq!(
        accounts.authenticate(&unknown, NOW).err(),
        Some(AuthFailure::Unknown)
    );
}

#[test]
fn a_key_expires() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = open(dir.path());
    let org = org(&accounts);
    let short = NewKey {
        expires_at: Some(LATER),
        ..new(KeyKind::Secret)
    };
    let made = accounts.create_key(org, short, NOW, Actor::Operator).unwrap();
    assert!(accounts.authenticate(&made.key, NOW).is_ok());
    assert_eq!(
        accounts.authenticate(&made.key, LATER).err(),
        Some(AuthFailure::Revoked)
    );
    assert_eq!(
        (
            accounts.signing_keys(org, NOW).len(),
            accounts.signing_keys(org, LATER).len()
        ),
        (1, 0)
    );
}

#[test]
fn everything_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = open(dir.path());
    let org = org(&accounts);
    let secret = make(&accounts, org, KeyKind::Secret);
    let settings = OrgSettings {
        max_agents: Some(5),
        signature: SignatureRule::Required,
        ..OrgSettings::default()
    };
    accounts.set_org(org, settings.clone(), Actor::Operator).unwrap();
    accounts.authenticate(&secret.key, LATER).unwrap();
    accounts.flush().unwrap();
    let before = (accounts.orgs(), accounts.keys(org));
    drop(accounts);
    let accounts = open(dir.path());
    assert_eq!((accounts.orgs(), accounts.keys(org)), before);
    assert_eq!(before.1[0].last_used_at, Some(LATER));
    assert_eq!(
        accounts.authenticate(&secret.key, NOW).unwrap().settings,
        settings
    );
    let signature = SigningKey::new(secret.key.as_str()).sign(b"body");
    assert_eq!(accounts.signing_keys(org, NOW)[0].sign(b"body"), signature);
}

#[test]
fn no_key_text_lies_in_the_database() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = open(dir.path());
    let org = org(&accounts);
    let keys = [
        make(&accounts, org, KeyKind::Publishable),
        make(&accounts, org, KeyKind::Secret),
    ];
    drop(accounts);
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for made in &keys {
            let text = &made.key.as_str().as_bytes()[8..];
            assert!(!bytes.windows(text.len()).any(|window| window == text));
        }
    }
    let mode = std::fs::metadata(dir.path().join("repute.db"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn under_another_master_key_secrets_authenticate_but_check_no_signature() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = open(dir.path());
    let org = org(&accounts);
    let made = make(&accounts, org, KeyKind::Secret);
    drop(accounts);
    let accounts = Accounts::open(dir.path(), master(2)).unwrap();
    let unreadable = |is_shut| Unreadable {
        org,
        keys: vec![made.info.id],
        is_shut,
    };
    assert_eq!(accounts.unreadable(), [unreadable(false)]);
    assert_eq!(accounts.signing_keys(org, NOW).len(), 0);
    assert!(accounts.authenticate(&made.key, NOW).is_ok());
    assert_eq!(accounts.live_secret_keys(org, NOW), 1);
    let required = OrgSettings {
        signature: SignatureRule::Required,
        ..OrgSettings::default()
    };
    accounts.set_org(org, required, Actor::Operator).unwrap();
    assert_eq!(accounts.unreadable(), [unreadable(true)], "nothing can be sent");
    make(&accounts, org, KeyKind::Secret);
    assert_eq!(accounts.unreadable(), [unreadable(false)]);
}

#[test]
fn a_sixth_live_secret_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = open(dir.path());
    let org = org(&accounts);
    let first = make(&accounts, org, KeyKind::Secret);
    (1..MAX_SECRET_KEYS).for_each(|_| drop(make(&accounts, org, KeyKind::Secret)));
    let sixth = accounts.create_key(org, new(KeyKind::Secret), NOW, Actor::Operator);
    assert!(matches!(sixth, Err(Error::TooManySecretKeys)));
    accounts
        .revoke_key(org, first.info.id, NOW, Actor::Operator)
        .unwrap();
    make(&accounts, org, KeyKind::Secret);
}

#[test]
fn the_last_secret_key_stays_while_signatures_are_required() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = open(dir.path());
    let org = org(&accounts);
    let required = OrgSettings {
        signature: SignatureRule::Required,
        ..OrgSettings::default()
    };
    let without = accounts.set_org(org, required.clone(), Actor::Operator);
    assert!(matches!(without, Err(Error::NoSecretKey)));
    let one = make(&accounts, org, KeyKind::Secret);
    accounts.set_org(org, required, Actor::Operator).unwrap();
    let last = accounts.revoke_key(org, one.info.id, NOW, Actor::Operator);
    assert!(matches!(last, Err(Error::LastSecretKey)));
    make(&accounts, org, KeyKind::Secret);
    accounts
        .revoke_key(org, one.info.id, NOW, Actor::Operator)
        .unwrap();
}

#[test]
fn an_organisation_that_will_lack_a_secret_key_it_requires_is_told_before() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = open(dir.path());
    let org = org(&accounts);
    let short = NewKey {
        expires_at: Some(LATER),
        ..new(KeyKind::Secret)
    };
    accounts.create_key(org, short, NOW, Actor::Operator).unwrap();
    let lasting = make(&accounts, org, KeyKind::Secret);
    let required = OrgSettings {
        signature: SignatureRule::Timestamped,
        ..OrgSettings::default()
    };
    accounts.set_org(org, required, Actor::Operator).unwrap();
    assert_eq!(accounts.shut_by(LATER), []);
    accounts
        .revoke_key(org, lasting.info.id, NOW, Actor::Operator)
        .unwrap();
    assert_eq!(
        (accounts.shut_by(NOW), accounts.shut_by(LATER)),
        (vec![], vec![org])
    );
    accounts
        .set_org(org, OrgSettings::default(), Actor::Operator)
        .unwrap();
    assert_eq!(accounts.shut_by(LATER), []);
}

#[test]
fn keys_of_another_organisation_are_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = open(dir.path());
    let one = org(&accounts);
    let two = accounts
        .create_org("two", OrgSettings::default(), Actor::Operator)
        .unwrap()
        .id;
    let made = make(&accounts, one, KeyKind::Secret);
    let revoked = accounts.revoke_key(two, made.info.id, NOW, Actor::Key(made.info.id));
    assert!(matches!(revoked, Err(Error::UnknownKey)));
    assert_eq!(accounts.keys(two), []);
}

#[test]
fn names_are_unique_and_plain() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = open(dir.path());
    org(&accounts);
    let create = |name: &str| accounts.create_org(name, OrgSettings::default(), Actor::Operator);
    assert!(matches!(create("default"), Err(Error::OrgExists(_))));
    for name in ["", "a b", "ü", &"x".repeat(101)] {
        assert!(matches!(create(name), Err(Error::BadName)), "{name}");
    }
}

#[test]
fn a_publishable_key_cannot_administer() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = open(dir.path());
    let org = org(&accounts);
    let scopes = Scopes::default_of(KeyKind::Secret);
    let refused = accounts.create_key(
        org,
        NewKey {
            scopes,
            ..new(KeyKind::Publishable)
        },
        NOW,
        Actor::Operator,
    );
    assert!(matches!(refused, Err(Error::AdminNeedsSecret)));
}

#[test]
fn a_database_of_a_newer_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let connection = rusqlite::Connection::open(dir.path().join("repute.db")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let sentence = Accounts::open(dir.path(), master(1)).err().unwrap().to_string();
    assert_eq!(
        sentence,
        "repute.db has schema version 99, and this version reads up to 4; use a newer version of repute"
    );
}

#[test]
fn keys_are_numbered_by_organisation_and_older_ones_keep_their_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let connection = rusqlite::Connection::open(dir.path().join(DATABASE)).unwrap();
    connection.execute_batch(database::VERSION_1).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    let old = generate_key(KeyKind::Secret).unwrap();
    let sealed = master(1).seal(OrgId(2), KeyId(7), old.as_str()).unwrap();
    connection
        .execute_batch(
            "INSERT INTO org VALUES (1, 'one', NULL, NULL, NULL, 0), (2, 'two', NULL, NULL, NULL, 1)",
        )
        .unwrap();
    connection
        .execute(
            "INSERT INTO key VALUES (7, 2, 'secret', 'old', 'read admin', '0000', ?, ?, 5, NULL, NULL, NULL)",
            rusqlite::params![old.digest(), sealed],
        )
        .unwrap();
    drop(connection);
    let accounts = open(dir.path());
    let (one, two) = (OrgId(1), OrgId(2));
    assert_eq!(accounts.authenticate(&old, NOW).unwrap().key, KeyId(7));
    assert_eq!(accounts.signing_keys(two, NOW).len(), 1, "its seal still opens");
    let next = |org| make(&accounts, org, KeyKind::Secret).info.id;
    assert_eq!([next(one), next(one), next(two)], [KeyId(1), KeyId(2), KeyId(8)]);
    accounts.revoke_key(one, KeyId(1), NOW, Actor::Operator).unwrap();
    accounts.revoke_key(two, KeyId(7), NOW, Actor::Operator).unwrap();
    drop(accounts);
    let accounts = open(dir.path());
    let revoked = |org| {
        let keys = accounts.keys(org).into_iter();
        keys.map(|key| (key.id.0, key.revoked_at.is_some()))
            .collect::<Vec<_>>()
    };
    assert_eq!(revoked(one), [(1, true), (2, false)]);
    assert_eq!(revoked(two), [(7, true), (8, false)]);
    assert_eq!(accounts.unreadable(), []);
}

#[test]
fn what_the_first_version_wrote_down_is_brought_up_to_this_one() {
    let dir = tempfile::tempdir().unwrap();
    let connection = rusqlite::Connection::open(dir.path().join(DATABASE)).unwrap();
    connection.execute_batch(database::VERSION_1).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    connection
        .execute_batch(
            r#"INSERT INTO org VALUES (1, 'one', 5, NULL, NULL, 1), (2, 'two', NULL, NULL, NULL, 0);
               INSERT INTO audit VALUES
                   (1, 10, NULL, 1, 'org.create', NULL, '{"max_agents":5}'),
                   (2, 11, NULL, 2, 'org.create', NULL, NULL),
                   (5, 12, 3, 1, 'key.create', 4, '{"kind":"secret","expires_at":1795478400123000}'),
                   (6, 13, NULL, 2, 'key.create', 5, '{"kind":"secret","expires_at":null}');"#,
        )
        .unwrap();
    drop(connection);
    let accounts = open(dir.path());
    let rules = accounts.orgs().into_iter().map(|org| org.settings.signature);
    assert!(rules.eq([SignatureRule::Required, SignatureRule::Optional]));
    assert_eq!(accounts.orgs()[0].settings.max_agents, Some(5));
    let entries = |org| accounts.audit(OrgId(org), None, 10).unwrap();
    let shown = |org| {
        serde_json::to_value(
            entries(org)
                .into_iter()
                .map(AuditEntry::answer)
                .collect::<Vec<_>>(),
        )
    };
    let time = |millis: &str| format!("1970-01-01T00:00:00.{millis}Z");
    assert_eq!(
        shown(1).unwrap(),
        json!([
            { "id": "2", "at": time("000"), "actor": "key", "actor_key_id": "3", "action": "key.create", "key_id": "4",
              "detail": { "kind": "secret", "expires_at": "2026-11-24T00:00:00.123Z" } },
            { "id": "1", "at": time("000"), "actor": "operator", "actor_key_id": null, "action": "org.create",
              "key_id": null, "detail": { "max_agents": 5 } },
        ])
    );
    assert_eq!(
        entries(2)
            .iter()
            .map(|entry| (entry.id, entry.at.0))
            .collect::<Vec<_>>(),
        [(2, 13), (1, 11)]
    );
    accounts
        .create_org("three", OrgSettings::default(), Actor::Operator)
        .unwrap();
    assert_eq!(entries(3)[0].id, 1);
}

#[test]
fn the_master_key_is_made_once_and_read_by_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.key");
    MasterKey::load_or_create(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    MasterKey::load_or_create(&path).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    for wrong in ["", "short", &"0".repeat(63)] {
        assert!(matches!(MasterKey::parse(wrong), Err(Error::BadMasterKey)));
    }
}

#[test]
fn a_master_key_file_without_a_key_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.key");
    std::fs::write(&path, "").unwrap();
    let sentence = MasterKey::load_or_create(&path).err().unwrap().to_string();
    assert_eq!(
        sentence,
        format!(
            "{} must hold a master key: 32 bytes, written as 64 hexadecimal digits or as base64",
            path.display()
        )
    );
}

#[test]
fn a_sealed_copy_opens_for_its_own_key_alone() {
    let (org, other) = (OrgId(1), OrgId(2));
    let sealed = master(1).seal(org, KeyId(1), "text").unwrap();
    let unseal = |byte, org, id| {
        master(byte)
            .unseal(org, KeyId(id), &sealed)
            .map(|text| text.to_string())
    };
    assert_eq!(unseal(1, org, 1), Some("text".to_owned()));
    assert_eq!(
        [unseal(2, org, 1), unseal(1, org, 2), unseal(1, other, 1)],
        [None, None, None]
    );
    assert_ne!(sealed, master(1).seal(org, KeyId(1), "text").unwrap());
    assert!(master(1).unseal(org, KeyId(1), &sealed[..11]).is_none());
}

#[test]
fn an_organisation_comes_with_all_its_first_keys_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = open(dir.path());
    let twice = generate_key(KeyKind::Secret).unwrap();
    let with_text = || NewKey {
        text: Some(twice.clone()),
        ..new(KeyKind::Secret)
    };
    let create =
        |keys| accounts.create_org_with_keys("default", OrgSettings::default(), keys, NOW, Actor::Operator);
    assert!(create(vec![new(KeyKind::Publishable), with_text(), with_text()]).is_err());
    assert!(matches!(
        create(vec![new(KeyKind::Secret); MAX_SECRET_KEYS + 1]),
        Err(Error::TooManySecretKeys)
    ));
    assert_eq!(accounts.orgs(), []);
    assert!(!accounts.is_live(&twice, NOW));
    drop(accounts);

    let accounts = open(dir.path());
    assert_eq!(accounts.orgs(), []);
    let keys = vec![new(KeyKind::Publishable), with_text()];
    let (org, made) = accounts
        .create_org_with_keys("default", OrgSettings::default(), keys, NOW, Actor::Operator)
        .unwrap();
    let infos: Vec<KeyInfo> = made.into_iter().map(|made| made.info).collect();
    assert_eq!(accounts.keys(org.id), infos);
    assert!(accounts.is_live(&twice, NOW));
    assert!(matches!(
        accounts.create_key(org.id, with_text(), NOW, Actor::Operator),
        Err(Error::KeyExists)
    ));
}

#[test]
fn a_chosen_text_decides_the_kind() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = open(dir.path());
    let org = org(&accounts);
    let disguised = NewKey {
        text: Some(generate_key(KeyKind::Publishable).unwrap()),
        ..new(KeyKind::Secret)
    };
    let refused = accounts.create_key(org, disguised, NOW, Actor::Operator);
    assert!(matches!(refused, Err(Error::AdminNeedsSecret)));
}

#[test]
fn a_revoked_secret_checks_no_signature_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = open(dir.path());
    let org = org(&accounts);
    let (first, second) = (
        make(&accounts, org, KeyKind::Secret),
        make(&accounts, org, KeyKind::Secret),
    );
    accounts
        .revoke_key(org, first.info.id, NOW, Actor::Operator)
        .unwrap();
    let signed: Vec<String> = accounts
        .signing_keys(org, NOW)
        .iter()
        .map(|key| key.sign(b"body"))
        .collect();
    assert_eq!(signed, [SigningKey::new(second.key.as_str()).sign(b"body")]);
    assert_eq!(accounts.unreadable(), [], "a revoked key is none that is missed");
    drop(accounts);
    let accounts = open(dir.path());
    assert_eq!(accounts.signing_keys(org, NOW).len(), 1);
    assert_eq!(accounts.unreadable(), []);
}

#[test]
fn looking_at_a_key_is_no_use_of_it_and_uses_are_written_once() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = open(dir.path());
    let org = org(&accounts);
    let made = make(&accounts, org, KeyKind::Publishable);
    assert!(accounts.is_live(&made.key, NOW));
    assert_eq!(accounts.keys(org)[0].last_used_at, None);
    accounts.authenticate(&made.key, NOW).unwrap();
    accounts.authenticate(&made.key, LATER).unwrap();
    assert_eq!(
        accounts.keys(org)[0].last_used_at,
        Some(NOW),
        "a use within the second isn't noted"
    );
    assert_eq!(
        accounts.directory.read().unwritten_uses(),
        [(org, made.info.id, NOW)]
    );
    accounts.flush().unwrap();
    assert_eq!(accounts.directory.read().unwritten_uses(), []);
    let next = Micros(NOW.0 + Micros::PER_SECOND);
    accounts.authenticate(&made.key, next).unwrap();
    assert_eq!(
        accounts.directory.read().unwritten_uses(),
        [(org, made.info.id, next)]
    );
}

#[test]
fn after_a_close_the_database_is_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = open(dir.path());
    let org = org(&accounts);
    make(&accounts, org, KeyKind::Publishable);
    accounts.close().unwrap();
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(dir.path().join(DATABASE), copy.path().join(DATABASE)).unwrap();
    assert_eq!(open(copy.path()).keys(org), accounts.keys(org));
}

#[test]
fn who_did_what_is_written_down() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = open(dir.path());
    let keys = vec![new(KeyKind::Secret)];
    let (org, made) = accounts
        .create_org_with_keys("default", OrgSettings::default(), keys, NOW, Actor::Operator)
        .unwrap();
    let actor = Actor::Key(made[0].info.id);
    let second = accounts
        .create_key(org.id, new(KeyKind::Publishable), LATER, actor)
        .unwrap();
    accounts.revoke_key(org.id, second.info.id, LATER, actor).unwrap();
    accounts.revoke_key(org.id, second.info.id, LATER, actor).unwrap();
    let connection = rusqlite::Connection::open(dir.path().join(DATABASE)).unwrap();
    let mut query = connection
        .prepare("SELECT at, actor_key, org, action, key, detail FROM audit ORDER BY org, id")
        .unwrap();
    let rows: Vec<(String, serde_json::Value)> = query
        .query_map([], |row| {
            let key = |at| Ok::<_, rusqlite::Error>(row.get::<_, Option<u32>>(at)?.unwrap_or_default());
            let what = format!(
                "+{} by {} in {}: {} {}",
                row.get::<_, i64>(0)? - NOW.0,
                key(1)?,
                row.get::<_, u32>(2)?,
                row.get::<_, String>(3)?,
                key(4)?,
            );
            let detail: Option<String> = row.get(5)?;
            // As values: the order of fields is nobody's promise.
            let detail = detail.map(|text| serde_json::from_str(&text).unwrap());
            Ok((what, detail.unwrap_or_default()))
        })
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let row = |what: &str, detail| (what.to_owned(), detail);
    assert_eq!(
        rows,
        [
            row(
                "+0 by 0 in 1: org.create 0",
                json!({ "ingest_rate_limit": null, "max_agents": null, "rate_limit": null, "require_signature": false })
            ),
            row(
                "+0 by 0 in 1: key.create 1",
                json!({ "expires_at": null, "kind": "secret", "scopes": "ingest,evaluate,read,admin" })
            ),
            row(
                "+1 by 1 in 1: key.create 2",
                json!({ "expires_at": null, "kind": "publishable", "scopes": "ingest,evaluate,read" })
            ),
            row("+1 by 1 in 1: key.revoke 2", json!(null)),
        ]
    );
}
