//! Going on without what is damaged: what is lost is said to the event, and nothing else changes.

use crate::kit::{KEY, Lab, NOW, ORG, event};
use crate::retention::{little, send};
use crate::varied::{files, fill, look, varied_lab};
use journal::{Disk, FrameRef, OsDisk, Segment, Survey};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use store::{Agent, AgentOrder, Error, Plan, StoredEvent};

fn by_number(lab: &Lab) -> BTreeMap<u64, StoredEvent> {
    lab.all(ORG).into_iter().map(|event| (event.seq, event)).collect()
}

/// A stopped store over several segments, and all its events.
fn filled() -> (Lab, BTreeMap<u64, StoredEvent>) {
    let mut lab = varied_lab();
    fill(&lab, 0, 80);
    let events = by_number(&lab);
    lab.stop();
    (lab, events)
}

fn plan(lab: &Lab) -> Plan {
    Plan::make(&(Arc::new(OsDisk) as Arc<dyn Disk>), lab.path()).unwrap()
}

/// Repairs, and sees that the directory is sound, that exactly the events that the plan names are gone, that the
/// others are as they were, and that no number is given again.
fn repair(lab: &mut Lab, before: &BTreeMap<u64, StoredEvent>) -> Plan {
    assert!(!look(lab.path()).is_sound(), "there is nothing to repair");
    let plan = plan(lab);
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    plan.carry_out(&disk, lab.path()).unwrap();
    let report = look(lab.path());
    assert!(report.is_sound(), "{:?}", report.findings);
    for (from, to) in &plan.set_aside {
        assert!(
            fs::metadata(to).unwrap().len() > 0,
            "{} of {}",
            to.display(),
            from.display()
        );
    }
    lab.start();
    let after = by_number(lab);
    let newest_kept = after.keys().next_back().copied();
    let is_lost = |seq: u64| {
        plan.lost_events
            .iter()
            .any(|lost| (lost.first..=lost.last).contains(&seq))
            || (plan.end_is_lost && Some(seq) > newest_kept)
    };
    let expected: BTreeMap<_, _> = before.iter().filter(|(seq, _)| !is_lost(**seq)).collect();
    assert!(after.iter().collect::<BTreeMap<_, _>>() == expected, "{plan:?}");
    let newest = *before.keys().next_back().unwrap();
    fill(lab, 500, 3);
    let again = by_number(lab).into_keys().filter(|seq| !after.contains_key(seq));
    assert!(again.min() > Some(newest), "a number was given twice");
    let report = look(lab.path());
    assert!(report.is_sound(), "{:?}", report.findings);
    lab.restart();
    lab.stop();
    let report = look(lab.path());
    assert!(report.is_sound(), "{:?}", report.findings);
    plan
}

fn flip(file: &Path, at: u64) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at as usize] ^= 0x40;
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_start_is_refused_where_acknowledged_events_are_gone_from_the_end() {
    type Damage = fn(&Path);
    let damages: [Damage; 3] = [
        |file| fs::remove_file(file).unwrap(),
        |file| {
            let bytes = fs::read(file).unwrap();
            fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
        },
        |file| fs::write(file, vec![0; fs::metadata(file).unwrap().len() as usize]).unwrap(),
    ];
    for damage in damages {
        let (mut lab, before) = filled();
        let segments = files(lab.path(), ".seg");
        damage(segments.last().unwrap());
        let error = lab.try_start().expect_err("events are missing");
        assert!(
            error.is_damage() && error.to_string().ends_with("acknowledged events are missing"),
            "{error}"
        );
        assert!(repair(&mut lab, &before).end_is_lost);
    }
}

#[test]
fn without_the_key_by_which_repeats_are_told_nothing_starts_until_a_repair_makes_one() {
    type Damage = fn(&Path);
    let damages: [Damage; 3] = [
        |file| fs::remove_file(file).unwrap(),
        |file| fs::write(file, [0; 36]).unwrap(),
        |file| flip(file, 20),
    ];
    for damage in damages {
        let (mut lab, before) = filled();
        damage(&lab.path().join("store.key"));
        let error = lab.try_start().expect_err("the key is needed");
        assert!(matches!(error, Error::Secret { .. }), "{error}");
        let plan = repair(&mut lab, &before);
        assert!(plan.new_secret && plan.lost_events.is_empty() && plan.left.is_empty());
        lab.start();
        let id = format!("{:08x}{:016x}", 0, 7);
        let resent = lab.send(&[event("agent-7", Some(&id), Some(NOW - 7_000))]);
        assert_eq!(resent.duplicates, 1, "what is in the log is known");
    }
}

