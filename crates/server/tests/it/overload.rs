//! More than the server can take: it says so before it reads, its memory stays bounded, what it takes it takes soon, it
//! recovers by itself, and the books balance.

use crate::kit::{Lab, event, one};
use gate::config::{Config as GateConfig, Set};
use gate::{Engine, Gate, Listed, Outcome, Settings, Stopped, Subject};
use journal::SimDisk;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Submissions in flight at most.
const PLACES: usize = 8;
/// Three times as many clients, each with one request at a time.
const CLIENTS: usize = 3 * PLACES;
/// What each client sends, again and again until it is taken.
const BATCHES: usize = 20;
const EVENTS: usize = 3;
/// A generous bound on the wait of what is taken once the disk answers: the queue is a few syncs long.
const SOON: Duration = Duration::from_secs(10);
/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

fn lab(disk: &SimDisk) -> Lab {
    let options = store::Options {
        max_in_flight: PLACES,
        ..store::Options::default()
    };
    Lab::on(Arc::new(disk.clone()), options, |_| {})
}

/// A disk whose syncs wait until this is dropped, also by a test that fails.
struct Held(SimDisk);

impl Held {
    fn new(disk: &SimDisk) -> Self {
        disk.hold_syncs(true);
        Self(disk.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.hold_syncs(false);
    }
}

fn metric(lab: &Lab, name: &str) -> u64 {
    let text = String::from_utf8(lab.get("/metrics").body).unwrap();
    let line = text.lines().find(|line| line.split(' ').next() == Some(name));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {text}"))
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn head(lab: &Lab, bytes: usize, more: &str) -> String {
    let key = &lab.pk;
    format!(
        "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n{more}Content-Length: {bytes}\r\n\r\n"
    )
}

/// Sends a batch and does not wait for the answer.
fn send(lab: &Lab, body: &str) -> TcpStream {
    let mut stream = lab.connect();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(head(lab, body.len(), "").as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    stream
}

fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = [0; 4_096];
    let read = stream.read(&mut bytes).unwrap();
    String::from_utf8(bytes[..read].to_vec()).unwrap()
}

fn fill(lab: &Lab) -> Vec<TcpStream> {
    let waiting = (0..PLACES)
        .map(|place| send(lab, &one(&format!("a{place}"))))
        .collect();
    wait_for("the queue never filled", || {
        metric(lab, "repute_submissions_in_flight") == PLACES as u64
    });
    waiting
}

#[test]
fn a_full_queue_is_told_before_a_byte_of_the_body_is_sent() {
    let disk = SimDisk::new(1);
    let lab = lab(&disk);
    let held = Held::new(&disk);
    let mut late = lab.connect();
    late.set_read_timeout(Some(PATIENCE)).unwrap();
    // This one came while there was room, and is still sending when there is none.
    let body = one("late");
    late.write_all(head(&lab, body.len(), "Expect: 100-continue\r\n").as_bytes())
        .unwrap();
    assert!(answer(&mut late).starts_with("HTTP/1.1 100 "));
    let mut waiting = fill(&lab);
    for (route, expect) in [
        ("/v1/ingest", "Expect: 100-continue\r\n"),
        ("/v1/ingest", ""),
        ("/v1/evaluate", ""),
        ("/v1/agents", ""),
    ] {
        let mut stream = lab.connect();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = head(&lab, 1_000, expect).replace("/v1/ingest", route);
        stream.write_all(head.as_bytes()).unwrap();
        let told = answer(&mut stream);
        assert!(told.starts_with("HTTP/1.1 503 "), "{route}: {told}");
        assert!(told.contains("retry-after: 1\r\n"), "{told}");
    }
    assert_eq!(
        lab.get("/ready").status,
        200,
        "a full queue is no reason to send nobody"
    );
    late.write_all(body.as_bytes()).unwrap();
    assert!(answer(&mut late).starts_with("HTTP/1.1 503 "));
    drop(held);
    for stream in &mut waiting {
        assert!(answer(stream).starts_with("HTTP/1.1 202 "));
    }
    wait_for("the queue never emptied", || {
        metric(&lab, "repute_submissions_in_flight") == 0
    });
    assert_eq!(lab.ingest(one("after")).status, 202, "it recovers by itself");
    let books = books(&lab);
    assert_eq!(books["events"]["recorded"], PLACES + 1);
    assert_eq!(
        books["events"]["shed"]["overloaded"], 1,
        "of the one whose body was read"
    );
    assert_eq!(books["requests"]["by_status"]["503"], 5);
}

/// A gate that takes its time over what one agent puts out: until it is let go.
struct Slow {
    held: AtomicU64,
    gone: AtomicBool,
}

impl Gate for &'static Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn is_heavy(&self) -> bool {
        true
    }

