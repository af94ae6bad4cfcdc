//! `repute check`, and gate sets at the start and on SIGHUP.

use crate::kit::{Server, program, run, said};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Output, Stdio};

/// Runs `repute check` with that on standard input.
fn check(arguments: &[&str], input: &str) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let usual = dir.path().join("usual.toml");
    let text = "set.default = { budget_ms = 60_000, gates = [\"filesystem\", \"pii\", \"content\"] }";
    std::fs::write(&usual, text).unwrap(); // no verdict of a test depends on the machine
    let mut command = program(&["check"]);
    command.env("REPUTE_GATES", usual);
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn outputs_that_pass_end_with_0_and_one_that_fails_with_1() {
    let output = check(&[], "{\n \"a\": \"fine\"\n}");
    assert_eq!(
        (output.status.code(), told(&output).as_str()),
        (Some(0), "line 1: passed\n1 passed, 0 failed\n")
    );
    let output = check(&["-"], "\"fine\"\n\n{\"cmd\":\"rm -rf x\",\"to\":\"a@b.co\"}\n");
    let expected = "line 1: passed\nline 3: FAILED\n  FAILED filesystem: destructive command detected in output at /cmd\n  \
                    FAILED pii: email address detected in output at /to\n1 passed, 1 failed\n";
    assert_eq!(
        (output.status.code(), told(&output).as_str()),
        (Some(1), expected)
    );
    let output = check(&["--quiet"], "1\n2\n");
    assert_eq!(told(&output), "2 passed, 0 failed\n");
}

#[test]
fn what_is_no_json_ends_with_2() {
    let output = check(&[], "1\n{\n2\n");
    let expected = "line 1: passed\nline 2: not JSON: expected a key at byte 2\nline 3: passed\n2 passed, 0 failed, 1 not readable\n";
    assert_eq!(
        (output.status.code(), told(&output).as_str()),
        (Some(2), expected)
    );
    for file in ["/nowhere/outputs.jsonl", "/"] {
        let output = run(&["check", file]);
        assert_eq!(output.status.code(), Some(2), "{file}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(file));
    }
}

#[test]
fn scripts_get_one_object_a_line() {
    let output = check(&["--json"], "\"a@b.co\"");
    let told: Value = serde_json::from_str(&told(&output)).unwrap();
    assert_eq!((&told["line"], &told["passed"]), (&json!(1), &json!(false)));
    assert_eq!(told["gates"][1]["details"], json!({ "where": "" }));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_configuration_is_tried_on_yesterdays_requests() {
    let dir = tempfile::tempdir().unwrap();
    let gates = dir.path().join("gates.toml");
    let text = "[set.slow]\nbudget_ms = 60000\ngates = [{ gate = \"latency\", max_ms = 100 }, { gate = \"secrets\", shadow = true }]\n[set.default]\nbudget_ms = 60000\ngates = [\"content\"]\n[[rule]]\nagents = \"bot-*\"\nset = \"slow\"\n";
    std::fs::write(&gates, text).unwrap();
    let requests = "{\"agent_id\":\"bot-1\",\"output\":1,\"latency_ms\":143}\n{\"agent_id\":\"else\",\"output\":1,\"latency_ms\":143}\n";
    let gates = gates.to_str().unwrap();
    let output = check(&["--requests", "--quiet", "--gates", gates], requests);
    let expected = "line 1: FAILED\n  FAILED latency: latency 143ms exceeds 100ms threshold\n  skipped secrets: shadow\n1 passed, 1 failed\n";
    assert_eq!(
        (output.status.code(), told(&output).as_str()),
        (Some(1), expected)
    );
    let output = check(&["--gates", gates, "--set", "none"], "1");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("--set: there is no set `none`"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_wrong_configuration_stops_the_start_and_on_a_reload_the_old_one_stays() {
    let dir = tempfile::tempdir().unwrap();
    let gates = dir.path().join("gates.toml");
    let name = gates.to_str().unwrap();
    let write = |text: &str| std::fs::write(&gates, text).unwrap();
    write("[set.default]\ngates = [\"pi\"]\n");
    let refused = run(&["serve", "--data-dir", "/nowhere", "--gates", name]);
    assert_eq!(refused.status.code(), Some(2));
    let sentence =
        format!("--gates (REPUTE_GATES): {name}:2: set.default.gates[0].gate: there is no gate `pi`");
    assert!(said(&refused).contains(&sentence), "{}", said(&refused));

    write("[set.default]\ngates = [\"pii\"]\n");
    let server = Server::start(&["--gates", name]);
    let names = || -> Vec<String> {
        let (_, body) = server.get("/v1/gates");
        let gates = body["sets"][0]["gates"].as_array().unwrap().clone();
        gates
            .iter()
            .map(|gate| gate["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(), ["pii"]);
    write("[set.default]\ngates = [\"content\"]\n");
    server.signal(Signal::HUP);
    wait_for(&server, "the gate sets were read again");
    assert_eq!(names(), ["content"]);
    write("[set.default]\ngates = 1\n");
    server.signal(Signal::HUP);
    wait_for(&server, "set.default.gates: must be a list");
    assert_eq!(names(), ["content"]);
    assert_eq!(server.metric("repute_gates_not_reloaded_total"), Some(1));
}

fn wait_for(server: &Server, sentence: &str) {
    let give_up = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !server.logged().contains(sentence) {
        assert!(std::time::Instant::now() < give_up, "{}", server.logged());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
