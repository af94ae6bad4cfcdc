//! Crowds of clients that only take up room.

use crate::kit::{Server, program, said, with_open_files};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::Write as _;
use std::net::TcpStream;

const EVENT: &[u8] = br#"{"events":[{"agent_id":"a","passed":true,"gates":[],"total_latency_ms":4}]}"#;

/// Raises the limit on open files; gives what it is then.
fn open_files() -> u64 {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, wanted).unwrap();
    maximum.unwrap_or(u64::MAX)
}

fn connect_and_stall(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost:").unwrap();
    stream
}

#[test]
fn ten_thousand_idle_connections_cost_memory_but_no_threads_and_no_service() {
    // The server lets connections have half of its open files.
    let crowd = (open_files() / 2).saturating_sub(100).min(9_900);
    let server = Server::start(&[]);
    let mut client = server.client();
    assert_eq!(client.post("/v1/ingest", EVENT).unwrap().0, 202);
    let before = (server.status("Threads"), server.status("VmRSS"));
    let _crowd: Vec<TcpStream> = (0..crowd).map(|_| connect_and_stall(&server)).collect();
    // On a busy machine the first are cut off before the last connect.
    let open = server.metric("repute_connections").unwrap();
    assert!(open > crowd / 10, "{open} of {crowd}");
    assert_eq!(client.post("/v1/ingest", EVENT).unwrap().0, 202);
    assert_eq!(
        server.client().get("/v1/whoami").unwrap().0,
        200,
        "there is room for more"
    );
    let after = (server.status("Threads"), server.status("VmRSS"));
    assert!(after.0 <= before.0 + 4, "{before:?} {after:?}");
    let kib_each = after.1.saturating_sub(before.1) / open;
    assert!(kib_each < 32, "{kib_each} KiB a connection");
}

/// A batch that takes some 50 KB in the log.
fn large_batch(number: usize) -> String {
    let event = format!(
        r#"{{"agent_id":"a{number}","passed":false,"gates":[{{"name":"g","passed":false,"latency_ms":1,"reason":"r{number} {}"}}],"total_latency_ms":4}}"#,
        "r".repeat(400)
    );
    let events: Vec<String> = (0..100)
        .map(|at| event.replace("rrrr", &format!("r{at}r")))
        .collect();
    format!(r#"{{"events":[{}]}}"#, events.join(","))
}

#[test]
fn a_log_of_more_files_than_may_be_open_is_served_and_looked_after() {
    const LIMIT: usize = 100;
    const BATCHES: usize = 160;
    let arguments = [
        "--max-segment",
        "64KiB",
        "--log-level",
        "warn",
        "--window-cache",
        "10",
    ];
    let mut server = Server::start_with_open_files(LIMIT, &arguments);
    let mut client = server.client();
    for batch in 0..BATCHES {
        let (status, answer) = client.post("/v1/ingest", large_batch(batch).as_bytes()).unwrap();
        assert_eq!(status, 202, "{answer}: {}", server.logged());
    }
    let serves_all = |server: &Server| {
        let mut client = server.client();
        for agent in 0..BATCHES {
            let (status, page) = client
                .get(&format!("/v1/events?agent_id=a{agent}&limit=100"))
                .unwrap();
            assert_eq!(
                (status, page["events"].as_array().map(Vec::len)),
                (200, Some(100)),
                "{page}"
            );
        }
    };
    serves_all(&server);
    assert_eq!(server.stop(), Some(0));
    server.start_again_with_open_files(LIMIT, &arguments);
    serves_all(&server);
    assert!(server.metric("repute_segments").unwrap() as usize > LIMIT);
    assert_eq!(server.stop(), Some(0));

    let (dir, copy) = (server.path().to_str().unwrap(), tempfile::tempdir().unwrap());
    let copy = copy.path().join("copy");
    for tool in [
        &["verify"][..],
        &["repair", "--dry-run"],
        &["backup", copy.to_str().unwrap()],
        &["export", "default"],
    ] {
        let output = with_open_files(LIMIT, program(tool).args(["--data-dir", dir]))
            .output()
            .unwrap();
        assert!(output.status.success(), "{tool:?}: {}", said(&output));
    }
}

#[test]
fn connections_leave_open_files_to_the_store() {
    let server = Server::start_with_open_files(200, &["--max-segment", "64KiB", "--log-level", "warn"]);
    let mut client = server.client();
    assert_eq!(client.post("/v1/ingest", EVENT).unwrap().0, 202);
    let _crowd: Vec<TcpStream> = (0..250).map(|_| connect_and_stall(&server)).collect();
    for batch in 0..12 {
        let (status, answer) = client.post("/v1/ingest", large_batch(batch).as_bytes()).unwrap();
        assert_eq!(status, 202, "{answer}: {}", server.logged());
    }
    let log = server.logged();
    assert_eq!(
        log.lines().count(),
        1,
        "nothing is complained of but too few open files: {log}"
    );
}
