//! Failing and full disks.

use std::path::Path;

use journal::sim::Fault;
use journal::{Disk, Error, Options, Refused, SimDisk, State, copy_durably, write_atomically};

use crate::kit::{DIR, commit, frame, names, open, read, reread, small};

#[test]
fn a_failed_sync_poisons_and_the_frame_may_be_lost_but_none_before_it() {
    let mut outcomes = Vec::new();
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        let mut journal = open(&disk, small()).expect("it opens").journal;
        commit(&mut journal, 1, 100).expect("committed");
        disk.fail_syncs(true);
        let refused = commit(&mut journal, 2, 100).expect_err("the sync failed");
        assert!(
            refused.0.starts_with("/data/log/0/0000000001-000.seg: frame 2: "),
            "{refused}"
        );
        disk.fail_syncs(false);
        assert_eq!(
            journal.reserve(10).map(|room| room.segment.number),
            Err(Refused::Poisoned(refused.0.clone()))
        );
        assert_eq!(journal.state().get(), State::Poisoned(refused.0));
        let operations = disk.operations();
        drop(journal);
        assert_eq!(disk.operations(), operations, "a failed sync is not tried again");

        // To a restart the bytes are readable, so it keeps them, and for good.
        let restarted = disk.kill();
        assert_eq!(reread(&restarted), [(1, 1), (2, 2)]);
        assert_eq!(reread(&restarted.crash()), [(1, 1), (2, 2)]);
        // After a power cut they never reached the medium.
        outcomes.push(reread(&disk.crash()));
    }
    assert_eq!(outcomes, vec![vec![(1, 1)]; 20]);
}

#[test]
fn a_poisoned_journal_leaves_its_segment_without_a_seal() {
    let disk = SimDisk::new(1);
    let mut journal = open(&disk, small()).expect("it opens").journal;
    commit(&mut journal, 1, 100).expect("committed");
    disk.fail_nth(1, Fault::Error);
    commit(&mut journal, 2, 100).expect_err("the write failed");
    let refused = commit_without_room(&mut journal);
    assert!(
        refused.contains("the simulated disk failed") || refused.contains("no room"),
        "{refused}"
    );
    journal.close();
    // The next open does not take anything of this segment for durable: it writes a new generation.
    let opened = open(&disk, small()).expect("it opens");
    assert_eq!(
        opened
            .segments
            .iter()
            .map(|s| (s.number, s.generation))
            .collect::<Vec<_>>(),
        [(1, 1)]
    );
    assert_eq!(read(&opened.segments)[0], (1, 1));
}

fn commit_without_room(journal: &mut journal::Journal) -> String {
    let (done, outcome) = std::sync::mpsc::channel();
    journal.commit(
        frame(9, 1000),
        Box::new(move |result| done.send(result).expect("the test waits")),
    );
    outcome.recv().expect("answered").expect_err("there is no room").0
}

#[test]
fn a_frame_without_room_is_never_written() {
    for reserved in [None, Some(10)] {
        let disk = SimDisk::new(1);
        let mut journal = open(&disk, small()).expect("it opens").journal;
        if let Some(payload_bytes) = reserved {
            journal.reserve(payload_bytes).expect("there is room");
        }
        assert_eq!(
            commit_without_room(&mut journal),
            "no room was reserved for the frame"
        );
        assert!(matches!(journal.state().get(), State::Poisoned(_)));
        drop(journal);
        assert_eq!(reread(&disk), []);
    }
}

#[test]
fn a_write_torn_by_a_power_cut_leaves_all_of_the_frame_or_nothing() {
    let mut found = [0, 0];
    for seed in 0..60 {
        let disk = SimDisk::new(seed);
        let mut journal = open(&disk, small()).expect("it opens").journal;
        commit(&mut journal, 1, 100).expect("committed");
        disk.fail_nth(2, Fault::Halt);
        commit(&mut journal, 2, 1800).expect_err("the machine stopped in the sync");
        let frames = reread(&disk.crash());
        assert!(frames == [(1, 1)] || frames == [(1, 1), (2, 2)], "{frames:?}");
        found[frames.len() - 1] += 1;
    }
    assert!(found[0] > 5 && found[1] > 5, "both happen: {found:?}");
}