    fn check(&self, subject: &Subject<'_>) -> Result<Outcome, Stopped> {
        if subject.context().agent_id == "slow" {
            self.held.fetch_add(1, Ordering::Relaxed);
            wait_for("it is never let go", || self.gone.load(Ordering::Relaxed));
        }
        Ok(Outcome::pass())
    }
}

#[test]
fn one_organisation_with_many_slow_gates_leaves_a_turn_to_others() {
    static SLOW: Slow = Slow {
        held: AtomicU64::new(0),
        gone: AtomicBool::new(false),
    };
    let lab = Lab::new();
    let gate = Box::new(&SLOW);
    let engine = Engine::new(vec![Listed { gate, shadow: false }], Settings::default()).unwrap();
    lab.gates.replace(GateConfig::of(Set::of("default", engine)));
    let other = lab.tenant("other");
    let evaluate = |key: &str, agent: &str| {
        let body = format!(r#"{{"agent_id":"{agent}","output":1}}"#);
        lab.send("POST", "/v1/evaluate", key, &[], body.as_bytes()).status
    };
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| evaluate(&lab.pk, "slow"));
        }
        wait_for("the gates are never busy", || {
            SLOW.held.load(Ordering::Relaxed) >= 3
        });
        let told: Vec<u16> = (0..20).map(|_| evaluate(&other.pk, "quick")).collect();
        let held = SLOW.held.load(Ordering::Relaxed);
        SLOW.gone.store(true, Ordering::Relaxed);
        assert_eq!((told, held), (vec![200; 20], 3));
    });
}

