//! `POST /v1/evaluate` from a pool of prepared outputs.

use super::{Prepared, Traffic, body, find, status};
use crate::random::Random;
use crate::server::Keys;
use anyhow::{Result, bail};

/// Distinct requests in the pool.
const POOL: usize = 1_024;
/// About as long as an answer to a customer.
const OUTPUT_BYTES: usize = 2_048;
const AGENTS: u64 = 10_000;
const WORDS: &[&str] = &[
    "the",
    "order",
    "was",
    "shipped",
    "on",
    "Monday",
    "and",
    "should",
    "arrive",
    "within",
    "three",
    "days.",
    "Please",
    "let",
    "us",
    "know",
    "if",
    "anything",
    "is",
    "missing.",
    "refund",
    "invoice",
    "/tmp/report.txt",
    "version",
    "2.14.0",
];

/// Requests without an `evaluation_id`, so that each of them is recorded, also where it's sent again.
pub(crate) struct Evaluate {
    requests: Vec<Vec<u8>>,
    next: usize,
}

impl Evaluate {
    /// Outputs of 2 KB that pass the default gates.
    pub(crate) fn new(keys: &Keys) -> Self {
        let mut random = Random::fresh();
        let mut request = || {
            let output = output(&mut random);
            let agent = random.below(AGENTS);
            let body = format!(
                r#"{{"agent_id":"agent-{agent}","tool":"reply","output":"{output}","latency_ms":420}}"#
            );
            format!(
                "POST /v1/evaluate HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{body}",
                keys.publishable,
                body.len()
            )
            .into_bytes()
        };
        Self {
            requests: (0..POOL).map(|_| request()).collect(),
            next: 0,
        }
    }
}

/// Prose that passes the default gates and needs no escape in JSON.
pub(crate) fn output(random: &mut Random) -> String {
    let mut output = String::with_capacity(OUTPUT_BYTES + 16);
    while output.len() < OUTPUT_BYTES {
        let word: &&str = random.pick(WORDS);
        output.push_str(word);
        output.push(' ');
    }
    output
}

impl Traffic for Evaluate {
    fn prepare(&mut self) -> Result<Prepared> {
        let request = Prepared(self.next);
        self.next = (self.next + 1) % self.requests.len();
        Ok(request)
    }

    fn bytes(&self, request: Prepared) -> &[u8] {
        &self.requests[request.0]
    }

    /// A verdict that does not pass can only be a budget that ran out: the machine's fault, not the answer's.
    fn answered(&mut self, _: Prepared, answer: &[u8]) -> Result<u64> {
        if status(answer) != b"200" || find(body(answer), b"\"gates\":[{\"name\":\"filesystem\"").is_none() {
            bail!(
                "not the answer that was expected: {}",
                String::from_utf8_lossy(answer)
            );
        }
        Ok(1)
    }
}
