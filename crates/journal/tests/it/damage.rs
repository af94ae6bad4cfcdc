//! Files that are not what was written.

use std::path::{Path, PathBuf};

use journal::{Damage, Disk, Error, SimDisk, read_record};

use crate::kit::{DIR, commit, names, open, read, reread, small, three_segments};

fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

fn damage_of(result: Result<journal::Opened, Error>) -> Damage {
    match result {
        Err(Error::Damaged(damage)) => damage,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it opened"),
    }
}

/// Opening refuses with this, and changes nothing.
fn refused(disk: &SimDisk, name: &str, offset: u64, what: &str) {
    let before = (names(disk), disk.used());
    let damage = damage_of(open(disk, small()));
    assert_eq!(
        damage,
        Damage {
            file: path(name),
            offset,
            what: what.into()
        }
    );
    assert!(damage.to_string().contains("repute repair"), "{damage}");
    assert_eq!((names(disk), disk.used()), before);
}

#[test]
fn a_bad_frame_before_a_good_one_is_damage_and_no_torn_end() {
    let disk = three_segments();
    disk.damage(&path("0000000003-000.seg"), 600, &[0xff])
        .expect("there");
    refused(
        &disk,
        "0000000003-000.seg",
        512,
        "the frame after frame 4 does not check, but frame 6 behind it does",
    );
}

#[test]
fn a_bad_last_frame_of_an_unsealed_segment_that_another_follows_is_damage() {
    let disk = three_segments();
    disk.damage(&path("0000000002-000.seg"), 1100, &[0xff])
        .expect("there");
    let what = "segment 2 ends with frame 3, but segment 3 goes on after frame 4";
    refused(&disk, "0000000002-000.seg", 1024, what);
}

#[test]
fn a_bad_last_frame_of_the_newest_segment_is_a_torn_end() {
    let disk = three_segments();
    disk.damage(&path("0000000003-000.seg"), 1100, &[0xff])
        .expect("there");
    assert_eq!(reread(&disk), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]);
}

#[test]
fn a_damaged_header_is_refused() {
    let disk = three_segments();
    disk.damage(&path("0000000002-000.seg"), 40, &[0xff])
        .expect("there");
    refused(
        &disk,
        "0000000002-000.seg",
        0,
        "the segment header's checksum does not match",
    );
}

#[test]
fn a_blank_header_is_refused_unless_the_segment_was_never_used() {
    let disk = three_segments();
    disk.damage(&path("0000000003-000.seg"), 0, &[0; 512])
        .expect("there");
    refused(
        &disk,
        "0000000003-000.seg",
        0,
        "the segment header is blank, but frames follow",
    );

    let disk = three_segments();
    disk.damage(&path("0000000002-000.seg"), 0, &[0; 600])
        .expect("there");
    refused(
        &disk,
        "0000000002-000.seg",
        0,
        "the segment header is blank, but later segments exist",
    );
}

#[test]
fn a_missing_segment_is_noticed_and_missing_oldest_ones_are_retention() {
    let disk = three_segments();
    disk.remove(&path("0000000002-000.seg")).expect("there");
    let Err(Error::MissingSegment { dir, number }) = open(&disk, small()).map(|_| ()) else {
        panic!("it opened")
    };
    assert_eq!((dir, number), (PathBuf::from(DIR), 2));

    disk.remove(&path("0000000001-000.seg")).expect("there");
    let opened = open(&disk, small()).expect("it opens");
    assert_eq!(read(&opened.segments), [(5, 5), (6, 6)]);
}

#[test]
fn a_segment_of_another_log_is_noticed() {
    let disk = three_segments();
    let foreign = SimDisk::new(6);
    let mut journal = open(&foreign, small()).expect("it opens").journal;
    commit(&mut journal, 1, 100).expect("committed");
    journal.roll();
    commit(&mut journal, 2, 100).expect("committed");
    journal.close();
    let mut bytes = vec![0; 1536];
    let from = foreign.open(&path("0000000002-000.seg")).expect("there");
    from.read_exact_at(&mut bytes, 0).expect("read");
    let to = disk.open(&path("0000000002-000.seg")).expect("there");
    to.set_len(0).expect("cut");
    to.write_all_at(&bytes, 0).expect("written");
    refused(
        &disk,
        "0000000001-000.seg",
        1536,
        "segment 1 ends with frame 2, but segment 2 goes on after frame 1",
    );

    disk.rename(&path("0000000003-000.seg"), &path("0000000004-000.seg"))
        .expect("renamed");
    let what = "this is generation 0 of segment 3 of shard 0, under the name of another";
    refused(&disk, "0000000004-000.seg", 0, what);
}