#[test]
fn a_body_counts_against_the_budget_until_its_events_are_stored() {
    let disk = SimDisk::new(2);
    let lab = lab(&disk);
    let held = Held::new(&disk);
    let reason = "r".repeat(500);
    let gates =
        vec![format!(r#"{{"name":"g","passed":true,"latency_ms":1,"reason":"{reason}"}}"#); 50].join(",");
    let small = one("small");
    let large = vec![event("large", "").replace("[]", &format!("[{gates}]")); 20].join(",");
    let large = format!(r#"{{"events":[{large}]}}"#); // more than is parsed beside its connection
    assert!(large.len() > 256 << 10);
    for body in [&small, &large] {
        drop(send(&lab, body)); // the client has gone, its events are on their way
    }
    wait_for("they never came in", || {
        metric(&lab, "repute_submissions_in_flight") == 2
    });
    let both = (small.len() + large.len()) as u64;
    assert_eq!(metric(&lab, "repute_body_bytes_in_flight"), both);
    drop(held);
    wait_for("they are never given back", || {
        metric(&lab, "repute_body_bytes_in_flight") == 0
    });
    assert_eq!(lab.get("/v1/reputation/large").json()["evaluations"], 20);
}

#[test]
fn three_times_what_it_can_take_is_taken_in_turn_and_the_books_balance() {
    let disk = SimDisk::new(3);
    let lab = lab(&disk);
    let (shed, taken) = (AtomicU64::new(0), AtomicU64::new(0));
    let released = std::sync::OnceLock::new();
    let mut waits = Vec::new();
    std::thread::scope(|scope| {
        let held = Held::new(&disk); // a disk that is slower than everybody
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (lab, shed, taken, released) = (&lab, &shed, &taken, &released);
                scope.spawn(move || {
                    let mut waits = Vec::new();
                    for batch in 0..BATCHES {
                        let id = format!(r#","evaluation_id":"{client}-{batch}""#);
                        let events: Vec<String> = (0..EVENTS)
                            .map(|nth| event(&format!("a{client}"), &id.replace('-', &format!("-{nth}-"))))
                            .collect();
                        let body = format!(r#"{{"events":[{}]}}"#, events.join(","));
                        loop {
                            let began = Instant::now();
                            let mut stream = send(lab, &body);
                            let told = answer(&mut stream);
                            if told.starts_with("HTTP/1.1 202 ") {
                                let released: &Instant = released.get().unwrap();
                                waits.push(began.max(*released).elapsed());
                                break;
                            }
                            assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
                            assert!(told.contains("retry-after: 1\r\n"), "{told}");
                            shed.fetch_add(1, Ordering::Relaxed);
                            std::thread::sleep(Duration::from_millis(1)); // one that does not heed it much
                        }
                        taken.fetch_add(1, Ordering::Relaxed);
                    }
                    waits
                })
            })
            .collect();
        // Everybody who has no place is turned away, again and again, and nothing grows meanwhile.
        let most_bytes = (CLIENTS * 1_024) as u64;
        wait_for("nobody was turned away", || {
            let (places, bytes) = (
                metric(&lab, "repute_submissions_in_flight"),
                metric(&lab, "repute_body_bytes_in_flight"),
            );
            assert!(places <= PLACES as u64 && bytes <= most_bytes, "{places} {bytes}");
            shed.load(Ordering::Relaxed) >= 10 * (CLIENTS - PLACES) as u64
        });
        assert_eq!(
            taken.load(Ordering::Relaxed),
            0,
            "nothing is acknowledged before its sync"
        );
        released.set(Instant::now()).unwrap();
        drop(held);
        for client in clients {
            waits.extend(client.join().unwrap());
        }
    });
    waits.sort_unstable();
    assert_eq!(waits.len(), CLIENTS * BATCHES);
    let p99 = waits[waits.len() * 99 / 100];
    assert!(p99 < SOON, "p99 of what was taken: {p99:?}");

    let all = (CLIENTS * BATCHES * EVENTS) as u64;
    let listed = lab.get("/v1/agents").json();
    let stored = listed["agents"].as_array().unwrap().iter();
    assert_eq!(
        stored
            .map(|agent| agent["eval_count"].as_u64().unwrap())
            .sum::<u64>(),
        all
    );
    let books = books(&lab);
    let events = &books["events"];
    assert_eq!(events["recorded"], all);
    let shed_events = events["shed"]["overloaded"].as_u64().unwrap_or(0);
    assert_eq!(events["received"], all + shed_events);
    let by_status = &books["requests"]["by_status"];
    assert_eq!(by_status["202"], (CLIENTS * BATCHES) as u64);
    assert_eq!(by_status["503"], shed.into_inner());
    for queue in ["repute_submissions_in_flight", "repute_body_bytes_in_flight"] {
        wait_for(queue, || metric(&lab, queue) == 0);
    }
}

/// What the publishable key sent, on all days.
fn books(lab: &Lab) -> Value {
    let id = lab.get("/v1/whoami").json()["key_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/ledger?key_id={id}");
    let page = lab.send("GET", &path, &lab.sk, &[], b"").json();
    let days = page["entries"].as_array().unwrap().iter().cloned();
    days.reduce(sum).unwrap()
}

fn sum(one: Value, other: Value) -> Value {
    match (one, other) {
        (Value::Object(mut one), Value::Object(other)) => {
            for (name, value) in other {
                let before = one.remove(&name).unwrap_or(Value::Null);
                one.insert(name, sum(before, value));
            }
            Value::Object(one)
        }
        (Value::Number(one), Value::Number(other)) => {
            (one.as_u64().unwrap() + other.as_u64().unwrap()).into()
        }
        (Value::Null, other) => other,
        (one, _) => one,
    }
}