#[test]
fn what_was_repaired_is_sound_also_once_it_is_compact() {
    let mut lab = Lab::with(|options| {
        options.journal.first_segment_bytes = 64 << 10;
        options.journal.max_segment_bytes = 64 << 10;
        options.compaction_bytes_per_second = u64::MAX;
    });
    for number in 0..300 {
        lab.send(&[event("agent", Some(&number.to_string()), Some(NOW + number))]);
    }
    let before = by_number(&lab);
    lab.stop();
    flip(&files(lab.path(), ".seg")[0], 20 * 512 + 40);
    let plan = repair(&mut lab, &before);
    assert_eq!(plan.lost_events.len(), 1, "{plan:?}");
    lab.start();
    lab.store().settle();
    let generations = files(lab.path(), "0000000001-");
    assert!(
        generations
            .iter()
            .any(|file| file.ends_with("0000000001-002.seg")),
        "{generations:?}"
    );
    let report = look(lab.path());
    assert!(report.is_sound(), "{:?}", report.findings);
}

#[test]
fn a_sound_directory_has_nothing_to_repair() {
    let (lab, _) = filled();
    assert!(plan(&lab).is_empty());
}

#[test]
fn a_damaged_frame_costs_its_own_events_alone_where_the_index_tells_the_words() {
    let (mut lab, events) = filled();
    let segment = files(lab.path(), ".seg").swap_remove(1);
    flip(&segment, 512 + 40); // the first frame has most of the words
    let plan = repair(&mut lab, &events);
    assert_eq!(
        (plan.lost_frames.len(), plan.lost_events.len()),
        (1, 1),
        "{plan:?}"
    );
    let lost = &plan.lost_frames[0];
    assert_eq!((&lost.file, lost.offset, lost.first), (&segment, 512, lost.last));
    assert!(plan.lost_events[0].last - plan.lost_events[0].first < 30);
    assert!(!plan.end_is_lost);
}

#[test]
fn without_an_index_the_rest_of_the_segment_goes_too_rather_than_to_other_agents() {
    let (mut lab, events) = filled();
    flip(&files(lab.path(), ".seg")[1], 512 + 40);
    fs::remove_file(&files(lab.path(), ".idx")[1]).unwrap();
    let plan = repair(&mut lab, &events);
    assert!(
        plan.lost_events[0].last - plan.lost_events[0].first > 100,
        "{plan:?}"
    );
    assert!(!plan.end_is_lost);
}

#[test]
fn a_killed_server_with_damage_in_its_newest_segment_starts_again() {
    let mut lab = varied_lab();
    fill(&lab, 0, 80);
    let events = by_number(&lab);
    let mut killed = lab.killed();
    lab.stop();
    let newest = files(killed.path(), ".seg").into_iter().rev().find(|file| {
        let bytes = fs::read(file).unwrap();
        bytes.starts_with(b"REPUTSEG")
    });
    flip(&newest.unwrap(), 512 + 40);
    let plan = repair(&mut killed, &events);
    assert!(plan.end_is_lost, "{plan:?}");
}

#[test]
fn a_lost_header_costs_nothing_or_the_segment() {
    let (mut lab, events) = filled();
    flip(&files(lab.path(), ".seg")[1], 30); // the epoch
    let plan = repair(&mut lab, &events);
    assert_eq!(
        (plan.lost_frames.len(), plan.lost_events.len()),
        (0, 0),
        "{plan:?}"
    );

    let (mut lab, events) = filled();
    flip(&files(lab.path(), ".seg")[1], 50); // the salt, without which no frame checks
    let plan = repair(&mut lab, &events);
    assert_eq!(
        (plan.lost_frames.len(), plan.lost_events.len()),
        (1, 1),
        "{plan:?}"
    );
}

#[test]
fn a_missing_segment_is_gone_on_without() {
    let (mut lab, events) = filled();
    fs::remove_file(&files(lab.path(), ".seg")[1]).unwrap();
    let plan = repair(&mut lab, &events);
    assert_eq!(
        (plan.lost_frames.len(), plan.lost_events.len()),
        (1, 1),
        "{plan:?}"
    );
    assert!(plan.set_aside.is_empty());
}

