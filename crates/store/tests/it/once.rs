//! An event counts once, however often and in whatever way it is sent again.

use crate::kit::{Lab, NOW, ORG, SECOND, event};
use reputation::Evaluation;
use std::os::unix::fs::FileExt as _;
use store::Source;

/// Sends the event, then again in the same way, and says how many were recorded.
fn recorded(lab: &Lab, evaluations: &[Evaluation<'_>]) -> (u32, u32, usize) {
    let first = lab.send(evaluations);
    let second = lab.send(evaluations);
    assert_eq!(first.accepted, second.accepted);
    (first.duplicates, second.duplicates, lab.all(ORG).len())
}

/// Enough later events to push everything before out of the agent's window.
fn fill_window(lab: &Lab, agent: &str, from: i64) {
    let ids: Vec<String> = (0..600).map(|i| format!("fill-{from}-{i}")).collect();
    for chunk in ids.chunks(100).enumerate() {
        let (number, ids) = chunk;
        let start = from + number as i64 * 100;
        let events: Vec<_> = ids
            .iter()
            .zip(start..)
            .map(|(id, at)| event(agent, Some(id), Some(at)))
            .collect();
        assert_eq!(lab.send(&events).duplicates, 0);
    }
}

#[test]
fn a_resent_event_counts_once() {
    let lab = Lab::new();
    assert_eq!(recorded(&lab, &[event("a", Some("x"), Some(NOW))]), (0, 1, 1));
}

#[test]
fn events_without_an_id_are_never_merged() {
    let lab = Lab::new();
    assert_eq!(recorded(&lab, &[event("a", None, Some(NOW))]), (0, 0, 2));
    assert_eq!(recorded(&lab, &[event("a", None, None)]), (0, 0, 4));
}

#[test]
fn a_repeat_from_a_fast_client_clock_is_known_after_clamping() {
    let lab = Lab::new();
    let ahead = NOW + 3_600 * SECOND;
    let first = lab.send(&[event("a", Some("x"), Some(ahead))]);
    assert_eq!((first.clamped, first.duplicates), (1, 0));
    lab.set_clock(NOW + 60 * SECOND);
    let second = lab.send(&[event("a", Some("x"), Some(ahead))]);
    assert_eq!((second.clamped, second.duplicates), (0, 1));
    let stored = lab.all(ORG);
    assert_eq!(stored.iter().map(|e| e.recorded_at.0).collect::<Vec<_>>(), [NOW]);
}

#[test]
fn a_repeat_from_a_fast_client_clock_is_known_once_it_is_no_longer_ahead() {
    let lab = Lab::new();
    let ahead = NOW + 3_600 * SECOND;
    lab.send(&[event("a", Some("x"), Some(ahead))]);
    fill_window(&lab, "a", NOW + SECOND);
    lab.set_clock(ahead + SECOND);
    assert_eq!(lab.send(&[event("a", Some("x"), Some(ahead))]).duplicates, 1);
    assert_eq!(lab.send(&[event("a", Some("other"), Some(ahead))]).duplicates, 0);
}

#[test]
fn one_wild_clock_does_not_hide_later_events() {
    let lab = Lab::new();
    lab.send(&[event("a", Some("wild"), Some(NOW + 400_000_000 * SECOND))]);
    assert_eq!(recorded(&lab, &[event("a", Some("x"), Some(NOW))]), (0, 1, 2));
}

#[test]
fn an_id_without_a_time_is_known_among_the_newest_arrivals() {
    let lab = Lab::new();
    assert_eq!(recorded(&lab, &[event("a", Some("x"), None)]), (0, 1, 1));
    lab.set_clock(NOW + 9 * SECOND);
    assert_eq!(lab.send(&[event("a", Some("x"), None)]).duplicates, 1);
}

#[test]
fn an_id_without_a_time_is_known_for_500_arrivals_and_then_may_be_new() {
    let lab = Lab::new();
    lab.send(&[event("a", Some("x"), None)]);
    for number in 0..499 {
        lab.send(&[event("a", None, Some(NOW - number))]);
    }
    assert_eq!(
        lab.send(&[event("a", Some("x"), None)]).duplicates,
        1,
        "it is the 500th newest"
    );
    lab.send(&[event("a", None, Some(NOW))]);
    assert_eq!(
        lab.send(&[event("a", Some("x"), None)]).duplicates,
        0,
        "it is the 501st newest"
    );
}

#[test]
fn one_id_at_two_times_is_two_events() {
    let lab = Lab::new();
    lab.send(&[
        event("a", Some("run-1"), Some(NOW)),
        event("a", Some("run-1"), Some(NOW + 1)),
    ]);
    lab.send(&[event("a", Some("run-1"), None)]);
    assert_eq!(lab.all(ORG).len(), 3);
}

#[test]
fn one_id_of_two_agents_is_two_events() {
    let lab = Lab::new();
    lab.send(&[event("a", Some("x"), Some(NOW)), event("b", Some("x"), Some(NOW))]);
    assert_eq!(lab.all(ORG).len(), 2);
}

#[test]
fn a_repeat_older_than_the_window_is_known() {
    let lab = Lab::new();
    lab.send(&[event("a", Some("x"), Some(NOW - SECOND))]);
    fill_window(&lab, "a", NOW);
    assert_eq!(
        lab.send(&[event("a", Some("x"), Some(NOW - SECOND))]).duplicates,
        1
    );
    let other = lab.send(&[event("a", Some("y"), Some(NOW - SECOND))]);
    assert_eq!((other.duplicates, other.late), (0, 1));
    assert_eq!(
        lab.send(&[event("a", Some("y"), Some(NOW - SECOND))]).duplicates,
        1
    );
}

#[test]
fn a_repeat_inside_one_batch_is_known() {
    let lab = Lab::new();
    let twice = [event("a", Some("x"), Some(NOW)), event("a", Some("x"), Some(NOW))];
    let receipt = lab.send(&twice);
    assert_eq!((receipt.accepted, receipt.duplicates), (2, 1));
    assert_eq!(lab.all(ORG).len(), 1);
}

#[test]
fn many_senders_of_the_same_events_at_once_count_them_once() {
    let lab = Lab::new();
    let ids: Vec<String> = (0..100).map(|i| format!("id-{i}")).collect();
    std::thread::scope(|scope| {
        for sender in 0..8 {
            let (lab, ids) = (&lab, &ids);
            scope.spawn(move || {
                for at in 0..20 {
                    let timed = (at + sender) % 2 == 0;
                    let (agent, sent_at) = if timed {
                        ("timed", Some(NOW - i64::from(at / 2)))
                    } else {
                        ("not", None)
                    };
                    let events: Vec<_> = ids.iter().map(|id| event(agent, Some(id), sent_at)).collect();
                    lab.send(&events);
                }
            });
        }
    });
    let stored = lab.all(ORG);
    let distinct: std::collections::HashSet<_> = stored
        .iter()
        .map(|e| (e.evaluation.evaluation_id.clone(), e.evaluation.sent_at))
        .collect();
    assert_eq!((stored.len(), distinct.len()), (100 * 11, 100 * 11));
}

#[test]
fn an_evaluate_id_of_the_servers_is_known_at_another_time() {
    let lab = Lab::new();
    let id = "0VfJ2a3Zz09Aa11x"; // some millisecond in base 62
    lab.send_as(Source::EvaluateMadeId, &[event("a", Some(id), None)]);
    assert_eq!(lab.send(&[event("a", Some(id), Some(NOW + 5))]).duplicates, 1);
    assert_eq!(lab.send(&[event("a", Some(id), None)]).duplicates, 1);
    fill_window(&lab, "a", NOW);
    assert_eq!(lab.send(&[event("a", Some(id), Some(NOW + 5))]).duplicates, 1);
    assert_eq!(lab.send(&[event("b", Some(id), Some(NOW + 5))]).duplicates, 0);
}

#[test]
fn an_evaluate_id_of_the_servers_tells_the_microsecond() {
    let lab = Lab::new();
    let id = "V70MWDgG7andMore"; // 2026-01-01T00:00:00.000999Z
    let at = 1_767_225_600_000_999;
    lab.set_clock(at - 1);
    lab.send(&[event("a", Some("before"), None)]);
    lab.set_clock(at + 300);
    lab.send_as(Source::EvaluateMadeId, &[event("a", Some(id), None)]);
    let stored = lab.all(ORG);
    let times: Vec<_> = stored.iter().map(|e| e.recorded_at.0).collect();
    assert_eq!(times, [at, at - 1]);
    assert_eq!(lab.send(&[event("a", Some(id), Some(NOW))]).duplicates, 1);
}

#[test]
fn an_evaluate_id_is_known_where_it_was_recorded_at_its_millisecond() {
    let mut lab = Lab::new();
    // Its two characters behind the millisecond say nothing: it was made when they were two more of chance.
    let id = "V70MWDg0zandMore";
    lab.import_as(
        Source::EvaluateMadeId,
        1,
        1_767_225_600_000_000,
        &[event("a", Some(id), None)],
    );
    let again = [event("a", Some(id), Some(NOW + 5))];
    assert_eq!(lab.send(&again).duplicates, 1);
    fill_window(&lab, "a", NOW);
    assert_eq!(lab.send(&again).duplicates, 1);
    lab.restart();
    assert_eq!(lab.send(&again).duplicates, 1);
}

#[test]
fn an_evaluate_id_of_the_clients_is_known_at_another_time() {
    let lab = Lab::new();
    lab.send_as(Source::Evaluate, &[event("a", Some("mine"), None)]);
    assert_eq!(
        lab.send_as(Source::Evaluate, &[event("a", Some("mine"), None)])
            .duplicates,
        1
    );
    assert_eq!(
        lab.send(&[event("a", Some("mine"), Some(NOW - 77))]).duplicates,
        1
    );
    assert_eq!(lab.send(&[event("a", Some("mine"), None)]).duplicates, 1);
}

#[test]
fn repeats_are_known_after_a_restart() {
    let mut lab = Lab::new();
    let made = "0VfJ2a3Zz09Aa11x";
    lab.send_as(Source::EvaluateMadeId, &[event("a", Some(made), None)]);
    lab.send_as(Source::Evaluate, &[event("a", Some("mine"), None)]);
    let events = [
        event("a", Some("timed"), Some(NOW)),
        event("a", Some("untimed"), None),
        event("a", Some("ahead"), Some(NOW + 3_600 * SECOND)),
        event("a", Some("old"), Some(NOW - 9_999 * SECOND)),
    ];
    lab.send(&events);
    let again: Vec<_> = events
        .iter()
        .cloned()
        .chain([event("a", Some(made), Some(1)), event("a", Some("mine"), Some(2))])
        .collect();
    lab.restart();
    assert_eq!(lab.send(&again).duplicates, 6);
    fill_window(&lab, "b", NOW);
    lab.restart();
    assert_eq!(lab.send(&again).duplicates, 6);
    assert_eq!(
        lab.store()
            .agents(ORG, &store::AgentOrder::AgentId(None), 1)
            .unwrap()[0]
            .eval_count,
        6
    );
}

#[test]
fn repeats_are_told_from_thousands_of_events_of_one_time() {
    let mut lab = Lab::new();
    let ids: Vec<String> = (0..3_000).map(|i| format!("one-time-{i}")).collect();
    let send = |lab: &Lab, ids: &[String]| {
        let events: Vec<_> = ids.iter().map(|id| event("a", Some(id), Some(NOW))).collect();
        lab.send(&events).duplicates
    };
    for chunk in ids.chunks(100) {
        assert_eq!(send(&lab, chunk), 0);
    }
    assert_eq!(send(&lab, &ids[..100]), 100, "from the open segment");
    lab.restart();
    assert_eq!(send(&lab, &ids[1_500..1_600]), 100, "from a sealed one");
    let new: Vec<String> = (0..100).map(|i| format!("another-{i}")).collect();
    assert_eq!(send(&lab, &new), 0);
    assert_eq!(lab.all(ORG).len(), 3_100);
}

/// A window of 500 spans a tenth of the time over which clients spread their events, so most are older than it;
/// any batch may come again, also long after.
#[test]
fn an_agent_faster_than_its_senders_counts_each_event_once() {
    let lab = Lab::new();
    let batch = |number: i64| -> Vec<(String, i64)> {
        let spread = |i: i64| (number * 7_919 + i * 104_729) % 50_000;
        (0..100)
            .map(|i| (format!("fast-{number}-{i}"), NOW + number * 1_000 - spread(i)))
            .collect()
    };
    let send = |number: i64| {
        let ids = batch(number);
        let events: Vec<_> = ids
            .iter()
            .map(|(id, at)| event("a", Some(id), Some(*at)))
            .collect();
        lab.send(&events).duplicates
    };
    for number in 0..120 {
        assert_eq!(send(number), 0, "batch {number} is new");
        if number % 3 == 0 {
            assert_eq!(send(number), 100, "batch {number} again at once");
            assert_eq!(send(number / 2), 100, "batch {} again after {number}", number / 2);
        }
    }
    // Slow now: what it remembered is let go of, and the rows must be asked again.
    for late in 1..200 {
        lab.set_clock(NOW + late * SECOND);
        let id = format!("slow-{late}");
        assert_eq!(
            lab.send(&[event("a", Some(&id), Some(NOW + late * SECOND))])
                .duplicates,
            0
        );
    }
    for number in [0, 1, 60, 119] {
        assert_eq!(send(number), 100, "batch {number} again in the end");
    }
    assert_eq!(lab.all(ORG).len(), 120 * 100 + 199);
}

#[test]
fn a_batch_that_is_sent_again_at_once_is_known_without_its_rows() {
    let lab = Lab::new();
    let ids: Vec<String> = (0..50).map(|i| format!("id-{i}")).collect();
    let batch: Vec<_> = ids
        .iter()
        .zip(NOW..)
        .map(|(id, at)| event(["a", "b"][at as usize % 2], Some(id), Some(at)))
        .collect();
    assert_eq!(lab.send(&batch).duplicates, 0);
    let segment = lab.path().join("log/0/0000000001-000.seg");
    let file = std::fs::OpenOptions::new().write(true).open(segment).unwrap();
    file.write_all_at(&[0xff; 64], 1_000).unwrap();
    assert_eq!(lab.send(&batch).duplicates, 50, "no row can be read");
}

#[test]
fn a_batch_that_is_sent_again_after_its_agent_was_erased_is_new() {
    let lab = Lab::new();
    let batch = [
        event("a", Some("x"), Some(NOW)),
        event("a", Some("y"), Some(NOW + 1)),
    ];
    assert_eq!(recorded(&lab, &batch), (0, 2, 2));
    lab.erase(ORG, "a");
    assert_eq!(recorded(&lab, &batch), (0, 2, 2));
}
