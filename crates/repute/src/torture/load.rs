//! What is sent: batches that are known by their number, resent until they are acknowledged, and some of them
//! once more after that.

use super::client::Client;
use reputation::Micros;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use wire::timestamp;

/// Events of a batch.
pub(super) const EVENTS: u64 = 20;
/// Agents that they are of.
const AGENTS: u64 = 40;
/// How long to wait after an answer that says to come again.
const PAUSE: Duration = Duration::from_millis(20);
/// How long the last batch may take to be acknowledged.
const SETTLE_WITHIN: Duration = Duration::from_secs(30);

/// A batch as it was made, to be sent in the same bytes until it is acknowledged.
pub(super) struct Batch {
    pub(super) number: u64,
    body: Vec<u8>,
}

impl Batch {
    /// The batch of this number, made now.
    fn new(number: u64) -> Self {
        let now = store::now();
        let mut body = String::from(r#"{"events":["#);
        for event in 0..EVENTS {
            let id = number * EVENTS + event;
            let mixed = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            let passed = !mixed.is_multiple_of(11);
            // In no order, and apart by microseconds.
            let at = Micros(now.0 - (mixed % 50_000).cast_signed());
            let reason = if passed {
                ""
            } else {
                r#","reason":"email address detected in output""#
            };
            let comma = if event == 0 { "" } else { "," };
            // Writing to a string does not fail.
            let _ = write!(
                body,
                r#"{comma}{{"agent_id":"agent-{}","tool":"tool-{}","passed":{passed},"gates":[{{"name":"pii","passed":{passed},"latency_ms":1.25{reason}}},{{"name":"content","passed":true,"latency_ms":2}}],"total_latency_ms":{}.{:03},"timestamp":"{}","evaluation_id":"{id}"}}"#,
                mixed % AGENTS,
                mixed % 5,
                mixed % 120,
                mixed % 1_000,
                timestamp::format(at),
            );
        }
        body += "]}";
        Self {
            number,
            body: body.into_bytes(),
        }
    }
}

/// One of those who send.
#[derive(Default)]
pub(super) struct Sender {
    /// Sent without an answer, or with one that says to come again.
    waiting: Option<Batch>,
    /// Acknowledged last; to be sent once more.
    last: Option<Batch>,
    /// The numbers of the batches that were acknowledged since they were taken.
    pub(super) acknowledged: Vec<u64>,
    /// Requests that were sent.
    pub(super) requests: u64,
    /// Batches that were sent again after they had been acknowledged.
    pub(super) resent: u64,
    /// An answer that should not be.
    pub(super) surprise: Option<String>,
}

/// What those who send share in a round.
pub(super) struct Round {
    /// The number of the next batch.
    pub(super) next: AtomicU64,
    /// The number of the first batch that is of a later round.
    pub(super) until: u64,
    pub(super) stop: AtomicBool,
    /// Whether anything was acknowledged.
    pub(super) is_under_way: AtomicBool,
    /// Whether some were told that there is no room.
    pub(super) is_full: AtomicBool,
}

impl Round {
    /// A round from this batch on, of so many batches at most.
    pub(super) fn new(next: u64, batches: u64) -> Self {
        Self {
            next: AtomicU64::new(next),
            until: next + batches,
            stop: AtomicBool::new(false),
            is_under_way: AtomicBool::new(false),
            is_full: AtomicBool::new(false),
        }
    }
}

impl Sender {
    /// Sends until told to stop. First what was acknowledged last: it must be taken for a repeat, whatever happened
    /// to the server meanwhile.
    pub(super) fn run(&mut self, client: &mut Client, round: &Round) {
        if let Some(last) = self.last.take()
            && self.send(client, &last, round)
        {
            self.resent += 1;
        }
        while !round.stop.load(Ordering::Relaxed) && self.surprise.is_none() {
            let batch = match self.waiting.take() {
                Some(batch) => batch,
                None => match round.next.fetch_add(1, Ordering::Relaxed) {
                    number if number < round.until => Batch::new(number),
                    _ => return,
                },
            };
            if self.send(client, &batch, round) {
                self.acknowledged.push(batch.number);
                self.last = Some(batch);
            } else {
                self.waiting = Some(batch);
                thread::sleep(PAUSE);
            }
        }
    }

    /// Sends what waits until it is acknowledged.
    pub(super) fn settle(&mut self, client: &mut Client, round: &Round) {
        let started = Instant::now();
        while let Some(batch) = self.waiting.take() {
            if self.send(client, &batch, round) {
                self.acknowledged.push(batch.number);
            } else if self.surprise.is_none() && started.elapsed() < SETTLE_WITHIN {
                self.waiting = Some(batch);
                thread::sleep(PAUSE);
            }
        }
    }

    /// Whether the batch was acknowledged.
    fn send(&mut self, client: &mut Client, batch: &Batch, round: &Round) -> bool {
        self.requests += 1;
        match client.post("/v1/ingest", &batch.body) {
            Ok((202, answer)) if answer["accepted"] == EVENTS => {
                round.is_under_way.store(true, Ordering::Relaxed);
                true
            }
            Ok((503, answer)) => {
                if answer["error"]
                    .as_str()
                    .is_some_and(|text| text.contains("no room"))
                {
                    round.is_full.store(true, Ordering::Relaxed);
                }
                false
            }
            Ok((429, _)) | Err(_) => false,
            Ok((status, answer)) => {
                self.surprise = Some(format!("{status}: {answer}"));
                false
            }
        }
    }
}