#[test]
fn a_full_disk_refuses_before_anything_is_counted_and_resumes_when_there_is_room() {
    let disk = SimDisk::new(1);
    let mut journal = open(&disk, small()).expect("it opens").journal;
    commit(&mut journal, 1, 3000).expect("committed");
    disk.set_capacity(Some(disk.used()));
    let used = disk.used();
    // The next segment is there already: it was prepared ahead.
    commit(&mut journal, 2, 7000).expect("committed");
    let before = names(&disk);
    for _ in 0..3 {
        let Err(Refused::Full(reason)) = journal.reserve(3000) else {
            panic!("there is no room")
        };
        assert_eq!(reason, "segment 3 of 8192 bytes: no storage space");
        assert_eq!(journal.state().get(), State::Full(reason));
        assert_eq!(disk.used(), used, "what was half prepared is given back");
        assert_eq!(names(&disk), before);
    }
    disk.set_capacity(None);
    let committed = commit(&mut journal, 3, 3000).expect("committed");
    assert_eq!((committed.seq, committed.segment), (3, 3));
    assert_eq!(journal.state().get(), State::Writable);
    drop(journal);
    assert_eq!(reread(&disk.crash()), [(1, 1), (2, 2), (3, 3)]);
}

#[test]
fn a_frame_too_large_for_a_full_disk_leaves_room_for_smaller_ones() {
    let disk = SimDisk::new(1);
    let mut journal = open(&disk, small()).expect("it opens").journal;
    let begun = journal.reserve(100).expect("there is room").segment;
    disk.set_capacity(Some(disk.used() + 1000));
    assert!(matches!(journal.reserve(50_000), Err(Refused::Full(_))));
    let committed = commit(&mut journal, 1, 100).expect("committed");
    assert_eq!(committed.segment, begun.number);
    assert_eq!(journal.state().get(), State::Writable);
    // The handle given out first is still the segment's.
    assert_eq!(read(&[begun]), [(1, 1)]);
    drop(journal);
    // Recovery needs room for the newest segment once more.
    assert!(matches!(
        open(&disk, small()).map(|_| ()),
        Err(Error::Io { doing: "write", .. })
    ));
    disk.set_capacity(None);
    assert_eq!(reread(&disk.crash()), [(1, 1)]);
}

#[test]
fn an_error_while_preparing_is_not_an_error_of_the_log() {
    // Create, fill, sync, sync the directory.
    for nth in 1..=4 {
        let disk = SimDisk::new(nth);
        let mut journal = open(&disk, small()).expect("it opens").journal;
        disk.fail_nth(1, Fault::Error);
        commit(&mut journal, 1, 3000).expect("committed, though the next segment could not be prepared");
        disk.fail_nth(nth, Fault::Error);
        let reason = "segment 2 of 8192 bytes: the simulated disk failed".to_owned();
        assert_eq!(
            journal.reserve(3000).map(|room| room.segment.number),
            Err(Refused::Full(reason)),
            "at {nth}"
        );
        assert_eq!(
            commit(&mut journal, 2, 3000).map(|c| (c.seq, c.segment)),
            Ok((2, 2))
        );
        drop(journal);
        assert_eq!(reread(&disk.crash()), [(1, 1), (2, 2)], "at {nth}");
    }
}

#[test]
fn a_segment_with_room_is_not_left_while_the_disk_is_full() {
    let disk = SimDisk::new(1);
    let options = Options {
        first_segment_bytes: 8192,
        ..small()
    };
    let mut journal = open(&disk, options).expect("it opens").journal;
    commit(&mut journal, 1, 100).expect("committed");
    journal.roll();
    disk.set_capacity(Some(disk.used()));
    assert_eq!(commit(&mut journal, 2, 100).map(|c| c.segment), Ok(1));
    assert_eq!(journal.state().get(), State::Writable);
    disk.set_capacity(None);
    assert_eq!(commit(&mut journal, 3, 100).map(|c| c.segment), Ok(2));
    drop(journal);
    assert_eq!(reread(&disk.crash()), [(1, 1), (2, 2), (3, 3)]);
}

