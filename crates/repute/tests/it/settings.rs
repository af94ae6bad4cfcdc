//! Wrong settings: each is told in one whole sentence, before anything is opened.

use crate::kit::{Server, program, run, said, with_open_files};
use std::os::unix::fs::PermissionsExt as _;

/// A flag, a value that it doesn't take, and the rule that the sentence tells.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "--listen",
        "nowhere",
        "`nowhere` is not an address like 127.0.0.1:8080 or [::1]:8080",
    ),
    (
        "--listen",
        ":8080",
        "`:8080` is not an address like 127.0.0.1:8080 or [::1]:8080",
    ),
    (
        "--ingest-rate-limit",
        "many",
        "`many` is not a whole number, or too large a one",
    ),
    (
        "--rate-limit",
        "+1",
        "`+1` is not a whole number, or too large a one",
    ),
    (
        "--max-body",
        "16MB",
        "`16MB` is not a size like 16MiB, 512KiB or 1048576",
    ),
    ("--max-body", "0", "must be more than 0"),
    (
        "--max-clock-ahead",
        "5",
        "`5` is not a duration like 250ms, 10s, 5m, 2h or 90d",
    ),
    ("--max-clock-ahead", "366d", "must be at most 365d"),
    (
        "--max-agents",
        "1e6",
        "`1e6` is not a whole number, or too large a one",
    ),
    (
        "--cors-origin",
        "example.org",
        "`example.org` is not an origin like https://app.example.org",
    ),
    (
        "--cors-origin",
        "https://a.example,https://b.example/x",
        "`https://b.example/x` is not an origin like https://app.example.org",
    ),
    (
        "--window-cache",
        "x",
        "`x` is not a whole number, or too large a one",
    ),
    (
        "--cache-bytes",
        "x",
        "`x` is not a size like 16MiB, 512KiB or 1048576",
    ),
    (
        "--bytes-in-flight",
        "31MiB",
        "must be at least twice --max-body (REPUTE_MAX_BODY), or the largest compressed body never fits",
    ),
    (
        "--bytes-in-flight",
        "x",
        "`x` is not a size like 16MiB, 512KiB or 1048576",
    ),
    (
        "--retention",
        "90",
        "`90` is not a duration like 250ms, 10s, 5m, 2h or 90d",
    ),
    ("--retention", "59s", "must be at least 1m"),
    (
        "--retention-bytes",
        "1GB",
        "`1GB` is not a size like 16MiB, 512KiB or 1048576",
    ),
    ("--retention-bytes", "1023KiB", "must be at least 1MiB"),
    (
        "--scrub-rate",
        "fast",
        "`fast` is not a size like 16MiB, 512KiB or 1048576",
    ),
    (
        "--compaction-rate",
        "slow",
        "`slow` is not a size like 16MiB, 512KiB or 1048576",
    ),
    ("--max-connections", "0", "must be 1 to 1000000"),
    ("--max-connections", "1000001", "must be 1 to 1000000"),
    (
        "--drain-timeout",
        "soon",
        "`soon` is not a duration like 250ms, 10s, 5m, 2h or 90d",
    ),
    ("--log-format", "xml", "`xml` is none of auto, human, json"),
    (
        "--log-level",
        "loud",
        "`loud` is none of error, warn, info, debug, trace",
    ),
    ("--max-segment", "1KiB", "must be at least 64KiB"),
];

fn variable(flag: &str) -> String {
    format!("REPUTE_{}", flag[2..].replace('-', "_").to_uppercase())
}

#[test]
fn a_wrong_setting_is_told_with_its_flag_and_its_variable_before_anything_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    for (flag, value, rule) in WRONG {
        let sentence = format!("repute: {flag} ({}): {rule}\n", variable(flag));
        let serve = || {
            let mut command = program(&["serve", "--data-dir"]);
            command.arg(&data);
            command
        };
        let by_flag = serve().args([flag, value]).output().unwrap();
        let by_variable = serve().env(variable(flag), value).output().unwrap();
        for output in [by_flag, by_variable] {
            assert_eq!((output.status.code(), said(&output)), (Some(2), sentence.clone()));
            assert_eq!(output.stdout, b"");
        }
        assert!(!data.exists());
    }
}

