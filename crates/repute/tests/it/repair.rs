//! `repute repair` on a stopped server with damage.

use crate::kit::{Server, run, said};
use serde_json::Value;
use std::process::Output;

fn repute(server: &Server, arguments: &[&str]) -> Output {
    let dir = ["--data-dir", server.path().to_str().unwrap()];
    run(&[arguments, &dir].concat())
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_damaged_log_is_repaired_after_saying_what_is_lost() {
    let mut server = Server::start(&[]);
    let mut client = server.client();
    for event in 0..30 {
        let body = format!(
            r#"{{"events":[{{"agent_id":"agent-{}","passed":true,"gates":[],"total_latency_ms":3,"evaluation_id":"{event}"}}]}}"#,
            event % 3
        );
        assert_eq!(client.post("/v1/ingest", body.as_bytes()).unwrap().0, 202);
    }
    let refused = repute(&server, &["repair", "--yes"]);
    assert!(said(&refused).contains("stop it first"), "{}", said(&refused));
    assert_eq!(server.stop(), Some(0));
    let nothing = repute(&server, &["repair"]);
    assert_eq!(
        (nothing.status.code(), text(&nothing).as_str()),
        (Some(0), "there is nothing to repair\n")
    );

    let segment = server.path().join("log/0/0000000001-000.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[7 * 512 + 40] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    let dry = repute(&server, &["repair", "--dry-run"]);
    assert_eq!(dry.status.code(), Some(1));
    for line in [
        "lost: frames 7 to 7, ",
        "lost: events 7 to 7 of organisation 1\n",
        "kept: ",
    ] {
        assert!(text(&dry).contains(line), "{}", text(&dry));
    }
    let unasked = repute(&server, &["repair"]);
    assert!(
        said(&unasked).contains("nothing was changed: say --yes"),
        "{}",
        said(&unasked)
    );
    assert_eq!(std::fs::read(&segment).unwrap(), bytes, "nothing was changed");

    let done = repute(&server, &["repair", "--yes", "--json"]);
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(
        (done.status.code(), &report["done"]),
        (Some(0), &Value::Bool(true)),
        "{report}"
    );
    assert_eq!(report["lost_events"][0]["first"], 7);
    let kept = server.path().join("set-aside/0000000001-000.seg");
    assert_eq!(std::fs::read(kept).unwrap(), bytes, "the damaged bytes are kept");
    let verified = repute(&server, &["verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified));

    server.start_again(&[]);
    server.wait_until_ready();
    let (_, page) = server.get("/v1/events?limit=100");
    let events = page["events"].as_array().unwrap();
    assert_eq!(events.len(), 29);
    assert!(events.iter().all(|event| event["id"] != "7"));
    assert_eq!(
        server.get("/v1/events/7").0,
        404,
        "no other event answers to its id"
    );
    let (_, standing) = server.get("/v1/reputation/agent-0");
    assert_eq!(standing["evaluations"], 9, "it is counted from what is left");
    assert_eq!(server.stop(), Some(0));
    assert_eq!(repute(&server, &["verify"]).status.code(), Some(0));
}
