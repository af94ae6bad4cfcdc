//! Crashes at every operation while retention lets segments go: each agent's count and window stay those of
//! all that was taken.

use crate::kit::{NOW, ORG, event, ingest};
use journal::SimDisk;
use journal::sim::Fault;
use reputation::{Micros, Slot, Summary, Window};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use store::{AgentOrder, Error, Options, Receipt, Refused, Store, Unobserved};

const BATCHES: usize = 12;
const EVENTS: usize = 12;
const AGENTS: [&str; 3] = ["a", "b", "c"];

fn open(disk: &SimDisk) -> Result<Store, Error> {
    let mut options = Options {
        clock: Arc::new(|| Micros(NOW)),
        retention_bytes: Some(14 << 10),
        // Only when the test asks.
        upkeep_every: std::time::Duration::from_secs(3_600),
        ..Options::default()
    };
    options.journal.first_segment_bytes = 2 << 10;
    options.journal.max_segment_bytes = 2 << 10;
    options.journal.inline = true;
    let disk = Arc::new(disk.clone());
    Store::open(disk, Path::new("/data"), options, Arc::new(Unobserved))
}

/// Agent, time and verdict of an event: no two have the same time.
fn fields(batch: usize, index: usize) -> (&'static str, i64, bool) {
    let mixed = (batch * EVENTS + index) * 67 % (BATCHES * EVENTS);
    // Agent c falls silent, so that its window is carried again and again.
    let agent = AGENTS[if batch > 3 { mixed % 2 } else { mixed % 3 }];
    (agent, NOW - mixed as i64 * 1_000, !mixed.is_multiple_of(10))
}

fn send(store: &Store, batch: usize) -> Result<Receipt, Refused> {
    let ids: Vec<String> = (0..EVENTS).map(|index| format!("id-{batch}-{index}")).collect();
    let mut events = Vec::new();
    for (index, id) in ids.iter().enumerate() {
        let (agent, at, passed) = fields(batch, index);
        let mut one = event(agent, Some(id), Some(at));
        one.passed = passed;
        events.push(one);
    }
    ingest(store, &events)
}

type Standing = BTreeMap<String, (u64, Summary)>;

fn recount(batches: &BTreeSet<usize>) -> Standing {
    let mut slots: BTreeMap<&str, Vec<Slot>> = BTreeMap::new();
    for (batch, index) in batches.iter().flat_map(|b| (0..EVENTS).map(move |i| (*b, i))) {
        let (agent, at, passed) = fields(batch, index);
        let slots = slots.entry(agent).or_default();
        slots.push(Slot {
            recorded_at: Micros(at),
            arrival: slots.len() as u64,
            latency_us: 4_000,
            passed,
            identity: 0,
        });
    }
    let standing = |(agent, slots): (&str, Vec<Slot>)| {
        let count = slots.len() as u64;
        (
            agent.to_owned(),
            (count, slots.into_iter().collect::<Window>().summary()),
        )
    };
    slots.into_iter().map(standing).collect()
}

fn found(store: &Store) -> Standing {
    let agents = store.agents(ORG, &AgentOrder::AgentId(None), 10).unwrap();
    agents
        .into_iter()
        .map(|agent| (agent.agent_id, (agent.eval_count, agent.summary)))
        .collect()
}

/// Sends the batches, letting segments go after each, with a stop in the middle; those that were taken.
fn work(disk: &SimDisk) -> BTreeSet<usize> {
    let mut taken = BTreeSet::new();
    for part in [0..BATCHES / 2, BATCHES / 2..BATCHES] {
        let Ok(store) = open(disk) else { break };
        for batch in part {
            if send(&store, batch).is_ok() {
                taken.insert(batch);
            }
            store.settle();
        }
        store.close();
    }
    taken
}

fn check(store: &Store, taken: &BTreeSet<usize>, what: &str) {
    let standing = found(store);
    let mut possible = vec![taken.clone()];
    // What was in flight is there whole or not at all.
    for batch in (0..BATCHES).filter(|batch| !taken.contains(batch)) {
        let mut more = taken.clone();
        more.insert(batch);
        possible.push(more);
    }
    assert!(
        possible.iter().any(|batches| recount(batches) == standing),
        "{what}: {standing:?}, taken {taken:?}"
    );
    let all: BTreeSet<usize> = (0..BATCHES).collect();
    for batch in &all {
        send(store, *batch).unwrap_or_else(|refused| panic!("{what}: {refused}"));
        store.settle();
    }
    assert_eq!(found(store), recount(&all), "{what}, after sending all again");
}

#[test]
fn a_crash_at_every_operation_of_retention_changes_no_count_and_no_window() {
    let disk = SimDisk::new(0);
    assert_eq!(work(&disk).len(), BATCHES);
    let operations = disk.operations();
    let store = open(&disk).unwrap();
    assert_eq!(
        store.event(ORG, 1).unwrap(),
        None,
        "nothing went: the test shows nothing"
    );
    drop(store);
    for at in 1..=operations {
        let disk = SimDisk::new(at);
        disk.fail_nth(at, Fault::Halt);
        let taken = work(&disk);
        for (how, after) in [("power cut", disk.crash()), ("kill", disk.kill())] {
            let what = format!("{how} at operation {at} of {operations}");
            let store = open(&after).unwrap_or_else(|error| panic!("{what}: {error}"));
            check(&store, &taken, &what);
            store.close();
        }
    }
}

#[test]
fn a_failing_operation_of_retention_changes_no_count_and_no_window() {
    let disk = SimDisk::new(0);
    work(&disk);
    let operations = disk.operations();
    for at in (1..=operations).step_by(3) {
        let disk = SimDisk::new(at);
        disk.fail_nth(at, Fault::Error);
        let taken = work(&disk);
        let what = format!("an error of operation {at} of {operations}");
        // The fault may not have come yet.
        let disk = disk.kill();
        let store = open(&disk).unwrap_or_else(|error| panic!("{what}: {error}"));
        check(&store, &taken, &what);
    }
}
