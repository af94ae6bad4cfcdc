//! Crashes at every operation of a workload, failing and full disks, damage: what was acknowledged is there
//! once, what was not is there whole or not at all, and the scores are those of a recount.

use crate::kit::{KEY, NOW, ORG, event, everything, ingest, try_erase};
use journal::sim::Fault;
use journal::{Disk as _, SimDisk};
use reputation::{Evaluation, Micros, Slot, Window};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::{Arc, mpsc};
use store::{
    AgentOrder, Backup, Error, EventQuery, Health, NotKept, Options, Receipt, Refused, Source, Start, Store,
    StoredEvent, Submission, Unobserved,
};

const DIR: &str = "/data";
const BATCHES: usize = 14;
const EVENTS: usize = 12;

fn options() -> Options {
    let mut options = Options {
        clock: Arc::new(|| Micros(NOW)),
        ..Options::default()
    };
    // Two or three batches fill a segment, so that sealing, checkpoints and several segments take part.
    options.journal.first_segment_bytes = 2 << 10;
    options.journal.max_segment_bytes = 2 << 10;
    options.journal.inline = true;
    options
}

fn open(disk: &SimDisk) -> Result<Store, Error> {
    open_with(disk, options())
}

fn open_with(disk: &SimDisk, options: Options) -> Result<Store, Error> {
    Store::open(
        Arc::new(disk.clone()),
        Path::new(DIR),
        options,
        Arc::new(Unobserved),
    )
}

fn open_in(disk: &SimDisk, dir: &str) -> Result<Store, Error> {
    let disk = Arc::new(disk.clone());
    Store::open(disk, Path::new(dir), options(), Arc::new(Unobserved))
}

/// The ids of a batch, and its events: three agents, times in no order, one in ten failed.
fn ids(batch: usize) -> Vec<String> {
    (0..EVENTS).map(|event| format!("id-{batch}-{event}")).collect()
}

fn events<'a>(batch: usize, ids: &'a [String], names: &'a [&'a str; 3]) -> Vec<Evaluation<'a>> {
    let one = |(index, id): (usize, &'a String)| {
        let mixed = (batch * 37 + index * 11) % 101;
        let mut one = event(
            names[mixed % 3],
            Some(id),
            Some(NOW - mixed as i64 * 1_000 - index as i64),
        );
        one.passed = !mixed.is_multiple_of(10);
        one
    };
    ids.iter().enumerate().map(one).collect()
}

fn send(store: &Store, batch: usize) -> Result<Receipt, Refused> {
    let (ids, names) = (ids(batch), ["a", "b", "c"]);
    let events = events(batch, &ids, &names);
    ingest(store, &events)
}

fn all(store: &Store) -> Result<Vec<StoredEvent>, Error> {
    let mut query = EventQuery {
        limit: 100,
        ..everything()
    };
    let mut all = Vec::new();
    loop {
        let page = store.events(ORG, &query)?;
        all.extend(page.events);
        match page.next {
            Some(key) => query.start = Start::After(key),
            None => return Ok(all),
        }
    }
}

/// Every acknowledged batch is there whole and once, every other whole or not at all; scores, counts and
/// sequence numbers are those of what is listed.
fn check(store: &Store, acknowledged: &HashSet<usize>, what: &str) {
    let listed = all(store).unwrap();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for one in &listed {
        *seen
            .entry(one.evaluation.evaluation_id.clone().unwrap().into_owned())
            .or_default() += 1;
    }
    for batch in 0..BATCHES {
        let counts: Vec<u32> = ids(batch)
            .iter()
            .map(|id| seen.get(id).copied().unwrap_or(0))
            .collect();
        let is_whole = counts.iter().all(|count| *count == 1);
        let is_absent = counts.iter().all(|count| *count == 0);
        assert!(
            is_whole || (is_absent && !acknowledged.contains(&batch)),
            "{what}: batch {batch}: {counts:?}"
        );
    }
    let mut seqs: Vec<u64> = listed.iter().map(|one| one.seq).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=listed.len() as u64).collect::<Vec<_>>(), "{what}");
    for agent in store.agents(ORG, &AgentOrder::AgentId(None), 10).unwrap() {
        let mut own: Vec<&StoredEvent> = listed
            .iter()
            .filter(|e| e.evaluation.agent_id == agent.agent_id)
            .collect();
        own.sort_by_key(|one| one.seq);
        let slot = |(arrival, one): (u64, &&StoredEvent)| Slot {
            recorded_at: one.recorded_at,
            arrival,
            latency_us: one.evaluation.total_latency_us,
            passed: one.evaluation.passed,
            identity: 0,
        };
        let recount: Window = (1u64..).zip(&own).map(slot).collect();
        assert_eq!(
            (agent.eval_count, agent.summary),
            (own.len() as u64, recount.summary()),
            "{what}: {}",
            agent.agent_id
        );
    }
}

