//! The oldest segments go; scores, windows, counts and what counts as a repeat stay.

use crate::kit::{KEY, Lab, NOW, ORG, SECOND, event, everything};
use reputation::{Evaluation, Micros};
use std::sync::Arc;
use std::time::Duration;
use store::{Agent, AgentOrder, EventQuery, Options, Receipt, Source};

const DAY: Duration = Duration::from_secs(86_400);

fn small_segments(options: &mut Options) {
    options.journal.first_segment_bytes = 16 << 10;
    options.journal.max_segment_bytes = 16 << 10;
}

/// Keeps about eight segments.
pub(crate) fn little(options: &mut Options) {
    small_segments(options);
    options.retention_bytes = Some(160 << 10);
}

fn agents(lab: &Lab) -> Vec<Agent> {
    lab.store().agents(ORG, &AgentOrder::AgentId(None), 500).unwrap()
}

/// Names and ids of a batch: a busy agent, three that have some, one that has an event now and then.
fn names(batch: usize) -> Vec<(String, Option<String>, Option<i64>)> {
    (0..50i64)
        .map(|i| {
            let agent = match i {
                0 if batch.is_multiple_of(9) => "rare".to_owned(),
                1..=9 => format!("some-{}", i % 3),
                _ => "busy".to_owned(),
            };
            let id = (i % 11 != 0).then(|| format!("id-{batch}-{i}"));
            let at = NOW + batch as i64 * SECOND - (i * 977) % 5_000 * 1_000;
            let sent_at = (i % 7 != 0).then_some(at);
            (agent, id, sent_at)
        })
        .collect()
}

fn events(named: &[(String, Option<String>, Option<i64>)]) -> Vec<Evaluation<'_>> {
    let mut events = Vec::new();
    for (i, (agent, id, at)) in (0u32..).zip(named) {
        let mut one = event(agent, id.as_deref(), *at);
        one.passed = i % 10 != 3;
        one.total_latency_us = 1_000 + i * 37;
        events.push(one);
    }
    events
}

pub(crate) fn send(lab: &Lab, batch: usize) -> Receipt {
    lab.set_clock(NOW + batch as i64 * SECOND);
    lab.send(&events(&names(batch)))
}

/// Sends batches to both and lets the first forget.
fn send_all(forgets: &Lab, keeps: &Lab, batches: std::ops::Range<usize>) {
    for batch in batches {
        assert_eq!(send(forgets, batch), send(keeps, batch), "batch {batch}");
        forgets.store().settle();
    }
}

fn same(forgets: &Lab, keeps: &Lab) {
    assert_eq!(agents(forgets), agents(keeps));
    let (left, all) = (forgets.all(ORG), keeps.all(ORG));
    assert!(left.len() < all.len());
    let mut arrivals: Vec<_> = all.into_iter().filter(|one| one.seq > 0).collect();
    arrivals.sort_by_key(|one| std::cmp::Reverse(one.seq));
    arrivals.truncate(left.len());
    arrivals.sort_by_key(|one| std::cmp::Reverse((one.recorded_at, one.seq)));
    assert_eq!(left, arrivals, "the newest arrivals are kept as they were");
}

fn restart_with_the_log_alone(lab: &mut Lab) {
    lab.stop();
    for file in std::fs::read_dir(lab.path().join("log/0")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "seg") {
            std::fs::remove_file(path).unwrap();
        }
    }
    lab.start();
}

#[test]
fn by_size_the_oldest_go_and_no_score_window_or_count_changes() {
    let (mut forgets, keeps) = (Lab::with(little), Lab::with(small_segments));
    forgets.register("never-seen", 100).unwrap();
    keeps.register("never-seen", 100).unwrap();
    send_all(&forgets, &keeps, 0..150);
    same(&forgets, &keeps);
    let stats = forgets.store().stats();
    assert!(stats.bytes <= 160 << 10, "{stats:?}");
    forgets.restart();
    same(&forgets, &keeps);
    send_all(&forgets, &keeps, 150..220);
    same(&forgets, &keeps);
    let gone = forgets.store().event(ORG, 1).unwrap();
    assert_eq!(gone, None);
    let disk: Arc<dyn journal::Disk> = Arc::new(journal::OsDisk);
    let report = store::verify(&disk, forgets.path()).unwrap();
    assert_eq!(report.findings, []);
    let page = forgets.store().events(
        ORG,
        &EventQuery {
            agent_id: Some("rare".into()),
            ..everything()
        },
    );
    assert!(page.unwrap().events.len() < 25, "carried events aren't listed");
}

