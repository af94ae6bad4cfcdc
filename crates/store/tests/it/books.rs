//! What the store tells of each batch, at once and read back from the log later.

use crate::kit::{KEY, Lab, NOW, ORG, SECOND, event, ingest};
use journal::SimDisk;
use reputation::Micros;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use store::{Booked, KeyId, Observer, Options, OrgId, Source, Store, Submission};

/// Writes down what it's told.
#[derive(Default)]
struct Bookkeeper(Mutex<Vec<(u64, Booked)>>);

impl Observer for Bookkeeper {
    fn booked(&self, frame_seq: u64, batches: &[Booked]) {
        let told = batches.iter().map(|batch| (frame_seq, *batch));
        self.0.lock().unwrap().extend(told);
    }
}

impl Bookkeeper {
    fn told(&self) -> Vec<(u64, Booked)> {
        self.0.lock().unwrap().clone()
    }
}

fn read_back(lab: &Lab, after: u64) -> Vec<(u64, Booked)> {
    let mut read = Vec::new();
    lab.store().books_after(after, |frame_seq, batches| {
        read.extend(batches.iter().map(|batch| (frame_seq, *batch)));
    });
    read
}

#[test]
fn the_log_says_of_each_batch_what_was_told_of_it() {
    let bookkeeper = Arc::new(Bookkeeper::default());
    let mut lab = Lab::observed(|_| {}, Arc::clone(&bookkeeper) as _);
    let late: Vec<_> = (0..500).map(|i| event("a", None, Some(NOW - i))).collect();
    for chunk in late.chunks(100) {
        lab.send(chunk);
    }
    lab.register("b", 10).unwrap();
    let mixed = [
        event("a", Some("x"), Some(NOW)),
        event("a", Some("x"), Some(NOW)),
        event("a", Some("old"), Some(NOW - 3_600 * SECOND)),
        event("a", Some("ahead"), Some(NOW + 3_600 * SECOND)),
    ];
    lab.set_clock(NOW + 5);
    lab.send(&mixed);
    lab.send(&mixed[..1]);
    let other = Submission {
        org: OrgId(2),
        key: KeyId(8),
        signed: true,
        source: Source::EvaluateMadeId,
        max_agents: 10,
        lenient: false,
        evaluations: &[event("a", None, None)],
    };
    lab.try_send(&other).unwrap();
    let told = bookkeeper.told();
    let of = |org, key, at, recorded, duplicates, late, clamped| Booked {
        org,
        key,
        received_at: Micros(at),
        recorded,
        duplicates,
        late,
        clamped,
    };
    let batches: Vec<Booked> = told.iter().map(|(_, batch)| *batch).collect();
    assert_eq!(batches[..5], [of(ORG, KEY, NOW, 100, 0, 0, 0); 5]);
    assert_eq!(
        batches[5..],
        [
            of(ORG, KEY, NOW + 5, 3, 1, 1, 1),
            of(ORG, KEY, NOW + 5, 0, 1, 0, 0),
            of(OrgId(2), KeyId(8), NOW + 5, 1, 0, 0, 0),
        ]
    );
    assert_eq!(read_back(&lab, 0), told);
    lab.restart();
    assert_eq!(read_back(&lab, 0), told);
    let fifth = told[4].0;
    assert_eq!(read_back(&lab, fifth), told[5..]);
    assert_eq!(lab.store().oldest_receipt(), Some(Micros(NOW)));
    let newest = lab.store().books_after(u64::MAX, |_, _| unreachable!());
    assert_eq!(newest, told[7].0);
}

#[test]
fn what_comes_while_the_disk_is_busy_shares_a_frame() {
    let bookkeeper = Arc::new(Bookkeeper::default());
    let disk = SimDisk::new(1);
    let store = Store::open(
        Arc::new(disk.clone()),
        Path::new("/data"),
        Options::default(),
        Arc::clone(&bookkeeper) as _,
    );
    let store = store.unwrap();
    ingest(&store, &[event("a", None, None)]).unwrap();
    disk.hold_syncs(true);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| ingest(&store, &[event("a", None, None)]).unwrap());
            thread::sleep(Duration::from_millis(20)); // each is seen alone
        }
        disk.hold_syncs(false);
    });
    let frames: Vec<u64> = bookkeeper.told().iter().map(|(frame, _)| *frame).collect();
    assert_eq!(frames.len(), 7);
    let busy: BTreeSet<u64> = frames[2..].iter().copied().collect();
    assert_eq!(busy.len(), 1, "{frames:?}");
    store.close();
}