#[test]
fn a_flag_that_does_not_exist_is_told_with_the_one_that_was_meant() {
    let output = run(&["serve", "--listn", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(2));
    let said = said(&output);
    assert!(
        said.starts_with("error: unexpected argument '--listn' found"),
        "{said}"
    );
    assert!(said.contains("'--listen'"), "{said}");
}

#[test]
fn every_flag_has_a_variable_of_its_name() {
    let help = String::from_utf8(run(&["serve", "--help"]).stdout).unwrap();
    let flags: Vec<&str> = help
        .split_whitespace()
        .filter(|word| word.starts_with("--") && !["--help", "--version"].contains(word))
        .collect();
    assert!(flags.len() >= 15, "{flags:?}");
    for flag in flags {
        assert!(help.contains(&format!("[env: {}=]", variable(flag))), "{flag}");
    }
}

#[test]
fn the_flag_wins_over_the_variable_and_both_are_logged() {
    let mut command = program(&["--rate-limit", "7"]);
    command
        .env("REPUTE_RATE_LIMIT", "8")
        .env("REPUTE_INGEST_RATE_LIMIT", "9")
        .env("REPUTE_MASTER_KEY", "01".repeat(32));
    let server = Server::start_with_keys(&mut command);
    let limits = server.get("/v1/whoami").1["limits"].clone();
    assert_eq!([&limits["rate_limit"], &limits["ingest_rate_limit"]], [7, 9]);
    let log = server.logged();
    let first = log.lines().next().unwrap();
    for part in [
        r#""message":"starting""#,
        r#""rate_limit":7"#,
        r#""ingest_rate_limit":9"#,
        r#""master_key":"set""#,
        r#""bootstrap_secret_key":"not set""#,
    ] {
        assert!(first.contains(part), "{part}: {first}");
    }
    assert!(!log.contains(&"01".repeat(32)));
}

#[test]
fn a_wrong_secret_is_named_and_never_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let file = dir.path().join("secret");
    std::fs::write(&file, "c2hvcnQ=").unwrap();
    let file = file.to_str().unwrap();
    let cases: &[(&[(&str, &str)], &str)] = &[
        (
            &[("REPUTE_MASTER_KEY", "c2hvcnQ=")],
            "REPUTE_MASTER_KEY: the master key must be 32 bytes, written as 64 hexadecimal digits or as base64",
        ),
        (
            &[("REPUTE_MASTER_KEY", "")],
            "REPUTE_MASTER_KEY: the master key must be 32 bytes, written as 64 hexadecimal digits or as base64",
        ),
        (
            &[("REPUTE_MASTER_KEY_FILE", file)],
            "REPUTE_MASTER_KEY_FILE: the master key must be 32 bytes, written as 64 hexadecimal digits or as base64",
        ),
        (
            &[("REPUTE_MASTER_KEY_FILE", "/nowhere/at/all")],
            "REPUTE_MASTER_KEY_FILE: cannot read /nowhere/at/all: No such file or directory (os error 2)",
        ),
        (
            &[("REPUTE_MASTER_KEY", "x"), ("REPUTE_MASTER_KEY_FILE", file)],
            "REPUTE_MASTER_KEY and REPUTE_MASTER_KEY_FILE: both are set; set one of them",
        ),
        (
            &[(
                "REPUTE_BOOTSTRAP_SECRET_KEY",
                "pk_live_0123456789abcdefghijABCDEFGHIJxy",
            )],
            "REPUTE_BOOTSTRAP_SECRET_KEY: must be `sk_live_` and 32 characters of A-Z, a-z, 0-9",
        ),
        (
            &[("REPUTE_BOOTSTRAP_PUBLISHABLE_KEY_FILE", file)],
            "REPUTE_BOOTSTRAP_PUBLISHABLE_KEY_FILE: must be `pk_live_` and 32 characters of A-Z, a-z, 0-9",
        ),
        (
            &[(
                "REPUTE_BOOTSTRAP_PUBLISHABLE_KEY",
                "pk_live_01234567801234567801234567801234",
            )],
            "REPUTE_BOOTSTRAP_PUBLISHABLE_KEY: must have at least 10 different characters behind its prefix",
        ),
    ];
    for (variables, sentence) in cases {
        let output = program(&["serve", "--data-dir"])
            .arg(&data)
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        assert_eq!(
            (output.status.code(), said(&output)),
            (Some(2), format!("repute: {sentence}\n"))
        );
        assert!(!data.exists());
    }
}

#[test]
fn a_variable_that_nobody_knows_is_warned_of_with_the_one_that_was_meant() {
    let mut command = program(&[]);
    for (variable, value) in [
        ("REPUTE_RETENTION_BYTE", "secret-1"),
        ("REPUTE_COLOUR_OF_THE_LAMP", "secret-2"),
        // The clients', the tests', and what Kubernetes gives every container of a service of this name.
        ("REPUTE_API_KEY", "x"),
        ("REPUTE_URL", "x"),
        ("REPUTE_NEW_MASTER_KEY_FILE", "x"),
        ("REPUTE_SIMULATIONS", "x"),
        ("REPUTE_SERVICE_HOST", "x"),
        ("REPUTE_SERVICE_PORT_HTTP", "x"),
        ("REPUTE_PORT", "x"),
        ("REPUTE_PORT_8080_TCP_ADDR", "x"),
        ("REPUTE_MAX_AGENTS", "7"),
    ] {
        command.env(variable, value);
    }
    let server = Server::start_with_keys(&mut command);
    let logged = server.logged();
    let warnings: Vec<&str> = logged
        .lines()
        .filter(|line| line.contains("no setting of Repute's"))
        .collect();
    assert_eq!(warnings.len(), 2, "{logged}");
    let of = |variable: &str| *warnings.iter().find(|line| line.contains(variable)).unwrap();
    assert!(
        of("REPUTE_RETENTION_BYTE").contains(r#""meant":"REPUTE_RETENTION_BYTES""#),
        "{logged}"
    );
    assert!(!of("REPUTE_COLOUR_OF_THE_LAMP").contains("meant"), "{logged}");
    assert!(!logged.contains("secret-"), "values may be secret: {logged}");
}

#[test]
fn a_limit_of_open_files_that_is_too_low_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut command = program(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
    command.arg(&data);
    let refused = with_open_files(16, &command).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = said(&refused);
    assert!(
        said.ends_with(
            "repute: the system allows this process 16 open files (ulimit -n); it needs at least 80\n"
        ),
        "{said}"
    );
    assert!(!data.exists());
}

#[test]
fn a_data_directory_that_others_can_open_is_warned_of() {
    let mut server = Server::start_with_umask("022", &[]);
    let warning = "others than its owner can open this directory";
    assert!(!server.logged().contains(warning), "{}", server.logged());
    assert_eq!(server.stop(), Some(0));
    std::fs::set_permissions(server.path(), std::fs::Permissions::from_mode(0o750)).unwrap();
    server.start_again(&[]);
    assert!(server.logged().contains(warning), "{}", server.logged());
}
