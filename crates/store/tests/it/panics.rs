//! A thread of the store that ends by a panic: it is told, nobody waits for ever, and a restart has all that was
//! acknowledged.

use crate::kit::{NOW, ORG, SECOND, event, ingest, try_erase};
use journal::{Disk, File, OsDisk};
use parking_lot::Mutex;
use reputation::{Evaluation, Micros};
use std::io;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use store::{Health, Options, Refused, Store, Unobserved};

const PATIENCE: Duration = Duration::from_secs(20);

/// A thread whose name begins like this panics at what it does next.
#[derive(Clone, Default)]
struct Trip(Arc<Mutex<Option<&'static str>>>);

impl Trip {
    fn set(&self, thread: Option<&'static str>) {
        *self.0.lock() = thread;
    }

    fn pass(&self) {
        let thread = std::thread::current();
        let of = *self.0.lock();
        if of.is_some_and(|of| thread.name().is_some_and(|name| name.starts_with(of))) {
            panic!("as the test wants it");
        }
    }
}

/// The disk, with that trip in its way.
struct Tripping<T> {
    inner: T,
    trip: Trip,
}

impl Disk for Tripping<OsDisk> {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dir_all(dir)
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.trip.pass();
        let (inner, trip) = (self.inner.create_new(path)?, self.trip.clone());
        Ok(Arc::new(Tripping { inner, trip }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.trip.pass();
        let (inner, trip) = (self.inner.open(path)?, self.trip.clone());
        Ok(Arc::new(Tripping { inner, trip }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.sync_dir(dir)
    }
}

impl File for Tripping<Arc<dyn File>> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.trip.pass();
        self.inner.read_at(buf, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.trip.pass();
        self.inner.write_all_at(bytes, offset)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.inner.set_len(bytes)
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.inner.sync_all()
    }
}

fn open(dir: &Path, trip: &Trip) -> Arc<Store> {
    let (clock, trip) = (trip.clone(), trip.clone());
    let mut options = Options {
        clock: Arc::new(move || {
            clock.pass();
            Micros(NOW)
        }),
        upkeep_every: Duration::from_millis(5),
        window_cache: 1,
        ..Options::default()
    };
    options.journal.first_segment_bytes = 64 << 10;
    options.journal.max_segment_bytes = 64 << 10;
    options.journal.retry = Duration::from_millis(5);
    let disk = Tripping { inner: OsDisk, trip };
    Arc::new(Store::open(Arc::new(disk), dir, options, Arc::new(Unobserved)).unwrap())
}

/// A batch of 100 events of three agents.
fn batch(store: &Store, number: i64) -> Result<(), Refused> {
    let ids: Vec<String> = (0..100).map(|nth| format!("{number:08x}{nth:024x}")).collect();
    let at = |nth: i64| Some(NOW - SECOND + number * 100 + nth);
    let events: Vec<Evaluation<'_>> = (0..)
        .zip(&ids)
        .map(|(nth, id)| event(["a", "b", "c"][nth as usize % 3], Some(id), at(nth)))
        .collect();
    ingest(store, &events).map(drop)
}

/// Does it on a thread of its own, and fails where it takes for ever.
fn in_time<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, outcome) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    outcome
        .recv_timeout(PATIENCE)
        .unwrap_or_else(|_| panic!("{what} hangs"))
}

#[test]
fn a_thread_that_panics_stops_the_store_until_a_restart_and_keeps_nobody_waiting() {
    for thread in [
        "repute-owner",
        "repute-seal",
        "repute-upkeep",
        "repute-commit",
        "repute-prepare",
    ] {
        let (dir, trip) = (tempfile::tempdir().unwrap(), Trip::default());
        let store = open(dir.path(), &trip);
        let mut taken = 0;
        for number in 0..20 {
            batch(&store, number).unwrap();
            taken += 100;
        }
        trip.set(Some(thread));
        let started = Instant::now();
        let mut number = 20;
        let why = loop {
            let (one, at) = (Arc::clone(&store), number);
            if in_time(thread, move || batch(&one, at)).is_ok() {
                taken += 100;
            }
            number += 1;
            if number == 30 {
                let one = Arc::clone(&store);
                let _ = in_time(thread, move || try_erase(&one, ORG, "c"));
            }
            match store.health() {
                Health::Writable => {}
                Health::Full(why) if thread == "repute-prepare" => break why,
                Health::Full(_) => {}
                Health::Poisoned(why) => break why,
            }
            assert!(
                started.elapsed() < PATIENCE,
                "{thread} never panics, or nobody is told"
            );
        };
        assert!(why.contains("panic"), "{thread}: {why}");
        let one = Arc::clone(&store);
        in_time(thread, move || batch(&one, 1_000_000)).unwrap_err();
        let one = Arc::clone(&store);
        in_time(thread, move || one.close());
        drop(store);
        trip.set(None);
        let store = open(dir.path(), &trip);
        let counts = store.agents(ORG, &store::AgentOrder::AgentId(None), 10).unwrap();
        let mut kept: u64 = counts.iter().map(|agent| agent.eval_count).sum();
        if counts.len() == 2 {
            kept += taken / 100 * 33; // of the one that was erased
        }
        assert!(kept >= taken, "{thread}: {kept} of {taken}");
        batch(&store, 2_000_000).unwrap();
        store.close();
    }
}

#[test]
fn a_look_up_that_panics_is_answered_and_the_next_one_done() {
    let (dir, trip) = (tempfile::tempdir().unwrap(), Trip::default());
    let store = open(dir.path(), &trip);
    for number in 0..10 {
        batch(&store, number).unwrap();
    }
    for number in 10..20 {
        ingest(&store, &[event("other", None, Some(NOW + number))]).unwrap(); // the others leave memory
    }
    store.settle();
    trip.set(Some("repute-load"));
    for _ in 0..10 {
        let one = Arc::clone(&store);
        let told = in_time("a look-up", move || batch(&one, 0));
        assert!(matches!(told, Err(Refused::Internal(_))), "{told:?}");
    }
    trip.set(None);
    batch(&store, 0).unwrap();
    assert_eq!(store.health(), Health::Writable);
    let counts = store.agents(ORG, &store::AgentOrder::AgentId(None), 10).unwrap();
    let all: u64 = counts.iter().map(|agent| agent.eval_count).sum();
    assert_eq!(all, 1_010);
}