#[test]
fn a_newer_format_is_refused_before_anything_is_changed() {
    let disk = three_segments();
    let name = path("0000000003-000.seg");
    let file = disk.open(&name).expect("there");
    let mut header = [0; 512];
    file.read_exact_at(&mut header, 0).expect("read");
    header[8] = 9;
    let crc = crc32c::crc32c(&header[..508]);
    header[508..].copy_from_slice(&crc.to_le_bytes());
    disk.damage(&name, 0, &header).expect("there");
    disk.damage(&path("0000000001-000.seg"), 40, &[0xff])
        .expect("there");
    let before = (names(&disk), disk.operations());
    let error = open(&disk, small()).map(|_| ()).expect_err("it is newer");
    assert_eq!(
        error.to_string(),
        "/data/log/0/0000000003-000.seg: written in format 9, and this version reads up to format 1; use a newer \
         version of repute"
    );
    // Only that the directory is there was made sure of.
    assert_eq!((names(&disk), disk.operations()), (before.0, before.1 + 1));
}

#[test]
fn a_damaged_sealed_segment_opens_and_fails_only_what_needs_the_frame() {
    let disk = three_segments();
    drop(open(&disk, small()).expect("it opens and seals"));
    let name = "0000000002-000.seg";
    disk.damage(&path(name), 600, &[0xff]).expect("there");
    let opened = open(&disk, small()).expect("a sealed segment does not stop the start");
    let frames: Vec<_> = opened.segments[1].frames().collect();
    let [Err(damage), Ok(fourth)] = &frames[..] else {
        panic!("one bad, one good: {frames:?}")
    };
    let what = "the frame after frame 2 does not check".to_owned();
    assert_eq!(
        damage,
        &Damage {
            file: path(name),
            offset: 512,
            what
        }
    );
    assert_eq!(fourth.seq, 4);
    assert_eq!(read(&opened.segments[..1]), [(1, 1), (2, 2)]);
    assert_eq!(read(&opened.segments[2..]), [(5, 5), (6, 6)]);

    let segment = &opened.segments[1];
    let Err(Error::Damaged(damage)) = read_record(segment, 532, 12 + 108, &mut Vec::new()) else {
        panic!("it checks")
    };
    let what = "the record's checksum does not match".to_owned();
    assert_eq!(
        damage,
        Damage {
            file: path(name),
            offset: 532,
            what
        }
    );
    assert_eq!(
        read_record(segment, fourth.payload_offset, 12 + 108, &mut Vec::new())
            .expect("it checks")
            .len(),
        108
    );
}

#[test]
fn a_record_is_not_read_from_where_none_is() {
    let disk = three_segments();
    let opened = open(&disk, small()).expect("it opens");
    let segment = &opened.segments[0];
    for (offset, bytes) in [
        (532, 11),
        (532, 119),
        (531, 120),
        (1024, u32::MAX),
        (u64::MAX, 120),
        (1500, 120),
    ] {
        let Err(Error::Damaged(damage)) = read_record(segment, offset, bytes, &mut Vec::new()) else {
            panic!("{offset}, {bytes}")
        };
        assert_eq!((damage.file, damage.offset), (segment.path.to_path_buf(), offset));
    }
}

#[test]
fn a_damaged_seal_costs_a_scan_and_nothing_else() {
    let disk = three_segments();
    drop(open(&disk, small()).expect("it opens and seals"));
    for name in ["0000000001-000.seg", "0000000002-000.seg", "0000000003-001.seg"] {
        disk.damage(&path(name), 1536 + 40, &[0xff]).expect("there");
    }
    let expected: Vec<(u64, u64)> = (1..=6).map(|n| (n, n)).collect();
    assert_eq!(reread(&disk), expected);
    assert_eq!(reread(&disk.crash()), expected);
}
