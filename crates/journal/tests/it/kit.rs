//! What the tests share: small segments, frames that can be told apart, and reading all of them back.

use std::path::Path;
use std::sync::{Arc, mpsc};

use journal::{Committed, Disk, Error, Frame, Journal, Opened, Options, Poisoned, Room, Segment, SimDisk};

pub(crate) const DIR: &str = "/data/log/0";

/// Small segments, and every operation on the caller's thread.
pub(crate) fn small() -> Options {
    Options {
        first_segment_bytes: 4096,
        max_segment_bytes: 8192,
        inline: true,
        ..Options::default()
    }
}

pub(crate) fn open(disk: &SimDisk, options: Options) -> Result<Opened, Error> {
    Journal::open(Arc::new(disk.clone()) as Arc<dyn Disk>, Path::new(DIR), options)
}

/// A frame of one record: its number and as many bytes more.
pub(crate) fn frame(id: u64, bytes: usize) -> Frame {
    filled(Frame::new(), id, bytes)
}

fn filled(mut frame: Frame, id: u64, bytes: usize) -> Frame {
    frame.record_with(1, true, |body| {
        body.extend_from_slice(&id.to_le_bytes());
        body.extend((0..bytes).map(|n| (id as u8).wrapping_add(n as u8)));
    });
    frame
}

/// Reserves, commits and waits. Panics if there is no room.
pub(crate) fn commit(journal: &mut Journal, id: u64, bytes: usize) -> Result<Committed, Poisoned> {
    let frame = filled(journal.frame(), id, bytes);
    let Room { .. } = journal.reserve(frame.len()).expect("there is room");
    let (done, outcome) = mpsc::channel();
    journal.commit(
        frame,
        Box::new(move |result| done.send(result).expect("the test waits")),
    );
    outcome.recv().expect("every frame is answered")
}

/// Sequence number and id of every frame; each must check and be exactly what [`frame`] built.
pub(crate) fn read(segments: &[Segment]) -> Vec<(u64, u64)> {
    let mut read = Vec::new();
    for segment in segments {
        for found in segment.frames() {
            let found = found.expect("the frame checks");
            let records: Vec<_> = found.records().collect();
            let [record] = &records[..] else {
                panic!("one record: {records:?}")
            };
            let id = u64::from_le_bytes(record.body[..8].try_into().expect("eight bytes"));
            let rest = record.body[8..].iter().enumerate();
            assert!(
                rest.into_iter()
                    .all(|(n, &byte)| byte == (id as u8).wrapping_add(n as u8)),
                "frame {id}"
            );
            read.push((found.seq, id));
        }
    }
    read
}

/// Opens, reads everything, and closes by dropping.
pub(crate) fn reread(disk: &SimDisk) -> Vec<(u64, u64)> {
    read(&open(disk, small()).expect("the log opens").segments)
}

/// The names in the directory, sorted.
pub(crate) fn names(disk: &SimDisk) -> Vec<String> {
    let mut names = disk.list(Path::new(DIR)).expect("the directory is there");
    names.sort();
    names
}

/// Three segments of two frames each; the last one left open.
pub(crate) fn three_segments() -> SimDisk {
    let disk = SimDisk::new(5);
    let mut journal = open(&disk, small()).expect("it opens").journal;
    for id in 1..=6 {
        if id % 2 == 1 {
            journal.roll();
        }
        let frame = frame(id, 100);
        let left = journal.reserve(frame.len()).expect("there is room");
        assert_eq!(left.segment.number, id.div_ceil(2));
        commit(&mut journal, id, 100).expect("committed");
    }
    drop(journal);
    disk
}
