//! The program with TLS and with its metrics apart: a real client, certificates that change, files that only their owner
//! can open.

use crate::kit::{Server, program, run, said, with_umask};
use crate::torture::client::Client as Plain;
use repute_client::{Client, Event};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

const PATIENCE: Duration = Duration::from_secs(30);

/// Writes a new certificate for this machine and its key.
fn write_certificate(dir: &Path) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    std::fs::write(dir.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
}

fn start(files: &Path, more: &[&str]) -> Server {
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| files.join(name));
    let tls = [
        "--tls-cert",
        cert.to_str().unwrap(),
        "--tls-key",
        key.to_str().unwrap(),
        "--log-format",
        "json",
    ];
    Server::start(&[&tls[..], more].concat())
}

/// Whether a client that trusts this certificate alone is served.
fn is_served(server: &Server, trusted: &Path) -> bool {
    let client = Client::builder()
        .url(format!("https://{}", server.address))
        .api_key(&server.publishable)
        .ca_file(trusted)
        .build()
        .unwrap();
    client.ingest(&[Event::new(true).agent("a")]).is_ok()
}

fn await_log(server: &Server, text: &str) -> Value {
    let started = Instant::now();
    loop {
        let logged = server.logged();
        if let Some(line) = logged.lines().find(|line| line.contains(text)) {
            return serde_json::from_str(line).unwrap();
        }
        assert!(started.elapsed() < PATIENCE, "{logged}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_certificate_is_read_again_on_sighup_and_a_bad_one_leaves_the_old_in_force() {
    let files = tempfile::tempdir().unwrap();
    write_certificate(files.path());
    let server = start(files.path(), &["--metrics-listen", "127.0.0.1:0"]);
    let keys = std::fs::read_to_string(server.path().join("first-keys.txt")).unwrap();
    assert!(
        keys.contains(&format!("curl -s https://{}/v1/ingest", server.address)),
        "{keys}"
    );
    let first = files.path().join("first.pem");
    std::fs::copy(files.path().join("cert.pem"), &first).unwrap();
    assert!(is_served(&server, &first));

    std::fs::write(files.path().join("cert.pem"), "no certificate").unwrap();
    server.signal(Signal::HUP);
    let line = await_log(&server, "the new certificate is refused");
    assert_eq!(line["level"], "ERROR");
    assert!(is_served(&server, &first), "the old one stays in force");

    write_certificate(files.path());
    server.signal(Signal::HUP);
    await_log(&server, "the certificate was read again");
    assert!(is_served(&server, &files.path().join("cert.pem")));
    assert!(!is_served(&server, &first), "which is none of this one's");

    let line = await_log(&server, "metrics are served apart");
    let mut metrics = Plain::new(line["address"].as_str().unwrap(), "", PATIENCE);
    let (status, text) = metrics.exchange("GET", "/metrics", b"").unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(
        status == 200 && text.contains("repute_tls_not_reloaded_total 1"),
        "{text}"
    );
}

#[test]
fn metrics_apart_are_nowhere_else_and_health_is_at_both() {
    let server = Server::start(&["--metrics-listen", "127.0.0.1:0", "--log-format", "json"]);
    let line = await_log(&server, "metrics are served apart");
    let mut apart = Plain::new(line["address"].as_str().unwrap(), &server.publishable, PATIENCE);
    let mut main = server.client();
    for (path, main_status, apart_status) in [
        ("/metrics", 404, 200),
        ("/health", 200, 200),
        ("/ready", 200, 200),
        ("/openapi.json", 200, 404),
        ("/v1/whoami", 200, 404),
    ] {
        let status = |client: &mut Plain| client.exchange("GET", path, b"").unwrap().0;
        assert_eq!(
            (status(&mut main), status(&mut apart)),
            (main_status, apart_status),
            "{path}"
        );
    }
}

#[test]
fn a_certificate_that_cannot_be_used_stops_the_start() {
    let files = tempfile::tempdir().unwrap();
    write_certificate(files.path());
    let data = files.path().join("data");
    let serve = |arguments: &[&str]| {
        let serve = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            data.to_str().unwrap(),
        ];
        let output = run(&[&serve[..], arguments].concat());
        assert_eq!(output.status.code(), Some(2));
        said(&output)
    };
    let [cert, key, missing] =
        ["cert.pem", "key.pem", "missing"].map(|name| files.path().join(name).to_str().unwrap().to_owned());
    assert_eq!(
        serve(&["--tls-cert", &cert]),
        "repute: --tls-cert (REPUTE_TLS_CERT) and --tls-key (REPUTE_TLS_KEY): one is set without the other\n"
    );
    let begin = "repute: --tls-cert (REPUTE_TLS_CERT), --tls-key (REPUTE_TLS_KEY): ";
    for (certificate, private) in [(&cert, &missing), (&missing, &key), (&key, &key), (&cert, &cert)] {
        let said = serve(&["--tls-cert", certificate, "--tls-key", private]);
        assert!(
            said.starts_with(begin) && said.contains(files.path().to_str().unwrap()),
            "{said}"
        );
    }
    assert!(!data.exists(), "nothing was opened");
}

#[test]
fn a_key_that_others_can_read_is_warned_of() {
    let files = tempfile::tempdir().unwrap();
    write_certificate(files.path());
    let key = files.path().join("key.pem");
    let mode = |mode| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
    let warning = "others than its owner can open this file";
    mode(0o640);
    assert!(start(files.path(), &[]).logged().contains(warning));
    mode(0o600);
    assert!(!start(files.path(), &[]).logged().contains(warning));
}

#[test]
fn everything_in_a_data_directory_and_in_a_backup_is_its_owners_alone() {
    let place = tempfile::tempdir().unwrap();
    let copy = place.path().join("copy");
    // Whatever the umask says.
    let mut server = Server::start_with_umask("000", &["--max-segment", "64KiB"]);
    let event = json!({ "agent_id": "a", "passed": true, "gates": [], "total_latency_ms": 1, "tool": "t".repeat(200) });
    let body = json!({ "events": vec![event; 100] }).to_string();
    let mut client = server.client();
    for _ in 0..40 {
        assert_eq!(client.post("/v1/ingest", body.as_bytes()).unwrap().0, 202);
    }
    let mut backup = program(&[
        "backup",
        copy.to_str().unwrap(),
        "--with-master-key",
        "--data-dir",
    ]);
    let backup = with_umask("000", backup.arg(server.path())).output().unwrap();
    assert_eq!(backup.status.code(), Some(0), "{}", said(&backup));
    let seen = assert_private(server.path()) + assert_private(&copy);
    assert!(seen > 20, "only {seen} files");
    assert_eq!(server.stop(), Some(0));
    assert_private(server.path());
}

/// Sees that neither the directory nor anything in it can be opened by others; how many files there were.
fn assert_private(dir: &Path) -> usize {
    let mode = |path: &Path| std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(dir), 0o700, "{}", dir.display());
    let mut files = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files += assert_private(&path);
        } else {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            files += 1;
        }
    }
    files
}