#[test]
fn a_cold_window_comes_back_from_what_was_carried() {
    let cold = |options: &mut Options| {
        little(options);
        options.window_cache = 1;
    };
    let (mut forgets, keeps) = (Lab::with(cold), Lab::with(small_segments));
    send_all(&forgets, &keeps, 0..120);
    restart_with_the_log_alone(&mut forgets);
    same(&forgets, &keeps);
    send_all(&forgets, &keeps, 120..160);
    same(&forgets, &keeps);
}

#[test]
fn what_a_window_covers_is_a_repeat_whether_its_row_is_kept_or_not() {
    let (mut forgets, keeps) = (Lab::with(little), Lab::with(small_segments));
    let timed = |id: &'static str| event("rare", Some(id), Some(NOW - 1));
    let first = [
        timed("timed"),
        event("rare", Some("untimed"), None),
        event("rare", Some("ahead"), Some(NOW + 9_000 * SECOND)),
    ];
    for lab in [&forgets, &keeps] {
        assert_eq!(lab.send(&first).accepted, 3);
        lab.send_as(Source::Evaluate, &[event("rare", Some("evaluated"), None)]);
        // 7 base-62 digits of the millisecond, then 9 others.
        lab.send_as(
            Source::EvaluateMadeId,
            &[event("rare", Some("0VXcdZ4abcdefghi"), None)],
        );
    }
    let others = |lab: &Lab, batch: usize| {
        let mut named = names(batch);
        named.retain(|(agent, _, _)| agent != "rare");
        lab.set_clock(NOW + batch as i64 * SECOND);
        lab.send(&events(&named));
        lab.store().settle();
    };
    for batch in 1..100 {
        others(&forgets, batch);
        others(&keeps, batch);
    }
    for round in 0..2 {
        assert_eq!(forgets.store().event(ORG, 1).unwrap(), None);
        for lab in [&forgets, &keeps] {
            assert_eq!(lab.send(&first).duplicates, 3);
            let evaluated = [event("rare", Some("evaluated"), Some(NOW + 5))];
            assert_eq!(lab.send(&evaluated).duplicates, 1);
            let made = [event("rare", Some("0VXcdZ4abcdefghi"), Some(NOW + 6))];
            assert_eq!(lab.send(&made).duplicates, 1);
            let other = format!("0VXcdZ4abcdefgh{round}");
            let other = [event("rare", Some(&other), Some(NOW - 7))];
            assert_eq!(lab.send(&other).duplicates, 0);
        }
        assert_eq!(agents(&forgets), agents(&keeps));
        forgets.restart();
        for batch in 100..140 {
            others(&forgets, batch);
            others(&keeps, batch);
        }
        let id = format!("another-{round}");
        let last = [event("rare", Some(&id), Some(NOW - 1))];
        assert_eq!(forgets.send(&last), keeps.send(&last));
    }
}

#[test]
fn by_age_even_the_last_events_of_a_quiet_log_go() {
    let mut lab = Lab::with(|options| {
        small_segments(options);
        options.retention = Some(90 * DAY);
    });
    for batch in 0..20 {
        send(&lab, batch);
    }
    let before = agents(&lab);
    let after = |days: u32| NOW + 20 * SECOND + (DAY * days).as_micros() as i64;
    lab.set_clock(after(89));
    lab.store().settle();
    assert_eq!(lab.all(ORG).len(), 1_000);
    lab.set_clock(after(91));
    // The newest segment is left by the carry, and goes once it has its index.
    for _ in 0..500 {
        lab.store().settle();
        if lab.all(ORG).is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(lab.all(ORG).len(), 0);
    assert_eq!(agents(&lab), before);
    lab.restart();
    assert_eq!(agents(&lab), before);
    let seq = lab.send(&[event("busy", None, None)]);
    assert_eq!(seq.updates[0].summary.evaluations, 500);
    assert_eq!(lab.all(ORG)[0].seq, 1_001, "numbers go on");
}

#[test]
fn carries_do_not_pile_up() {
    let lab = Lab::with(little);
    let names: Vec<String> = (0..8).map(|i| format!("idle-{i}")).collect();
    for name in &names {
        let many: Vec<_> = (0..100).map(|i| event(name, None, Some(NOW + i))).collect();
        lab.send(&many);
    }
    for batch in 0..600 {
        send(&lab, batch);
        lab.store().settle();
        let stats = lab.store().stats();
        assert!(stats.bytes <= 260 << 10, "batch {batch}: {stats:?}");
    }
    let idle = agents(&lab);
    let counts: Vec<u64> = idle
        .iter()
        .filter(|a| a.agent_id.starts_with("idle"))
        .map(|a| a.eval_count)
        .collect();
    assert_eq!(counts, [100; 8]);
}

#[test]
fn a_window_that_was_carried_goes_on_with_what_comes_later() {
    let (mut forgets, keeps) = (Lab::with(little), Lab::with(small_segments));
    let ids: Vec<String> = (0..900).map(|i| format!("slow-{i}")).collect();
    let slow = |range: std::ops::Range<usize>| -> Vec<Evaluation<'_>> {
        range
            .map(|i| event("slow", Some(&ids[i]), Some(NOW + i as i64)))
            .collect()
    };
    for at in (0..600).step_by(100) {
        assert_eq!(forgets.send(&slow(at..at + 100)), keeps.send(&slow(at..at + 100)));
    }
    // Carried, and some slots pushed out, again and again: each time another segment holds the carry.
    for round in 0..60 {
        for batch in 0..10 {
            assert_eq!(
                send(&forgets, round * 10 + batch),
                send(&keeps, round * 10 + batch)
            );
            forgets.store().settle();
        }
        let few = slow(600 + round * 5..605 + round * 5);
        assert_eq!(forgets.send(&few), keeps.send(&few), "round {round}");
        let again = slow(500 + round * 5..505 + round * 5);
        assert_eq!(forgets.send(&again).duplicates, 5, "round {round}");
        if round % 5 == 4 {
            restart_with_the_log_alone(&mut forgets);
        }
        assert_eq!(agents(&forgets), agents(&keeps), "round {round}");
    }
}

