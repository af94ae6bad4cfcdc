//! The journal on the operating system's disk.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, mpsc};

use journal::{Committed, Disk, Frame, Journal, Options, OsDisk, Poisoned, read_record, write_atomically};

fn frame(bodies: &[&[u8]]) -> Frame {
    let mut frame = Frame::new();
    for body in bodies {
        frame.record(1, true, body);
    }
    frame
}

fn commit(journal: &mut Journal, bodies: &[&[u8]]) -> Result<Committed, Poisoned> {
    let frame = frame(bodies);
    journal.reserve(frame.len()).expect("there is room");
    let (done, outcome) = mpsc::channel();
    journal.commit(
        frame,
        Box::new(move |result| done.send(result).expect("the test waits")),
    );
    outcome.recv().expect("every frame is answered")
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("it exists").permissions().mode() & 0o777
}

#[test]
fn frames_are_there_after_a_clean_close_and_after_a_drop() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let dir = root.path().join("log/0");
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let options = Options {
        first_segment_bytes: 64 << 10,
        ..Options::default()
    };

    let opened = Journal::open(Arc::clone(&disk), &dir, options.clone()).expect("an empty log opens");
    assert!(opened.segments.is_empty());
    let mut journal = opened.journal;
    let first = commit(&mut journal, &[b"one", b"two"]).expect("committed");
    let second = commit(&mut journal, &[b"three"]).expect("committed");
    assert_eq!((first.seq, first.segment, first.offset), (1, 1, 532));
    assert_eq!((second.seq, second.segment, second.offset), (2, 1, 1044));
    journal.close();

    let opened = Journal::open(Arc::clone(&disk), &dir, options.clone()).expect("a closed log opens");
    let [segment] = &opened.segments[..] else {
        panic!("one segment: {:?}", opened.segments)
    };
    assert_eq!(
        (
            segment.number,
            segment.generation,
            segment.first_seq,
            segment.last_seq()
        ),
        (1, 0, 1, 2)
    );
    assert_eq!(
        segment.path.metadata().expect("it exists").len(),
        segment.end() + 512
    );
    assert_eq!(
        read_record(segment, second.offset, 12 + 5, &mut Vec::new()).expect("it checks"),
        b"three"
    );
    let mut journal = opened.journal;
    assert_eq!(
        commit(&mut journal, &[b"four"]).map(|c| (c.seq, c.segment)),
        Ok((3, 2))
    );
    drop(journal);

    let opened = Journal::open(disk, &dir, options).expect("a dropped log opens");
    let mut read = Vec::new();
    for segment in &opened.segments {
        for frame in segment.frames() {
            let frame = frame.expect("it checks");
            read.push((
                frame.seq,
                frame.records().map(|r| r.body.to_vec()).collect::<Vec<_>>(),
            ));
        }
    }
    let expected: Vec<(u64, Vec<Vec<u8>>)> = vec![
        (1, vec![b"one".to_vec(), b"two".to_vec()]),
        (2, vec![b"three".to_vec()]),
        (3, vec![b"four".to_vec()]),
    ];
    assert_eq!(read, expected);
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&opened.segments[0].path), 0o600);
    opened.journal.close();
    let mut names = OsDisk.list(&dir).expect("it can be listed");
    names.sort();
    assert_eq!(names, ["0000000001-000.seg", "0000000002-001.seg"]);
}

#[test]
fn a_file_is_replaced_atomically_whatever_was_left_behind() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let path = root.path().join("registry-0");
    std::fs::write(root.path().join("registry-0.tmp"), b"half of it").expect("written");
    write_atomically(&OsDisk, &path, b"first").expect("written");
    write_atomically(&OsDisk, &path, b"second").expect("written");
    assert_eq!(std::fs::read(&path).expect("read"), b"second");
    assert_eq!(OsDisk.list(root.path()).expect("listed"), ["registry-0"]);
    assert_eq!(mode(&path), 0o600);
}
