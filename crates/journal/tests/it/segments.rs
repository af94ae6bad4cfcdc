//! Segments as readers, compaction and retention meet them.

use std::path::Path;

use journal::sim::Fault;
use journal::{Disk, Error, Frame, Opened, Refused, SimDisk, read_record, write_atomically};

use crate::kit::{DIR, commit, names, open, read, reread, small};

#[test]
fn a_frame_larger_than_a_segment_gets_one_that_is_large_enough() {
    let disk = SimDisk::new(1);
    let mut journal = open(&disk, small()).expect("it opens").journal;
    commit(&mut journal, 1, 10).expect("committed");
    let large = commit(&mut journal, 2, 100_000).expect("committed");
    let next = commit(&mut journal, 3, 10).expect("committed");
    assert_eq!((large.seq, large.segment, large.offset), (2, 2, 532));
    assert_eq!(next.segment, 3);
    assert!(matches!(
        journal.reserve(usize::MAX / 2),
        Err(Refused::TooLarge { .. })
    ));
    drop(journal);
    assert_eq!(reread(&disk.crash()), [(1, 1), (2, 2), (3, 3)]);
}

#[test]
fn segments_grow_fourfold_up_to_the_largest() {
    let disk = SimDisk::new(1);
    let options = journal::Options {
        max_segment_bytes: 20_000,
        ..small()
    };
    let mut journal = open(&disk, options).expect("it opens").journal;
    let mut sizes = Vec::new();
    for id in 0..40 {
        let committed = commit(&mut journal, id, 1000).expect("committed");
        let name = Path::new(DIR).join(format!("{:010}-000.seg", committed.segment));
        let bytes = disk.open(&name).expect("there").len().expect("a length");
        sizes.push(bytes);
    }
    sizes.dedup();
    assert_eq!(sizes, [4096, 16384, 20_000]);
}

#[test]
fn a_clean_close_leaves_nothing_to_repair() {
    let disk = SimDisk::new(1);
    let mut journal = open(&disk, small()).expect("it opens").journal;
    commit(&mut journal, 1, 3000).expect("committed");
    journal.close();
    assert_eq!(names(&disk), ["0000000001-000.seg"]);
    let disk = disk.crash();
    let journal = open(&disk, small()).expect("it opens");
    assert_eq!(
        (journal.segments[0].number, journal.segments[0].generation),
        (1, 0)
    );
    journal.journal.close();
    // Create the directory; create, fill, sync, sync the directory; remove, sync the directory.
    assert_eq!(disk.operations(), 7);
    assert_eq!(names(&disk), ["0000000001-000.seg"]);
}

#[test]
fn a_large_file_is_given_to_the_disk_little_by_little() {
    let disk = SimDisk::new(1);
    let path = Path::new("file");
    disk.create_dir_all(Path::new(".")).expect("a directory");
    let operations = disk.operations();
    write_atomically(&disk, path, &vec![7; 1 << 20]).expect("written");
    // Create; four writes with a sync after each; rename, sync the directory.
    assert_eq!(disk.operations() - operations, 1 + 4 * 2 + 2);
    let mut found = vec![0; 1 << 20];
    let file = disk.open(path).expect("it is there");
    file.read_exact_at(&mut found, 0).expect("whole");
    assert!(found.iter().all(|byte| *byte == 7));
}

#[test]
fn a_journal_without_frames_leaves_nothing() {
    let disk = SimDisk::new(1);
    let mut journal = open(&disk, small()).expect("it opens").journal;
    journal.roll();
    journal.reserve(10).expect("there is room");
    journal.roll();
    assert_eq!(journal.reserve(20).expect("there is room").segment.number, 1);
    journal.close();
    assert_eq!(names(&disk), [""; 0]);
}

#[test]
fn foreign_files_stay_and_unfinished_ones_go() {
    let disk = SimDisk::new(1);
    drop(open(&disk, small()).expect("it opens"));
    for name in [
        "registry-0",
        "0000000001-000.idx",
        "0000000001-000 copy.seg",
        "0000000007-000.seg.tmp",
        "windows-1.tmp",
    ] {
        disk.create_new(&Path::new(DIR).join(name)).expect("created");
    }
    drop(open(&disk, small()).expect("it opens"));
    let kept = [
        "0000000001-000 copy.seg",
        "0000000001-000.idx",
        "0000000001-000.seg",
        "registry-0",
    ];
    assert_eq!(names(&disk), kept);
}

