//! What was taken is there after a restart, whatever is left of the derived files.

use crate::kit::{KEY, Lab, NOW, ORG, SECOND, event, everything};
use reputation::{Micros, Status};
use store::{
    Agent, AgentOrder, EventKey, EventQuery, Options, OrgId, Refused, Source, Start, StoredEvent, Submission,
};

/// Segments so small that a few batches fill one.
fn small_segments(options: &mut Options) {
    options.journal.first_segment_bytes = 16 << 10;
    options.journal.max_segment_bytes = 16 << 10;
}

fn agents(lab: &Lab) -> Vec<Agent> {
    lab.store().agents(ORG, &AgentOrder::AgentId(None), 500).unwrap()
}

/// 40 batches of 50 events of ten agents, a tenth of them failed.
fn send_much(lab: &Lab) {
    assert_eq!(send_all(lab), 0);
}

/// The same, new or not; says how many were not.
fn send_all(lab: &Lab) -> u32 {
    let mut duplicates = 0;
    for batch in 0..40 {
        let names: Vec<String> = (0..50)
            .map(|i| format!("agent-{}", (i * 7 + batch) % 10))
            .collect();
        let ids: Vec<String> = (0..50).map(|i| format!("id-{batch}-{i}")).collect();
        let events: Vec<_> = (0..50)
            .map(|i| {
                let mut one = event(
                    &names[i],
                    Some(&ids[i]),
                    Some(NOW + ((i * 977 + batch * 31) % 5_000) as i64),
                );
                one.passed = (i + batch) % 10 != 0;
                one
            })
            .collect();
        duplicates += lab.send(&events).duplicates;
    }
    duplicates
}

fn remove(lab: &Lab, matching: impl Fn(&str) -> bool) -> usize {
    let log = lab.path().join("log/0");
    let files = std::fs::read_dir(log).unwrap().map(|file| file.unwrap());
    let doomed: Vec<_> = files
        .filter(|file| matching(&file.file_name().to_string_lossy()))
        .collect();
    doomed
        .iter()
        .for_each(|file| std::fs::remove_file(file.path()).unwrap());
    doomed.len()
}

#[test]
fn everything_is_there_after_a_restart() {
    let mut lab = Lab::with(small_segments);
    send_much(&lab);
    let before = (lab.all(ORG), agents(&lab));
    assert_eq!(before.0.len(), 2_000);
    lab.restart();
    assert_eq!((lab.all(ORG), agents(&lab)), before);
    let more = lab.send(&[event("agent-3", Some("more"), Some(NOW + 9_000))]);
    assert_eq!(
        (more.accepted, more.updates[0].summary.status()),
        (1, Status::Active)
    );
    assert_eq!(lab.all(ORG)[0].seq, 2_001);
}

#[test]
fn derived_files_can_all_be_rebuilt_from_the_log() {
    let mut lab = Lab::with(small_segments);
    send_much(&lab);
    let before = (lab.all(ORG), agents(&lab));
    for kind in ["registry-", "windows-", ".idx"] {
        lab.stop();
        assert!(
            remove(&lab, |name| name.contains(kind)) > 0,
            "no {kind} file to lose"
        );
        lab.start();
        assert_eq!(
            (lab.all(ORG), agents(&lab)),
            before,
            "after losing every {kind} file"
        );
    }
    lab.stop();
    remove(&lab, |name| !name.ends_with(".seg"));
    lab.start();
    assert_eq!((lab.all(ORG), agents(&lab)), before);
}