/// Sends the workload; the batches that were acknowledged. Ends where the disk does.
fn work(disk: &SimDisk) -> HashSet<usize> {
    let mut acknowledged = HashSet::new();
    let Ok(store) = open(disk) else {
        return acknowledged;
    };
    for batch in 0..BATCHES {
        if send(&store, batch).is_ok() {
            acknowledged.insert(batch);
        }
        if batch == BATCHES / 2 {
            // A clean stop in the middle writes checkpoints and window copies: they're crashed too.
            store.close();
            drop(store);
            return work_on(disk, acknowledged);
        }
    }
    acknowledged
}

fn work_on(disk: &SimDisk, mut acknowledged: HashSet<usize>) -> HashSet<usize> {
    let Ok(store) = open(disk) else {
        return acknowledged;
    };
    for batch in BATCHES / 2 + 1..BATCHES {
        if send(&store, batch).is_ok() {
            acknowledged.insert(batch);
        }
    }
    store.close();
    acknowledged
}

fn operations_of_the_workload() -> u64 {
    let disk = SimDisk::new(0);
    assert_eq!(work(&disk).len(), BATCHES);
    disk.operations()
}

#[test]
fn a_crash_at_every_operation_loses_nothing_acknowledged_and_doubles_nothing() {
    let operations = operations_of_the_workload();
    for at in 1..=operations {
        let disk = SimDisk::new(at);
        disk.fail_nth(at, Fault::Halt);
        let acknowledged = work(&disk);
        for (how, after) in [("power cut", disk.crash()), ("kill", disk.kill())] {
            let what = format!("{how} at operation {at} of {operations}");
            let store = open(&after).unwrap_or_else(|error| panic!("{what}: {error}"));
            check(&store, &acknowledged, &what);
            // A client sends everything again until it's answered: each event still counts once.
            for batch in 0..BATCHES {
                send(&store, batch).unwrap_or_else(|refused| panic!("{what}: {refused}"));
            }
            check(&store, &(0..BATCHES).collect(), &what);
            store.close();
        }
    }
}

#[test]
fn a_crash_during_recovery_loses_nothing_either() {
    let operations = operations_of_the_workload();
    for at in (1..=operations).step_by(7) {
        let disk = SimDisk::new(1_000 + at);
        disk.fail_nth(at, Fault::Halt);
        let acknowledged = work(&disk);
        for second in 1..=12 {
            let again = if second % 2 == 0 {
                disk.crash()
            } else {
                disk.kill()
            };
            again.fail_nth(second, Fault::Halt);
            drop(open(&again));
            let last = again.crash();
            let what = format!("crash at {at}, then at {second} of the recovery");
            let store = open(&last).unwrap_or_else(|error| panic!("{what}: {error}"));
            check(&store, &acknowledged, &what);
        }
    }
}

#[test]
fn a_failing_sync_leaves_the_outcome_unknown_until_a_restart() {
    let disk = SimDisk::new(7);
    // Large enough to need no other segment, whose preparing would fail before anything is counted.
    let mut options = options();
    options.journal.first_segment_bytes = 1 << 20;
    let store = open_with(&disk, options).unwrap();
    send(&store, 0).unwrap();
    disk.fail_syncs(true);
    assert!(matches!(send(&store, 1), Err(Refused::OutcomeUnknown(_))));
    disk.fail_syncs(false);
    assert!(
        matches!(send(&store, 2), Err(Refused::OutcomeUnknown(_))),
        "writes stay refused"
    );
    assert!(matches!(store.health(), Health::Poisoned(_)));
    assert_eq!(
        all(&store).unwrap().len(),
        EVENTS,
        "reads go on, and see what was acknowledged"
    );
    drop(store);
    let store = open(&disk.crash()).unwrap();
    check(&store, &[0].into(), "after a failed sync");
    for batch in 0..BATCHES {
        send(&store, batch).unwrap();
    }
    check(&store, &(0..BATCHES).collect(), "after sending again");
}

