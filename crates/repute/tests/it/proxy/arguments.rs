//! With a flag, or a rule, what tools are given is judged before it reaches the server.

use super::kit::{Proxied, answer};
use serde_json::{Value, json};

/// The error in place of an answer.
fn refused(id: &Value, reason: &str) -> Value {
    json!({
        "jsonrpc": "2.0",
        "id": id,
        "error": {
            "code": -32_000,
            "message": format!("Blocked by Repute: filesystem: {reason}"),
            "data": { "blocked_by": "repute", "of": "arguments", "gates": [{ "name": "filesystem", "reason": reason }] },
        },
    })
}

const SENSITIVE: &str = "sensitive path detected in output";

#[test]
fn arguments_are_judged_only_if_asked_for() {
    let mut plain = Proxied::obedient(&[]);
    plain.call_with(
        &json!(1),
        "read",
        &json!({ "path": "/etc/shadow", "write": answer("1", "x") }),
    );
    assert_eq!(plain.line(), answer("1", "x"));
    let mut gated = Proxied::obedient(&["--gate-arguments"]);
    gated.call_with(
        &json!(1),
        "read",
        &json!({ "path": "/etc/shadow", "write": answer("1", "x") }),
    );
    assert_eq!(gated.json(), refused(&json!(1), SENSITIVE));
    gated.call_with(
        &json!("b"),
        "read",
        &json!({ "path": "/home/a/b.txt", "write": answer("\"b\"", "x") }),
    );
    assert_eq!(gated.line(), answer("\"b\"", "x"));
    let finished = gated.finish();
    let received = String::from_utf8(finished.received.clone()).unwrap();
    assert!(
        received.lines().count() == 1 && !received.contains("shadow"),
        "{received}"
    );
    let decisions = finished.decisions();
    let decisions: Vec<_> = decisions
        .iter()
        .map(|(of, _, decision)| (of.as_str(), decision.as_str()))
        .collect();
    assert_eq!(
        decisions,
        [
            ("arguments", "blocked"),
            ("arguments", "passed"),
            ("result", "passed")
        ]
    );
    assert!(!finished.log.contains("shadow"));
}

#[test]
fn a_call_that_nobody_waits_for_just_does_not_arrive() {
    let mut proxied = Proxied::obedient(&["--gate-arguments"]);
    let call = |path: &str| json!({ "method": "tools/call", "params": { "name": "t", "arguments": { "path": path, "write": "here\n" } } });
    proxied.send_json(&call("/etc/passwd"));
    proxied.send_json(&call("/a"));
    assert_eq!(proxied.line(), "here\n");
    assert_eq!(proxied.finish().out, "");
}

#[test]
fn a_member_of_a_batch_is_taken_out_and_answered() {
    let mut proxied = Proxied::obedient(&["--gate-arguments"]);
    let call = |id: u32, path: &str| {
        format!(
            r#"{{ "id":{id}, "method":"tools/call","params":{{"name":"t","arguments":{{"path":"{path}"}}}} }}"#
        )
    };
    let (bad, good) = (call(1, "/etc/passwd"), call(2, "/a]"));
    for (sent, arrives) in [
        (format!("[{bad} , {good}]\n"), Some(format!("[{good}]\n"))),
        (format!(" [ {good}, {bad} ] \r\n"), Some(format!("[{good}] \r\n"))),
        (
            format!("[{good},{bad},{good}]\n"),
            Some(format!("[{good},{good}]\n")),
        ),
        (format!("[{good}, {good} ]\n"), None),
        (format!("[{bad}]\n"), Some(String::new())),
    ] {
        proxied.send(&sent);
        if sent.contains("passwd") {
            assert_eq!(proxied.json(), json!([refused(&json!(1), SENSITIVE)]));
        }
        let params = json!({ "write": "mark\n" });
        proxied.send_json(&json!({ "method": "x", "params": params }));
        assert_eq!(proxied.line(), "mark\n");
        let received = std::fs::read(proxied.home.path().join("received")).unwrap();
        let received = String::from_utf8(received).unwrap();
        let arrived = arrives.unwrap_or(sent);
        let before_mark = received.rsplit_once("{\"method\":\"x\"").unwrap().0;
        assert!(before_mark.ends_with(&arrived), "{before_mark} / {arrived}");
    }
}

#[test]
fn a_rule_may_ask_for_it_too() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gates.toml");
    let text = r#"
        [set.shell]
        budget_ms = 60000
        gates = [{ gate = "filesystem", sensitive_paths = false }]
        [[rule]]
        tools = "run_*"
        target = "input"
        set = "shell"
    "#;
    std::fs::write(&file, text).unwrap();
    let mut proxied = Proxied::obedient(&["--config", file.to_str().unwrap()]);
    let mut is_refused = |tool: &str, command: &str| {
        proxied.call_with(
            &json!(1),
            tool,
            &json!({ "command": command, "write": answer("1", "x") }),
        );
        proxied.json()["error"]["code"] == -32_000
    };
    assert!(is_refused("run_command", "rm -rf /"));
    assert!(!is_refused("run_command", "cat /etc/passwd"));
    assert!(!is_refused("write_file", "rm -rf /"));
}

#[test]
fn a_dry_run_lets_arguments_pass_too() {
    let mut proxied = Proxied::obedient(&["--gate-arguments", "--dry-run"]);
    proxied.call_with(
        &json!(1),
        "read",
        &json!({ "path": "/etc/shadow", "write": answer("1", "x") }),
    );
    assert_eq!(proxied.line(), answer("1", "x"));
    assert!(
        proxied
            .error_line()
            .starts_with("repute: would block the arguments of read (")
    );
}

#[test]
fn a_call_that_says_two_things_is_a_doubt() {
    let calls = [
        r#"{"id":1,"method":"tools/call","params":{"name":"t","arguments":{"c":"rm -rf /"},"arguments":{}}}"#,
        r#"{"id":1,"method":"tools/call","params":{"name":"t","name":"u","arguments":{}}}"#,
        r#"{"id":1,"method":"tools/call","params":{"name":"t","arguments":{"c":"rm -rf /"}},"params":{}}"#,
        r#"{"id":1,"method":"tools/call","method":"ping","params":{"name":"t","arguments":{"c":"rm -rf /"}}}"#,
    ];
    for call in calls {
        let mut proxied = Proxied::obedient(&["--gate-arguments", "--fail-closed"]);
        proxied.send(format!("{call}\n"));
        assert_eq!(proxied.json()["error"]["data"]["doubt"], "not_json", "{call}");
        assert!(proxied.finish().received.is_empty(), "{call}");
    }
}
