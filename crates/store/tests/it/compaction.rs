//! Segments of single events take less space once they are rewritten, and nothing else changes.

use crate::kit::{Lab, NOW, ORG, SECOND, event, everything, ingest};
use journal::sim::Fault;
use journal::{Disk, OsDisk, SimDisk};
use reputation::Micros;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use store::{
    Agent, AgentOrder, Booked, Error, EventQuery, Observer, Options, Store, StoredEvent, Unobserved,
};

const AGENTS: [&str; 4] = ["a", "b", "c", "d"];

fn at_once(options: &mut Options) {
    options.journal.first_segment_bytes = 64 << 10;
    options.journal.max_segment_bytes = 64 << 10;
    options.compaction_bytes_per_second = u64::MAX;
}

fn id(number: usize) -> String {
    format!("9f86d081884c7d659a2f{number:04x}")
}

fn send_singly(lab: &Lab, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let id = id(number);
        let mut one = event(AGENTS[number % 4], Some(&id), Some(NOW - number as i64));
        one.passed = number % 3 != 0;
        one.gates[0].passed = one.passed;
        assert_eq!(lab.send(&[one]).accepted, 1);
    }
}

/// Whatever can be asked.
type Told = (
    Vec<StoredEvent>,
    Vec<Agent>,
    Vec<Vec<StoredEvent>>,
    Vec<(u64, Booked)>,
);

fn told(lab: &Lab) -> Told {
    let page = |query: EventQuery| lab.store().events(ORG, &query).unwrap().events;
    let mut pages = Vec::new();
    for agent in AGENTS {
        let agent_id = Some(agent.to_owned());
        pages.push(page(EventQuery {
            agent_id: agent_id.clone(),
            ..everything()
        }));
        pages.push(page(EventQuery {
            agent_id,
            passed: Some(false),
            ..everything()
        }));
    }
    pages.push(page(EventQuery {
        failed_gate: Some("pii".into()),
        ..everything()
    }));
    pages.push(page(EventQuery {
        evaluation_id: Some(id(77)),
        ..everything()
    }));
    pages.push(lab.store().event(ORG, 5).unwrap().into_iter().collect());
    let agents = lab.store().agents(ORG, &AgentOrder::AgentId(None), 500).unwrap();
    (lab.all(ORG), agents, pages, books_after(lab, 0))
}

fn books_after(lab: &Lab, seq: u64) -> Vec<(u64, Booked)> {
    let mut read = Vec::new();
    lab.store().books_after(seq, |frame_seq, batches| {
        read.extend(batches.iter().map(|batch| (frame_seq, *batch)));
    });
    read
}

fn without_frames(books: &[(u64, Booked)]) -> Vec<Booked> {
    books.iter().map(|(_, booked)| *booked).collect()
}

#[derive(Default)]
struct Freed(Mutex<u64>);

impl Observer for Freed {
    fn compacted(&self, bytes: u64) {
        *self.0.lock().unwrap() += bytes;
    }
}

#[test]
fn single_events_take_a_fifth_of_the_space_and_every_answer_stays_the_same() {
    let freed = Arc::new(Freed::default());
    let mut lab = Lab::observed(
        |options| {
            at_once(options);
            options.journal.first_segment_bytes = 1 << 20;
            options.journal.max_segment_bytes = 1 << 20;
        },
        Arc::clone(&freed) as _,
    );
    send_singly(&lab, 0..2_000);
    lab.register("e", 100).unwrap();
    lab.restart(); // seals the open segment
    let before = told(&lab);
    let bytes_before = lab.store().stats().bytes;
    assert!(bytes_before > 2_000 * 512);
    lab.store().settle();
    let bytes = lab.store().stats().bytes;
    assert!(bytes <= 2_000 * 80, "{} bytes an event", bytes as f64 / 2_000.0);
    let freed = *freed.0.lock().unwrap();
    assert!(
        freed > 0 && freed.abs_diff(bytes_before - bytes) < 4_096,
        "{freed}"
    );
    let same = |lab: &Lab| {
        let now = told(lab);
        assert_eq!((&now.0, &now.1, &now.2), (&before.0, &before.1, &before.2));
        assert_eq!(without_frames(&now.3), without_frames(&before.3));
    };
    same(&lab);
    // Whoever has counted up to any commit finds just those that came later.
    for (at, (seq, _)) in before.3.iter().enumerate().step_by(37) {
        assert_eq!(
            without_frames(&books_after(&lab, *seq)),
            without_frames(&before.3[at + 1..])
        );
    }
    let repeat = id(1_234);
    let sent = [event("c", Some(&repeat), Some(NOW - 1_234))];
    assert_eq!(lab.send(&sent).duplicates, 1);
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let mut killed = lab.killed();
    killed.start();
    killed.stop();
    assert_eq!(store::verify(&disk, killed.path()).unwrap().findings, []);
    for file in std::fs::read_dir(killed.path().join("log/0")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "seg") {
            std::fs::remove_file(path).unwrap();
        }
    }
    killed.start();
    let now = told(&killed);
    assert_eq!((&now.0, &now.1, &now.2), (&before.0, &before.1, &before.2));
    // There is nothing left to do.
    let generations = |lab: &Lab| {
        let mut names: Vec<_> = std::fs::read_dir(lab.path().join("log/0"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".seg"))
            .collect();
        names.sort();
        names
    };
    let names = generations(&lab);
    assert!(names[0].ends_with("-001.seg"), "{names:?}");
    lab.store().settle();
    assert_eq!(generations(&lab), names);
}