#[test]
fn the_newest_segment_may_be_missing_too() {
    let (mut lab, events) = filled();
    fs::remove_file(files(lab.path(), ".seg").last().unwrap()).unwrap();
    let plan = repair(&mut lab, &events);
    assert!(plan.end_is_lost && plan.lost_events.len() == 1, "{plan:?}");
}

#[test]
fn damage_in_several_places_at_once_is_repaired_at_once() {
    let (mut lab, events) = filled();
    let segments = files(lab.path(), ".seg");
    flip(&segments[0], 512 * 9 + 30);
    flip(&segments[1], 20);
    flip(segments.last().unwrap(), 512 + 99);
    flip(&files(lab.path(), ".idx")[0], 1_000);
    flip(&files(lab.path(), "registry-")[0], 60);
    let plan = repair(&mut lab, &events);
    assert!(plan.lost_frames.len() >= 2 && plan.rebuilt.len() == 1, "{plan:?}");
}

#[test]
fn derived_files_are_built_anew_and_nothing_is_lost() {
    let (mut lab, events) = filled();
    flip(&files(lab.path(), ".idx")[1], 2_000);
    let plan = repair(&mut lab, &events);
    assert_eq!((plan.rebuilt.len(), plan.lost_frames.len()), (1, 0), "{plan:?}");
}

/// The kind of a record of what stays of an agent.
const CARRY: u8 = 4;

/// A store that let its oldest segments go, and does what there is to do only when the test asks.
fn trimmed() -> Lab {
    let lab = Lab::with(|options| {
        little(options);
        options.upkeep_every = Duration::MAX;
    });
    for batch in 0..100 {
        send(&lab, batch);
        lab.store().settle();
    }
    lab
}

fn agents(lab: &Lab) -> Vec<Agent> {
    lab.store().agents(ORG, &AgentOrder::AgentId(None), 100).unwrap()
}

/// The frames that carry agents, or those that do not: the file of each and where in it its first record lies, oldest
/// first.
fn frames(dir: &Path, carrying: bool) -> Vec<(PathBuf, u64)> {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let survey = Survey::take(&disk, &dir.join("log/0"), 0).unwrap();
    let segments = survey.places.iter().flat_map(|place| &place.segment);
    let frames = segments.flat_map(|segment| segment.frames().map(move |frame| (segment, frame.unwrap())));
    let carries = |frame: &FrameRef| frame.records().any(|record| record.kind == CARRY);
    let wanted = frames.filter(|(_, frame)| carries(frame) == carrying);
    let place = |(segment, frame): (&Segment, FrameRef)| (segment.path.to_path_buf(), frame.payload_offset);
    wanted.map(place).collect()
}

fn carry_out(lab: &Lab) -> Plan {
    let plan = plan(lab);
    plan.carry_out(&(Arc::new(OsDisk) as Arc<dyn Disk>), lab.path())
        .unwrap();
    let report = look(lab.path());
    assert!(report.is_sound(), "{:?}", report.findings);
    plan
}

