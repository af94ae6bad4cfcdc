//! Looking at a log that is not as it should be.

use std::path::Path;
use std::sync::Arc;

use journal::{Disk, SimDisk, Survey};

use crate::kit::{DIR, commit, open, read, small, three_segments};

fn survey(disk: &SimDisk) -> Survey {
    let disk = Arc::new(disk.clone()) as Arc<dyn Disk>;
    Survey::take(&disk, Path::new(DIR), 0).expect("it can be looked at")
}

/// Number, range of frames, and damage of each place.
fn summary(survey: &Survey) -> Vec<(u64, u64, u64, usize)> {
    let places = survey.places.iter();
    places
        .map(|place| {
            (
                place.number,
                place.previous_seq,
                place.last_seq,
                place.damage.len(),
            )
        })
        .collect()
}

/// Puts what can be read in the place of every damaged segment.
fn rewrite(disk: &SimDisk) {
    let survey = survey(disk);
    for place in &survey.places {
        let mut rewrite = survey.rewrite(place).expect("begun");
        for frame in place.segment.iter().flat_map(journal::Segment::frames).flatten() {
            rewrite.push(frame.seq, &frame.payload).expect("pushed");
        }
        rewrite.finish().expect("finished");
    }
}

#[test]
fn a_good_log_is_what_it_says() {
    let disk = three_segments();
    let survey = survey(&disk);
    assert_eq!(summary(&survey), [(1, 0, 2, 0), (2, 2, 4, 0), (3, 4, 6, 0)]);
    let sealed: Vec<bool> = survey.places.iter().map(|place| place.sealed).collect();
    assert_eq!(sealed, [false, false, false], "the crash came before sealing");
}

#[test]
fn a_header_that_does_not_check_still_opens_its_frames() {
    let disk = three_segments();
    disk.damage(&Path::new(DIR).join("0000000002-000.seg"), 200, &[1])
        .expect("there");
    let found = survey(&disk);
    assert_eq!(summary(&found), [(1, 0, 2, 0), (2, 2, 4, 1), (3, 4, 6, 0)]);
    rewrite(&disk);
    let opened = open(&disk, small()).expect("it opens");
    assert_eq!(
        read(&opened.segments),
        [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6)]
    );
}

#[test]
fn what_is_missing_is_bounded_by_its_neighbours() {
    let disk = three_segments();
    disk.remove(&Path::new(DIR).join("0000000002-000.seg"))
        .expect("there");
    assert_eq!(
        summary(&survey(&disk)),
        [(1, 0, 2, 0), (2, 2, 4, 1), (3, 4, 6, 0)]
    );
    rewrite(&disk);
    let opened = open(&disk, small()).expect("it opens");
    assert_eq!(read(&opened.segments), [(1, 1), (2, 2), (5, 5), (6, 6)]);
}

#[test]
fn a_newest_segment_that_nothing_opens_ends_no_earlier_than_it_can_have_ended() {
    let disk = three_segments();
    let path = Path::new(DIR).join("0000000003-000.seg");
    disk.damage(&path, 0, &[0xff; 512]).expect("there");
    let found = survey(&disk);
    let newest = &found.places[2];
    assert!(
        newest.segment.is_none() && newest.last_seq >= 6,
        "{:?}",
        summary(&found)
    );
    rewrite(&disk);
    let mut opened = open(&disk, small()).expect("it opens");
    assert_eq!(read(&opened.segments), [(1, 1), (2, 2), (3, 3), (4, 4)]);
    let next = commit(&mut opened.journal, 9, 10).expect("committed");
    assert!(next.seq > 6, "no number is given twice");
}

#[test]
fn frames_behind_a_bad_one_are_found() {
    let disk = three_segments();
    disk.damage(&Path::new(DIR).join("0000000003-000.seg"), 600, &[0xff])
        .expect("there");
    assert_eq!(
        summary(&survey(&disk)),
        [(1, 0, 2, 0), (2, 2, 4, 0), (3, 4, 6, 0)]
    );
    rewrite(&disk);
    let opened = open(&disk, small()).expect("it opens");
    assert_eq!(read(&opened.segments), [(1, 1), (2, 2), (3, 3), (4, 4), (6, 6)]);
}
