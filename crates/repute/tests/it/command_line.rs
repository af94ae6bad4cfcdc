//! The program itself: one process a directory, a clean stop, its version.

use crate::kit::{Server, program, run, said};
use rustix::process::Signal;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

/// What a server says that does not start on this directory.
fn start_refused_on(dir: &Path) -> String {
    let output = program(&["serve", "--listen", "127.0.0.1:0"])
        .arg("--data-dir")
        .arg(dir)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    said(&output)
}

#[test]
fn a_second_process_on_the_directory_is_refused() {
    let server = Server::start(&[]);
    let refusal = start_refused_on(server.path());
    let sentence = format!("repute: another process is using {}", server.path().display());
    assert!(refusal.contains(&sentence), "{refusal}");
}

#[test]
fn a_second_process_is_refused_also_where_the_lock_was_removed() {
    let server = Server::start(&[]);
    std::fs::remove_file(server.path().join("lock")).unwrap();
    let refusal = start_refused_on(server.path());
    assert!(refusal.contains("another process is using"), "{refusal}");
}

#[test]
fn a_server_whose_directory_is_moved_ends_and_leaves_the_path_to_others() {
    let mut server = Server::start(&[]);
    assert_eq!(
        server.client().post("/v1/ingest", EVENT.as_bytes()).unwrap().0,
        202
    );
    let moved = server.path().with_extension("moved");
    std::fs::rename(server.path(), &moved).unwrap();
    assert_eq!(server.wait(), Some(1));
    assert!(
        server.logged().contains("was moved or replaced"),
        "{}",
        server.logged()
    );
    assert!(!server.path().exists(), "nothing was written by the old path");
    std::fs::rename(&moved, server.path()).unwrap();
    server.start_again(&[]);
    server.wait_until_ready();
    assert_eq!(server.get("/v1/agents").1["agents"][0]["eval_count"], 1);
}

/// A server that took an event and was stopped.
fn stopped_with_an_event() -> Server {
    let mut server = Server::start(&[]);
    assert_eq!(
        server.client().post("/v1/ingest", EVENT.as_bytes()).unwrap().0,
        202
    );
    assert_eq!(server.stop(), Some(0));
    server
}

/// A database without a table: one page, as <https://www.sqlite.org/fileformat.html> has it.
fn empty_sqlite_database() -> Vec<u8> {
    let mut page = vec![0; 4_096];
    page[..24].copy_from_slice(b"SQLite format 3\0\x10\0\x01\x01\0\x40\x20\x20");
    for one in [27, 31, 59, 95] {
        page[one] = 1; // changes, pages, UTF-8, the change that the version below is of
    }
    page[47] = 4; // the format of the schema
    page[96..100].copy_from_slice(&3_046_000_u32.to_be_bytes());
    page[100..108].copy_from_slice(b"\x0d\0\0\0\0\x10\0\0"); // a leaf without a row
    page
}

#[test]
fn events_whose_organisations_are_lost_go_to_no_other() {
    let server = stopped_with_an_event();
    let database = server.path().join("repute.db");
    let copies = tempfile::tempdir().unwrap();
    let [copy, data_dir] = [copies.path(), server.path()].map(|dir| dir.to_str().unwrap());
    let back_up = || run(&["backup", copy, "--data-dir", data_dir]);
    assert!(back_up().status.success());
    let whole = std::fs::read(copies.path().join("repute.db")).unwrap();
    for damage in [
        |file: &Path| std::fs::write(file, b"").unwrap(),
        |file: &Path| std::fs::write(file, empty_sqlite_database()).unwrap(),
        |file: &Path| std::fs::remove_file(file).unwrap(),
    ] {
        damage(&database);
        let refusal = start_refused_on(server.path());
        let what = "is missing or empty though there are events";
        assert!(refusal.contains(what), "{refusal}");
        if !database.exists() {
            continue;
        }
        for output in [back_up(), run(&["verify", "--data-dir", data_dir])] {
            let said = [output.stdout, output.stderr].concat();
            assert_ne!(output.status.code(), Some(0));
            assert!(String::from_utf8_lossy(&said).contains(what));
        }
        assert_eq!(std::fs::read(copies.path().join("repute.db")).unwrap(), whole);
    }
}

#[test]
fn an_empty_directory_in_the_place_of_the_log_is_no_new_log() {
    let mut server = stopped_with_an_event();
    let [log, away] = ["log", "log-away"].map(|name| server.path().join(name));
    std::fs::rename(&log, &away).unwrap();
    std::fs::create_dir(&log).unwrap();
    let refusal = start_refused_on(server.path());
    assert!(refusal.contains("is a disk not mounted?"), "{refusal}");
    std::fs::remove_dir_all(&log).unwrap();
    std::fs::rename(&away, &log).unwrap();
    server.start_again(&[]);
    server.wait_until_ready();
    assert_eq!(server.get("/v1/agents").1["agents"][0]["eval_count"], 1);
}

