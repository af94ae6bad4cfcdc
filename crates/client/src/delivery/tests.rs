use super::*;
use crate::answer::Told;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn rules() -> Rules {
    Rules {
        flush_interval: ms(5_000),
        flush_at: 100,
        max_buffer: 10_000,
        drop_oldest: false,
        retry_base: ms(250),
        retry_max: ms(30_000),
        max_age: ms(3_600_000),
        spools: false,
    }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn track(delivery: &mut Delivery, count: usize, now: Duration) {
    for index in 0..count {
        let _ = delivery.admit(index.to_string().into(), now);
    }
}

fn sent(step: Step) -> String {
    match step {
        Step::Send(body) => String::from_utf8(body.json).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn wait(step: Step) -> Option<Duration> {
    match step {
        Step::Wait(until) => until,
        other => panic!("{other:?}"),
    }
}

const FAILED: Outcome = Outcome::Failed { retry_after: None };

#[test]
fn the_oldest_event_waits_no_longer_than_the_interval() {
    let mut delivery = Delivery::new(rules());
    assert_eq!(wait(delivery.next(ms(0))), None);
    track(&mut delivery, 1, ms(10));
    track(&mut delivery, 1, ms(4_000));
    assert_eq!(wait(delivery.next(ms(4_000))), Some(ms(5_010)));
    assert_eq!(sent(delivery.next(ms(5_010))), r#"{"events":[0,0]}"#);
}

#[test]
fn a_hundred_events_go_at_once_and_what_is_left_waits() {
    let mut delivery = Delivery::new(rules());
    track(&mut delivery, 99, ms(0));
    assert_eq!(wait(delivery.next(ms(1))), Some(ms(5_000)));
    let last = delivery.admit("99".into(), ms(1));
    assert_eq!(
        last,
        Admission::Taken {
            wake: true,
            instead_of: None
        }
    );
    track(&mut delivery, 30, ms(1));
    assert!(sent(delivery.next(ms(1))).ends_with(",99]}"));
    assert_eq!(
        wait(delivery.next(ms(1))),
        None,
        "one batch is on its way at a time"
    );
    delivery.settle(Outcome::Delivered(Told::default()), ms(2), 0.5);
    assert_eq!(wait(delivery.next(ms(2))), Some(ms(5_001)));
}

#[test]
fn a_failure_waits_for_the_backoff_and_sends_the_same_bytes() {
    let mut delivery = Delivery::new(rules());
    track(&mut delivery, 2, ms(0));
    delivery.hurry();
    let first = sent(delivery.next(ms(0)));
    delivery.settle(FAILED, ms(0), 0.5);
    assert_eq!(delivery.books().state, State::Backoff);
    track(&mut delivery, 200, ms(1));
    assert_eq!(wait(delivery.next(ms(1))), Some(ms(250)), "half of 250·2¹");
    assert_eq!(sent(delivery.next(ms(250))), first);
    delivery.settle(
        Outcome::Failed {
            retry_after: Some(ms(60_000)),
        },
        ms(250),
        0.5,
    );
    assert_eq!(
        wait(delivery.next(ms(251))),
        Some(ms(60_250)),
        "the server's word counts"
    );
}

#[test]
fn without_a_spool_what_is_too_old_is_dropped_while_the_server_is_down() {
    let mut delivery = Delivery::new(rules());
    track(&mut delivery, 100, ms(0));
    track(&mut delivery, 50, ms(1_000));
    sent(delivery.next(ms(1_000)));
    delivery.settle(
        Outcome::Failed {
            retry_after: Some(ms(7_200_000)),
        },
        ms(1_000),
        0.5,
    );
    assert_eq!(
        wait(delivery.next(ms(2_000))),
        Some(ms(3_600_000)),
        "wakes for the oldest"
    );
    assert_eq!(wait(delivery.next(ms(3_600_000))), Some(ms(3_601_000)));
    let books = delivery.books();
    assert_eq!((books.waiting, books.dropped[&DropReason::TooOld]), (50, 100));
    wait(delivery.next(ms(3_601_000)));
    let books = delivery.books();
    assert_eq!((books.waiting, books.dropped[&DropReason::TooOld]), (0, 150));
    assert!(books.balance());
}

#[test]
fn with_a_spool_it_goes_there_and_comes_back_as_the_probe() {
    let mut delivery = Delivery::new(Rules {
        spools: true,
        ..rules()
    });
    track(&mut delivery, 3, ms(0));
    delivery.hurry();
    sent(delivery.next(ms(0)));
    delivery.settle(
        Outcome::Failed {
            retry_after: Some(ms(3_700_000)),
        },
        ms(0),
        0.5,
    );
    let Step::Spool(events) = delivery.next(ms(3_600_000)) else {
        panic!("they are too old");
    };
    assert_eq!(delivery.books().waiting, 3, "also on the way to the spool");
    delivery.spooled(&events);
    assert_eq!(delivery.books().waiting, 3);
    assert_eq!(
        wait(delivery.next(ms(3_600_000))),
        Some(ms(3_700_000)),
        "not before the server allows it"
    );
    assert!(matches!(delivery.next(ms(3_700_000)), Step::Unspool));
    delivery.unspooled(
        7,
        events.into_iter().map(|held| held.line).collect(),
        ms(3_700_000),
    );
    assert_eq!(sent(delivery.next(ms(3_700_000))), r#"{"events":[0,1,2]}"#);
    delivery.settle(
        Outcome::Named {
            events: vec![1],
            code: "bad".into(),
        },
        ms(3_700_001),
        0.5,
    );
    assert_eq!(
        delivery.take_finished(),
        [] as [FileId; 0],
        "two are left of the file"
    );
    sent(delivery.next(ms(3_700_001)));
    delivery.settle(Outcome::Delivered(Told::default()), ms(3_700_002), 0.5);
    assert_eq!(delivery.take_finished(), [7]);
    let books = delivery.books();
    assert_eq!(
        (
            books.tracked,
            books.delivered,
            books.refused_total(),
            books.waiting
        ),
        (3, 2, 1, 0)
    );
}

#[test]
fn a_paused_client_tries_each_minute_and_at_once_with_another_key() {
    let mut delivery = Delivery::new(rules());
    track(&mut delivery, 1, ms(0));
    let ticket = delivery.flush();
    sent(delivery.next(ms(0)));
    assert_eq!(delivery.flushed(ticket), None);
    let paused = || Outcome::Paused {
        code: "auth_revoked".into(),
    };
    delivery.settle(paused(), ms(0), 0.5);
    assert_eq!(
        delivery.flushed(ticket),
        Some(false),
        "there is no use in waiting"
    );
    assert_eq!(wait(delivery.next(ms(1))), Some(ms(60_000)));
    sent(delivery.next(ms(60_000)));
    delivery.settle(paused(), ms(60_000), 0.5);
    sent(delivery.next(ms(120_000)));
    delivery.settle(Outcome::Elsewhere { status: 404 }, ms(120_000), 0.5);
    delivery.resume(ms(120_001));
    sent(delivery.next(ms(120_001)));
    delivery.settle(Outcome::Delivered(Told::default()), ms(120_002), 0.5);
    assert_eq!(delivery.books().state, State::Ready);
    let warnings = delivery
        .take_notices()
        .into_iter()
        .filter(|notice| matches!(notice, Notice::Warning(_)));
    assert_eq!(warnings.count(), 2, "each reason is told once, not each minute");
}

#[test]
fn closing_sends_what_waits_but_does_not_wait_for_a_try_that_comes_too_late() {
    let mut delivery = Delivery::new(rules());
    track(&mut delivery, 150, ms(0));
    delivery.close(ms(5_000));
    sent(delivery.next(ms(0)));
    delivery.settle(Outcome::Delivered(Told::default()), ms(1), 0.5);
    sent(delivery.next(ms(1)));
    delivery.settle(
        Outcome::Failed {
            retry_after: Some(ms(6_000)),
        },
        ms(2),
        0.5,
    );
    assert!(matches!(delivery.next(ms(2)), Step::Ended));
    let left = delivery.abandon();
    assert_eq!((left.len(), delivery.books().waiting), (50, 50));
    delivery.not_spooled(left, DropReason::Shutdown);
    let books = delivery.books();
    assert_eq!(
        (books.dropped[&DropReason::Shutdown], books.waiting, books.state),
        (50, 0, State::Closed)
    );
}

#[test]
fn an_answer_that_comes_after_the_end_changes_nothing() {
    let mut delivery = Delivery::new(rules());
    track(&mut delivery, 2, ms(0));
    delivery.hurry();
    sent(delivery.next(ms(0)));
    let left = delivery.abandon();
    delivery.not_spooled(left, DropReason::Shutdown);
    delivery.settle(Outcome::Delivered(Told::default()), ms(9), 0.5);
    let books = delivery.books();
    assert_eq!((books.delivered, books.dropped_total()), (0, 2));
}

#[test]
fn codes_that_a_stranger_makes_up_do_not_fill_the_books() {
    let mut delivery = Delivery::new(rules());
    for code in 0..200 {
        track(&mut delivery, 1, ms(0));
        delivery.hurry();
        sent(delivery.next(ms(0)));
        delivery.settle(
            Outcome::Refused {
                code: format!("code_{code}"),
            },
            ms(0),
            0.5,
        );
    }
    let books = delivery.books();
    assert_eq!(
        (books.refused.len(), books.refused["other"], books.refused_total()),
        (65, 136, 200)
    );
}

/// Something that happens to a client.
#[derive(Clone, Debug)]
enum Happening {
    Track(usize),
    Flush,
    Resume,
    Pass(u64),
    Answer(Outcome),
    /// Whether the disk works.
    Disk(bool),
}

fn any_happening() -> impl Strategy<Value = Happening> {
    let outcome = prop_oneof![
        4 => (0..3_u64).prop_map(|late| Outcome::Delivered(Told { late, ..Told::default() })),
        1 => proptest::collection::btree_set(0..100_usize, 1..5)
            .prop_map(|events| Outcome::Named { events: events.into_iter().collect(), code: "bad".into() }),
        1 => Just(Outcome::Refused { code: "no".into() }),
        1 => Just(Outcome::Paused { code: "key".into() }),
        2 => Just(Outcome::TooLarge { code: "large".into() }),
        1 => Just(Outcome::Packed),
        3 => proptest::option::of(0..9_000_u64).prop_map(|wait| Outcome::Failed { retry_after: wait.map(ms) }),
    ];
    prop_oneof![
        3 => (0..150_usize).prop_map(Happening::Track),
        1 => Just(Happening::Flush),
        1 => Just(Happening::Resume),
        3 => (0..8_000_u64).prop_map(Happening::Pass),
        4 => outcome.prop_map(Happening::Answer),
        1 => any::<bool>().prop_map(Happening::Disk),
    ]
}

/// The world around the machine: the disk, what was asked of the server, and what users were told.
#[derive(Default)]
struct World {
    tracked: u64,
    files: BTreeMap<FileId, Vec<Box<str>>>,
    loaded: BTreeMap<FileId, Vec<Box<str>>>,
    next_file: FileId,
    disk_works: bool,
    on_its_way: usize,
    ends: BTreeMap<Box<str>, u32>,
    told_delivered: u64,
}

impl World {
    /// Does what the machine wants until it sends or waits.
    fn follow(&mut self, delivery: &mut Delivery, now: Duration) {
        for _ in 0..1_000 {
            match delivery.next(now) {
                Step::Send(body) => {
                    assert!((1..=MAX_BATCH).contains(&body.events));
                    self.on_its_way = body.events;
                }
                Step::Spool(events) if self.disk_works => {
                    delivery.spooled(&events);
                    self.files.insert(self.next_file, lines(events));
                    self.next_file += 1;
                }
                Step::Spool(events) => delivery.not_spooled(events, DropReason::SpoolFull),
                Step::Unspool => {
                    let (id, lines) = self
                        .files
                        .pop_first()
                        .expect("the machine knows what is in the spool");
                    self.loaded.insert(id, lines.clone());
                    delivery.unspooled(id, lines, now);
                }
                Step::Wait(until) => {
                    assert!(until.is_none_or(|until| until > now), "it would spin");
                    return self.look(delivery);
                }
                Step::Ended => return self.look(delivery),
            }
        }
        panic!("it never rests");
    }

    fn look(&mut self, delivery: &mut Delivery) {
        for file in delivery.take_finished() {
            assert!(
                self.loaded.remove(&file).is_some(),
                "only what is in memory can be finished"
            );
        }
        for notice in delivery.take_notices() {
            let ended = match notice {
                Notice::Delivered(count) => {
                    self.told_delivered += count;
                    continue;
                }
                Notice::Refused(lines, _) | Notice::Dropped(lines, _) => lines,
                Notice::Warning(_) => continue,
            };
            for line in ended {
                *self.ends.entry(line).or_default() += 1;
            }
        }
        let books = delivery.books();
        assert!(books.balance(), "{books:?}");
        assert_eq!(books.tracked, self.tracked);
        assert_eq!(books.delivered, self.told_delivered);
        assert_eq!(
            books.refused_total() + books.dropped_total(),
            self.ends.len() as u64
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_books_balance_and_every_event_has_one_end(
        spools: bool,
        drop_oldest: bool,
        happenings in proptest::collection::vec(any_happening(), 1..80),
    ) {
        let rules = Rules { spools, drop_oldest, max_buffer: 400, max_age: ms(20_000), ..rules() };
        let mut delivery = Delivery::new(rules);
        let mut world = World { disk_works: true, ..World::default() };
        let mut now = ms(0);
        for happening in happenings {
            match happening {
                Happening::Track(count) => {
                    for _ in 0..count {
                        let line: Box<str> = world.tracked.to_string().into();
                        world.tracked += 1;
                        match delivery.admit(line, now) {
                            Admission::Taken { instead_of, .. } => {
                                if let Some(oldest) = instead_of {
                                    *world.ends.entry(oldest).or_default() += 1;
                                }
                            }
                            Admission::NoRoom(line) => {
                                delivery.turn_away(DropReason::Full);
                                *world.ends.entry(line).or_default() += 1;
                            }
                        }
                        prop_assert!(delivery.held() <= 400 + 400, "the buffer, and one file of the spool");
                    }
                }
                Happening::Flush => {
                    let ticket = delivery.flush();
                    delivery.give_up_flush(ticket);
                }
                Happening::Resume => delivery.resume(now),
                Happening::Pass(millis) => now += ms(millis),
                Happening::Disk(works) => world.disk_works = works,
                Happening::Answer(outcome) if world.on_its_way > 0 => {
                    let outcome = match outcome {
                        Outcome::Named { mut events, code } => {
                            events.retain(|&event| event < world.on_its_way);
                            if events.is_empty() { Outcome::Refused { code } } else { Outcome::Named { events, code } }
                        }
                        other => other,
                    };
                    world.on_its_way = 0;
                    delivery.settle(outcome, now, 0.7);
                }
                Happening::Answer(_) => {}
            }
            world.follow(&mut delivery, now);
        }
        // The server is well again: all that waits arrives.
        for _ in 0..2_000 {
            if delivery.books().waiting == 0 {
                break;
            }
            if world.on_its_way > 0 {
                world.on_its_way = 0;
                delivery.settle(Outcome::Delivered(Told::default()), now, 0.7);
            }
            now += ms(5_000);
            world.disk_works = true;
            world.follow(&mut delivery, now);
        }
        prop_assert_eq!(delivery.books().waiting, 0);
        prop_assert!(world.ends.values().all(|&ends| ends == 1), "an event ends once");
        prop_assert!(world.files.is_empty() && world.loaded.is_empty());
    }
}
