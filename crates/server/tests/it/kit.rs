//! A server of a test's own, and a client that can send anything.

use reputation::Micros;
use serde_json::Value;
use server::accounts::{Accounts, Actor, CreatedKey, MasterKey, NewKey, OrgSettings};
use server::{Config, Gates, Ledger, Metrics, Server};
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use store::{OrgId, Store};
use tokio::sync::oneshot;
use wire::{KeyKind, Scopes};

pub(crate) struct Lab {
    pub(crate) address: SocketAddr,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) gates: Arc<Gates>,
    pub(crate) org: OrgId,
    /// The text of a publishable and of a secret key.
    pub(crate) pk: String,
    pub(crate) sk: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    pub(crate) dir: tempfile::TempDir,
}

/// The text of a publishable and of a secret key of an organisation.
pub(crate) struct Tenant {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(one, _)| one.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// Status, code and sentence of an error.
    pub(crate) fn error(&self) -> (u16, String, String) {
        let json = self.json();
        assert_eq!(json["status"], self.status, "{json}");
        assert!(self.header("x-request-id").is_some());
        let text = |name: &str| json[name].as_str().unwrap().to_owned();
        (self.status, text("code"), text("error"))
    }
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::on(Arc::new(journal::OsDisk), store::Options::default(), change)
    }

    /// With the events on this disk.
    pub(crate) fn on(
        disk: Arc<dyn journal::Disk>,
        options: store::Options,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        Self::served(disk, options, change, |server| server)
    }

    /// The same by a server that is told more.
    pub(crate) fn served(
        disk: Arc<dyn journal::Disk>,
        options: store::Options,
        change: impl FnOnce(&mut Config),
        tell: impl FnOnce(Server) -> Server,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let accounts =
            Arc::new(Accounts::open(dir.path(), MasterKey::parse(&"07".repeat(32)).unwrap()).unwrap());
        let org = accounts
            .create_org("default", OrgSettings::default(), Actor::Operator)
            .unwrap()
            .id;
        let metrics = Metrics::new();
        let gates_file = dir.path().join("gates.toml");
        let usual = "set.default = { budget_ms = 60_000, gates = [\"filesystem\", \"pii\", \"content\"] }";
        std::fs::write(&gates_file, usual).unwrap(); // no verdict of a test depends on the machine
        let gates = Arc::new(Gates::open(Some(gates_file)).unwrap());
        let ledger = Arc::new(Ledger::open(dir.path()).unwrap());
        let observer = server::observer(Arc::clone(&metrics), Arc::clone(&ledger));
        let store = Arc::new(Store::open(disk, dir.path(), options, observer).unwrap());
        let mut config = Config {
            drain_timeout: Duration::from_secs(1),
            ..Config::default()
        };
        change(&mut config);
        let server = tell(Server::new(
            config,
            Arc::clone(&accounts),
            Arc::clone(&store),
            metrics,
            ledger,
            Arc::clone(&gates),
        ));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            runtime.block_on(server.run(listener, async move { drop(stopped.await) }));
            store.close();
        });
        let mut lab = Self {
            address,
            accounts,
            gates,
            org,
            pk: String::new(),
            sk: String::new(),
            stop: Some(stop),
            thread: Some(thread),
            dir,
        };
        lab.pk = lab
            .key(
                KeyKind::Publishable,
                Scopes::default_of(KeyKind::Publishable),
                None,
            )
            .key
            .as_str()
            .to_owned();
        lab.sk = lab
            .key(KeyKind::Secret, Scopes::default_of(KeyKind::Secret), None)
            .key
            .as_str()
            .to_owned();
        lab
    }

    pub(crate) fn now(&self) -> Micros {
        store::now()
    }

    pub(crate) fn key(&self, kind: KeyKind, scopes: Scopes, expires_at: Option<Micros>) -> CreatedKey {
        let new = NewKey {
            kind,
            name: None,
            scopes,
            expires_at,
            text: None,
        };
        self.accounts
            .create_key(self.org, new, self.now(), Actor::Operator)
            .unwrap()
    }

    /// An organisation beside the first, with the keys that a first start makes.
    pub(crate) fn tenant(&self, name: &str) -> Tenant {
        let key = |kind| NewKey {
            kind,
            name: None,
            scopes: Scopes::default_of(kind),
            expires_at: None,
            text: None,
        };
        let keys = vec![key(KeyKind::Publishable), key(KeyKind::Secret)];
        let made = self.accounts.create_org_with_keys(
            name,
            OrgSettings::default(),
            keys,
            self.now(),
            Actor::Operator,
        );
        let mut texts = made
            .unwrap()
            .1
            .into_iter()
            .map(|made| made.key.as_str().to_owned());
        Tenant {
            pk: texts.next().unwrap(),
            sk: texts.next().unwrap(),
        }
    }

    pub(crate) fn set(&self, settings: OrgSettings) {
        self.accounts
            .set_org(self.org, settings, Actor::Operator)
            .unwrap();
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &self.pk, &[], b"")
    }

    pub(crate) fn ingest(&self, body: impl AsRef<[u8]>) -> Answer {
        self.send("POST", "/v1/ingest", &self.pk, &[], body.as_ref())
    }

    /// A request with this key; further headers as given.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        key: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("Content-Length: {}\r\n\r\n", body.len());
        self.raw(&[head.as_bytes(), body].concat(), method == "HEAD")
    }

    /// A connection on which nothing was sent yet.
    pub(crate) fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).unwrap()
    }

    /// Sends these bytes and reads one answer.
    pub(crate) fn raw(&self, request: &[u8], is_head: bool) -> Answer {
        let mut stream = self.connect();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        // A server that answers before it has read everything may close the connection under the writer.
        let _ = stream.write_all(request);
        answer_on(&mut stream, is_head)
    }
}

/// The next answer on a connection.
pub(crate) fn answer_on(stream: &mut impl Read, is_head: bool) -> Answer {
    let mut received = Vec::new();
    let mut chunk = [0; 4_096];
    loop {
        if let Some(answer) = parse(&received, is_head) {
            return answer;
        }
        let read = stream.read(&mut chunk).unwrap();
        assert!(read > 0, "no answer: {}", String::from_utf8_lossy(&received));
        received.extend_from_slice(&chunk[..read]);
    }
}

fn parse(bytes: &[u8], is_head: bool) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map_or(0, |(_, v)| v.parse().unwrap());
    let length = if is_head { 0 } else { length };
    let body = bytes.get(end + 4..end + 4 + length)?.to_vec();
    Some(Answer {
        status,
        headers,
        body,
    })
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A batch of one event of this agent.
pub(crate) fn one(agent_id: &str) -> String {
    format!(r#"{{"events":[{}]}}"#, event(agent_id, ""))
}

/// An event of this agent; `more` are further fields, each with a comma before it.
pub(crate) fn event(agent_id: &str, more: &str) -> String {
    format!(r#"{{"agent_id":"{agent_id}","passed":true,"gates":[],"total_latency_ms":4{more}}}"#)
}
