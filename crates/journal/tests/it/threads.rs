//! The journal on its threads.

use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use journal::sim::Fault;
use journal::{Committed, Journal, Options, Poisoned, Refused, SimDisk, State};

use crate::kit::{commit, frame, open, reread, small};

const PATIENCE: Duration = Duration::from_secs(10);

fn threaded() -> Options {
    Options {
        inline: false,
        retry: Duration::from_millis(5),
        ..small()
    }
}

/// Queues a frame without waiting for it; `None` if there is no room.
fn queue(journal: &mut Journal, id: u64, bytes: usize) -> Option<Receiver<Result<Committed, Poisoned>>> {
    let frame = frame(id, bytes);
    journal.reserve(frame.len()).ok()?;
    let (done, outcome) = mpsc::channel();
    journal.commit(
        frame,
        Box::new(move |result| done.send(result).expect("the test waits")),
    );
    Some(outcome)
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} does not come");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn frames_are_answered_in_order_from_the_commit_thread() {
    let disk = SimDisk::new(1);
    let mut journal = open(&disk, threaded()).expect("it opens").journal;
    let answers = Arc::new(Mutex::new(Vec::new()));
    for id in 1..=50 {
        let frame = frame(id, 200 * id as usize);
        journal.reserve(frame.len()).expect("there is room");
        let answers = Arc::clone(&answers);
        let done = move |outcome: Result<Committed, Poisoned>| {
            let thread = thread::current().name().map(str::to_owned);
            answers
                .lock()
                .expect("not poisoned")
                .push((outcome.expect("committed").seq, thread));
        };
        journal.commit(frame, Box::new(done));
    }
    journal.close();
    let expected: Vec<_> = (1..=50)
        .map(|seq| (seq, Some("repute-commit".to_owned())))
        .collect();
    assert_eq!(*answers.lock().expect("not poisoned"), expected);
    assert_eq!(
        reread(&disk.crash()),
        (1..=50).map(|n| (n, n)).collect::<Vec<_>>()
    );
}

#[test]
fn one_frame_is_in_flight_one_waits_and_a_third_blocks() {
    let disk = SimDisk::new(1);
    // Large enough for no segment to be prepared meanwhile.
    let options = Options {
        first_segment_bytes: 1 << 16,
        ..threaded()
    };
    let mut journal = open(&disk, options).expect("it opens").journal;
    commit(&mut journal, 1, 10).expect("committed");
    disk.hold_syncs(true);
    let operations = disk.operations();
    let second = queue(&mut journal, 2, 10).expect("there is room");
    wait_until("the write", || disk.operations() == operations + 1);
    let third = queue(&mut journal, 3, 10).expect("there is room");
    let (blocked, passed) = mpsc::channel();
    let owner = thread::spawn(move || {
        let fourth = queue(&mut journal, 4, 10).expect("there is room");
        blocked.send(()).expect("the test waits");
        (journal, fourth)
    });
    assert!(
        passed.recv_timeout(Duration::from_millis(50)).is_err(),
        "the queue is bounded"
    );
    assert!(second.try_recv().is_err(), "not acknowledged before its sync");
    assert_eq!(
        disk.operations(),
        operations + 1,
        "nothing is written while a frame is in flight"
    );
    disk.hold_syncs(false);
    passed.recv_timeout(PATIENCE).expect("room in the queue");
    let (journal, fourth) = owner.join().expect("no panic");
    for (seq, outcome) in [(2, second), (3, third), (4, fourth)] {
        assert_eq!(
            outcome.recv_timeout(PATIENCE).expect("answered").map(|c| c.seq),
            Ok(seq)
        );
    }
    drop(journal);
}

#[test]
fn who_waits_for_an_idle_disk_waits_for_all_frames_before() {
    for fails in [false, true] {
        let disk = SimDisk::new(1);
        let mut journal = open(&disk, threaded()).expect("it opens").journal;
        journal.wait_until_idle();
        commit(&mut journal, 1, 10).expect("committed");
        disk.hold_syncs(true);
        disk.fail_syncs(fails);
        let outcomes = [queue(&mut journal, 2, 10), queue(&mut journal, 3, 10)];
        let (idle, passed) = mpsc::channel();
        let owner = thread::spawn(move || {
            journal.wait_until_idle();
            idle.send(()).expect("the test waits");
            journal
        });
        assert!(passed.recv_timeout(Duration::from_millis(50)).is_err());
        disk.hold_syncs(false);
        passed.recv_timeout(PATIENCE).expect("idle");
        for outcome in outcomes {
            let outcome = outcome.expect("there was room").recv_timeout(PATIENCE);
            assert_eq!(outcome.expect("answered").is_err(), fails);
        }
        drop(owner.join().expect("no panic"));
    }
}

