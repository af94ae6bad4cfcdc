//! `repute verify` beside a running server, after a stop, and on damage.

use crate::kit::{Server, run, said};
use serde_json::Value;
use std::process::Output;

fn verify(server: &Server) -> (Option<i32>, Value) {
    let output = run(&["verify", "--json", "--data-dir", server.path().to_str().unwrap()]);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
    (output.status.code(), report)
}

fn for_people(server: &Server) -> (Option<i32>, String) {
    let Output { status, stdout, .. } = run(&["verify", "--data-dir", server.path().to_str().unwrap()]);
    (status.code(), String::from_utf8(stdout).unwrap())
}

fn send(server: &Server, batches: u32) {
    let mut client = server.client();
    for batch in 0..batches {
        let event = format!(
            r#"{{"agent_id":"agent-{}","passed":true,"gates":[],"total_latency_ms":3,"evaluation_id":"{batch}"}}"#,
            batch % 3
        );
        let body = format!(r#"{{"events":[{event}]}}"#);
        assert_eq!(client.post("/v1/ingest", body.as_bytes()).unwrap().0, 202);
    }
}

#[test]
fn a_directory_is_verified_running_and_stopped_and_damage_is_named() {
    let mut server = Server::start(&[]);
    send(&server, 40);
    let (code, report) = verify(&server);
    assert_eq!(
        (code, report["sound"].as_bool()),
        (Some(0), Some(true)),
        "{report}"
    );
    assert_eq!(
        (report["events"].as_u64(), report["agents"].as_u64()),
        (Some(40), Some(3))
    );
    assert_eq!(server.stop(), Some(0));
    let (code, text) = for_people(&server);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.ends_with("totals: recounted\nsound\n"), "{text}");

    let segment = server.path().join("log/0/0000000001-000.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[5 * 512 + 40] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let (code, report) = verify(&server);
    assert_eq!((code, report["sound"].as_bool()), (Some(1), Some(false)));
    let finding = &report["findings"][0];
    assert_eq!(finding["file"], segment.to_str().unwrap());
    assert_eq!(finding["offset"], 5 * 512);
    let (_, text) = for_people(&server);
    assert!(
        text.contains("0000000001-000.seg at byte 2560: the frame after frame 4 does not check"),
        "{text}"
    );
    assert!(
        text.contains("run `repute repair`") && text.ends_with("1 place is wrong\n"),
        "{text}"
    );
}

#[test]
fn a_damaged_database_of_keys_is_named() {
    let mut server = Server::start(&[]);
    assert_eq!(server.stop(), Some(0));
    let database = server.path().join("repute.db");
    let mut bytes = std::fs::read(&database).unwrap();
    let second_page = 4_096;
    bytes[second_page..second_page + 64].fill(0xff);
    std::fs::write(&database, bytes).unwrap();
    let (code, report) = verify(&server);
    assert_eq!(code, Some(1));
    assert_eq!(
        report["findings"][0]["file"],
        database.to_str().unwrap(),
        "{report}"
    );
}

#[test]
fn a_directory_without_a_server_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(&["verify", "--data-dir", dir.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("there is nothing of Repute's in"));
}
