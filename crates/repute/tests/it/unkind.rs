//! The Rust client, a bad network, and a server that is killed meanwhile: every event arrives exactly once.
//!
//! It stands here and not beside the client, since cargo builds the program for the tests of its own package
//! alone.

use crate::kit::Server;
use repute_client::{AgentsOrder, Client, Event, EventFilter, Gate, Telemetry, WhenFull};
use rustix::process::Signal;
use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const EVENTS: u64 = 100_000;
const AGENTS: u64 = 20;
/// Deliveries after which the server is killed.
const KILLS: [u64; 2] = [EVENTS / 4, EVENTS / 2];
/// It takes half a minute; this is for a machine that has much else to do.
const WITHIN: Duration = Duration::from_secs(300);

/// `sdk/testing/unkind_proxy.py` between a client and the server.
struct Proxy {
    child: Child,
    orders: ChildStdin,
    lines: BufReader<ChildStdout>,
    url: String,
}

impl Proxy {
    fn start(upstream: &str, faults: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/testing/unkind_proxy.py");
        let mut child = Command::new("python3")
            .args([script, "--stdin", "--upstream", upstream])
            .args(faults)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut proxy = Self {
            orders: child.stdin.take().unwrap(),
            lines: BufReader::new(child.stdout.take().unwrap()),
            child,
            url: String::new(),
        };
        let line = proxy.line();
        proxy.url = line.strip_prefix("listening on ").unwrap().to_owned();
        proxy
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
    }

    /// How many requests came, and how many met each fault.
    fn counts(&mut self) -> serde_json::Value {
        self.order("counts");
        serde_json::from_str(&self.line()).unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn event(index: u64) -> Event {
    let slow = Duration::from_micros(index % 90_000);
    let gate = if index.is_multiple_of(9) {
        Gate::failed("pii", slow, "email address detected in output")
    } else {
        Gate::passed("pii", slow)
    };
    Event::of_gates(vec![gate, Gate::passed("content", Duration::from_millis(1))])
        .agent(format!("agent-{}", index % AGENTS))
        .tool("submit_bid")
        .evaluation_id(format!("event-{index}"))
}

#[test]
fn a_hundred_thousand_events_arrive_exactly_once_through_a_bad_network_and_two_kills() {
    let started = Instant::now();
    let mut server = Server::start(&[]);
    let faults = [
        "--seed",
        "6",
        "--hang-ms",
        "400",
        "--delay",
        "0.03",
        "--refuse",
        "0.02",
        "--cut-request",
        "0.02",
        "--lose-answer",
        "0.03",
        "--cut-answer",
        "0.02",
        "--throttle",
        "0.005",
        "--unavailable",
        "0.005",
        "--duplicate",
        "0.03",
        "--replay",
        "0.02",
        "--hang",
        "0.005",
    ];
    let mut proxy = Proxy::start(&server.address, &faults);
    let telemetry = Telemetry::builder()
        .url(&proxy.url)
        .api_key(&server.publishable)
        .secret_key(&server.secret)
        .max_buffer(5_000)
        .when_full(WhenFull::Block)
        .retry_base(Duration::from_millis(5))
        .retry_max(Duration::from_millis(200))
        .request_timeout(Duration::from_secs(2))
        .build()
        .unwrap();

    let tracking = {
        let telemetry = telemetry.clone();
        std::thread::spawn(move || (0..EVENTS).for_each(|index| telemetry.track(event(index))))
    };
    for delivered in KILLS {
        while telemetry.books().delivered < delivered {
            assert!(started.elapsed() < WITHIN, "{:?}", telemetry.books());
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = server.stop_with(Signal::KILL);
        // Long enough for a try to meet nobody.
        std::thread::sleep(Duration::from_millis(300));
        server.start_again(&[]);
        proxy.order(&format!("upstream {}", server.address));
        assert!(telemetry.books().balance(), "{:?}", telemetry.books());
    }
    tracking.join().unwrap();
    assert!(
        telemetry.flush(WITHIN.saturating_sub(started.elapsed())),
        "{:?}",
        telemetry.books()
    );
    let books = telemetry.books();
    println!(
        "delivered in {:?}: {books:?}\nthe network: {}",
        started.elapsed(),
        proxy.counts()
    );

    assert_eq!(
        (books.tracked, books.delivered, books.waiting),
        (EVENTS, EVENTS, 0)
    );
    assert_eq!(
        (books.refused_total(), books.dropped_total()),
        (0, 0),
        "{books:?}"
    );
    assert!(books.balance());
    assert!(
        books.retries > 20 && books.duplicates > 0,
        "the network was not bad: {books:?}"
    );
    assert!(
        proxy.counts()["no-upstream"].as_u64() > Some(0),
        "the server was not missed"
    );

    // Once a request that is on its way twice has come to its end, all is as it stays.
    proxy.order("kind");
    let client = Client::builder()
        .url(format!("http://{}", server.address))
        .api_key(&server.publishable)
        .build()
        .unwrap();
    let agents: Vec<_> = client
        .agents(AgentsOrder::AgentId)
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(agents.len() as u64, AGENTS);
    for agent in &agents {
        assert_eq!(agent.eval_count, EVENTS / AGENTS, "{agent:?}");
    }
    let mut ids = HashSet::new();
    for event in client.events(EventFilter::all()) {
        let event = event.unwrap();
        assert!(event.signed);
        assert!(
            ids.insert(event.evaluation_id.unwrap()),
            "an event is there twice"
        );
    }
    assert_eq!(ids.len() as u64, EVENTS);
    assert!((0..EVENTS).all(|index| ids.contains(&format!("event-{index}"))));
}