#[test]
fn a_failed_frame_takes_those_queued_behind_it_along() {
    let disk = SimDisk::new(1);
    let mut journal = open(&disk, threaded()).expect("it opens").journal;
    commit(&mut journal, 1, 10).expect("committed");
    disk.hold_syncs(true);
    disk.fail_syncs(true);
    let outcomes = [queue(&mut journal, 2, 10), queue(&mut journal, 3, 10)];
    disk.hold_syncs(false);
    for outcome in outcomes {
        let outcome = outcome
            .expect("there was room")
            .recv_timeout(PATIENCE)
            .expect("answered");
        let Poisoned(reason) = outcome.expect_err("poisoned");
        assert!(reason.contains("frame 2: the simulated disk failed"), "{reason}");
    }
    assert!(matches!(journal.reserve(10), Err(Refused::Poisoned(_))));
    drop(journal);
    assert_eq!(
        reread(&disk.kill()),
        [(1, 1), (2, 2)],
        "frame 3 was never written"
    );
}

#[test]
fn a_segment_is_prepared_with_rests_until_somebody_waits_for_it() {
    let disk = SimDisk::new(1);
    // The second is filled in four pieces.
    let options = Options {
        first_segment_bytes: 256 << 10,
        max_segment_bytes: 1 << 20,
        ..threaded()
    };
    let mut journal = open(&disk, options).expect("it opens").journal;
    commit(&mut journal, 1, 10).expect("committed");
    disk.hold_syncs(true);
    let second = queue(&mut journal, 2, 100 << 10).expect("there is room");
    thread::sleep(Duration::from_millis(500)); // the rest is four times that
    disk.hold_syncs(false);
    second
        .recv_timeout(PATIENCE)
        .expect("answered")
        .expect("committed");
    thread::sleep(Duration::from_millis(100));
    assert_eq!(disk.used(), 2 * (256 << 10), "it rests after the first piece");
    let began = Instant::now();
    commit(&mut journal, 3, 300 << 10).expect("committed");
    assert!(began.elapsed() < Duration::from_secs(1), "it goes on resting");
}

#[test]
fn a_full_disk_is_left_by_itself_when_there_is_room() {
    let disk = SimDisk::new(1);
    let mut journal = open(&disk, threaded()).expect("it opens").journal;
    let state = journal.state();
    disk.set_capacity(Some(4096));
    commit(&mut journal, 1, 3000).expect("committed");
    wait_until("full", || matches!(journal.reserve(3000), Err(Refused::Full(_))));
    assert!(matches!(state.get(), State::Full(_)));
    let started = Instant::now();
    assert!(matches!(journal.reserve(3000), Err(Refused::Full(_))));
    assert!(started.elapsed() < Duration::from_secs(1), "refused at once");
    disk.set_capacity(None);
    // Nobody reserves meanwhile: a server that sees the state sends nothing here.
    wait_until("room", || state.get() == State::Writable);
    assert_eq!(
        commit(&mut journal, 2, 3000).map(|c| (c.seq, c.segment)),
        Ok((2, 2))
    );
    drop(journal);
    assert_eq!(reread(&disk.crash()), [(1, 1), (2, 2)]);
}

#[test]
fn a_callback_that_panics_poisons_and_leaves_none_unanswered() {
    let disk = SimDisk::new(1);
    let mut journal = open(&disk, threaded()).expect("it opens").journal;
    let frame = frame(1, 10);
    journal.reserve(frame.len()).expect("there is room");
    journal.commit(frame, Box::new(|_| panic!("a bug in publishing")));
    let state = journal.state();
    wait_until("poison", || matches!(state.get(), State::Poisoned(_)));
    assert_eq!(
        state.get(),
        State::Poisoned("publishing frame 1 panicked: a bug in publishing".into())
    );
    drop(journal);
    assert_eq!(reread(&disk), [(1, 1)]);
}

#[test]
fn a_crash_of_the_threaded_journal_loses_nothing_acknowledged() {
    let run = |disk: &SimDisk| {
        let Ok(opened) = open(disk, threaded()) else {
            return Vec::new();
        };
        let mut journal = opened.journal;
        let outcomes: Vec<_> = (1..=12)
            .map_while(|id| queue(&mut journal, id, 300 * id as usize))
            .collect();
        drop(journal);
        let acknowledged = outcomes
            .iter()
            .filter_map(|outcome| outcome.recv().expect("answered").ok());
        acknowledged
            .map(|committed| (committed.seq, committed.seq))
            .collect()
    };
    let disk = SimDisk::new(0);
    assert_eq!(run(&disk).len(), 12);
    for nth in 1..=disk.operations() {
        let disk = SimDisk::new(nth);
        disk.fail_nth(nth, Fault::Halt);
        let acknowledged = run(&disk);
        for disk in [disk.crash(), disk.kill()] {
            let found = reread(&disk);
            assert!(
                found.starts_with(&acknowledged),
                "at {nth}: {found:?}, acknowledged {acknowledged:?}"
            );
            assert!(
                found.len() <= acknowledged.len() + 1,
                "one frame is in flight, at {nth}: {found:?}"
            );
        }
    }
}
