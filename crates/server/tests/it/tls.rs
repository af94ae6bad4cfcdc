//! TLS as clients meet it: versions, certificates that change, and those who never finish a handshake.

use crate::kit::{Answer, Lab, answer_on};
use server::Tls;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// A certificate for this machine, with its key in the two files.
fn write_certificate(dir: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(dir.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

/// A server with TLS.
struct Place {
    lab: Lab,
    tls: Arc<Tls>,
    files: tempfile::TempDir,
    certificate: CertificateDer<'static>,
}

impl Place {
    fn with(change: impl FnOnce(&mut server::Config)) -> Self {
        let files = tempfile::tempdir().unwrap();
        let certificate = write_certificate(files.path());
        let tls = Tls::open(files.path().join("cert.pem"), files.path().join("key.pem")).unwrap();
        let tls = Arc::new(tls);
        let lab = Lab::served(
            Arc::new(journal::OsDisk),
            store::Options::default(),
            change,
            |server| server.with_tls(Arc::clone(&tls)),
        );
        Self {
            lab,
            tls,
            files,
            certificate,
        }
    }

    fn connect(&self) -> Secure {
        Secure::connect(self.lab.address, &self.certificate, &[&TLS12, &TLS13])
    }
}

/// A connection whose handshake is done.
struct Secure(StreamOwned<ClientConnection, TcpStream>);

impl Secure {
    fn connect(
        address: SocketAddr,
        trusted: &CertificateDer<'static>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let name = "localhost".try_into().unwrap();
        let session = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut secure = StreamOwned::new(session, tcp(address));
        while secure.conn.is_handshaking() {
            secure.conn.complete_io(&mut secure.sock).unwrap();
        }
        Self(secure)
    }

    fn get(&mut self, path: &str, key: &str) -> Answer {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n");
        self.0.write_all(request.as_bytes()).unwrap();
        answer_on(&mut self.0, false)
    }

    fn shown(&self) -> CertificateDer<'static> {
        self.0.conn.peer_certificates().unwrap()[0].clone().into_owned()
    }
}

fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Waits until the server has ended this connection.
fn await_end(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
    }
}

#[test]
fn both_versions_are_spoken_and_both_sides_agree_on_http_1_1() {
    let place = Place::with(|_| {});
    for (version, expected) in [
        (&TLS12, ProtocolVersion::TLSv1_2),
        (&TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let mut client = Secure::connect(place.lab.address, &place.certificate, &[version]);
        assert_eq!(client.0.conn.protocol_version(), Some(expected));
        assert_eq!(client.0.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        for _ in 0..2 {
            let answer = client.get("/v1/whoami", &place.lab.pk);
            assert_eq!(answer.status, 200, "on the same connection, too");
        }
    }
}

#[test]
fn what_hyper_refuses_is_answered_over_tls_as_well() {
    let place = Place::with(|_| {});
    let mut client = place.connect();
    client.0.write_all(b"nonsense\r\n\r\n").unwrap();
    let answer = answer_on(&mut client.0, false);
    assert_eq!(answer.error().1, "validation_error");
}

#[test]
fn a_handshake_that_stalls_is_cut_off_and_gives_its_place_back() {
    let place = Place::with(|config| {
        config.header_timeout = Duration::from_millis(300);
        config.max_connections = 2;
    });
    let mut silent = tcp(place.lab.address);
    let mut slow = tcp(place.lab.address);
    slow.write_all(&[0x16, 0x03, 0x01]).unwrap(); // the first bytes of a hello
    // Both places are taken, so whoever comes waits until they are given back. On a busy machine that one may be too slow,
    // too.
    let started = Instant::now();
    let mut failed = 0;
    while failed < 2 {
        assert!(started.elapsed() < PATIENCE, "{failed} were cut off");
        let (address, certificate) = (place.lab.address, &place.certificate);
        let ask = || Secure::connect(address, certificate, &[&TLS13]).get("/metrics", "");
        let Ok(answer) = std::panic::catch_unwind(ask) else {
            continue;
        };
        let metrics = String::from_utf8(answer.body).unwrap();
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("repute_tls_handshakes_failed_total "));
        failed = line.unwrap().parse::<u64>().unwrap();
    }
    await_end(&mut silent);
    await_end(&mut slow);
}

#[test]
fn who_speaks_no_tls_ends_its_own_connection_alone() {
    let place = Place::with(|_| {});
    let mut plain = tcp(place.lab.address);
    plain
        .write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    await_end(&mut plain);
    assert_eq!(place.connect().get("/health", "").status, 200);
}

#[test]
fn a_stop_does_not_wait_for_a_handshake() {
    let place = Place::with(|config| {
        config.header_timeout = Duration::from_secs(600);
        config.drain_timeout = Duration::from_secs(600);
    });
    let mut silent = tcp(place.lab.address);
    // Accepted after the silent one, so that one was accepted, too.
    assert_eq!(place.connect().get("/health", "").status, 200);
    let started = Instant::now();
    drop(place);
    await_end(&mut silent);
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_new_certificate_is_shown_to_new_connections_and_a_bad_one_changes_nothing() {
    let place = Place::with(|_| {});
    let mut before = place.connect();
    assert_eq!(before.shown(), place.certificate);
    let new = write_certificate(place.files.path());
    place.tls.reload().unwrap();
    let mut after = Secure::connect(place.lab.address, &new, &[&TLS13]);
    assert_eq!(after.shown(), new);
    for client in [&mut before, &mut after] {
        assert_eq!(client.get("/health", "").status, 200);
    }
    // A key of another certificate, no key, no certificate, nothing at all.
    let (cert, key) = (
        place.files.path().join("cert.pem"),
        place.files.path().join("key.pem"),
    );
    let other = tempfile::tempdir().unwrap();
    write_certificate(other.path());
    let in_other = |name: &str| std::fs::read_to_string(other.path().join(name)).unwrap();
    let good = std::fs::read_to_string(&cert).unwrap();
    for (certificate, private, sentence) in [
        (good.clone(), in_other("key.pem"), "cert.pem with the key "),
        (good.clone(), String::new(), "key.pem: "),
        (
            good,
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_owned(),
            "cert.pem with the key ",
        ),
        (String::new(), in_other("key.pem"), "cert.pem: has no certificate"),
    ] {
        std::fs::write(&cert, certificate).unwrap();
        std::fs::write(&key, private).unwrap();
        let refused = place.tls.reload().unwrap_err().to_string();
        assert!(refused.contains(sentence), "{refused}");
    }
    std::fs::remove_file(&cert).unwrap();
    assert!(place.tls.reload().is_err());
    assert_eq!(Secure::connect(place.lab.address, &new, &[&TLS12]).shown(), new);
}