#[test]
fn what_is_imported_is_kept_by_the_time_of_its_import() {
    let lab = Lab::with(|options| {
        small_segments(options);
        options.retention = Some(DAY);
    });
    let year_ago = Micros(NOW - 365 * 86_400 * SECOND);
    for batch in 0..40 {
        let named = names(batch);
        let events = events(&named);
        let first_seq = 1_000 + 50 * batch as u64;
        assert_eq!(lab.import(first_seq, year_ago.0, &events).accepted, 50);
        lab.store().settle();
    }
    let kept = lab.all(ORG);
    assert_eq!(kept.len(), 40 * 50, "they came in today");
    assert!(
        kept.iter()
            .all(|one| one.received_at == year_ago && one.recorded_at == year_ago && one.signed)
    );
    assert_eq!(lab.store().last_seq(ORG), 1_000 + 50 * 40 - 1, "ids are kept");
    assert_eq!(
        lab.store().event(ORG, 999).unwrap(),
        None,
        "and the numbers before them have no event"
    );

    lab.set_clock(NOW + 3 * 86_400 * SECOND);
    send(&lab, 200_000);
    lab.set_clock(NOW + 5 * 86_400 * SECOND);
    lab.store().settle();
    assert!(lab.all(ORG).len() < 40 * 50, "they go with the time");
}

#[test]
fn an_erasure_that_is_pending_outlives_the_segment_with_its_record() {
    let mut lab = Lab::with(|options| {
        little(options);
        options.upkeep_every = Duration::MAX; // only when the test asks
    });
    let mut number = 0;
    let mut send = |lab: &Lab, agent: &str| {
        let ids: Vec<_> = (number..number + 50).map(|id| format!("id-{id}")).collect();
        number += 50;
        let events: Vec<_> = ids.iter().map(|id| event(agent, Some(id), None)).collect();
        lab.send(&events);
    };
    let erase = |lab: &Lab, agent: &str| {
        lab.store().erase(ORG, Some(KEY), agent, Box::new(drop));
        while agents(lab).iter().any(|one| one.agent_id == agent) {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let segments = |lab: &Lab| {
        let disk: Arc<dyn journal::Disk> = Arc::new(journal::OsDisk);
        let survey = journal::Survey::take(&disk, &lab.path().join("log/0"), 0).unwrap();
        survey.places
    };
    send(&lab, "first");
    send(&lab, "second");
    lab.restart(); // there is a checkpoint that knows of both
    erase(&lab, "first");
    let record = segments(&lab).last().unwrap().number;
    for _ in 0..20 {
        send(&lab, "busy");
        send(&lab, "second");
    }
    // One of those that the second must go from cannot be read.
    let damaged = segments(&lab).swap_remove(3).segment.unwrap();
    assert!(damaged.number > record);
    let mut bytes = std::fs::read(&damaged.path).unwrap();
    bytes[512 + 40] ^= 1;
    std::fs::write(&damaged.path, bytes).unwrap();
    erase(&lab, "second");
    while segments(&lab)[0].number <= record {
        send(&lab, "busy");
        lab.store().settle();
    }
    assert_eq!(lab.store().stats().erasures, 2);
    let mut killed = lab.killed();
    killed.start();
    let left: Vec<_> = agents(&killed).into_iter().map(|agent| agent.agent_id).collect();
    assert_eq!(left, ["busy"]);
    // Once the damaged segment has gone, they are done.
    for lab in [&lab, &killed] {
        while lab.store().stats().erasures > 0 {
            send(lab, "busy");
            lab.store().settle();
        }
        assert_eq!(agents(lab).len(), 1);
    }
}
