//! Crashes at every operation: of writing, of recovering, and of recovering from that.

use std::sync::{Arc, Mutex};

use journal::sim::Fault;
use journal::{Journal, Segment, SimDisk};

use crate::kit::{frame, open, read, small};

/// What was promised, and what is in the balance.
#[derive(Clone, Default, Debug)]
struct Promised {
    acknowledged: Vec<(u64, u64)>,
    /// The frame whose outcome is unknown.
    unknown: Option<u64>,
    next_id: u64,
}

impl Promised {
    /// Compares with what a recovery found, from which then everything goes on.
    fn check(&mut self, found: &[(u64, u64)], when: &str) {
        let kept = self.acknowledged.len();
        assert!(
            found.len() >= kept,
            "{when}: acknowledged frames are gone: {found:?} of {self:?}"
        );
        assert_eq!(
            found[..kept],
            self.acknowledged,
            "{when}: other frames than acknowledged"
        );
        let more: Vec<u64> = found[kept..].iter().map(|&(_, id)| id).collect();
        assert!(
            more.is_empty() || Some(&more[..]) == self.unknown.as_ref().map(std::slice::from_ref),
            "{when}: {more:?}"
        );
        let sequence: Vec<u64> = found.iter().map(|&(seq, _)| seq).collect();
        assert_eq!(sequence, (1..=found.len() as u64).collect::<Vec<_>>(), "{when}");
        self.acknowledged = found.to_vec();
        self.unknown = None;
    }

    /// Commits a frame; `None` if the machine has stopped.
    fn commit(&mut self, journal: &mut Journal, bytes: usize) -> Option<Segment> {
        let frame = frame(self.next_id, bytes);
        let segment = journal.reserve(frame.len()).ok()?.segment;
        let outcome = Arc::new(Mutex::new(None));
        let answer = Arc::clone(&outcome);
        journal.commit(
            frame,
            Box::new(move |result| *answer.lock().expect("not poisoned") = Some(result)),
        );
        let id = self.next_id;
        self.next_id += 1;
        let outcome = outcome
            .lock()
            .expect("not poisoned")
            .take()
            .expect("answered before commit returns");
        match outcome {
            Ok(committed) => {
                self.acknowledged.push((committed.seq, id));
                Some(segment)
            }
            Err(_) => {
                self.unknown = Some(id);
                None
            }
        }
    }
}

/// Everything that a journal does: frames of all sizes, one larger than any segment, rolls, seals, a rewrite,
/// a clean close and an open. `None` where the machine stopped in the middle.
fn workload(disk: &SimDisk, promised: &mut Promised) -> Option<()> {
    let mut journal = start(disk, promised)?;
    let mut left: Option<Segment> = None;
    for (step, bytes) in [10, 700, 1500, 40, 2000, 10_000, 300, 900]
        .into_iter()
        .enumerate()
    {
        if step == 3 {
            journal.roll();
        }
        let segment = promised.commit(&mut journal, bytes)?;
        if let Some(left) = left.take_if(|left| left.number != segment.number) {
            left.trim().ok()?;
            if left.number % 2 == 0 {
                let frames: Vec<_> = left.frames().map(|f| f.expect("it checks")).collect();
                left.replace(frames.into_iter().map(|f| (f.seq, f.payload)))
                    .ok()?;
            }
        }
        left = Some(segment);
    }
    journal.close();
    let mut journal = start(disk, promised)?;
    for bytes in [500, 5000] {
        promised.commit(&mut journal, bytes)?;
    }
    Some(())
}

/// Opens and compares; `None` where the machine stopped.
fn start(disk: &SimDisk, promised: &mut Promised) -> Option<Journal> {
    let opened = open(disk, small()).ok().filter(|_| !disk.has_halted())?;
    promised.check(&read(&opened.segments), "at the start");
    Some(opened.journal)
}

/// The disk that the next process finds.
fn after(disk: &SimDisk, power_cut: bool) -> SimDisk {
    if power_cut { disk.crash() } else { disk.kill() }
}

/// How many operations this takes on an untouched copy of the disk.
fn operations(disk: &SimDisk, run: impl FnOnce(&SimDisk)) -> u64 {
    let copy = disk.kill();
    run(&copy);
    copy.operations()
}

fn recover(disk: &SimDisk) {
    drop(open(disk, small()));
}

