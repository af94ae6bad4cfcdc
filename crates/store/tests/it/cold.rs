//! Agents that are not in memory.

use crate::kit::{KEY, NOW, ORG, event, ingest};
use journal::SimDisk;
use reputation::Evaluation;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use store::{Options, Source, Store, Submission, Unobserved};

const AGENTS: usize = 8_000;
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn only_so_many_windows_wait_in_memory_for_a_busy_disk() {
    let disk = SimDisk::new(1);
    let options = Options {
        window_cache: 1,
        upkeep_every: Duration::from_secs(3_600),
        ..Options::default()
    };
    let store = Store::open(
        Arc::new(disk.clone()),
        Path::new("/data"),
        options,
        Arc::new(Unobserved),
    )
    .unwrap();
    let names: Vec<String> = (0..AGENTS).map(|agent| format!("agent-{agent}")).collect();
    let events = |names: &'static [String]| -> Vec<Evaluation<'static>> {
        names.iter().map(|name| event(name, None, Some(NOW))).collect()
    };
    let names: &'static [String] = names.leak();
    for some in names.chunks(100) {
        let evaluations = events(some);
        let submission = submission(&evaluations);
        let (answer, answers) = mpsc::channel();
        store.submit(&submission, Box::new(move |outcome| drop(answer.send(outcome))));
        answers.recv().unwrap().unwrap();
    }
    disk.hold_syncs(true);
    let (answer, answers) = mpsc::channel();
    let mut sent = 0;
    // The first keeps the disk busy.
    for some in std::iter::once(&names[..1]).chain(names.chunks(40)) {
        let evaluations = events(some);
        let answer = answer.clone();
        store.submit(
            &submission(&evaluations),
            Box::new(move |outcome| drop(answer.send(outcome))),
        );
        sent += 1;
    }
    let (started, mut most) = (Instant::now(), 0);
    let mut settled = Instant::now();
    while settled.elapsed() < Duration::from_millis(500) {
        assert!(started.elapsed() < PATIENCE);
        let now = store.stats().windows_in_transit;
        if now > most {
            (most, settled) = (now, Instant::now());
        }
        thread::sleep(Duration::from_millis(1));
    }
    disk.hold_syncs(false);
    for _ in 0..sent {
        answers.recv_timeout(PATIENCE).unwrap().unwrap();
    }
    // Each of the four that read may be about to send a batch's.
    assert!((4_096..4_096 + 4 * 40).contains(&most), "{most} windows");
    assert_eq!(store.stats().windows_in_transit, 0);
    ingest(&store, &[event("agent-0", None, Some(NOW))]).unwrap();
    let counts = store.reputations(ORG, &["agent-0", "agent-7999"]).unwrap();
    let counts: Vec<u32> = counts.iter().map(|summary| summary.evaluations).collect();
    assert_eq!(counts, [4, 2]); // the first of them kept the disk busy, too
}

fn submission<'e>(evaluations: &'e [Evaluation<'e>]) -> Submission<'e> {
    Submission {
        org: ORG,
        key: KEY,
        signed: false,
        source: Source::Ingest,
        max_agents: 1_000_000,
        lenient: false,
        evaluations,
    }
}
