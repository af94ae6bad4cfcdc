//! `POST /v1/ingest` from a pool of prepared bodies.

use super::{Prepared, Traffic, body, status};
use crate::body::{Age, Body, Fresh, Shape};
use crate::clock::now;
use crate::random::Random;
use crate::server::Keys;
use anyhow::{Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::collections::VecDeque;
use std::io::Write as _;
use wire::SigningKey;

/// Distinct bodies in a pool.
const POOL: usize = 1_024;

/// How a body goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Plain,
    /// Plain, with a signature.
    Signed,
    Gzip,
    Zstd,
}

/// A pool of requests. Each is sent by one connection at a time, fresh each time.
pub(crate) struct Ingest {
    requests: Vec<Request>,
    free: VecDeque<Prepared>,
    /// Requests to be sent once more just as they are.
    again: VecDeque<Prepared>,
    repeats: bool,
    /// The answer is the sink's: it knows nothing of agents.
    is_for_sink: bool,
    coding: Coding,
    age: Age,
    head: String,
    signing: SigningKey,
    fresh: Fresh,
    /// What the server said of the events that it took.
    pub(crate) paths: Paths,
}

struct Request {
    body: Body,
    /// Head and body.
    bytes: Vec<u8>,
    is_repeat: bool,
}

/// Events by what became of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Paths {
    pub(crate) accepted: u64,
    pub(crate) duplicates: u64,
    pub(crate) late: u64,
    pub(crate) clamped: u64,
}

impl Ingest {
    /// Bodies of this shape, with events of this age.
    pub(crate) fn new(shape: Shape, age: Age, keys: &Keys) -> Self {
        let mut random = Random::fresh();
        let request = |_| Request {
            body: Body::new(shape, &mut random),
            bytes: Vec::new(),
            is_repeat: false,
        };
        let requests = (0..POOL).map(request).collect();
        Self {
            requests,
            free: (0..POOL).map(Prepared).collect(),
            again: VecDeque::new(),
            repeats: false,
            is_for_sink: false,
            coding: Coding::Plain,
            age,
            head: format!(
                "POST /v1/ingest HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n",
                keys.publishable
            ),
            signing: SigningKey::new(&keys.secret),
            fresh: Fresh::new(random),
            paths: Paths::default(),
        }
    }

    /// The usual bodies.
    pub(crate) fn usual(keys: &Keys) -> Self {
        Self::new(Shape::USUAL, Age::FRESH, keys)
    }

    /// The same with bodies coded like this.
    pub(crate) fn coded(mut self, coding: Coding) -> Self {
        self.coding = coding;
        self
    }

    /// The same for the null sink, whose answer is always the same.
    pub(crate) fn for_sink(mut self) -> Self {
        self.is_for_sink = true;
        self
    }

    /// The same with each request sent twice, the second time once the first is answered.
    pub(crate) fn twice(mut self) -> Self {
        self.repeats = true;
        self
    }

    fn refresh(&mut self, at: Prepared) -> Result<()> {
        let request = &mut self.requests[at.0];
        request.is_repeat = false;
        request.body.refresh(now(), self.age, &mut self.fresh);
        let plain = &request.body.bytes;
        let compressed;
        let (body, more) = match self.coding {
            Coding::Plain => (plain, String::new()),
            Coding::Signed => (
                plain,
                format!("x-pecta-signature: {}\r\n", self.signing.sign(plain)),
            ),
            Coding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(plain)?;
                compressed = encoder.finish()?;
                (&compressed, "content-encoding: gzip\r\n".to_owned())
            }
            Coding::Zstd => {
                compressed = zstd::bulk::compress(plain, 1)?;
                (&compressed, "content-encoding: zstd\r\n".to_owned())
            }
        };
        let bytes = &mut request.bytes;
        bytes.clear();
        write!(bytes, "{}{more}content-length: {}\r\n\r\n", self.head, body.len())?;
        bytes.extend_from_slice(body);
        Ok(())
    }
}

impl Traffic for Ingest {
    fn prepare(&mut self) -> Result<Prepared> {
        if let Some(request) = self.again.pop_front() {
            self.requests[request.0].is_repeat = true;
            return Ok(request);
        }
        let Some(request) = self.free.pop_front() else {
            bail!("more than {POOL} requests at once");
        };
        self.refresh(request)?;
        Ok(request)
    }

    fn bytes(&self, request: Prepared) -> &[u8] {
        &self.requests[request.0].bytes
    }

    fn answered(&mut self, prepared: Prepared, answer: &[u8]) -> Result<u64> {
        let request = &self.requests[prepared.0];
        let text = std::str::from_utf8(body(answer))?;
        let count = |name: &str| number_after(text, name);
        let (events, duplicates) = (request.body.events() as u64, count("\"duplicates\":"));
        let expected = if request.is_repeat {
            request.body.named() as u64
        } else {
            0
        };
        let has_updates = || text.matches("\"agent_id\":").count() == request.body.distinct_agents();
        let is_right = status(answer) == b"202"
            && count("\"accepted\":") == events
            && duplicates == expected
            && (self.is_for_sink || has_updates());
        if !is_right {
            bail!(
                "not the answer that was expected: {}",
                String::from_utf8_lossy(answer)
            );
        }
        self.paths.accepted += events;
        self.paths.duplicates += duplicates;
        self.paths.late += count("\"late\":");
        self.paths.clamped += count("\"clamped\":");
        if self.repeats && !request.is_repeat {
            self.again.push_back(prepared);
        } else {
            self.free.push_back(prepared);
        }
        Ok(events)
    }
}

/// The number behind this name, 0 if the name is not there.
fn number_after(text: &str, name: &str) -> u64 {
    let Some(at) = text.find(name) else { return 0 };
    let digits = text[at + name.len()..].bytes().take_while(u8::is_ascii_digit);
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}
