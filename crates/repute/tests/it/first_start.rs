//! The first start: which keys there are, and who sees them.

use crate::kit::{Server, on_a_terminal, program};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_first_start_makes_keys_that_only_their_owner_can_read() {
    let mut server = Server::start(&[]);
    let keys = server.path().join("first-keys.txt");
    for file in [
        "first-keys.txt",
        "master.key",
        "repute.db",
        "store.key",
        "admin.sock",
        "lock",
    ] {
        assert_eq!(mode(&server.path().join(file)), 0o600, "{file}");
    }
    assert_eq!((server.publishable.len(), server.secret.len()), (40, 40));
    assert_eq!(server.get("/v1/whoami").1["organisation"], "default");
    assert!(
        std::fs::read_to_string(&keys)
            .unwrap()
            .contains("curl -s http://127.0.0.1:")
    );
    assert!(
        !server.logged().contains("_live_"),
        "a key in the log: {}",
        server.logged()
    );
    std::fs::remove_file(&keys).unwrap();
    assert_eq!(server.stop(), Some(0));
    server.start_again(&[]);
    assert!(!keys.exists(), "a later start makes no keys");
    assert_eq!(server.get("/v1/whoami").0, 200);
}

#[test]
fn keys_of_the_environment_are_made_at_the_first_start_and_never_again() {
    let publishable = "pk_live_0123456789abcdefghijABCDEFGHIJxy";
    let secret = "sk_live_0123456789abcdefghijABCDEFGHIJxy";
    let mut server = Server::start(&[]);
    assert_eq!(server.stop(), Some(0));
    std::fs::remove_dir_all(server.path()).unwrap();
    let with_keys = |key: &str| {
        let mut command = program(&[]);
        command
            .env("REPUTE_BOOTSTRAP_PUBLISHABLE_KEY", key)
            .env("REPUTE_BOOTSTRAP_SECRET_KEY", secret);
        command
    };
    server.start_with(&mut with_keys(publishable));
    server.publishable = publishable.to_owned();
    assert_eq!(server.get("/v1/whoami").0, 200);
    assert!(!server.path().join("first-keys.txt").exists());
    assert_eq!(server.stop(), Some(0));
    let other = "pk_live_9876543210abcdefghijABCDEFGHIJxy";
    server.start_with(&mut with_keys(other));
    assert_eq!(server.get("/v1/whoami").0, 200);
    server.publishable = other.to_owned();
    assert_eq!(server.get("/v1/whoami").1["code"], "auth_invalid");
    assert!(
        server
            .logged()
            .contains("this is no live key; it only counts at the first start")
    );
}

#[test]
fn on_a_terminal_the_keys_are_shown_once_with_a_command_to_paste() {
    let mut server = Server::start(&[]);
    assert_eq!(server.stop(), Some(0));
    std::fs::remove_dir_all(server.path()).unwrap();
    let terminal = on_a_terminal(&mut server, &["--log-format", "human"]);
    let key = |prefix: &str| {
        let at = terminal.find(prefix).unwrap();
        terminal[at..at + 40].to_owned()
    };
    (server.publishable, server.secret) = (key("pk_live_"), key("sk_live_"));
    assert!(!server.path().join("first-keys.txt").exists());
    assert_eq!(server.get("/v1/whoami").1["kind"], "publishable");
    assert_eq!(terminal.matches("sk_live_").count(), 1, "{terminal}");

    let curl = terminal.lines().find(|line| line.starts_with("curl ")).unwrap();
    let expected = format!(
        "curl -s http://{}/v1/ingest -H 'Authorization: Bearer {}' -d '{{",
        server.address, server.publishable
    );
    assert!(curl.starts_with(&expected), "{curl}");
    let body = curl
        .split_once(" -d '")
        .unwrap()
        .1
        .trim_end()
        .trim_end_matches('\'');
    assert_eq!(
        server.client().post("/v1/ingest", body.as_bytes()).unwrap().0,
        202
    );
    assert_eq!(server.stop(), Some(0));
    assert!(
        !on_a_terminal(&mut server, &[]).contains("_live_"),
        "a later start shows nothing"
    );
}

#[test]
fn a_first_start_that_is_killed_at_any_moment_still_ends_with_keys_that_work() {
    for after_ms in (0..60).step_by(4) {
        let dir = tempfile::tempdir().unwrap();
        let mut child = program(&["serve", "--listen", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(after_ms));
        child.kill().unwrap();
        child.wait().unwrap();
        let mut server = Server::start_on(dir, &[]);
        assert_eq!(server.get("/v1/whoami").0, 200, "killed after {after_ms} ms");
        server.publishable = server.secret.clone();
        assert_eq!(server.get("/v1/keys").1["keys"].as_array().unwrap().len(), 2);
    }
}