#[test]
fn records_are_told_apart_by_kind_and_flag_and_read_alone() {
    let disk = SimDisk::new(1);
    let mut journal = open(&disk, small()).expect("it opens").journal;
    let mut frame = Frame::new();
    assert!(frame.is_empty());
    let offsets = [
        frame.record(7, true, b"seven"),
        frame.record(8, false, b""),
        frame.record(9, true, &[9; 600]),
    ];
    assert_eq!(offsets, [0, 17, 29]);
    assert_eq!(frame.len(), 29 + 612);
    let segment = journal.reserve(frame.len()).expect("there is room").segment;
    journal.commit(
        frame,
        Box::new(|outcome| assert_eq!(outcome.map(|c| c.offset), Ok(532))),
    );
    assert_eq!(segment.end(), 512 + 1024);

    let found: Vec<_> = segment.frames().map(|frame| frame.expect("it checks")).collect();
    let [frame] = &found[..] else { panic!("one frame") };
    let records: Vec<_> = frame
        .records()
        .map(|r| {
            (
                r.kind,
                r.must_understand,
                r.offset,
                r.record_bytes(),
                r.body.len(),
            )
        })
        .collect();
    assert_eq!(
        records,
        [
            (7, true, 0, 17, 5),
            (8, false, 17, 12, 0),
            (9, true, 29, 612, 600)
        ]
    );
    assert_eq!(
        read_record(&segment, frame.payload_offset, 17, &mut Vec::new()).expect("it checks"),
        b"seven"
    );
    assert_eq!(
        read_record(&segment, frame.payload_offset + 29, 612, &mut Vec::new()).expect("it checks"),
        [9; 600]
    );
}

#[test]
fn an_open_segment_shows_what_is_acknowledged_and_can_be_neither_trimmed_nor_rewritten_nor_removed() {
    let disk = SimDisk::new(1);
    let mut journal = open(&disk, small()).expect("it opens").journal;
    let segment = journal.reserve(10).expect("there is room").segment;
    assert_eq!(
        (segment.first_seq, segment.last_seq(), segment.end()),
        (1, 0, 512)
    );
    commit(&mut journal, 1, 10).expect("committed");
    assert_eq!(
        (segment.first_seq, segment.last_seq(), segment.end()),
        (1, 1, 1024)
    );
    assert_eq!(read(std::slice::from_ref(&segment)), [(1, 1)]);
    assert!(matches!(segment.trim(), Err(Error::StillOpen { .. })));
    assert!(matches!(
        segment.rewrite().map(|_| ()),
        Err(Error::StillOpen { .. })
    ));
    assert!(matches!(segment.remove(), Err(Error::StillOpen { .. })));
    journal.roll();
    commit(&mut journal, 2, 10).expect("committed");
    segment.trim().expect("a later frame is committed");
    segment.trim().expect("once more does nothing");
    assert_eq!(
        disk.open(&segment.path).expect("there").len().expect("a length"),
        1024 + 512
    );
    assert_eq!(read(std::slice::from_ref(&segment)), [(1, 1)]);
}

#[test]
fn a_rewritten_segment_takes_the_place_of_the_old_one_which_its_readers_finish() {
    let disk = SimDisk::new(1);
    let mut journal = open(&disk, small()).expect("it opens").journal;
    for id in 1..=4 {
        commit(&mut journal, id, 10).expect("committed");
    }
    journal.close();
    let opened = open(&disk, small()).expect("it opens");
    let old = opened.segments[0].clone();
    let mut reading = old.frames();
    let frames: Vec<_> = old.frames().map(|frame| frame.expect("it checks")).collect();
    let kept = frames.iter().filter(|frame| frame.seq == 2 || frame.seq == 3);
    let new = old
        .replace(kept.map(|frame| (frame.seq, &frame.payload)))
        .expect("replaced");
    assert_eq!(
        (new.number, new.generation, new.first_seq, new.last_seq()),
        (1, 1, 1, 4)
    );
    assert_eq!(read(std::slice::from_ref(&new)), [(2, 2), (3, 3)]);
    assert_eq!(
        reading
            .by_ref()
            .map(|frame| frame.expect("it checks").seq)
            .collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );
    assert_eq!(names(&disk), ["0000000001-001.seg", "0000000002-000.seg"]);

    // The sequence goes on after the frame that is no more.
    let mut journal = opened.journal;
    assert_eq!(commit(&mut journal, 5, 10).expect("committed").seq, 5);
    drop(journal);
    assert_eq!(reread(&disk.crash()), [(2, 2), (3, 3), (5, 5)]);
}