#[test]
fn agents_whose_carries_are_lost_go_on_with_what_is_left_of_them() {
    type Damage = fn(&Path);
    let damages: [Damage; 3] = [
        |dir| {
            let (file, at) = frames(dir, true).pop().unwrap();
            flip(&file, at);
        },
        |dir| frames(dir, true).iter().for_each(|(file, at)| flip(file, *at)),
        |dir| fs::remove_file(frames(dir, true).pop().unwrap().0).unwrap(),
    ];
    for (nth, damage) in damages.into_iter().enumerate() {
        let mut lab = trimmed();
        let mut before = agents(&lab);
        lab.stop();
        damage(lab.path());
        carry_out(&lab);
        for round in 1..3 {
            lab.start();
            let kept = lab.all(ORG);
            for agent in &before {
                let what = format!("damage {nth}, round {round}, {}", agent.agent_id);
                let of_agent = |event: &&StoredEvent| event.evaluation.agent_id == *agent.agent_id;
                let rows = kept.iter().filter(of_agent).count();
                let window = lab.store().reputations(ORG, &[&agent.agent_id]).unwrap()[0].evaluations;
                assert!(window as usize >= rows.min(500), "{what}: {window} of {rows}");
                // What is still in the log is told from what is new.
                let named = |event: &&StoredEvent| {
                    event.evaluation.evaluation_id.is_some() && event.evaluation.sent_at.is_some()
                };
                let named = kept.iter().filter(of_agent).filter(named);
                let named: Vec<_> = named.map(|event| event.evaluation.clone()).collect();
                for some in named.chunks(100) {
                    assert_eq!(lab.send(some).duplicates as usize, some.len(), "{what}");
                }
                let new = lab.send(&[event(&agent.agent_id, Some("new"), Some(NOW + round))]);
                assert_eq!((new.accepted, new.duplicates), (1, 0), "{what}");
            }
            let counts = |agents: &[Agent]| agents.iter().map(|agent| agent.eval_count).collect::<Vec<_>>();
            let expected: Vec<_> = counts(&before).iter().map(|count| count + 1).collect();
            assert_eq!(counts(&agents(&lab)), expected, "damage {nth}, round {round}");
            // What is left goes, too.
            for batch in 0..60 {
                send(&lab, 1_000 * round as usize + batch);
                lab.store().settle();
            }
            assert!(
                lab.store().stats().bytes <= 200 << 10,
                "{:?}",
                lab.store().stats()
            );
            before = agents(&lab);
            lab.stop();
        }
    }
}

#[test]
fn lifetime_counts_stay_where_the_oldest_segment_that_is_left_cannot_be_read() {
    let mut lab = trimmed();
    let before = agents(&lab);
    lab.stop();
    let oldest = files(lab.path(), ".seg").swap_remove(0);
    flip(&oldest, 50); // the salt, without which no frame checks
    for round in 0..2 {
        let plan = carry_out(&lab);
        assert_eq!(plan.is_empty(), round > 0, "{plan:?}");
        lab.start();
        let counts = |agents: &[Agent]| agents.iter().map(|agent| agent.eval_count).collect::<Vec<_>>();
        assert_eq!(counts(&agents(&lab)), counts(&before));
        lab.stop();
    }
    // The segment that took its place knows no more of what came before it.
    flip(&frames(lab.path(), false)[0].0, 512 + 40);
    carry_out(&lab);
    lab.start();
    let now = agents(&lab);
    assert!(
        now.iter()
            .zip(&before)
            .all(|(now, before)| now.eval_count == before.eval_count)
    );
}

#[test]
fn what_was_carried_of_an_erased_agent_is_not_given_to_one_of_its_name() {
    let mut lab = trimmed();
    let (answer, answers) = mpsc::channel();
    let reply = Box::new(move |outcome| drop(answer.send(outcome)));
    lab.store().erase(ORG, Some(KEY), "rare", reply);
    while agents(&lab).iter().any(|agent| agent.agent_id == "rare") {
        std::thread::sleep(Duration::from_millis(1));
    }
    lab.send(&[event("rare", Some("anew"), Some(NOW))]);
    lab.stop();
    assert!(answers.recv().unwrap().is_err(), "its rows are still there");
    let others = frames(lab.path(), false);
    let (file, at) = &others[others.len() / 2];
    flip(file, *at);
    carry_out(&lab);
    lab.start();
    for _ in 0..2 {
        let rare = lab.store().reputations(ORG, &["rare"]).unwrap();
        assert_eq!(rare[0].evaluations, 1);
        assert!(lab.send(&[event("rare", Some("anew"), Some(NOW))]).duplicates == 1);
        lab.store().settle();
    }
    assert_eq!(lab.store().stats().erasures, 0);
}

#[test]
fn readers_who_find_damaged_indexes_together_all_get_their_answers() {
    let mut lab = varied_lab();
    fill(&lab, 0, 80);
    let before = lab.all(ORG);
    for _ in 0..20 {
        lab.restart(); // what is open keeps nothing of the files in memory
        let indexes = files(lab.path(), ".idx");
        for index in &indexes {
            flip(index, 100);
            flip(index, fs::metadata(index).unwrap().len() / 2);
        }
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..8).map(|_| scope.spawn(|| lab.all(ORG))).collect();
            for reader in readers {
                assert!(reader.join().unwrap() == before);
            }
        });
        assert_eq!(files(lab.path(), ".tmp"), Vec::<PathBuf>::new());
    }
}
