//! `repute key rotate-master`, on a running server, on a stopped one, and killed at any moment; and what a wrong
//! master key says.

use crate::kit::{Server, program, run, said};
use repute_client::{Client, Event};
use serde_json::{Value, json};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Kills of a change in progress.
const KILLS: u64 = 12;

fn signing(server: &Server) -> Client {
    Client::builder()
        .url(format!("http://{}", server.address))
        .api_key(&server.publishable)
        .secret_key(&server.secret)
        .build()
        .unwrap()
}

/// What the server says of a signed event: nothing if it takes it.
fn signed(client: &Client) -> Option<String> {
    client
        .ingest(&[Event::new(true).agent("a")])
        .err()
        .map(|error| error.to_string())
}

fn rotate(server: &Server) -> Command {
    let mut command = program(&["key", "rotate-master", "--json", "--data-dir"]);
    command.arg(server.path());
    command
}

fn answer(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn master_key(server: &Server) -> String {
    std::fs::read_to_string(server.path().join("master.key")).unwrap()
}

#[test]
fn a_running_server_checks_signatures_before_while_and_after_its_master_key_changes() {
    let mut server = Server::start(&[]);
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let client = signing(&server);
            while !stop.load(Ordering::Relaxed) {
                let refused = signed(&client);
                sent.fetch_add(1, Ordering::Relaxed);
                assert_eq!(refused, None);
            }
        });
        // Whatever fails here: the one who sends must not send for ever.
        let outcome = std::panic::catch_unwind(|| {
            for _ in 0..5 {
                let (old, before) = (master_key(&server), sent.load(Ordering::Relaxed));
                let done = answer(&rotate(&server).output().unwrap());
                assert_eq!((&done["resealed"], &done["forgotten"]), (&json!(1), &json!(0)));
                assert_ne!(master_key(&server), old);
                while sent.load(Ordering::Relaxed) < before + 3 {
                    std::thread::yield_now();
                }
            }
        });
        stop.store(true, Ordering::Relaxed);
        outcome.unwrap();
    });
    assert_eq!(server.stop(), Some(0));
    server.start_again(&[]);
    assert_eq!(signed(&signing(&server)), None);
    assert!(!server.logged().contains("master key"), "{}", server.logged());
}

#[test]
fn a_change_that_is_killed_leaves_a_working_server_with_the_old_key_or_the_new() {
    let mut server = Server::start(&[]);
    let dir = server.path().to_str().unwrap().to_owned();
    for _ in 0..4 {
        run(&["key", "create", "default", "--kind", "secret", "--data-dir", &dir]);
    }
    assert_eq!(server.stop(), Some(0));
    for kill in 0..KILLS {
        let mut child = rotate(&server)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // At another moment each time, from before it begins to after its end.
        std::thread::sleep(Duration::from_millis(4 * kill));
        child.kill().unwrap();
        child.wait().unwrap();
        let keys = run(&["key", "list", "default", "--json", "--data-dir", &dir]);
        for key in answer(&keys)["keys"].as_array().unwrap() {
            assert_eq!(key["trouble"], Value::Null, "after kill {kill}: {}", said(&keys));
        }
        assert!(!server.path().join("master.key.new").exists());
    }
    server.start_again(&[]);
    assert_eq!(signed(&signing(&server)), None);
}

#[test]
fn a_master_key_of_the_environment_is_changed_for_the_one_that_is_given() {
    let (old, new) = ("01".repeat(32), "02".repeat(32));
    let under = |key: &str| {
        let mut command = program(&[]);
        command.env("REPUTE_MASTER_KEY", key);
        command
    };
    let mut server = Server::start_with_keys(&mut under(&old));
    let refused = rotate(&server).output().unwrap();
    assert_eq!(
        (refused.status.code(), said(&refused).as_str()),
        (
            Some(1),
            "repute: the master key is not in the data directory: give the new one as REPUTE_NEW_MASTER_KEY, or in the file \
             that REPUTE_NEW_MASTER_KEY_FILE names\n"
        )
    );
    let wrong = rotate(&server)
        .env("REPUTE_NEW_MASTER_KEY", "x")
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        said(&wrong).contains("REPUTE_NEW_MASTER_KEY: the master key must be 32 bytes"),
        "{}",
        said(&wrong)
    );
    let done = rotate(&server)
        .env("REPUTE_NEW_MASTER_KEY", &new)
        .output()
        .unwrap();
    assert!(
        answer(&done)["next"]
            .as_str()
            .unwrap()
            .starts_with("give the new master key at every start")
    );
    assert_eq!(signed(&signing(&server)), None);
    assert!(!server.logged().contains(&new) && !server.path().join("master.key").exists());
    assert_eq!(server.stop(), Some(0));
    server.start_with(&mut under(&new));
    assert_eq!(signed(&signing(&server)), None);
}

#[test]
fn a_wrong_master_key_says_exactly_what_no_longer_works() {
    let mut server = Server::start(&[]);
    let dir = server.path().to_str().unwrap().to_owned();
    let ask = |arguments: &[&str]| run(&[arguments, &["--json", "--data-dir", &dir]].concat());
    answer(&ask(&["org", "set", "default", "--require-signature", "true"]));
    assert_eq!(server.stop(), Some(0));
    std::fs::remove_file(server.path().join("master.key")).unwrap();
    server.start_again(&["--log-format", "json"]);

    // The log names organisation and keys, and that no event is taken.
    let logged = server.logged();
    let line = logged
        .lines()
        .find(|line| line.contains("does not open these secret keys"));
    let line: Value = serde_json::from_str(line.unwrap()).unwrap();
    assert_eq!(
        (
            &line["level"],
            &line["org_id"],
            &line["keys"],
            &line["takes_no_events"]
        ),
        (&json!("ERROR"), &json!(1), &json!("[2]"), &json!(true))
    );
    // So does the list of keys.
    let keys = answer(&ask(&["key", "list", "default"]));
    assert_eq!(keys["keys"][0]["trouble"], Value::Null);
    assert_eq!(
        keys["keys"][1]["trouble"],
        "sealed under another master key: checks no signature"
    );
    // A client is told that it is not its own fault, and all else works.
    assert_eq!(
        signed(&signing(&server)).unwrap(),
        "the signature matches the body under no secret key that the server can read; others of the organisation are sealed \
         under another master key: sign with a newer one, or tell the server's operator (401 hmac_invalid)"
    );
    assert_eq!(server.get("/v1/events").0, 200);
    let publishable = std::mem::replace(&mut server.publishable, server.secret.clone());
    assert_eq!(server.get("/v1/keys").0, 200, "it still administers");
    server.publishable = publishable;
    let refused = ask(&["key", "rotate-master"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said(&refused).contains("does not open all live secret keys"),
        "{}",
        said(&refused)
    );

    // New keys work at once, and with the old ones gone all is well.
    let made = answer(&ask(&["key", "create", "default", "--kind", "secret"]));
    server.secret = made["key"].as_str().unwrap().to_owned();
    assert_eq!(signed(&signing(&server)), None);
    answer(&ask(&["key", "revoke", "default", "2"]));
    assert_eq!(answer(&ask(&["key", "rotate-master"]))["resealed"], 1);
}
