//! The program itself: one process a directory, a clean stop, its version.

use crate::kit::{Server, program, run, said};
use rustix::process::Signal;

#[test]
fn a_second_process_on_the_directory_is_refused() {
    let server = Server::start(&[]);
    let output = program(&["serve", "--listen", "127.0.0.1:0"])
        .arg("--data-dir")
        .arg(server.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let sentence = format!("repute: another process is using {}", server.path().display());
    assert!(said(&output).contains(&sentence), "{}", said(&output));
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