#[test]
fn the_version_is_told() {
    let output = run(&["--version"]);
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!("repute {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn a_signal_ends_it_cleanly_and_leaves_one_file_to_copy() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start(&[]);
        assert_eq!(server.get("/v1/whoami").0, 200);
        assert_eq!(server.stop_with(signal), Some(0), "{signal:?}");
        let log = server.logged();
        assert!(log.contains("stopped; everything is on disk"), "{log}");
        assert!(!server.path().join("admin.sock").exists());
        let wal = std::fs::metadata(server.path().join("repute.db-wal"));
        assert_eq!(wal.map_or(0, |wal| wal.len()), 0);
    }
}

/// Begins an ingest and leaves the last byte of its body to be sent.
fn begin_an_ingest(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!(
        "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nX-Request-Id: begun\r\nContent-Length: {}\r\n\r\n",
        server.publishable,
        EVENT.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&EVENT.as_bytes()[..EVENT.len() - 1]).unwrap();
    // Until the server has read this, the request is none that runs.
    while server.metric("repute_body_bytes_in_flight") == Some(0) {
        std::thread::sleep(Duration::from_millis(5));
    }
    stream
}

const EVENT: &str = r#"{"events":[{"agent_id":"a","passed":true,"gates":[],"total_latency_ms":4}]}"#;

#[test]
fn a_stop_lets_running_requests_finish_and_takes_no_new_ones() {
    let mut server = Server::start(&[]);
    let mut running = begin_an_ingest(&server);
    server.signal(Signal::TERM);
    while TcpStream::connect(&server.address).is_ok() {
        std::thread::sleep(Duration::from_millis(5));
    }
    running.write_all(b"}").unwrap();
    let mut answer = String::new();
    running.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert_eq!(server.wait(), Some(0));
    server.start_again(&[]);
    assert_eq!(server.get("/v1/reputation/a").1["evaluations"], 1);
}

#[test]
fn a_stop_waits_no_longer_than_it_is_told() {
    let mut server = Server::start(&["--drain-timeout", "100ms"]);
    let mut running = begin_an_ingest(&server);
    server.signal(Signal::INT);
    assert_eq!(server.wait(), Some(0));
    assert_eq!(running.read(&mut [0; 100]).unwrap_or(0), 0);
    assert!(server.logged().contains("some requests did not finish in time"));
}

#[test]
fn the_log_names_each_request_by_its_id_and_nothing_that_was_sent() {
    let server = Server::start(&["--log-level", "debug"]);
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let request = format!(
        "GET /v1/events?agent_id=private-agent HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nX-Request-Id: my-own_id.7\r\nConnection: close\r\n\r\n",
        server.publishable
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("x-request-id: my-own_id.7\r\n"), "{answer}");
    let nothing = server.client().get("/private-path").unwrap();
    assert_eq!(nothing.0, 404);
    let log = server.logged();
    let own = log.lines().find(|line| line.contains("my-own_id.7")).unwrap();
    for part in [
        r#""request_id":"my-own_id.7""#,
        r#""route":"/v1/events""#,
        r#""status":200"#,
        r#""org_id":1"#,
    ] {
        assert!(own.contains(part), "{own}");
    }
    for line in log.lines().filter(|line| line.contains(r#""message":"request""#)) {
        assert!(line.contains(r#""request_id":""#), "{line}");
    }
    assert!(!log.contains("private") && !log.contains("_live_"), "{log}");
}

#[test]
fn a_port_in_use_is_named_and_nothing_is_lost() {
    let mut server = Server::start(&[]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_eq!(server.stop(), Some(0));
    let output = program(&["serve", "--listen", &address])
        .arg("--data-dir")
        .arg(server.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let sentence = format!("repute: --listen (REPUTE_LISTEN): cannot listen on {address}: ");
    assert!(said(&output).contains(&sentence), "{}", said(&output));
    server.start_again(&[]);
    assert_eq!(server.get("/v1/whoami").0, 200);
}

#[test]
fn it_goes_on_when_nobody_reads_its_log_any_more() {
    let mut server = Server::start_with_a_deaf_log(&["--log-level", "trace"]);
    let mut client = server.client();
    for _ in 0..20 {
        assert_eq!(client.get("/health").unwrap().0, 200);
    }
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn each_part_of_an_error_is_said_once() {
    let mut server = Server::start(&[]);
    assert_eq!(server.stop(), Some(0));
    std::fs::write(
        server.path().join("repute.db"),
        "no database, whatever its name says",
    )
    .unwrap();
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["org", "list"]] {
        let output = program(command)
            .arg("--data-dir")
            .arg(server.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = said(&output);
        let last = said.lines().last().unwrap();
        assert_eq!(last, "repute: repute.db: file is not a database", "{said}");
    }
}

#[test]
fn none_of_what_there_must_be_one_of_is_no_number() {
    for arguments in [
        ["torture", "/nowhere", "--crashes", "0"].as_slice(),
        &["torture", "/nowhere", "--senders", "0"],
        &["org", "audit", "default", "--limit", "0"],
    ] {
        let refused = run(arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(
            said(&refused).contains("`0` is not at least 1"),
            "{}",
            said(&refused)
        );
    }
}