#[test]
fn an_index_of_an_older_format_is_built_anew() {
    const MAGIC: &[u8] = b"RPTINDX";
    let mut lab = Lab::with(small_segments);
    send_much(&lab);
    let before = (lab.all(ORG), agents(&lab));
    lab.stop();
    let log = lab.path().join("log/0");
    let indexes = || {
        let files = std::fs::read_dir(&log).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        let indexes = paths.filter(|path| path.extension().is_some_and(|extension| extension == "idx"));
        indexes.map(|path| (std::fs::read(&path).unwrap(), path))
    };
    // A file that is whole in all else: its header has the checksum of what it says.
    let header = |bytes: &[u8]| {
        bytes
            .windows(MAGIC.len())
            .rposition(|some| some == MAGIC)
            .unwrap()
    };
    let mut formats = Vec::new();
    for (mut bytes, path) in indexes() {
        let (version, checksum) = (header(&bytes) + MAGIC.len(), bytes.len() - 4);
        formats.push(bytes[version]);
        bytes[version] -= 1;
        let sum = crc32c::crc32c(&bytes[header(&bytes)..checksum]).to_le_bytes();
        bytes[checksum..].copy_from_slice(&sum);
        std::fs::write(&path, bytes).unwrap();
    }
    assert!(formats.len() > 1, "{} indexes", formats.len());
    lab.start();
    assert_eq!((lab.all(ORG), agents(&lab)), before);
    lab.stop();
    let now: Vec<u8> = indexes()
        .map(|(bytes, _)| bytes[header(&bytes) + MAGIC.len()])
        .collect();
    assert_eq!(now[..formats.len()], formats);
}

#[test]
fn a_damaged_derived_file_is_rebuilt() {
    let mut lab = Lab::with(small_segments);
    send_much(&lab);
    let before = (lab.all(ORG), agents(&lab));
    lab.stop();
    for file in std::fs::read_dir(lab.path().join("log/0")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "seg") {
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle..].iter_mut().for_each(|byte| *byte ^= 0x5a);
            std::fs::write(&path, bytes).unwrap();
        }
    }
    lab.start();
    assert_eq!(agents(&lab), before.1);
}

#[test]
fn a_window_that_left_memory_counts_on_as_if_it_had_stayed() {
    let small_cache = |options: &mut Options| {
        small_segments(options);
        options.window_cache = 1;
    };
    let (mut tight, roomy) = (Lab::with(small_cache), Lab::with(small_segments));
    for lab in [&tight, &roomy] {
        send_much(lab);
    }
    assert_eq!(tight.all(ORG), roomy.all(ORG));
    tight.restart();
    assert_eq!(agents(&tight), agents(&roomy));
}

#[test]
fn a_registration_stays_until_the_first_event_replaces_its_times() {
    let mut lab = Lab::new();
    lab.register("a", 10).unwrap();
    lab.register("a", 10).unwrap();
    let times = |lab: &Lab| {
        agents(lab)
            .iter()
            .map(|a| (a.first_seen.0, a.last_seen.0, a.eval_count))
            .collect::<Vec<_>>()
    };
    assert_eq!(times(&lab), [(NOW, NOW, 0)]);
    lab.restart();
    assert_eq!(times(&lab), [(NOW, NOW, 0)]);
    lab.send(&[event("a", None, Some(NOW - 5 * SECOND))]);
    assert_eq!(times(&lab), [(NOW - 5 * SECOND, NOW - 5 * SECOND, 1)]);
}

#[test]
fn an_agent_beyond_the_limit_is_refused_before_anything_is_counted() {
    let mut lab = Lab::new();
    let events = [
        event("a", None, None),
        event("b", None, None),
        event("c", None, None),
        event("b", None, None),
    ];
    let submission = Submission {
        org: ORG,
        key: KEY,
        signed: true,
        source: Source::Ingest,
        max_agents: 1,
        lenient: false,
        evaluations: &events,
    };
    assert_eq!(
        lab.try_send(&submission),
        Err(Refused::AgentLimit {
            limit: 1,
            events: vec![1, 2, 3]
        })
    );
    assert_eq!(lab.all(ORG), []);
    let receipt = lab
        .try_send(&Submission {
            lenient: true,
            ..submission
        })
        .unwrap();
    assert_eq!((receipt.accepted, receipt.rejected), (1, vec![1, 2, 3]));
    lab.restart();
    assert_eq!(
        lab.register("z", 1),
        Err(Refused::AgentLimit {
            limit: 1,
            events: vec![]
        })
    );
    assert_eq!(lab.register("a", 1), Ok(()));
    assert_eq!(lab.all(ORG).len(), 1);
}

