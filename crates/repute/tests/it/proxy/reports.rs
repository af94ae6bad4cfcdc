//! What is told of decisions: the log, standard error, a Repute server.

use super::kit::{Proxied, SECRET, answer, blocked, logged};
use crate::kit::{Server, program, said};
use serde_json::{Value, json};

#[test]
fn a_log_that_cannot_be_written_is_told_once_and_breaks_nothing() {
    let mut proxied = Proxied::obedient(&["--log-dir", "/proc/nowhere"]);
    for _ in 0..3 {
        proxied.call(&json!(1), "t", &answer("1", SECRET));
        assert_eq!(proxied.json(), blocked(&json!(1)));
    }
    let finished = proxied.finish();
    assert!(finished.status.success());
    let sentence = "repute: the decision log cannot be written: ";
    assert!(finished.errors.starts_with(sentence), "{}", finished.errors);
    assert_eq!(finished.errors.lines().count(), 1);
}

#[test]
fn verbose_tells_each_decision_and_no_name_steers_the_terminal() {
    let mut proxied = Proxied::obedient(&["--verbose"]);
    proxied.call(&json!(1), "a\u{1b}[31m\n", &answer("1", "fine"));
    proxied.bytes();
    let line = proxied.error_line();
    assert!(
        line.starts_with("repute: passed the result of a\\u{1b}[31m\\n ("),
        "{line}"
    );
    assert!(line.ends_with(" ms)\n"), "{line}");
}

#[test]
fn a_line_of_the_log_says_who_what_and_why() {
    let mut proxied = Proxied::obedient(&["--agent-id", "reader"]);
    let text = format!("key {SECRET}");
    proxied.call(&json!(1), "read", &answer("1", &text));
    proxied.bytes();
    let log = proxied.finish().log;
    let mut line: Value = serde_json::from_str(&log).unwrap();
    let time = line["time"].take();
    assert!(
        time.as_str()
            .is_some_and(|time| time.len() == 24 && time.ends_with('Z')),
        "{time}"
    );
    assert!(
        line["total_latency_ms"]
            .take()
            .as_f64()
            .is_some_and(|ms| ms > 0.0)
    );
    for gate in line["gates"].as_array_mut().unwrap() {
        assert!(gate["latency_ms"].take().is_number());
    }
    let bytes = json!({ "content": [{ "type": "text", "text": text }] })
        .to_string()
        .len();
    assert_eq!(
        line,
        json!({
            "time": null, "agent_id": "reader", "tool": "read", "of": "result", "decision": "blocked",
            "gates": [
                { "name": "content", "passed": true, "latency_ms": null },
                { "name": "secrets", "passed": false, "latency_ms": null, "reason": "AWS access key detected in output" },
            ],
            "total_latency_ms": null, "bytes": bytes,
        })
    );
}

#[test]
fn verdicts_reach_a_server_under_the_name_of_the_mcp_server() {
    let server = Server::start(&[]);
    let url = format!("http://{}", server.address);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/proxy/server.py");
    let variables = [
        ("REPUTE_API_KEY", server.publishable.as_str()),
        ("REPUTE_URL", url.as_str()),
    ];
    let home = tempfile::tempdir().unwrap();
    let mut proxied = Proxied::start_in(
        home,
        &["--gate-arguments"],
        &variables,
        &["python3", "-S", script],
    );
    let hello = json!({ "jsonrpc": "2.0", "id": 0, "result": { "protocolVersion": "2025-06-18", "serverInfo": { "name": "files", "version": "1" } } });
    proxied
        .send_json(&json!({ "id": 0, "method": "initialize", "params": { "write": format!("{hello}\n") } }));
    assert_eq!(proxied.json(), hello);
    proxied.call(&json!(1), "read", &answer("1", "fine"));
    assert_eq!(proxied.line(), answer("1", "fine"));
    proxied.call(&json!(2), "read", &answer("2", SECRET));
    assert_eq!(proxied.json(), blocked(&json!(2)));
    proxied.call_with(&json!(3), "write", &json!({ "path": "/etc/passwd" }));
    assert_eq!(proxied.json()["error"]["data"]["of"], "arguments");
    assert!(proxied.finish().status.success());
    let (_, reputation) = server.get("/v1/reputation/files");
    assert_eq!(
        (&reputation["evaluations"], &reputation["passed"]),
        (&json!(3), &json!(1))
    );
    let (_, listed) = server.get("/v1/events?agent_id=files&tool=read&passed=false");
    let event = &listed["events"][0];
    let names: Vec<_> = event["gates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|gate| &gate["name"])
        .collect();
    assert_eq!(names, ["arguments.filesystem", "content", "secrets"]);
    assert!(!listed.to_string().contains(SECRET));
    let (_, listed) = server.get("/v1/events?agent_id=files&tool=write");
    assert_eq!(listed["events"][0]["gates"][0]["name"], "arguments.filesystem");
}

#[test]
fn a_server_that_cannot_be_reached_holds_nothing_up() {
    let home = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/proxy/server.py");
    let flags = [
        "--url",
        "http://127.0.0.1:9",
        "--key",
        "pk_live_0123456789abcdefghijABCDEFGHIJkl",
    ];
    let mut proxied = Proxied::start_in(home, &flags, &[], &["python3", "-S", script]);
    proxied.call(&json!(1), "t", &answer("1", "fine"));
    assert_eq!(proxied.line(), answer("1", "fine"));
    proxied.close();
    assert!(proxied.wait().success());
    // What could not be sent waits for the next.
    let spools = std::fs::read_dir(proxied.home.path().join(".repute/spool")).unwrap();
    let files = spools.flat_map(|spool| std::fs::read_dir(spool.unwrap().path()).unwrap());
    let names: Vec<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.iter().any(|name| name.ends_with(".jsonl")), "{names:?}");
    assert_eq!(logged(proxied.home.path()).lines().count(), 1);
}

#[test]
fn a_setting_that_cannot_be_is_told_before_anything_starts() {
    for (flags, sentence) in [
        (
            &["--key", "pk_live_x"][..],
            "--key (REPUTE_API_KEY): needs --url (REPUTE_URL): where to send verdicts",
        ),
        (
            &["--url", "http://127.0.0.1:9"],
            "--url (REPUTE_URL): needs a key, --key (REPUTE_API_KEY, REPUTE_API_KEY_FILE)",
        ),
        (
            &["--url", "http://127.0.0.1:9", "--key", "x"],
            "--key (REPUTE_API_KEY): not of the form pk_live_ or sk_live_ and 32 letters or digits",
        ),
        (
            &["--max-message", "1KiB"],
            "--max-message: must be from 64KiB to 1GiB",
        ),
        (
            &["--max-message", "x"],
            "--max-message: `x` is not a size like 16MiB, 512KiB or 1048576",
        ),
        (&["--agent-id", ""], "--agent-id: must have 1 to 200 characters"),
        (
            &["--config", "/nowhere.toml"],
            "--config: /nowhere.toml: No such file or directory (os error 2)",
        ),
    ] {
        let output = program(&["proxy"])
            .args(flags)
            .args(["--", "cat"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        assert_eq!(said(&output), format!("repute: {sentence}\n"));
    }
    let output = program(&["proxy"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("the server's command is missing"));
}
