use super::*;
use std::sync::Arc;
use store::{Options, Source, Submission};

const ORG: OrgId = OrgId(1);
const KEY: KeyId = KeyId(7);
/// 2026-11-24T00:00:00Z.
const DAY: Micros = Micros(1_795_478_400_000_000);
const MINUTE: i64 = 60 * Micros::PER_SECOND;

fn booked(key: KeyId, at: Micros, recorded: u32, duplicates: u32) -> Booked {
    Booked {
        org: ORG,
        key,
        received_at: at,
        recorded,
        duplicates,
        late: 0,
        clamped: 0,
    }
}

fn query(span: Span) -> Query {
    Query {
        span,
        key: None,
        from: Micros(0),
        to: Micros::MAX,
        after: None,
        limit: 100,
    }
}

fn entry(at: Micros, key: KeyId, items: &[(Item, u64)]) -> Entry {
    Entry {
        at,
        key,
        items: items.to_vec(),
    }
}

const RECORDED: Item = Item::Events(Fate::Recorded);
const DUPLICATE: Item = Item::Events(Fate::Duplicate);

#[test]
fn minutes_and_days_add_up() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    let at = |minute: i64| Micros(DAY.0 + minute * MINUTE + 1);
    ledger.book(1, &[booked(KEY, at(0), 3, 1), booked(KEY, at(1), 2, 0)]);
    ledger.count(ORG, KEY, at(1), Item::Requests(202), 2);
    ledger.flush().unwrap();
    ledger.book(2, &[booked(KEY, at(1), 5, 0), booked(KeyId(8), at(1), 0, 4)]);
    ledger.count(OrgId(2), KEY, at(1), Item::Requests(202), 9);
    let start = |minute: i64| Micros(DAY.0 + minute * MINUTE);
    assert_eq!(
        ledger.entries(ORG, &query(Span::Minute)).unwrap(),
        [
            entry(start(1), KeyId(8), &[(DUPLICATE, 4)]),
            entry(start(1), KEY, &[(RECORDED, 7), (Item::Requests(202), 2)]),
            entry(start(0), KEY, &[(DUPLICATE, 1), (RECORDED, 3)]),
        ]
    );
    assert_eq!(
        ledger.entries(ORG, &query(Span::Day)).unwrap(),
        [
            entry(DAY, KeyId(8), &[(DUPLICATE, 4)]),
            entry(
                DAY,
                KEY,
                &[(DUPLICATE, 1), (RECORDED, 10), (Item::Requests(202), 2)]
            ),
        ]
    );
}

#[test]
fn pages_follow_each_other_and_filters_hold() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    let at = |minute: i64| Micros(DAY.0 + minute * MINUTE);
    for (frame_seq, minute) in (1..).zip(0..5) {
        ledger.book(
            frame_seq,
            &[booked(KEY, at(minute), 1, 0), booked(KeyId(8), at(minute), 1, 1)],
        );
    }
    let all = ledger.entries(ORG, &query(Span::Minute)).unwrap();
    assert_eq!(all.len(), 10);
    let mut paged = Vec::new();
    let mut ask = Query {
        limit: 3,
        ..query(Span::Minute)
    };
    loop {
        let page = ledger.entries(ORG, &ask).unwrap();
        ask.after = page.last().map(|entry| (entry.at, entry.key));
        paged.extend(page.iter().cloned());
        if page.len() < 3 {
            break;
        }
    }
    assert_eq!(paged, all);
    let some = Query {
        key: Some(KEY),
        from: at(1),
        to: at(3),
        ..query(Span::Minute)
    };
    let found: Vec<_> = ledger
        .entries(ORG, &some)
        .unwrap()
        .iter()
        .map(|entry| (entry.at, entry.key))
        .collect();
    assert_eq!(found, [(at(3), KEY), (at(2), KEY), (at(1), KEY)]);
}

