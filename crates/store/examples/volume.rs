//! Fills a store with many events and times queries and restarts.
//!
//! `cargo run --release -p store --example volume -- SHAPE EVENTS DIR`, where SHAPE is `mixed` (10,000 agents,
//! times spread over 5 s), `orgs` (10,000 organisations with 10 agents each), `agents` (one organisation with
//! a million agents), `one` (one agent) or `backfill` (10,000 agents, random times over 30 days).
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for people at a terminal"
)]

use journal::OsDisk;
use reputation::{Evaluation, GateResult, Micros};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Instant;
use store::{
    AgentOrder, EventQuery, KeyId, Options, OrgId, Source, Start, Store, Submission, Unobserved, system_clock,
};

const BATCH: u64 = 100;
const IN_FLIGHT: usize = 64;
const ROUNDS: usize = 200;

#[derive(Clone, Copy)]
struct Shape {
    orgs: u64,
    agents: u64,
    spread_us: u64,
}

fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (n ^ (n >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ (n >> 32)
}

fn open(dir: &Path) -> (Store, f64) {
    let started = Instant::now();
    let store = Store::open(Arc::new(OsDisk), dir, Options::default(), Arc::new(Unobserved)).unwrap();
    (store, started.elapsed().as_secs_f64())
}

fn fill(store: &Store, shape: Shape, events: u64) {
    let (answer, answers) = mpsc::channel();
    let now = system_clock();
    let mut in_flight = 0;
    for batch in 0..events / BATCH {
        let names: Vec<String> = (0..BATCH).map(|i| agent_name(shape, batch, i)).collect();
        let ids: Vec<String> = (0..BATCH)
            .map(|i| format!("{:024x}", u128::from(mix(batch * BATCH + i)) << 20))
            .collect();
        let at = now().0;
        let evaluations: Vec<Evaluation<'_>> = (0..BATCH as usize)
            .map(|i| evaluation(&names[i], &ids[i], at, shape, mix(batch * BATCH + i as u64)))
            .collect();
        let submission = Submission {
            org: OrgId(1 + (mix(batch) % shape.orgs) as u32),
            key: KeyId(1),
            signed: false,
            source: Source::Ingest,
            max_agents: 2_000_000,
            lenient: false,
            evaluations: &evaluations,
        };
        let answer = answer.clone();
        store.submit(&submission, Box::new(move |outcome| drop(answer.send(outcome))));
        in_flight += 1;
        if in_flight == IN_FLIGHT {
            answers.recv().unwrap().unwrap();
            in_flight -= 1;
        }
    }
    (0..in_flight).for_each(|_| drop(answers.recv().unwrap().unwrap()));
}

fn agent_name(shape: Shape, batch: u64, event: u64) -> String {
    // 15 agents a batch, as a client that reports for some agents has it.
    format!("agent-{}", mix(batch * 15 + event % 15) % shape.agents)
}

fn evaluation<'a>(agent: &'a str, id: &'a str, at: i64, shape: Shape, random: u64) -> Evaluation<'a> {
    let names = ["impid", "bid_sanity", "adomain", "pii", "content"];
    let failed = random.is_multiple_of(20).then_some((random / 20 % 5) as usize);
    let gates = names.iter().enumerate().map(|(i, name)| GateResult {
        name: (*name).into(),
        passed: failed != Some(i),
        latency_ms: f64::from((random >> 8) as u8) / 8.0,
        reason: (failed == Some(i)).then(|| "bid price exceeds floor by more than 50x".into()),
        skipped: None,
    });
    Evaluation {
        agent_id: agent.into(),
        tool: Some(["submit_bid", "search", "write", "mail"][(random % 4) as usize].into()),
        passed: failed.is_none(),
        gates: gates.collect(),
        total_latency_us: (random % 40_000) as u32,
        sent_at: Some(Micros(at - (random >> 20) as i64 % (shape.spread_us as i64 + 1))),
        evaluation_id: Some(id.into()),
        agent_latency_us: None,
    }
}

fn timed(name: &str, mut run: impl FnMut(usize)) {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|round| {
            let started = Instant::now();
            run(round);
            started.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!(
        "{name:<42} p50 {:>8.3} ms   p99 {:>8.3} ms",
        times[ROUNDS / 2],
        times[ROUNDS * 99 / 100]
    );
}

fn queries(store: &Store) {
    let org = OrgId(1);
    let agents = store.agents(org, &AgentOrder::AgentId(None), 500).unwrap();
    let agent = |round: usize| agents[round * 7 % agents.len()].agent_id.clone();
    let plain = EventQuery {
        agent_id: None,
        passed: None,
        from: None,
        to: None,
        tool: None,
        failed_gate: None,
        evaluation_id: None,
        start: Start::Offset(0),
        limit: 50,
    };
    let ask = |query: EventQuery| drop(store.events(org, &query).unwrap());
    let own = |round| EventQuery {
        agent_id: Some(agent(round)),
        ..plain.clone()
    };
    timed("newest 50 of the organisation", |_| ask(plain.clone()));
    timed("newest 50 of an agent", |round| ask(own(round)));
    timed("newest 50 failed of an agent", |round| {
        ask(EventQuery {
            passed: Some(false),
            ..own(round)
        });
    });
    let offset = |rows| EventQuery {
        start: Start::Offset(rows),
        ..plain.clone()
    };
    timed("offset 100,000", |_| ask(offset(100_000)));
    timed("failed, offset 10,000", |_| {
        ask(EventQuery {
            passed: Some(false),
            start: Start::Offset(10_000),
            ..plain.clone()
        });
    });
    let middle = store.events(org, &offset(100_000)).unwrap().next;
    timed("behind a cursor 100,000 deep", |_| {
        ask(EventQuery {
            start: middle.map_or(Start::Offset(0), Start::After),
            ..plain.clone()
        });
    });
    timed("an hour, of which 50", |round| {
        let to = Micros(system_clock()().0 - round as i64 * 60 * Micros::PER_SECOND);
        ask(EventQuery {
            from: Some(Micros(to.0 - 3_600 * Micros::PER_SECOND)),
            to: Some(to),
            ..plain.clone()
        });
    });
    timed("one event by its id", |round| {
        drop(store.event(org, 1 + round as u64 * 37).unwrap());
    });
    timed("one tool", |_| {
        ask(EventQuery {
            tool: Some("mail".into()),
            ..plain.clone()
        });
    });
    timed("one failed gate", |_| {
        ask(EventQuery {
            failed_gate: Some("pii".into()),
            ..plain.clone()
        });
    });
    timed("an unknown tool", |_| {
        ask(EventQuery {
            tool: Some("nothing".into()),
            ..plain.clone()
        });
    });
    timed("an id of an agent", |round| {
        ask(EventQuery {
            evaluation_id: Some("0123456789abcdef01234567".into()),
            ..own(round)
        });
    });
    timed("agents by last_seen, 500", |_| {
        drop(store.agents(org, &AgentOrder::LastSeen(None), 500).unwrap());
    });
    timed("reputation", |round| {
        drop(store.reputations(org, &[&agent(round)]).unwrap());
    });
    let hundred: Vec<&str> = agents
        .iter()
        .take(100)
        .map(|agent| agent.agent_id.as_str())
        .collect();
    timed("reputation of 100", |_| {
        drop(store.reputations(org, &hundred).unwrap());
    });
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, shape, events, dir] = &arguments[..] else {
        println!("usage: volume mixed|orgs|agents|one|backfill EVENTS DIR");
        return;
    };
    let events: u64 = events.parse().unwrap();
    let shape = match shape.as_str() {
        "mixed" => Shape {
            orgs: 1,
            agents: 10_000,
            spread_us: 5_000_000,
        },
        "orgs" => Shape {
            orgs: 10_000,
            agents: 10,
            spread_us: 50_000,
        },
        "agents" => Shape {
            orgs: 1,
            agents: 1_000_000,
            spread_us: 50_000,
        },
        "one" => Shape {
            orgs: 1,
            agents: 1,
            spread_us: 50_000,
        },
        "backfill" => Shape {
            orgs: 1,
            agents: 10_000,
            spread_us: 30 * 86_400 * 1_000_000,
        },
        other => panic!("no shape {other}"),
    };
    let dir = Path::new(dir);
    let (store, _) = open(dir);
    let started = Instant::now();
    fill(&store, shape, events);
    let seconds = started.elapsed().as_secs_f64();
    let stats = store.stats();
    println!(
        "{events} events in {seconds:.1} s, {:.0} k/s; {} segments, {:.1} bytes an event with indexes",
        events as f64 / seconds / 1e3,
        stats.segments,
        stats.bytes as f64 / stats.events as f64
    );
    queries(&store);
    println!("killing without a close, then opening");
    std::mem::forget(store);
    let (store, seconds) = open(dir);
    println!("open after a kill: {seconds:.2} s");
    timed("reputation, cold", |round| {
        let all = store.agents(OrgId(1), &AgentOrder::AgentId(None), 500).unwrap();
        drop(
            store
                .reputations(OrgId(1), &[&all[round % all.len()].agent_id])
                .unwrap(),
        );
    });
    store.close();
    drop(store);
    let (store, seconds) = open(dir);
    println!(
        "open after a clean stop: {seconds:.2} s; {} events",
        store.stats().events
    );
    queries(&store);
    store.close();
}
