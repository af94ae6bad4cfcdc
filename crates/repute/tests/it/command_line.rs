//! The command line: settings, keys, one process a directory, a clean stop.

use crate::kit::{Server, program, run, said};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_wrong_setting_is_named_before_anything_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let cases = [
        (
            &["--listen", "nowhere"][..],
            "error: invalid value 'nowhere' for '--listen <ADDRESS>'",
        ),
        (
            &["--max-body", "16MB"],
            "`16MB` is not a size like 16MiB, 512KiB or 1048576",
        ),
        (
            &["--max-clock-ahead", "5"],
            "`5` is not a duration like 10s, 5m, 2h or 250ms",
        ),
        (
            &["--max-body", "0"],
            "repute: --max-body (REPUTE_MAX_BODY) must be more than 0",
        ),
        (
            &["--bytes-in-flight", "1KiB"],
            "repute: --bytes-in-flight (REPUTE_BYTES_IN_FLIGHT) must be at least --max-body",
        ),
        (
            &["--max-connections", "0"],
            "repute: --max-connections (REPUTE_MAX_CONNECTIONS) must be more than 0",
        ),
        (
            &["--cors-origin", "example.org"],
            "`example.org` is not an origin like https://app.example.org",
        ),
        (&["--liste", "x"], "error: unexpected argument '--liste' found"),
    ];
    for (arguments, sentence) in cases {
        let output = program(&["serve"])
            .arg("--data-dir")
            .arg(&data)
            .args(arguments)
            .output()
            .unwrap();
        assert!(!output.status.success());
        assert!(
            said(&output).contains(sentence),
            "{arguments:?}: {}",
            said(&output)
        );
        assert!(!data.exists());
    }
}

#[test]
fn a_wrong_secret_is_named_and_never_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let cases = [
        (
            "REPUTE_MASTER_KEY",
            "abc",
            "REPUTE_MASTER_KEY: the master key must be 32 bytes",
        ),
        (
            "REPUTE_BOOTSTRAP_SECRET_KEY",
            "pk_live_0123456789abcdefghijABCDEFGHIJxy",
            "REPUTE_BOOTSTRAP_SECRET_KEY must be `sk_live_`",
        ),
        (
            "REPUTE_BOOTSTRAP_PUBLISHABLE_KEY",
            "pk_live_00000000000000000000000000000000",
            "at least 10 different characters",
        ),
        (
            "REPUTE_MASTER_KEY_FILE",
            "/nowhere/at/all",
            "REPUTE_MASTER_KEY_FILE: cannot read /nowhere/at/all",
        ),
    ];
    for (variable, value, sentence) in cases {
        let output = program(&["serve"])
            .arg("--data-dir")
            .arg(&data)
            .env(variable, value)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = said(&output);
        assert!(said.contains(sentence), "{said}");
        assert!(!said.contains("pk_live_0"), "{said}");
        assert!(!data.exists());
    }
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
fn organisations_and_keys_are_administered_running_and_stopped() {
    let mut server = Server::start(&[]);
    let dir = server.path().to_str().unwrap().to_owned();
    let ask = |arguments: &[&str]| run(&[arguments, &["--data-dir", &dir, "--json"]].concat());
    let acme = json(&ask(&["org", "create", "acme", "--max-agents", "1"]));
    assert_eq!(
        (acme["name"].as_str(), acme["max_agents"].as_u64()),
        (Some("acme"), Some(1))
    );
    let made = json(&ask(&[
        "key", "create", "acme", "--kind", "secret", "--name", "ci",
    ]));
    default_key_works(&mut server, &made);
    assert!(said(&ask(&["org", "create", "acme"])).contains("there is an organisation `acme` already"));
    assert!(said(&ask(&["key", "list", "nobody"])).contains("there is no organisation `nobody`"));

    assert_eq!(server.stop(), Some(0));
    let limited = json(&ask(&["org", "set", "acme", "--require-signature", "true"]));
    assert_eq!(
        (
            limited["require_signature"].as_bool(),
            limited["max_agents"].as_u64()
        ),
        (Some(true), Some(1))
    );
    let keys = json(&ask(&["key", "list", "acme"]));
    assert_eq!(keys["keys"][0]["last4"], &made["key"].as_str().unwrap()[36..]);
    let id = made["id"].as_str().unwrap();
    assert!(said(&ask(&["key", "revoke", "acme", id])).contains("the last live secret key"));
    json(&ask(&["org", "set", "acme", "--require-signature", "false"]));

    server.start_again(&[]);
    json(&ask(&["key", "revoke", "acme", id]));
    server.publishable = made["key"].as_str().unwrap().to_owned();
    assert_eq!(
        server.get("/v1/whoami").1["code"],
        "auth_revoked",
        "revoking takes effect at once"
    );
    let names = json(&ask(&["org", "list"]));
    assert_eq!(
        [
            &names["organisations"][0]["name"],
            &names["organisations"][1]["name"]
        ],
        ["default", "acme"]
    );
}

fn default_key_works(server: &mut Server, made: &Value) {
    let first = std::mem::replace(&mut server.publishable, made["key"].as_str().unwrap().to_owned());
    assert_eq!(server.get("/v1/whoami").1["organisation"], "acme");
    server.publishable = first;
}

#[test]
fn the_version_is_told() {
    let output = run(&["--version"]);
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!("repute {}\n", env!("CARGO_PKG_VERSION"))
    );
}
