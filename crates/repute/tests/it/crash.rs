//! SIGKILL in the middle of everything, again and again: nothing acknowledged is lost, nothing counts twice.

use crate::kit::{Client, Server};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const ROUNDS: u64 = 20;
const SENDERS: usize = 32;
const EVENTS: usize = 20;
const AGENTS: u64 = 40;
/// How long a restart may take until it takes events.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// A batch as one sender made it, to be sent until it is acknowledged.
struct Batch {
    ids: Vec<String>,
    body: Vec<u8>,
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// 2026-…: the day is fixed, so that no calendar is needed; the clock of the test runs inside it.
fn timestamp(ms: u64) -> String {
    let of_day = ms % 86_400_000;
    let (h, m, s) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1_000 % 60);
    format!("2026-01-01T{h:02}:{m:02}:{s:02}.{:03}Z", of_day % 1_000)
}

fn batch(serial: u64) -> Batch {
    let ids: Vec<String> = (0..EVENTS)
        .map(|event| format!("{serial:016x}{event:08x}"))
        .collect();
    let events: Vec<String> = ids
        .iter()
        .zip(0u64..)
        .map(|(id, event)| {
            let mixed = (serial * 31 + event).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            let passed = !mixed.is_multiple_of(11);
            let at = timestamp(now_ms().saturating_sub(mixed % 50));
            let reason = if passed { "" } else { r#","reason":"email address detected in output""# };
            format!(
                r#"{{"agent_id":"agent-{}","tool":"tool-{}","passed":{passed},"gates":[{{"name":"pii","passed":{passed},"latency_ms":1.25{reason}}},{{"name":"content","passed":true,"latency_ms":2}}],"total_latency_ms":{}.{:03},"timestamp":"{at}","evaluation_id":"{id}"}}"#,
                mixed % AGENTS,
                mixed % 5,
                mixed % 120,
                mixed % 1_000,
            )
        })
        .collect();
    Batch {
        ids,
        body: format!(r#"{{"events":[{}]}}"#, events.join(",")).into_bytes(),
    }
}

/// Sends batches until told to stop; a batch without an answer is sent again, also in the next round.
fn send(
    client: &mut Client,
    waiting: &mut Option<Batch>,
    next: &AtomicU64,
    stop: &AtomicBool,
    acknowledged: &Mutex<Vec<String>>,
) {
    while !stop.load(Ordering::Relaxed) {
        let one = waiting
            .take()
            .unwrap_or_else(|| batch(next.fetch_add(1, Ordering::Relaxed)));
        match client.post("/v1/ingest", &one.body) {
            Ok((202, answer)) => {
                assert_eq!(answer["accepted"], EVENTS);
                acknowledged.lock().unwrap().extend(one.ids);
            }
            Ok((503, _)) => *waiting = Some(one),
            Ok((status, answer)) => panic!("{status}: {answer}"),
            Err(_) => {
                *waiting = Some(one);
                return;
            }
        }
    }
}

/// All events that are listed, newest first.
fn listed(server: &Server) -> Vec<Value> {
    let mut client = server.client();
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let (status, page) = client.get(&format!("/v1/events?limit=100{cursor}")).unwrap();
        assert_eq!(status, 200, "{page}");
        all.extend(page["events"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// The published formula over an agent's newest 500 events, in exact integers.
fn recount(events: &[&Value]) -> (u64, u64) {
    let window = &events[..events.len().min(500)];
    let n = window.len() as u128;
    let passed = window.iter().filter(|event| event["passed"] == true).count() as u128;
    let micros: u128 = window
        .iter()
        .map(|e| (e["total_latency_ms"].as_f64().unwrap() * 1e3).round() as u128)
        .sum();
    let streak = window.iter().take_while(|event| event["passed"] == true).count() as u128;
    let denominator = 100_000 * n * 50 * 500;
    let sum = 400 * passed * (denominator / n)
        + 250 * (100_000 * n).saturating_sub(micros) * (denominator / (100_000 * n))
        + 200 * streak.min(50) * (denominator / 50)
        + 150 * n * (denominator / 500);
    ((sum / denominator) as u64, n as u64)
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_counts_twice_over_20_kills() {
    let arguments = ["--max-segment", "256KiB", "--log-level", "warn"];
    let mut server = Server::start(&arguments);
    let next = AtomicU64::new(1);
    let acknowledged = Mutex::new(Vec::new());
    let mut waiting: Vec<Option<Batch>> = (0..SENDERS).map(|_| None).collect();
    let mut slowest = Duration::ZERO;
    for round in 0..=ROUNDS {
        slowest = slowest.max(server.wait_until_ready());
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for place in &mut waiting {
                let mut client = server.client();
                let (next, stop, acknowledged) = (&next, &stop, &acknowledged);
                scope.spawn(move || send(&mut client, place, next, stop, acknowledged));
            }
            std::thread::sleep(Duration::from_millis(120 + round * 17 % 90));
            if round < ROUNDS {
                server.kill();
            }
            stop.store(true, Ordering::Relaxed);
        });
        if round < ROUNDS {
            let started = Instant::now();
            server.start_again(&arguments);
            server.wait_until_ready();
            slowest = slowest.max(started.elapsed());
        }
    }
    assert!(slowest < READY_WITHIN, "a restart took {slowest:?}");

    let mut client = server.client();
    for one in waiting.iter().flatten() {
        assert_eq!(client.post("/v1/ingest", &one.body).unwrap().0, 202);
        acknowledged.lock().unwrap().extend(one.ids.iter().cloned());
    }
    let events = listed(&server);
    let mut times: HashMap<&str, u32> = HashMap::new();
    for event in &events {
        *times.entry(event["evaluation_id"].as_str().unwrap()).or_default() += 1;
    }
    let acknowledged = acknowledged.into_inner().unwrap();
    let lost = acknowledged
        .iter()
        .filter(|id| !times.contains_key(id.as_str()))
        .count();
    let twice = times.values().filter(|count| **count > 1).count();
    assert_eq!((lost, twice), (0, 0), "of {} acknowledged", acknowledged.len());
    assert_eq!(times.len(), acknowledged.len());
    assert!(
        acknowledged.len() as u64 > ROUNDS * EVENTS as u64,
        "only {} were sent",
        acknowledged.len()
    );

    let mut by_agent: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for event in &events {
        by_agent
            .entry(event["agent_id"].as_str().unwrap())
            .or_default()
            .push(event);
    }
    for (agent, events) in by_agent {
        let (_, standing) = client.get(&format!("/v1/reputation/{agent}")).unwrap();
        let told = (
            standing["score"].as_u64().unwrap(),
            standing["evaluations"].as_u64().unwrap(),
        );
        assert_eq!(told, recount(&events), "{agent}: {standing}");
    }
    assert_eq!(server.stop(), Some(0));
}
