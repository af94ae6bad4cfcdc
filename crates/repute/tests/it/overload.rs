//! The real process under three times the bodies that it has memory for.

use crate::kit::{Server, program};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Of a body. The budget has room for two of one organisation, which may have half of it.
const BODY_BYTES: usize = 8 << 20;
const ADMITTED: usize = 2;
const OFFERED: usize = 3 * ADMITTED;
const ROUNDS: usize = 10;
/// What the process may grow by beside its budget: the allocator's slack, threads, buffers of connections.
const SLACK_KIB: u64 = 48 << 10;

/// Announces a body of that size and reads what the server says to it.
fn announce(server: &Server) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let key = &server.publishable;
    let head = format!(
        "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nExpect: 100-continue\r\nContent-Length: {BODY_BYTES}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let told = answer(&mut stream);
    (stream, told)
}

fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = [0; 4_096];
    let read = stream.read(&mut bytes).unwrap();
    String::from_utf8(bytes[..read].to_vec()).unwrap()
}

/// A batch of one event and of much that is ignored.
fn body(round: usize, client: usize) -> Vec<u8> {
    let event = format!(
        r#"{{"agent_id":"a{client}","passed":true,"gates":[],"total_latency_ms":4,"evaluation_id":"{round}-{client}"}}"#
    );
    let frame = format!(r#"{{"events":[{event}],"ignored":""}}"#);
    let ignored = "i".repeat(BODY_BYTES - frame.len());
    frame.replace(r#""""#, &format!(r#""{ignored}""#)).into_bytes()
}

#[cfg(target_os = "linux")]
#[test]
fn memory_comes_in_pages_of_their_usual_size() {
    assert_eq!(Server::start(&[]).status("THP_enabled"), 0);
}

#[test]
fn bodies_beyond_the_budget_are_turned_away_and_take_no_memory() {
    let mut command = program(&["--max-body", "8MiB", "--bytes-in-flight", "32MiB"]);
    // What is freed is given back at once: else bodies of a second ago would count, as many as the machine's load lets in.
    command.env("MIMALLOC_PURGE_DELAY", "0");
    let server = Server::start_with_keys(&mut command);
    let mut client = server.client();
    let before = server.status("VmRSS");
    let mut most = before;
    for round in 0..ROUNDS {
        let mut streams: Vec<_> = (0..ADMITTED).map(|_| announce(&server)).collect();
        for (at, (stream, told)) in streams.iter_mut().enumerate() {
            assert!(told.starts_with("HTTP/1.1 100 "), "{told}");
            stream.write_all(&body(round, at)[..BODY_BYTES - 1]).unwrap();
        }
        // What is announced takes no room, what has come does.
        let all_but_their_ends = (ADMITTED * (BODY_BYTES - 1)) as u64;
        let started = std::time::Instant::now();
        while server.metric("repute_body_bytes_in_flight") < Some(all_but_their_ends) {
            assert!(started.elapsed() < Duration::from_secs(60), "they never came");
            std::thread::sleep(Duration::from_millis(2));
        }
        for _ in ADMITTED..OFFERED {
            let (_stream, told) = announce(&server);
            assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
            assert!(told.contains("retry-after: 1\r\n"), "{told}");
        }
        most = most.max(server.status("VmRSS"));
        for (at, (stream, _)) in streams.iter_mut().enumerate() {
            stream.write_all(&body(round, at)[BODY_BYTES - 1..]).unwrap();
            let told = answer(stream);
            assert!(told.starts_with("HTTP/1.1 202 "), "{told}");
        }
        // The budget is given back just after the answer.
        let started = std::time::Instant::now();
        while server.metric("repute_body_bytes_in_flight") != Some(0) {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "bytes are not given back"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    let grown = most - before;
    let budget_kib = (ADMITTED * BODY_BYTES) as u64 >> 10;
    assert!(grown < budget_kib + SLACK_KIB, "grown by {grown} KiB");
    let small = br#"{"events":[{"agent_id":"b","passed":true,"gates":[],"total_latency_ms":4}]}"#;
    assert_eq!(
        client.post("/v1/ingest", small).unwrap().0,
        202,
        "it is as before"
    );
    let taken = (ROUNDS * ADMITTED + 1) as u64;
    assert_eq!(server.metric("repute_events_recorded_total"), Some(taken));
    assert_eq!(server.metric("repute_events_received_total"), Some(taken));
}
