//! `repute torture`: SIGKILL in the middle of everything, torn writes, stopped processes, full disks; and that
//! its books notice what is wrong.

#[path = "../../src/torture/books.rs"]
mod books;
#[path = "../../src/torture/client.rs"]
pub(crate) mod client;

use crate::kit::{Server, program, run, said};
use serde_json::Value;

/// Runs the lab in a fresh directory; gives its report and what it left there.
fn torture(arguments: &[&str]) -> (Value, usize) {
    let dir = tempfile::tempdir().unwrap();
    let output = run(&[&["torture", dir.path().to_str().unwrap(), "--json"], arguments].concat());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let report = serde_json::from_slice(&output.stdout).unwrap();
    (report, std::fs::read_dir(dir.path()).unwrap().count())
}

fn assert_balanced(report: &Value, crashes: u64) {
    assert_eq!(report["crashes"], crashes, "{report}");
    for wrong in ["lost", "counted_twice", "wrong_scores"] {
        assert_eq!(report[wrong], 0, "{report}");
    }
}

fn sum(report: &Value, field: &str) -> u64 {
    let rounds = report["rounds"].as_array().unwrap();
    rounds.iter().map(|round| round[field].as_u64().unwrap()).sum()
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_counts_twice_over_20_kills() {
    let small = ["--max-segment", "256KiB", "--log-level", "warn"];
    let lab = [
        "--crashes",
        "20",
        "--faults",
        "kill",
        "--senders",
        "32",
        "--load",
        "120ms",
        "--",
    ];
    let (report, left) = torture(&[&lab[..], &small].concat());
    assert_balanced(&report, 20);
    assert!(
        sum(&report, "acknowledged") > 20 * 20 && sum(&report, "resent") > 0,
        "{report}"
    );
    assert_eq!(left, 0, "a lab that went well leaves nothing");
    let rounds = report["rounds"].as_array().unwrap().iter();
    let mut restarts_ms: Vec<u64> = rounds
        .map(|round| round["restart_ms"].as_u64().unwrap())
        .collect();
    restarts_ms.sort_unstable();
    // Half of them, so that one moment of a busy machine fails nothing.
    assert!(restarts_ms[10] < 2_000, "ready too late: {restarts_ms:?}");
}

#[test]
fn nor_over_torn_writes_stopped_processes_and_full_disks() {
    let small = ["--max-segment", "256KiB"];
    let lab = [
        "--crashes",
        "6",
        "--faults",
        "torn,stop,full",
        "--load",
        "100ms",
        "--",
    ];
    let (report, _) = torture(&[&lab[..], &small].concat());
    assert_balanced(&report, 6);
    let rounds = report["rounds"].as_array().unwrap();
    assert!(
        rounds.iter().all(|round| round["requests"].as_u64() > Some(0)),
        "{report}"
    );
}

#[test]
fn the_table_ends_in_what_scripts_and_people_look_for() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(&[
        "torture",
        dir.path().to_str().unwrap(),
        "--crashes",
        "2",
        "--load",
        "50ms",
        "--keep",
    ]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("\n0 acknowledged events lost, 0 counted twice, in 2 crashes\n"),
        "{text}"
    );
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        1,
        "it is kept where that is wanted"
    );
}

#[test]
fn the_lab_has_neither_the_tls_nor_the_metrics_of_the_server_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let output = program(&[
        "torture",
        dir.path().to_str().unwrap(),
        "--crashes",
        "1",
        "--load",
        "50ms",
    ])
    .env("REPUTE_TLS_CERT", "/nowhere")
    .env("REPUTE_TLS_KEY", "/nowhere")
    .env("REPUTE_METRICS_LISTEN", "192.0.2.1:1")
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn a_server_that_cannot_start_ends_the_lab() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(&["torture", dir.path().to_str().unwrap(), "--", "--max-body", "0"]);
    assert_eq!(output.status.code(), Some(1));
    let said = said(&output);
    assert!(
        said.contains("the server does not start") && said.contains("--max-body"),
        "{said}"
    );
    assert!(said.contains("everything is left in"), "{said}");
}

/// What the lab's books say of a server that lists these ids, where these were acknowledged.
fn books_of(listed: &[&str], is_acknowledged: &[bool]) -> books::Balance {
    let server = Server::start(&[]);
    let mut client = server.client();
    for (second, id) in listed.iter().enumerate() {
        let body = format!(
            r#"{{"events":[{{"agent_id":"a","passed":true,"gates":[],"total_latency_ms":1,"evaluation_id":"{id}","timestamp":"2026-01-01T00:00:{second:02}Z"}}]}}"#
        );
        assert_eq!(client.post("/v1/ingest", body.as_bytes()).unwrap().0, 202);
    }
    books::check(&mut client, is_acknowledged).unwrap()
}

#[test]
fn the_books_notice_what_is_lost_and_what_is_listed_twice() {
    let sound = books_of(&["0", "1", "2"], &[true, true, false]);
    assert!(sound.is_sound() && sound.listed == 3, "{sound:?}");
    let wrong = books_of(&["0", "2", "2"], &[true, true, true]);
    assert_eq!((wrong.lost, wrong.twice, wrong.wrong_scores), (1, 1, 0));
}

#[test]
fn retention_is_refused_since_its_work_looks_like_a_loss() {
    let dir = tempfile::tempdir().unwrap();
    let torture = |flags: &[&str]| {
        program(
            &[
                &["torture", dir.path().to_str().unwrap(), "--crashes", "1"],
                flags,
            ]
            .concat(),
        )
    };
    let by_flag = torture(&["--", "--retention-bytes", "1MiB"]).output().unwrap();
    let by_variable = torture(&[]).env("REPUTE_RETENTION", "1h").output().unwrap();
    for refused in [by_flag, by_variable] {
        assert_eq!(refused.status.code(), Some(1));
        assert!(said(&refused).contains("taken for lost"), "{}", said(&refused));
    }
}

#[test]
fn a_place_that_is_not_there_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let typo = dir.path().join("typo");
    let refused = run(&["torture", typo.to_str().unwrap(), "--crashes", "1"]);
    let sentence = format!(
        "repute: there is no directory {}: name one on the disk that matters\n",
        typo.display()
    );
    assert_eq!((refused.status.code(), said(&refused)), (Some(1), sentence));
    assert!(!typo.exists());
}