#[test]
fn organisations_share_nothing() {
    let mut lab = Lab::new();
    lab.send(&[
        event("a", Some("x"), Some(NOW)),
        event("a", Some("y"), Some(NOW + 1)),
    ]);
    let other = [event("a", Some("x"), Some(NOW))];
    let submission = Submission {
        org: OrgId(2),
        key: KEY,
        signed: false,
        source: Source::Ingest,
        max_agents: 10,
        lenient: false,
        evaluations: &other,
    };
    assert_eq!(lab.try_send(&submission).unwrap().duplicates, 0);
    lab.restart();
    let stored = lab.all(OrgId(2));
    assert_eq!(stored.iter().map(|e| e.seq).collect::<Vec<_>>(), [1]);
    assert_eq!(lab.all(ORG).len(), 2);
    assert_eq!(lab.store().event(OrgId(2), 2).unwrap(), None);
    assert_eq!(
        lab.store().event(ORG, 2).unwrap().map(|e| e.recorded_at),
        Some(Micros(NOW + 1))
    );
    assert_eq!(
        lab.store()
            .agents(OrgId(3), &AgentOrder::LastSeen(None), 5)
            .unwrap(),
        []
    );
}

#[test]
fn an_id_is_found_among_many_and_among_few_rows_by_verdict_and_time() {
    let mut lab = Lab::new();
    let ids: Vec<String> = (0..900).map(|i| format!("id-{}", i % 450)).collect();
    for chunk in (0..900).collect::<Vec<usize>>().chunks(100) {
        let events: Vec<_> = chunk
            .iter()
            .map(|&i| {
                let agent = if i % 100 == 7 { "few" } else { "many" };
                let mut one = event(agent, Some(&ids[i]), Some(NOW + (i as i64 * 7_919) % 1_000));
                one.passed = i % 3 > 0;
                one
            })
            .collect();
        lab.send(&events);
    }
    lab.restart();
    let all = lab.all(ORG);
    let asked = ids.iter().step_by(13).flat_map(|id| [("many", id), ("few", id)]);
    for (agent, id) in asked {
        for passed in [None, Some(true), Some(false)] {
            for (from, to) in [(None, None), (Some(NOW + 300), Some(NOW + 700))] {
                let query = EventQuery {
                    agent_id: Some(agent.to_owned()),
                    evaluation_id: Some(id.clone()),
                    passed,
                    from: from.map(Micros),
                    to: to.map(Micros),
                    ..everything()
                };
                let is_asked_for = |one: &&StoredEvent| {
                    one.evaluation.agent_id == agent
                        && one.evaluation.evaluation_id.as_deref() == Some(id.as_str())
                        && passed.is_none_or(|passed| passed == one.evaluation.passed)
                        && from.is_none_or(|from| one.recorded_at.0 >= from)
                        && to.is_none_or(|to| one.recorded_at.0 <= to)
                };
                let expected: Vec<_> = all.iter().filter(is_asked_for).cloned().collect();
                let found = lab.store().events(ORG, &query).unwrap().events;
                assert_eq!(found, expected, "{query:?}");
            }
        }
    }
}

