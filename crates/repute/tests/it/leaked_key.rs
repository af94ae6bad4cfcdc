//! A publishable key has leaked: the commands of docs/operations.md, as they are written there.

use crate::kit::{Server, run, said};
use crate::torture::client::Client;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const PAGE: &str = include_str!("../../../../docs/operations.md");
const HEADING: &str = "## A leaked publishable key\n";

/// The block of commands below the heading.
fn commands() -> &'static str {
    let section = PAGE.split_once(HEADING).unwrap().1;
    let block = section.split_once("```sh\n").unwrap().1;
    block.split_once("```").unwrap().0
}

fn ingest(client: &mut Client, agents: &[&str]) -> u16 {
    let event =
        |agent: &&str| json!({ "agent_id": agent, "passed": true, "gates": [], "total_latency_ms": 1 });
    let body = json!({ "events": agents.iter().map(event).collect::<Vec<_>>() }).to_string();
    client.post("/v1/ingest", body.as_bytes()).unwrap().0
}

#[test]
fn the_commands_for_a_leaked_key_work_as_they_are_written() {
    let server = Server::start(&[]);
    let dir = server.path().to_str().unwrap();
    let made = run(&[
        "key",
        "create",
        "default",
        "--name",
        "leaks",
        "--json",
        "--data-dir",
        dir,
    ]);
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let (leaked, id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
    let mut good = server.client();
    let mut bad = Client::new(&server.address, leaked, Duration::from_secs(20));
    assert_eq!(ingest(&mut good, &["ours", "ours"]), 202);
    assert_eq!(ingest(&mut bad, &["ours", "theirs", "theirs"]), 202);
    assert_eq!(ingest(&mut bad, &[""]), 400);

    // What it could not do.
    for (method, path) in [
        ("GET", "/v1/keys"),
        ("POST", "/v1/keys"),
        ("DELETE", "/v1/keys/1"),
        ("GET", "/v1/audit"),
        ("GET", "/v1/ledger"),
        ("DELETE", "/v1/agents/ours"),
    ] {
        let (status, answer) = bad.request(method, path, b"{}").unwrap();
        assert_eq!(
            (status, answer["code"].as_str()),
            (403, Some("scope_missing")),
            "{method} {path}"
        );
    }

    let place = tempfile::tempdir().unwrap();
    let binaries = Path::new(env!("CARGO_BIN_EXE_repute")).parent().unwrap();
    let path = format!("{}:{}", binaries.display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-euc", commands()])
        .current_dir(place.path())
        .env_clear()
        .env("PATH", path)
        .env("REPUTE_DATA_DIR", dir)
        .env("ORG", "default")
        .env("LAST4", &leaked[36..])
        .env("SERVER", format!("http://{}", server.address))
        .env("ADMIN", &server.secret)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let shown = String::from_utf8(output.stdout).unwrap();

    // Its requests and events, by what became of them: two batches, and six that were refused.
    let ledger = shown
        .lines()
        .find(|line| line.starts_with(r#"{"entries":"#))
        .unwrap();
    let ledger: Value = serde_json::from_str(ledger).unwrap();
    let (mut recorded, mut by_status) = (0, BTreeMap::new());
    for entry in ledger["entries"].as_array().unwrap() {
        assert_eq!(entry["key_id"], id, "of no other key");
        recorded += entry["events"]["recorded"].as_u64().unwrap();
        for (status, count) in entry["requests"]["by_status"].as_object().unwrap() {
            *by_status.entry(status.as_str()).or_insert(0) += count.as_u64().unwrap();
        }
    }
    assert_eq!(recorded, 3);
    assert_eq!(by_status, BTreeMap::from([("202", 1), ("400", 1), ("403", 6)]));
    // Its events, and whom they are about.
    let sent = std::fs::read_to_string(place.path().join("sent.jsonl")).unwrap();
    let sent: Vec<Value> = sent
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|event| event["key_id"] == id));
    let counts: Vec<&str> = shown
        .lines()
        .filter(|line| line.contains(r#""agent_id":""#))
        .map(str::trim)
        .collect();
    assert_eq!(counts, [r#"2 "agent_id":"theirs""#, r#"1 "agent_id":"ours""#]);
    // It is over, and all others go on.
    assert_eq!(bad.get("/v1/whoami").unwrap().1["code"], "auth_revoked");
    assert_eq!(good.get("/v1/whoami").unwrap().0, 200);
    assert!(
        shown.contains("pk_live_") && shown.contains("key.revoke"),
        "{shown}"
    );
}
