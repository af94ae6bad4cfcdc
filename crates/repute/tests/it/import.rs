//! `repute import`: an export of one server becomes the same events on another.

use crate::kit::{Server, run, said};
use serde_json::Value;
use std::path::Path;
use std::process::Output;

fn export(server: &Server, to: &Path) -> Vec<Value> {
    let output = run(&["export", "default", "--data-dir", server.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    std::fs::write(to, &output.stdout).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn import(server: &Server, file: &Path, more: &[&str]) -> Output {
    let dir = server.path().to_str().unwrap();
    run(&[
        &[
            "import",
            "default",
            file.to_str().unwrap(),
            "--data-dir",
            dir,
            "--json",
        ][..],
        more,
    ]
    .concat())
}

fn report(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Events of all kinds: with and without ids and timestamps, late, clamped, and evaluated by the server.
fn fill(server: &Server) {
    let mut client = server.client();
    for batch in 0..40 {
        let events: Vec<String> = (0..25)
            .map(|n| {
                let passed = (batch + n) % 4 != 0;
                let time = match n {
                    0 => String::new(),
                    1 => r#","timestamp":"2031-01-01T00:00:00Z""#.to_owned(),
                    2 => format!(r#","timestamp":"2020-01-01T00:00:{batch:02}Z""#),
                    _ => format!(r#","timestamp":"2026-05-07T14:{batch:02}:{n:02}.123456Z""#),
                };
                format!(
                    r#"{{"agent_id":"agent-{}","passed":{passed},"gates":[{{"name":"pii","passed":{passed},"latency_ms":0.25,"reason":"because"}}],"total_latency_ms":{}.125,"evaluation_id":"{batch}-{n}"{time}}}"#,
                    u8::from(n < 2),
                    n * 3
                )
            })
            .collect();
        let body = format!(r#"{{"events":[{}]}}"#, events.join(","));
        assert_eq!(client.post("/v1/ingest", body.as_bytes()).unwrap().0, 202);
    }
}

fn assert_sound(server: &Server) {
    let output = run(&["verify", "--data-dir", server.path().to_str().unwrap()]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[test]
fn an_organisation_that_never_had_an_event_gets_the_same_events_under_the_same_ids() {
    let dir = tempfile::tempdir().unwrap();
    let (mut from, mut to) = (Server::start(&[]), Server::start(&[]));
    fill(&from);
    let standing = |server: &Server| server.get("/v1/reputation/agent-0").1;
    let expected = standing(&from);
    assert_eq!(from.stop(), Some(0));
    let file = dir.path().join("events.jsonl");
    let exported = export(&from, &file);
    assert_eq!(exported.len(), 1_000);
    let refused = import(&to, &file, &[]);
    assert!(said(&refused).contains("stop it first"), "{}", said(&refused));
    assert_eq!(to.stop(), Some(0));
    // Cut short, and gone on with.
    let text = std::fs::read_to_string(&file).unwrap();
    let half = dir.path().join("half.jsonl");
    std::fs::write(
        &half,
        text.lines()
            .take(333)
            .fold(String::new(), |all, line| all + line + "\n"),
    )
    .unwrap();
    assert_eq!(report(&import(&to, &half, &[]))["recorded"], 333);
    let rest = report(&import(&to, &file, &["--resume"]));
    assert_eq!(
        (&rest["recorded"], &rest["passed_over"]),
        (&667.into(), &333.into()),
        "{rest}"
    );

    let imported = export(&to, &dir.path().join("again.jsonl"));
    for (imported, exported) in imported.iter().zip(&exported) {
        assert_eq!(imported, exported);
    }
    assert_eq!(imported.len(), exported.len());
    assert_sound(&to);
    to.start_again(&[]);
    to.wait_until_ready();
    assert_eq!(standing(&to), expected);
    assert_eq!(to.get("/v1/events/17").1["id"], "17");
}

#[test]
fn an_import_that_began_beside_other_events_does_not_go_on_by_ids() {
    let dir = tempfile::tempdir().unwrap();
    let (mut from, mut to) = (Server::start(&[]), Server::start(&[]));
    fill(&from);
    fill(&to);
    assert_eq!((from.stop(), to.stop()), (Some(0), Some(0)));
    let file = dir.path().join("events.jsonl");
    let exported = export(&from, &file);
    let refused = import(&to, &file, &["--resume"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said(&refused).contains("nothing was taken in"),
        "{}",
        said(&refused)
    );
    // A file that ends before the newest event here.
    let text = std::fs::read_to_string(&file).unwrap();
    let half = dir.path().join("half.jsonl");
    let lines: Vec<&str> = text.lines().take(333).collect();
    std::fs::write(&half, lines.join("\n")).unwrap();
    assert_eq!(import(&to, &half, &["--resume"]).status.code(), Some(1));
    // One that is taken in already.
    let again = report(&import(&from, &file, &["--resume"]));
    assert_eq!(
        (&again["recorded"], &again["passed_over"]),
        (&0.into(), &exported.len().into()),
        "{again}"
    );
}

#[test]
fn elsewhere_ids_are_new_and_repeats_are_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let (mut from, mut to) = (Server::start(&[]), Server::start(&[]));
    fill(&from);
    let mut client = to.client();
    let own = r#"{"events":[{"agent_id":"agent-0","passed":true,"gates":[],"total_latency_ms":1,"evaluation_id":"own"}]}"#;
    assert_eq!(client.post("/v1/ingest", own.as_bytes()).unwrap().0, 202);
    assert_eq!((from.stop(), to.stop()), (Some(0), Some(0)));
    let file = dir.path().join("events.jsonl");
    export(&from, &file);
    let first = report(&import(&to, &file, &[]));
    assert_eq!(
        (&first["recorded"], &first["ids_kept"]),
        (&1_000.into(), &false.into()),
        "{first}"
    );
    let again = report(&import(&to, &file, &[]));
    assert_eq!(
        (&again["recorded"], &again["duplicates"]),
        (&0.into(), &1_000.into()),
        "{again}"
    );
    let events = export(&to, &dir.path().join("again.jsonl"));
    assert_eq!(
        (events.len(), &events[1]["id"], &events[1]["evaluation_id"]),
        (1_001, &"2".into(), &"0-0".into())
    );
    assert_sound(&to);
}

#[test]
fn a_line_that_is_none_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(&[]);
    assert_eq!(server.stop(), Some(0));
    let file = dir.path().join("events.jsonl");
    std::fs::write(&file, "{}\n").unwrap();
    let refused = said(&import(&server, &file, &[]));
    assert_eq!(refused, "repute: line 1: missing field `id` at column 2\n");
    let refused = said(&import(&server, dir.path(), &[]));
    let sentence = format!("repute: {} is a directory\n", dir.path().display());
    assert_eq!(refused, sentence);
}

#[test]
fn an_import_that_ends_says_how_far_it_came_and_how_to_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (mut from, mut to) = (Server::start(&[]), Server::start(&[]));
    fill(&from);
    assert_eq!((from.stop(), to.stop()), (Some(0), Some(0)));
    let file = dir.path().join("events.jsonl");
    export(&from, &file);
    let text = std::fs::read_to_string(&file).unwrap();
    let broken = dir.path().join("broken.jsonl");
    let lines: Vec<&str> = text.lines().collect();
    std::fs::write(&broken, [&lines[..60], &["{}"]].concat().join("\n")).unwrap();
    // In batches of 25 as they came: the third is not whole.
    let refused = said(&import(&to, &broken, &[]));
    assert!(
        refused.starts_with("repute: line 61: missing field")
            && refused
                .ends_with("; all lines before line 51 are in: once this is mended, go on with --resume\n"),
        "{refused}"
    );
    assert_eq!(report(&import(&to, &file, &["--resume"]))["recorded"], 950);
    // Under new ids there is nothing to tell by what is in.
    let refused = said(&import(&to, &broken, &[]));
    assert!(
        refused.ends_with(
            "; all lines before line 51 are in: once this is mended, go on with what is left of the file from there\n"
        ),
        "{refused}"
    );
    let no_text = [lines[..60].join("\n").as_bytes(), b"\n\xff\n"].concat();
    std::fs::write(&broken, no_text).unwrap();
    let refused = said(&import(&to, &broken, &[]));
    assert!(
        refused.starts_with("repute: line 61: stream did not contain valid UTF-8; all lines"),
        "{refused}"
    );
}