#[test]
fn a_segment_is_removed_with_all_its_generations_whatever_failed_before() {
    for (failing_rewrite, failing_remove) in
        (0..12).flat_map(|rewrite| (0..8).map(move |remove| (rewrite, remove)))
    {
        let disk = SimDisk::new(failing_rewrite);
        let mut journal = open(&disk, small()).expect("it opens").journal;
        commit(&mut journal, 1, 10).expect("committed");
        journal.roll();
        commit(&mut journal, 2, 10).expect("committed");
        drop(journal);
        let opened = open(&disk, small()).expect("it opens");
        let oldest = opened.segments[0].clone();
        drop(opened);
        if failing_rewrite > 0 {
            disk.fail_nth(failing_rewrite, Fault::Error);
            let frames = oldest.frames().map(|frame| frame.expect("it checks"));
            let _ = oldest.replace(frames.map(|frame| (frame.seq, frame.payload)));
            disk.fail_nth(u64::MAX / 2, Fault::Error);
        }
        if failing_remove > 0 {
            disk.fail_nth(failing_remove, Fault::Error);
            let _ = oldest.remove();
            disk.fail_nth(u64::MAX / 2, Fault::Error);
        }
        oldest.remove().expect("nothing fails any more");
        let place = format!("rewriting fails at {failing_rewrite}, removing at {failing_remove}");
        assert_eq!(reread(&disk.crash()), [(2, 2)], "{place}");
    }
}

#[test]
fn a_rewrite_takes_only_frames_that_can_stand_there() {
    let disk = SimDisk::new(1);
    let mut journal = open(&disk, small()).expect("it opens").journal;
    for id in 1..=3 {
        journal.roll();
        commit(&mut journal, id, 10).expect("committed");
    }
    journal.close();
    let opened = open(&disk, small()).expect("it opens");
    let middle = &opened.segments[1];
    let payload = middle
        .frames()
        .next()
        .expect("a frame")
        .expect("it checks")
        .payload;
    for seq in [0, 1, 3] {
        let refused = middle.replace([(seq, &payload)]).expect_err("not this segment's");
        assert!(
            matches!(refused, Error::BadRewrite { seq: named, .. } if named == seq),
            "{refused}"
        );
    }
    let twice = middle.replace([(2, &payload), (2, &payload)]).expect_err("twice");
    assert!(matches!(twice, Error::BadRewrite { seq: 2, .. }));
    let torn = middle
        .replace([(2, &payload[..20])])
        .expect_err("not whole records");
    assert!(matches!(torn, Error::BadRewrite { seq: 2, .. }));
    drop(opened);
    assert_eq!(reread(&disk), [(1, 1), (2, 2), (3, 3)]);
    let names = names(&disk);
    assert!(names.iter().all(|name| !name.ends_with(".tmp")), "{names:?}");
}

#[test]
fn a_log_of_which_only_an_empty_segment_is_left_keeps_its_sequence() {
    let disk = SimDisk::new(1);
    let mut journal = open(&disk, small()).expect("it opens").journal;
    commit(&mut journal, 1, 10).expect("committed");
    journal.roll();
    commit(&mut journal, 2, 10).expect("committed");
    drop(journal);
    let at = |name| Path::new(DIR).join(name);
    disk.remove(&at("0000000001-000.seg")).expect("there");
    disk.sync_dir(Path::new(DIR)).expect("synced");
    disk.damage(&at("0000000002-000.seg"), 540, &[0xff])
        .expect("there");
    let known = |opened: &Opened| -> Vec<(u64, u64)> {
        opened.segments.iter().map(|s| (s.number, s.last_seq())).collect()
    };
    let opened = open(&disk, small()).expect("it opens");
    assert_eq!(known(&opened), [(2, 1)]);
    drop(opened);
    let opened = open(&disk.crash(), small()).expect("it opens");
    assert_eq!(known(&opened), [(2, 1)]);
    let mut journal = opened.journal;
    assert_eq!(
        commit(&mut journal, 2, 10).map(|c| (c.seq, c.segment)),
        Ok((2, 3))
    );
}

#[test]
fn nothing_but_frames_of_this_segment_passes_for_a_frame() {
    // A client may put the bytes of a frame into an event, on a sector; a torn write then shows them alone.
    let source = SimDisk::new(1);
    let mut journal = open(&source, small()).expect("it opens").journal;
    commit(&mut journal, 1, 10).expect("committed");
    commit(&mut journal, 2, 10).expect("committed");
    let mut forged = [0; 512];
    let file = source
        .open(&Path::new(DIR).join("0000000001-000.seg"))
        .expect("there");
    file.read_exact_at(&mut forged, 1024).expect("read");

    let disk = SimDisk::new(2);
    let mut journal = open(&disk, small()).expect("it opens").journal;
    let mut carrier = vec![0; 1024];
    // The body starts 32 bytes after the frame does.
    carrier[512 - 32..1024 - 32].copy_from_slice(&forged);
    let mut frame = Frame::new();
    frame.record(1, true, &carrier);
    journal.reserve(frame.len()).expect("there is room");
    journal.commit(frame, Box::new(|outcome| assert!(outcome.is_ok())));
    drop(journal);
    disk.damage(&Path::new(DIR).join("0000000001-000.seg"), 540, &[0xff])
        .expect("there");
    assert_eq!(reread(&disk), []);
}