#[test]
fn a_key_under_a_passphrase_is_told_from_one_that_is_none() {
    let files = tempfile::tempdir().unwrap();
    write_certificate(files.path());
    let data = files.path().join("data");
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| files.path().join(name));
    for text in [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGjMF8GCSqGSIb3DQEFDTBSMDEGCSqGSIb3DQEFDDAkBBBnA9\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,01\n\nMIGjMF8G\n-----END RSA PRIVATE KEY-----\n",
    ] {
        std::fs::write(&key, text).unwrap();
        let output = program(&["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(&data)
            .args([Path::new("--tls-cert"), &cert, Path::new("--tls-key"), &key])
            .output()
            .unwrap();
        let sentence = format!(
            "repute: --tls-cert (REPUTE_TLS_CERT), --tls-key (REPUTE_TLS_KEY): {0}: the key is encrypted: decrypt it with \
             `openssl pkey -in {0} -out FILE`, and give that file, which only the server's user should be able to read\n",
            key.display()
        );
        assert_eq!((output.status.code(), said(&output)), (Some(2), sentence));
    }
}

/// Writes a certificate that is good from one day to another, counted from today, and its key.
fn write_certificate_of_days(dir: &Path, from: i64, to: i64) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let day =
        |days: i64| SystemTime::UNIX_EPOCH + Duration::from_secs((today() + days).unsigned_abs() * 86_400);
    parameters.not_before = day(from).into();
    parameters.not_after = day(to).into();
    std::fs::write(dir.join("cert.pem"), parameters.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
}

/// The number of the day.
fn today() -> i64 {
    store::now().0 / 86_400_000_000
}

/// The beginning of a day, counted from today.
fn day(days: i64) -> String {
    wire::timestamp::format(reputation::Micros((today() + days) * 86_400_000_000))
}

#[test]
fn a_certificate_that_clients_refuse_or_will_soon_is_warned_of() {
    let files = tempfile::tempdir().unwrap();
    write_certificate_of_days(files.path(), -30, -2);
    let server = start(files.path(), &[]);
    let line = await_log(&server, "the certificate has expired");
    assert_eq!(
        (&line["level"], &line["not_after"]),
        (&json!("WARN"), &json!(day(-2)))
    );
    let after_reload = |message: &str| {
        server.signal(Signal::HUP);
        await_log(&server, message)
    };
    write_certificate_of_days(files.path(), 2, 30);
    assert_eq!(
        after_reload("the certificate is not good yet")["not_before"],
        day(2)
    );
    write_certificate_of_days(files.path(), -30, 12);
    assert_eq!(after_reload("the certificate expires soon")["not_after"], day(12));
    write_certificate_of_days(files.path(), -30, 16);
    let fresh = start(files.path(), &[]);
    assert!(!fresh.logged().contains("the certificate"), "{}", fresh.logged());
}