#[test]
fn minutes_go_after_a_day_and_days_with_the_oldest_event() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    let day = |number: i64| Micros(DAY.0 + number * 1_440 * MINUTE);
    for (frame_seq, number) in (1..).zip(0..4) {
        ledger.book(frame_seq, &[booked(KEY, day(number), 1, 0)]);
    }
    ledger.flush().unwrap();
    let at = |ledger: &Ledger, span| -> Vec<Micros> {
        let entries = ledger.entries(ORG, &query(span)).unwrap();
        entries.iter().map(|entry| entry.at).collect()
    };
    ledger.prune(day(3), None).unwrap();
    assert_eq!(at(&ledger, Span::Minute), [day(3), day(2)]);
    assert_eq!(at(&ledger, Span::Day), [day(3), day(2), day(1), day(0)]);
    ledger.prune(day(3), Some(Micros(day(1).0 + 5 * MINUTE))).unwrap();
    assert_eq!(at(&ledger, Span::Day), [day(3), day(2), day(1)]);
}

#[test]
fn what_a_crash_took_from_the_ledger_comes_back_from_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let send = |store: &Store, events: usize| {
        let evaluation = reputation::Evaluation {
            agent_id: "a".into(),
            tool: None,
            passed: true,
            gates: Vec::new(),
            total_latency_us: 0,
            sent_at: None,
            evaluation_id: None,
            agent_latency_us: None,
        };
        let submission = Submission {
            org: ORG,
            key: KEY,
            signed: false,
            source: Source::Ingest,
            max_agents: 10,
            lenient: false,
            evaluations: &vec![evaluation; events],
        };
        let (answer, answers) = std::sync::mpsc::channel();
        store.submit(
            &submission,
            Box::new(move |outcome| answer.send(outcome).unwrap()),
        );
        answers.recv().unwrap().unwrap();
    };
    let open = || {
        let ledger = Arc::new(Ledger::open(dir.path()).unwrap());
        let options = Options {
            clock: Arc::new(|| DAY),
            ..Options::default()
        };
        let observer = crate::observer(crate::Metrics::new(), Arc::clone(&ledger));
        let store = Store::open(Arc::new(journal::OsDisk), dir.path(), options, observer).unwrap();
        ledger.catch_up(&store);
        (ledger, store)
    };
    let expected = |count| vec![entry(DAY, KEY, &[(RECORDED, count)])];
    {
        let (ledger, store) = open();
        send(&store, 3);
        ledger.flush().unwrap();
        send(&store, 4); // never written to the ledger's database
    }
    {
        let (ledger, store) = open();
        assert_eq!(ledger.entries(ORG, &query(Span::Day)).unwrap(), expected(7));
        send(&store, 1);
    }
    // A ledger that is lost altogether is counted anew from the log.
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let _ = std::fs::remove_file(dir.path().join(name));
    }
    let (ledger, _store) = open();
    assert_eq!(ledger.entries(ORG, &query(Span::Day)).unwrap(), expected(8));
}

#[test]
fn a_write_that_fails_loses_no_count() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    ledger.book(1, &[booked(KEY, DAY, 2, 0)]);
    let other = rusqlite::Connection::open(dir.path().join(DATABASE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(ledger.flush().is_err());
    ledger.book(2, &[booked(KEY, DAY, 3, 0)]);
    other.execute_batch("COMMIT").unwrap();
    let expected = [entry(DAY, KEY, &[(RECORDED, 5)])];
    assert_eq!(ledger.entries(ORG, &query(Span::Day)).unwrap(), expected);
}

#[test]
fn a_ledger_of_a_newer_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(Ledger::open(dir.path()).unwrap());
    let database = rusqlite::Connection::open(dir.path().join(DATABASE)).unwrap();
    database.pragma_update(None, "user_version", 2).unwrap();
    let Err(error) = Ledger::open(dir.path()) else {
        panic!("it was opened")
    };
    assert!(
        error
            .to_string()
            .ends_with("format 2 is newer than this version's, 1"),
        "{error}"
    );
}

#[test]
fn pending_lines_are_bounded_and_lose_no_count() {
    let mut pending = Pending::after(0);
    let keys = 100_000;
    for (frame_seq, minute) in (1..).zip(0..4) {
        let at = Micros(DAY.0 + minute * MINUTE);
        let batches: Vec<_> = (0..keys).map(|key| booked(KeyId(key), at, 1, 0)).collect();
        pending.book(frame_seq, &batches);
    }
    assert_eq!(pending.lines().count(), 2 * keys as usize);
    assert_eq!(
        pending.lines().map(|(_, count)| count).sum::<u64>(),
        4 * u64::from(keys)
    );
}