#[test]
fn it_may_be_turned_off() {
    let mut lab = Lab::with(|options| {
        at_once(options);
        options.compaction_bytes_per_second = 0;
    });
    send_singly(&lab, 0..300);
    lab.restart();
    let before = lab.store().stats().bytes;
    lab.store().settle();
    assert_eq!(lab.store().stats().bytes, before);
}

#[test]
fn an_agent_that_is_erased_from_compact_segments_is_gone_and_all_others_stay() {
    let mut lab = Lab::with(at_once);
    send_singly(&lab, 0..400);
    lab.restart();
    let before = told(&lab);
    lab.store().settle();
    lab.erase(ORG, "b");
    let others = |all: &[StoredEvent]| -> Vec<StoredEvent> {
        let of_others = all.iter().filter(|one| one.evaluation.agent_id != "b");
        of_others.cloned().collect()
    };
    assert_eq!(lab.all(ORG), others(&before.0));
    assert_eq!(
        books_after(&lab, 0).len(),
        400,
        "what was recorded stays recorded"
    );
    let (seq, _) = before.3[201];
    assert_eq!(without_frames(&books_after(&lab, seq)).len(), 198);
    lab.restart();
    assert_eq!(lab.all(ORG), others(&before.0));
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    lab.stop();
    assert_eq!(store::verify(&disk, lab.path()).unwrap().findings, []);
}

#[test]
fn a_checkpoint_in_the_middle_of_what_was_put_together_counts_nothing_twice() {
    let mut lab = Lab::with(at_once);
    send_singly(&lab, 0..50);
    lab.restart(); // a checkpoint, after 50
    let checkpoint = tempfile::tempdir().unwrap();
    crate::kit::copy_tree(lab.path(), checkpoint.path());
    send_singly(&lab, 50..400);
    lab.restart();
    lab.store().settle();
    let before = told(&lab);
    lab.stop();
    let log = Path::new("log/0");
    for name in ["registry-0", "registry-1"] {
        let old = checkpoint.path().join(log).join(name);
        let new = lab.path().join(log).join(name);
        let _ = std::fs::remove_file(&new);
        if old.exists() {
            std::fs::copy(old, new).unwrap();
        }
    }
    lab.start();
    let now = told(&lab);
    assert_eq!((&now.0, &now.1), (&before.0, &before.1));
}

fn open(disk: &SimDisk) -> Result<Store, Error> {
    let mut options = Options {
        clock: Arc::new(|| Micros(NOW + SECOND)),
        // Only when the test asks.
        upkeep_every: std::time::Duration::from_secs(3_600),
        compaction_bytes_per_second: u64::MAX,
        scrub_bytes_per_second: 0,
        ..Options::default()
    };
    options.journal.first_segment_bytes = 8 << 10;
    options.journal.max_segment_bytes = 8 << 10;
    options.journal.inline = true;
    let disk = Arc::new(disk.clone());
    Store::open(disk, Path::new("/data"), options, Arc::new(Unobserved))
}

/// Events one by one, with a stop and a rewrite in their middle; those that were taken.
fn work(disk: &SimDisk) -> BTreeSet<String> {
    let mut taken = BTreeSet::new();
    for numbers in [0..30, 30..45] {
        let Ok(store) = open(disk) else {
            return taken;
        };
        for number in numbers {
            let id = id(number);
            if ingest(&store, &[event(AGENTS[number % 4], Some(&id), Some(NOW))]).is_ok() {
                taken.insert(id);
            }
        }
        store.settle();
        store.close();
    }
    taken
}

#[test]
fn a_crash_at_every_operation_of_a_compaction_loses_nothing_and_doubles_nothing() {
    let disk = SimDisk::new(0);
    assert_eq!(work(&disk).len(), 45);
    let log: Vec<String> = disk.list(Path::new("/data/log/0")).unwrap();
    assert!(log.iter().any(|name| name.ends_with("-001.seg")), "{log:?}");
    let operations = disk.operations();
    for at in 1..=operations {
        let disk = SimDisk::new(at);
        disk.fail_nth(at, Fault::Halt);
        let taken = work(&disk);
        for (how, after) in [("power cut", disk.crash()), ("kill", disk.kill())] {
            let what = format!("{how} at operation {at} of {operations}");
            let store = open(&after).unwrap_or_else(|error| panic!("{what}: {error}"));
            for settled in [false, true] {
                let page = store.events(ORG, &everything()).unwrap().events;
                let ids: Vec<String> = page
                    .iter()
                    .map(|one| one.evaluation.evaluation_id.as_deref().unwrap().to_owned())
                    .collect();
                let found: BTreeSet<String> = ids.iter().cloned().collect();
                assert_eq!(found.len(), ids.len(), "{what}: doubled");
                assert!(found.is_superset(&taken), "{what}: lost, settled {settled}");
                for agent in store.agents(ORG, &AgentOrder::AgentId(None), 10).unwrap() {
                    let own = page
                        .iter()
                        .filter(|one| one.evaluation.agent_id == agent.agent_id);
                    assert_eq!(agent.eval_count, own.count() as u64, "{what}");
                }
                store.settle();
            }
            store.close();
            let both: Arc<dyn Disk> = Arc::new(after.clone());
            assert_eq!(
                store::verify(&both, Path::new("/data")).unwrap().findings,
                [],
                "{what}"
            );
        }
    }
}
