//! What the socket does with long answers, bad requests and what a crash left.

use super::*;
use serde_json::json;
use server::accounts::{Actor, MasterKey, NewKey, OrgSettings};
use wire::{KeyKind, Scopes};

fn accounts(dir: &Path, keys: usize) -> Arc<Accounts> {
    let master = MasterKey::parse(&"1".repeat(64)).unwrap();
    let accounts = Accounts::open(dir, master).unwrap();
    let new = NewKey {
        kind: KeyKind::Publishable,
        name: Some("x".repeat(100)),
        scopes: Scopes::default_of(KeyKind::Publishable),
        expires_at: None,
        text: None,
    };
    let now = store::now();
    let keys = vec![new; keys];
    accounts
        .create_org_with_keys("acme", OrgSettings::default(), keys, now, Actor::Operator)
        .unwrap();
    Arc::new(accounts)
}

fn store(dir: &Path) -> Arc<Store> {
    let disk = Arc::new(journal::OsDisk);
    let store = Store::open(disk, dir, store::Options::default(), Arc::new(store::Unobserved));
    Arc::new(store.unwrap())
}

fn ask_again(dir: &Path, request: &Request) -> Result<Value> {
    ask(&connect(dir).unwrap(), request)
}

#[test]
fn a_list_longer_than_a_mebibyte_arrives_whole() {
    let dir = tempfile::tempdir().unwrap();
    let socket = listen(dir.path(), accounts(dir.path(), 4_000), store(dir.path())).unwrap();
    let org = "acme".to_owned();
    let answer = ask_again(dir.path(), &Request::ListKeys { org }).unwrap();
    assert_eq!(answer["keys"].as_array().unwrap().len(), 4_000);
    assert!(answer.to_string().len() > 1 << 20);
    drop(socket);
}

#[test]
fn what_is_no_request_is_told_so_and_the_next_one_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let socket = listen(dir.path(), accounts(dir.path(), 0), store(dir.path())).unwrap();
    let stream = connect(dir.path()).unwrap();
    send(&stream, &json!({ "Paint": "it black" })).unwrap();
    let Answer::Refused(why) = receive(&stream, MAX_ANSWER_BYTES, TIMEOUT).unwrap() else {
        panic!("not refused");
    };
    assert!(
        why.starts_with(
            "the server does not understand this command; is it of another version? (unknown variant `Paint`"
        ),
        "{why}"
    );
    let stream = connect(dir.path()).unwrap();
    (&stream)
        .write_all(&vec![b' '; MAX_REQUEST_BYTES as usize])
        .unwrap();
    let Answer::Refused(why) = receive(&stream, MAX_ANSWER_BYTES, TIMEOUT).unwrap() else {
        panic!("not refused");
    };
    assert!(why.contains("longer than 65536 bytes"), "{why}");
    assert_eq!(
        ask_again(dir.path(), &Request::ListOrgs).unwrap()["organisations"][0]["name"],
        "acme"
    );
    drop(socket);
}

#[test]
fn a_socket_that_a_crash_left_is_replaced_by_one_for_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = DataDir::admin_socket(dir.path());
    drop(UnixListener::bind(&path).unwrap());
    fs::create_dir(dir.path().join("admin.new")).unwrap();
    drop(UnixListener::bind(dir.path().join("admin.new/s")).unwrap());
    let socket = listen(dir.path(), accounts(dir.path(), 0), store(dir.path())).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!dir.path().join("admin.new").exists());
    ask_again(dir.path(), &Request::ListOrgs).unwrap();
    drop(socket);
    assert!(!path.exists());
}
