//! Events that outlive the process that tracked them.

use crate::kit::{KEY, Reply, Scripted, eventually};
use repute_client::{Builder, DropReason, Event, Telemetry};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(20);

fn builder(server: &Scripted, dir: &Path) -> Builder {
    Telemetry::builder()
        .url(&server.url)
        .api_key(KEY)
        .agent_id("a")
        .spool_dir(dir)
        .flush_interval(Duration::from_millis(10))
        .retry_base(Duration::from_millis(1))
        .retry_max(Duration::from_millis(5))
        .shutdown_timeout(Duration::from_millis(50))
}

fn down(server: &Scripted) {
    server.change(|_| {
        Reply::json(
            503,
            &json!({"error": "a sentence", "code": "unavailable", "status": 503}),
        )
    });
}

fn files(dir: &Path) -> usize {
    let names = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    names
        .filter(|name| name.to_str().unwrap().ends_with(".jsonl"))
        .count()
}

/// The ids in all batches that were answered with 202.
fn ids(server: &Scripted, from: usize) -> BTreeSet<String> {
    let seen = server.seen();
    let events = seen.iter().skip(from).flat_map(crate::kit::Request::events);
    events
        .map(|event| event["evaluation_id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_a_process_could_not_deliver_the_next_one_does() {
    let dir = tempfile::tempdir().unwrap();
    let server = Scripted::replaying([]);
    down(&server);
    let first = builder(&server, dir.path()).build().unwrap();
    for index in 0..1_250 {
        first.track(Event::new(true).evaluation_id(index.to_string()));
    }
    first.shutdown();
    let books = first.books();
    assert_eq!(
        (books.waiting, books.dropped_total()),
        (1_250, 0),
        "they wait in the spool"
    );
    assert!(books.balance());
    assert_eq!(files(dir.path()), 2, "a thousand in a file");

    let before = server.seen().len();
    server.change(|_| Reply::taken());
    let second = builder(&server, dir.path()).build().unwrap();
    eventually("all delivered", || second.books().delivered == 1_250);
    let books = second.books();
    assert_eq!((books.tracked, books.recovered, books.waiting), (1_250, 1_250, 0));
    assert_eq!(
        ids(&server, before),
        (0..1_250).map(|index| index.to_string()).collect()
    );
    eventually("all deleted", || files(dir.path()) == 0);
}

#[test]
fn what_is_too_old_waits_on_disk_and_comes_back_when_the_server_does() {
    let dir = tempfile::tempdir().unwrap();
    let server = Scripted::replaying([]);
    down(&server);
    let telemetry = builder(&server, dir.path())
        .max_age(Duration::from_millis(30))
        .build()
        .unwrap();
    for index in 0..40 {
        telemetry.track(Event::new(true).evaluation_id(index.to_string()));
    }
    eventually("spooled", || files(dir.path()) > 0);
    assert!(!telemetry.flush(Duration::ZERO) || telemetry.books().waiting == 40);
    let before = server.seen().len();
    server.change(|_| Reply::taken());
    eventually("all delivered", || telemetry.books().waiting == 0);
    let books = telemetry.books();
    assert_eq!((books.tracked, books.delivered, books.recovered), (40, 40, 0));
    assert_eq!(ids(&server, before).len(), 40);
    eventually("all deleted", || files(dir.path()) == 0);
}

#[test]
fn two_processes_share_a_directory_and_leave_each_other_s_files_alone() {
    let dir = tempfile::tempdir().unwrap();
    let server = Scripted::replaying([]);
    down(&server);
    let clients: Vec<Telemetry> = (0..2)
        .map(|_| {
            builder(&server, dir.path())
                .max_age(Duration::from_millis(20))
                .build()
                .unwrap()
        })
        .collect();
    for (number, client) in clients.iter().enumerate() {
        (0..10).for_each(|index| client.track(Event::new(true).evaluation_id(format!("{number}-{index}"))));
    }
    eventually("spooled", || files(dir.path()) >= 2);
    server.change(|_| Reply::taken());
    for client in &clients {
        eventually("delivered", || client.books().waiting == 0);
        let books = client.books();
        assert_eq!((books.delivered, books.recovered), (10, 0), "{books:?}");
    }
}

#[test]
fn a_full_spool_drops_the_oldest_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let server = Scripted::replaying([]);
    down(&server);
    let telemetry = builder(&server, dir.path()).max_spool_bytes(300).build().unwrap();
    (0..100).for_each(|_| telemetry.track(Event::new(true)));
    telemetry.shutdown();
    let books = telemetry.books();
    assert_eq!(
        (books.waiting, books.dropped[&DropReason::SpoolFull]),
        (0, 100),
        "they would not fit"
    );
    assert!(books.balance());
}

#[test]
fn a_damaged_file_is_set_aside_and_the_rest_arrives() {
    let dir = tempfile::tempdir().unwrap();
    let event = r#"{"agent_id":"a","passed":true,"gates":[],"total_latency_ms":1.0,"evaluation_id":"good"}"#;
    std::fs::write(dir.path().join("0000000000001-dead-0.jsonl"), &event[..40]).unwrap();
    std::fs::write(dir.path().join("0000000000002-dead-1.jsonl"), event).unwrap();
    let server = Scripted::replaying([]);
    let (sender, told) = std::sync::mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let telemetry = builder(&server, dir.path())
        .on_warning(move |text| sender.lock().unwrap().send(text.to_owned()).unwrap())
        .build()
        .unwrap();
    assert!(
        told.recv_timeout(LONG)
            .unwrap()
            .contains("set aside as 0000000000001-dead-0.jsonl.bad")
    );
    eventually("delivered", || telemetry.books().delivered == 1);
    assert_eq!(telemetry.books().recovered, 1);
}