/// Waits until so many windows are in memory.
fn wait_for_windows(lab: &Lab, windows: u64) {
    let begun = std::time::Instant::now();
    while lab.store().stats().resident_windows < windows {
        assert!(begun.elapsed().as_secs() < 20, "{:?}", lab.store().stats());
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

#[test]
fn windows_are_in_memory_again_soon_after_a_start() {
    let mut lab = Lab::with(small_segments);
    send_much(&lab);
    let mut killed = lab.killed();
    killed.start();
    lab.restart();
    for after in [&lab, &killed] {
        wait_for_windows(after, 10);
    }
    assert_eq!(agents(&lab), agents(&killed));
    let new = [event("agent-3", Some("new"), Some(NOW + 9_000))];
    let (stopped, killed) = (lab.send(&new), killed.send(&new));
    assert_eq!(stopped.updates[0].summary, killed.updates[0].summary);
}

#[test]
fn no_more_windows_come_back_than_are_kept_in_memory() {
    let mut lab = Lab::with(|options| {
        small_segments(options);
        options.window_cache = 3;
    });
    send_much(&lab);
    lab.restart();
    wait_for_windows(&lab, 3);
    let newest: Vec<_> = lab.store().agents(ORG, &AgentOrder::LastSeen(None), 3).unwrap();
    let sent: Vec<_> = newest
        .iter()
        .map(|agent| event(&agent.agent_id, Some("new"), Some(NOW + 9_000)))
        .collect();
    lab.send(&sent);
    assert_eq!(
        lab.store().stats().resident_windows,
        3,
        "they were those that were seen last"
    );
}

#[test]
fn what_was_sent_before_a_crash_is_known_by_the_windows_that_are_read_back() {
    let lab = Lab::with(small_segments);
    send_much(&lab);
    let mut aside = event("agent-4", Some("no-time"), None);
    aside.passed = false;
    lab.send(std::slice::from_ref(&aside));
    let mut killed = lab.killed();
    killed.start();
    wait_for_windows(&killed, 10);
    assert_eq!(killed.send(&[aside]).duplicates, 1);
    assert_eq!(send_all(&killed), 2_000);
}

#[test]
fn starts_and_stops_leave_few_files_of_window_copies() {
    let mut lab = Lab::new();
    let copies = |lab: &Lab| {
        let names = std::fs::read_dir(lab.path().join("log/0")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("windows-")).count()
    };
    for _ in 0..20 {
        lab.restart();
    }
    assert!(copies(&lab) <= 2, "{} files of nothing", copies(&lab));
    for round in 0..30 {
        // An agent of its own for each, which stays where it was put aside.
        let agent = format!("agent-{round}");
        lab.send(&[event(&agent, Some("id"), Some(NOW))]);
        lab.restart();
    }
    assert!(copies(&lab) <= 10, "{} files", copies(&lab));
    for round in 0..30 {
        let agent = format!("agent-{round}");
        assert_eq!(lab.send(&[event(&agent, Some("id"), Some(NOW))]).duplicates, 1);
    }
}

#[test]
fn behind_a_number_that_no_event_has_come_those_with_lower_numbers() {
    let mut lab = Lab::new();
    for (first_seq, agent) in [(10, "a"), (30, "b"), (20_000, "a")] {
        let mut events = vec![event(agent, None, None); 3];
        events[1].passed = false;
        lab.import(first_seq, NOW, &events);
    }
    for _ in 0..2 {
        let behind = |seq: u64, passed: Option<bool>, agent_id: Option<&str>| -> Vec<u64> {
            let key = EventKey {
                recorded_at: Micros(NOW),
                seq,
            };
            let query = EventQuery {
                start: Start::After(key),
                passed,
                agent_id: agent_id.map(Into::into),
                ..everything()
            };
            let page = lab.store().events(ORG, &query).unwrap();
            page.events.into_iter().map(|event| event.seq).collect()
        };
        for seq in [33, 34, 19_999] {
            assert_eq!(behind(seq, None, None), [32, 31, 30, 12, 11, 10], "{seq}");
            assert_eq!(behind(seq, Some(true), None), [32, 30, 12, 10], "{seq}");
            assert_eq!(behind(seq, Some(false), Some("a")), [11], "{seq}");
        }
        assert_eq!(behind(13, None, None), [12, 11, 10]);
        assert_eq!(behind(31, None, None), [30, 12, 11, 10]);
        lab.restart(); // now its index is a file
    }
}
