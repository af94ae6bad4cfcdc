//! `POST /v1/evaluate` from a pool of prepared outputs.

use super::find;
use super::in_turn::InTurn;
use crate::random::Random;
use crate::server::Keys;

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

/// Outputs of 2 KB that pass the default gates, without an `evaluation_id`, so that each is recorded, also where it's
/// sent again. A verdict that does not pass can only be a budget that ran out: the machine's fault, not the answer's.
pub(crate) fn requests(keys: &Keys) -> InTurn {
    let mut random = Random::fresh();
    let mut request = || {
        let (output, agent) = (output(&mut random), random.below(AGENTS));
        let body =
            format!(r#"{{"agent_id":"agent-{agent}","tool":"reply","output":"{output}","latency_ms":420}}"#);
        format!(
            "POST /v1/evaluate HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{body}",
            keys.publishable,
            body.len()
        )
        .into_bytes()
    };
    InTurn::new((0..POOL).map(|_| request()).collect(), |body| {
        find(body, b"\"gates\":[{\"name\":\"filesystem\"").is_some()
    })
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