#[test]
fn an_error_at_any_operation_loses_nothing_acknowledged() {
    let run = |disk: &SimDisk| {
        let mut acknowledged = Vec::new();
        let Ok(opened) = open(disk, small()) else {
            return acknowledged;
        };
        let mut journal = opened.journal;
        for id in 1..=8 {
            let frame = frame(id, 900 * id as usize);
            if journal.reserve(frame.len()).is_err() {
                continue;
            }
            let (done, outcome) = std::sync::mpsc::channel();
            journal.commit(
                frame,
                Box::new(move |result| done.send(result).expect("the test waits")),
            );
            if let Ok(committed) = outcome.recv().expect("answered") {
                acknowledged.push((committed.seq, id));
            }
        }
        journal.close();
        acknowledged
    };
    let disk = SimDisk::new(0);
    run(&disk);
    for nth in 1..=disk.operations() {
        let disk = SimDisk::new(nth);
        disk.fail_nth(nth, Fault::Error);
        let acknowledged = run(&disk);
        for disk in [disk.crash(), disk.kill()] {
            let found = reread(&disk);
            assert!(
                found.starts_with(&acknowledged),
                "at {nth}: {found:?}, acknowledged {acknowledged:?}"
            );
            assert!(
                found.len() <= acknowledged.len() + 1,
                "at {nth}: {found:?}, acknowledged {acknowledged:?}"
            );
        }
    }
}

#[test]
fn without_sync_a_kill_loses_nothing_and_a_power_cut_only_the_newest() {
    let options = || Options {
        sync: false,
        ..small()
    };
    let mut lengths = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let disk = SimDisk::new(seed);
        let mut journal = open(&disk, options()).expect("it opens").journal;
        for id in 1..=6 {
            commit(&mut journal, id, 900).expect("committed");
        }
        drop(journal);
        let all: Vec<(u64, u64)> = (1..=6).map(|id| (id, id)).collect();
        assert_eq!(reread(&disk.kill()), all);
        let found = reread(&disk.crash());
        assert!(all.starts_with(&found), "{found:?}");
        assert!(
            found.len() >= 2,
            "the first segment was synced when it was left: {found:?}"
        );
        lengths.insert(found.len());
    }
    assert!(lengths.len() > 2, "a power cut does lose some: {lengths:?}");
}

#[test]
fn a_clean_close_without_sync_is_durable() {
    let options = Options {
        sync: false,
        ..small()
    };
    let disk = SimDisk::new(3);
    let mut journal = open(&disk, options).expect("it opens").journal;
    commit(&mut journal, 1, 900).expect("committed");
    journal.close();
    assert_eq!(reread(&disk.crash()), [(1, 1)]);
    assert!(disk.open(&Path::new(DIR).join("0000000001-000.seg")).is_ok());
}

#[test]
fn of_a_file_that_cannot_be_replaced_or_copied_no_part_stays() {
    type Attempt<'a> = &'a dyn Fn(&SimDisk) -> std::io::Result<()>;
    let bytes = vec![7; 1 << 20];
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new("/data")).expect("a directory");
    let (old, new) = (Path::new("/data/old"), Path::new("/data/new"));
    write_atomically(&disk, old, &bytes).expect("written");
    let replace = |disk: &SimDisk| write_atomically(disk, new, &bytes);
    let copy = |disk: &SimDisk| copy_durably(disk, &*disk.open(old)?, 1 << 20, new);
    let attempts: [Attempt<'_>; 2] = [&replace, &copy];
    for (at, attempt) in attempts.into_iter().enumerate() {
        disk.set_capacity(Some(disk.used() + 300_000));
        attempt(&disk).expect_err("the disk is full");
        assert_eq!(
            disk.list(Path::new("/data")).expect("listed"),
            ["old"],
            "{at}, full"
        );
        disk.set_capacity(None);
        let probe = disk.kill();
        attempt(&probe).expect("there is room");
        for nth in 1..=probe.operations() {
            let disk = disk.kill();
            disk.fail_nth(nth, Fault::Error);
            attempt(&disk).expect_err("an operation failed");
            let mut names = disk.list(Path::new("/data")).expect("listed");
            // The last one makes the name durable.
            names.retain(|name| name != "new" || nth < probe.operations());
            assert_eq!(names, ["old"], "{at}, operation {nth}");
        }
    }
}