/// Opens, compares, and shows that what was handed out survives a power cut right after.
fn check(disk: &SimDisk, promised: &mut Promised, when: &str) {
    let opened = open(disk, small()).unwrap_or_else(|e| panic!("{when}: {e}"));
    promised.check(&read(&opened.segments), when);
    let again = open(&disk.crash(), small()).unwrap_or_else(|e| panic!("{when}, once more: {e}"));
    promised.check(&read(&again.segments), &format!("{when}, once more"));
}

#[test]
fn no_crash_at_any_operation_loses_or_doubles_an_acknowledged_frame() {
    for seed in 0..3 {
        let total = operations(&SimDisk::new(seed), |disk| {
            workload(disk, &mut Promised::default()).expect("no fault, no end");
        });
        assert!(total > 80, "the workload does something: {total}");
        for nth in 1..=total {
            for power_cut in [true, false] {
                let disk = SimDisk::new(seed * 1000 + nth);
                disk.fail_nth(nth, Fault::Halt);
                let mut promised = Promised::default();
                assert!(
                    workload(&disk, &mut promised).is_none(),
                    "it stops at {nth} of {total}"
                );
                let disk = after(&disk, power_cut);
                let when = format!("seed {seed}, crash at {nth} of {total}, power cut {power_cut}");
                check(&disk.kill(), &mut promised.clone(), &when);

                // Life goes on there, and ends again somewhere else.
                let second = 1 + (nth * 7 + seed) % total;
                disk.fail_nth(second, Fault::Halt);
                let finished = workload(&disk, &mut promised).is_some();
                let disk = if finished { disk } else { after(&disk, !power_cut) };
                check(&disk, &mut promised, &format!("{when}, then at {second}"));
            }
        }
    }
}

#[test]
fn no_crash_during_recovery_twice_in_a_row_loses_or_doubles_a_frame() {
    let seed = 11;
    let total = operations(&SimDisk::new(seed), |disk| {
        workload(disk, &mut Promised::default()).expect("no fault, no end");
    });
    for nth in 1..=total {
        for power_cut in [true, false] {
            let disk = SimDisk::new(seed + nth);
            disk.fail_nth(nth, Fault::Halt);
            let mut promised = Promised::default();
            assert!(
                workload(&disk, &mut promised).is_none(),
                "it stops at {nth} of {total}"
            );
            let disk = after(&disk, power_cut);
            for first in 1..=operations(&disk, recover) {
                let disk = disk.kill();
                disk.fail_nth(first, Fault::Halt);
                recover(&disk);
                let disk = after(&disk, first % 2 == 0);
                for second in 1..=operations(&disk, recover) {
                    let disk = disk.kill();
                    disk.fail_nth(second, Fault::Halt);
                    recover(&disk);
                    let when =
                        format!("crash at {nth}, power cut {power_cut}, in recovery at {first} and {second}");
                    check(&after(&disk, second % 2 == 1), &mut promised.clone(), &when);
                }
            }
        }
    }
}

#[test]
fn a_crash_while_the_oldest_segments_are_removed_leaves_no_gap() {
    let build = |seed| {
        let disk = SimDisk::new(seed);
        let mut journal = open(&disk, small()).expect("it opens").journal;
        let mut promised = Promised::default();
        for _ in 0..6 {
            journal.roll();
            promised.commit(&mut journal, 100).expect("no fault");
        }
        journal.close();
        disk
    };
    let retire = |disk: &SimDisk| {
        let Ok(opened) = open(disk, small()) else { return };
        for segment in &opened.segments[..4] {
            if segment.remove().is_err() {
                return;
            }
        }
    };
    let total = operations(&build(0), retire);
    for nth in 1..=total {
        for power_cut in [true, false] {
            let disk = build(nth);
            disk.fail_nth(nth, Fault::Halt);
            retire(&disk);
            let disk = after(&disk, power_cut);
            let opened = open(&disk, small()).unwrap_or_else(|e| panic!("at {nth} of {total}: {e}"));
            let found: Vec<u64> = read(&opened.segments).iter().map(|&(seq, _)| seq).collect();
            let first = found.first().copied().expect("the newest stay");
            assert!(first <= 5, "at {nth}: {found:?}");
            assert_eq!(found, (first..=6).collect::<Vec<_>>(), "at {nth}");
        }
    }
}