#[test]
fn a_power_cut_without_syncs_loses_the_end_of_the_log_and_not_what_a_checkpoint_covers() {
    for seed in 0..40 {
        let disk = SimDisk::new(seed);
        let mut without_sync = options();
        without_sync.journal.sync = false;
        let store = open_with(&disk, without_sync.clone()).unwrap();
        for batch in 0..4 {
            send(&store, batch).unwrap();
        }
        // Ends with a checkpoint.
        try_erase(&store, ORG, "a").unwrap();
        let covered = all(&store).unwrap();
        let after = disk.crash();
        let store = open_with(&after, without_sync).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let found = all(&store).unwrap();
        assert!(covered.iter().all(|event| found.contains(event)), "seed {seed}");
        store.close();
    }
}

#[test]
fn a_full_disk_refuses_before_anything_is_counted_and_service_resumes() {
    let disk = SimDisk::new(8);
    let store = open(&disk).unwrap();
    let mut acknowledged: HashSet<usize> = (0..3).filter(|batch| send(&store, *batch).is_ok()).collect();
    assert_eq!(acknowledged.len(), 3);
    disk.set_capacity(Some(disk.used()));
    let mut refused = 0;
    for batch in 3..BATCHES {
        match send(&store, batch) {
            Ok(_) => drop(acknowledged.insert(batch)),
            Err(Refused::NotKept(NotKept::Full(_))) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused > 0, "the disk never filled up");
    assert!(matches!(store.health(), Health::Full(_)), "{:?}", store.health());
    check(&store, &acknowledged, "while the disk is full");
    disk.set_capacity(None);
    for batch in 0..BATCHES {
        while send(&store, batch).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
    assert_eq!(store.health(), Health::Writable);
    check(&store, &(0..BATCHES).collect(), "after there was room again");
}

#[test]
fn damage_fails_what_needs_it_by_name_and_nothing_else() {
    let disk = SimDisk::new(9);
    assert_eq!(work(&disk).len(), BATCHES);
    let log = Path::new(DIR).join("log/0");
    let mut segments: Vec<String> = disk.list(&log).unwrap();
    segments.retain(|name| name.ends_with(".seg"));
    segments.sort();
    let first = log.join(&segments[0]);
    disk.damage(&first, 700, &[0xff; 64]).unwrap();
    let store = open(&disk).unwrap();
    let newest = store.events(
        ORG,
        &EventQuery {
            limit: 1,
            ..everything()
        },
    );
    let whole = all(&store);
    let error = whole.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(
        error.starts_with(&format!("{}: damaged at byte ", first.display())),
        "{error}"
    );
    assert!(newest.is_ok() || newest.is_err_and(|error| error.is_damage()));
    assert_eq!(store.stats().damage.len(), 1, "{:?}", store.stats().damage);
    assert_eq!(store.health(), Health::Writable);
    let fresh = [event("d", Some("fresh"), Some(NOW))];
    let (answer, answers) = mpsc::channel();
    let submission = Submission {
        org: ORG,
        key: KEY,
        signed: false,
        source: Source::Ingest,
        max_agents: 100,
        lenient: false,
        evaluations: &fresh,
    };
    store.submit(&submission, Box::new(move |outcome| drop(answer.send(outcome))));
    assert_eq!(
        answers.recv().unwrap().map(|receipt| receipt.accepted),
        Ok(1),
        "ingest goes on"
    );
}

#[test]
fn damage_is_found_before_anybody_asks_for_what_is_lost() {
    let disk = SimDisk::new(11);
    let options = Options {
        scrub_bytes_per_second: 1 << 40,
        ..options()
    };
    let store = open_with(&disk, options.clone()).unwrap();
    for batch in 0..BATCHES {
        send(&store, batch).unwrap();
    }
    store.close();
    drop(store);
    let store = open_with(&disk, options).unwrap();
    store.settle();
    assert_eq!(store.stats().damage, [""; 0]);
    drop(store);
    let log = Path::new(DIR).join("log/0");
    let mut segments: Vec<String> = disk.list(&log).unwrap();
    segments.retain(|name| name.ends_with(".seg"));
    segments.sort();
    let second = log.join(&segments[1]);
    disk.damage(&second, 700, &[0xff; 64]).unwrap();
    let store = open_with(
        &disk,
        Options {
            scrub_bytes_per_second: 1 << 40,
            ..self::options()
        },
    )
    .unwrap();
    store.settle();
    let found = store.stats().damage;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with(&format!("{}: damaged at byte 512: ", second.display())),
        "{found:?}"
    );
    drop(store);
    let off = Options {
        scrub_bytes_per_second: 0,
        ..self::options()
    };
    let store = open_with(&disk, off).unwrap();
    store.settle();
    assert_eq!(store.stats().damage, [""; 0], "it may be turned off");
}

#[test]
fn an_old_segment_on_a_full_disk_goes_on_with_its_own_dictionary() {
    let disk = SimDisk::new(10);
    let mut options = options();
    options.journal.first_segment_bytes = 64 << 10;
    options.journal.max_segment_bytes = 64 << 10;
    options.segment_age = std::time::Duration::ZERO;
    let store = open_with(&disk, options.clone()).unwrap();
    send(&store, 0).unwrap();
    disk.set_capacity(Some(disk.used()));
    for batch in 1..6 {
        while send(&store, batch).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    check(
        &store,
        &(0..6).collect(),
        "while the segment should have been left",
    );
    drop(store);
    let store = open_with(&disk.crash(), options).unwrap();
    check(&store, &(0..6).collect(), "after a crash");
}

const COPY: &str = "/copy";

fn back_up(disk: &SimDisk) -> Result<(), Error> {
    let both: Arc<dyn journal::Disk> = Arc::new(disk.clone());
    let mut backup = Backup::begin(&both, Path::new(COPY))?;
    backup.copy_log(&both, Path::new(DIR), false)?;
    backup.finish("{}", &[]).map(drop)
}

/// Takes some batches in and stops.
fn take_in(disk: &SimDisk, batches: std::ops::Range<usize>) {
    let store = open(disk).unwrap();
    batches.for_each(|batch| drop(send(&store, batch).unwrap()));
    store.close();
}

#[test]
fn a_backup_cut_short_at_any_operation_leaves_the_one_before_or_is_refused_until_it_is_whole() {
    let half = BATCHES / 2;
    let prepared = |seed| {
        let disk = SimDisk::new(seed);
        take_in(&disk, 0..half);
        back_up(&disk).unwrap();
        take_in(&disk, half..BATCHES);
        disk
    };
    let disk = prepared(0);
    let before = disk.operations();
    back_up(&disk).unwrap();
    let operations = disk.operations() - before;
    let (mut usable, mut refused) = (0, 0);
    for at in 1..=operations {
        let disk = prepared(at);
        disk.fail_nth(at, Fault::Halt);
        let _ = back_up(&disk);
        for (how, after) in [("power cut", disk.crash()), ("kill", disk.kill())] {
            let what = format!("{how} at operation {at} of {operations}");
            // A start may change what it finds; the backup is taken again on what the crash left.
            let again = after.kill();
            match open_in(&after, COPY) {
                Ok(store) => {
                    check(&store, &(0..half).collect(), &what);
                    usable += 1;
                }
                Err(Error::UnfinishedBackup { .. }) => refused += 1,
                Err(other) => panic!("{what}: {other}"),
            }
            back_up(&again).unwrap_or_else(|error| panic!("{what}: {error}"));
            let store = open_in(&again, COPY).unwrap_or_else(|error| panic!("{what}: {error}"));
            check(&store, &(0..BATCHES).collect(), &what);
        }
    }
    assert!(usable > 0 && refused > 0, "{usable} usable, {refused} refused");
}

#[test]
fn a_first_backup_cut_short_at_any_operation_is_never_taken_for_a_whole_one() {
    let prepared = |seed| {
        let disk = SimDisk::new(seed);
        take_in(&disk, 0..BATCHES);
        disk
    };
    let disk = prepared(0);
    let before = disk.operations();
    back_up(&disk).unwrap();
    for at in 1..=disk.operations() - before {
        let disk = prepared(at);
        disk.fail_nth(at, Fault::Halt);
        let _ = back_up(&disk);
        for after in [disk.crash(), disk.kill()] {
            if let Ok(store) = open_in(&after, COPY) {
                // Nothing at all is there yet, or everything.
                let is_empty = store.stats().events == 0;
                if !is_empty {
                    check(&store, &(0..BATCHES).collect(), &format!("operation {at}"));
                }
            }
        }
    }
}
