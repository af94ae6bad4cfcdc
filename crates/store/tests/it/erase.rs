//! An erased agent is gone for good, and nothing else changes.

use crate::kit::{KEY, Lab, NOW, ORG, SECOND, event, everything, ingest, try_erase};
use journal::sim::Fault;
use journal::{Disk, OsDisk, SimDisk};
use reputation::{Evaluation, Micros};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use store::{
    Agent, AgentOrder, Error, EventQuery, Options, OrgId, Receipt, Refused, Source, Store, Submission,
    Unobserved,
};

const AGENTS: [&str; 3] = ["stays", "doomed", "other"];

fn small_segments(options: &mut Options) {
    options.journal.first_segment_bytes = 16 << 10;
    options.journal.max_segment_bytes = 16 << 10;
}

/// The ids of a batch, one an event.
fn ids(batch: usize) -> Vec<String> {
    (0..30)
        .map(|i| format!("{}-id-{batch}-{i}", AGENTS[i % 3]))
        .collect()
}

/// Events of three agents; each has a tool, a gate and a reason of its own.
fn events(batch: usize, ids: &[String]) -> Vec<Evaluation<'_>> {
    let mut events = Vec::new();
    for (i, id) in ids.iter().enumerate() {
        let agent = AGENTS[i % 3];
        let mut one = event(agent, Some(id), Some(NOW + (batch * 40 + i) as i64));
        one.passed = i % 10 != 3;
        one.tool = Some(format!("tool of {agent}").into());
        one.gates[0].name = format!("gate of {agent}").into();
        one.gates[0].passed = one.passed;
        one.gates[0].reason = Some(format!("reason of {agent}").into());
        events.push(one);
    }
    events
}

fn agents(store: &Store, org: OrgId) -> Vec<Agent> {
    store.agents(org, &AgentOrder::AgentId(None), 500).unwrap()
}

/// The files in which these bytes stand.
fn files_with(disk: &dyn Disk, dir: &Path, bytes: &[u8]) -> Vec<String> {
    let log = dir.join("log/0");
    let with = |name: String| -> std::io::Result<Option<String>> {
        let file = disk.open(&log.join(&name))?;
        let mut content = vec![0; file.len()? as usize];
        file.read_exact_at(&mut content, 0)?;
        Ok(content
            .windows(bytes.len())
            .any(|part| part == bytes)
            .then_some(name))
    };
    loop {
        let names = disk.list(&log).unwrap();
        match names.into_iter().map(with).collect::<Result<Vec<_>, _>>() {
            Ok(found) => return found.into_iter().flatten().collect(),
            // A store that runs may write an index meanwhile, and give it its name.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn every_trace_of_an_erased_agent_goes_and_all_others_stay_as_they_were() {
    let mut lab = Lab::with(|options| {
        small_segments(options);
        options.window_cache = 1; // so that copies of windows are put aside
    });
    lab.register("doomed-too", 100).unwrap();
    for batch in 0..60 {
        lab.send(&events(batch, &ids(batch)));
    }
    lab.restart();
    for batch in 60..70 {
        lab.send(&events(batch, &ids(batch)));
    }
    let others = |lab: &Lab| {
        let mut events = lab.all(ORG);
        events.retain(|one| one.evaluation.agent_id != "doomed");
        let mut agents = agents(lab.store(), ORG);
        agents.retain(|agent| !agent.agent_id.starts_with("doomed"));
        (events, agents)
    };
    let before = others(&lab);
    assert_eq!(before.0.len(), 1_400);
    assert!(files_with(&OsDisk, lab.path(), b"doomed").len() > 8);
    lab.erase(ORG, "doomed");
    lab.erase(ORG, "doomed-too");
    let gone = |lab: &Lab| {
        assert_eq!(others(lab), before);
        assert_eq!((lab.all(ORG).len(), agents(lab.store(), ORG).len()), (1_400, 2));
        let page = |query: EventQuery| lab.store().events(ORG, &query).unwrap().events.len();
        let doomed = Some("doomed".to_owned());
        assert_eq!(
            page(EventQuery {
                agent_id: doomed,
                ..everything()
            }),
            0
        );
        assert_eq!(
            page(EventQuery {
                failed_gate: Some("gate of doomed".into()),
                ..everything()
            }),
            0
        );
        assert!(
            page(EventQuery {
                failed_gate: Some("gate of stays".into()),
                ..everything()
            }) > 0
        );
        assert_eq!(lab.store().event(ORG, 2).unwrap(), None);
        let summary = lab.store().reputations(ORG, &["doomed"]).unwrap();
        assert_eq!(summary[0].evaluations, 0);
        assert_eq!(files_with(&OsDisk, lab.path(), b"doomed"), [""; 0]);
        assert_eq!(lab.store().stats().events, 1_400);
    };
    gone(&lab);
    lab.restart();
    gone(&lab);
    lab.stop();
    for file in std::fs::read_dir(lab.path().join("log/0")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "seg") {
            std::fs::remove_file(path).unwrap();
        }
    }
    lab.start();
    gone(&lab);
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    assert_eq!(store::verify(&disk, lab.path()).unwrap().findings, []);
}

#[test]
fn an_erased_agent_may_begin_anew_and_be_erased_again() {
    let mut lab = Lab::with(small_segments);
    for round in 0..3 {
        for batch in 0..20 {
            let receipt = lab.send(&events(batch, &ids(batch)));
            // The others' events are repeats from the second round on, the erased agent's never.
            assert_eq!(receipt.duplicates, if round == 0 { 0 } else { 20 });
        }
        let doomed = agents(lab.store(), ORG)
            .into_iter()
            .find(|agent| agent.agent_id == "doomed")
            .unwrap();
        assert_eq!(
            (doomed.eval_count, doomed.summary.evaluations),
            (200, 200),
            "round {round}"
        );
        if round == 1 {
            lab.restart();
        }
        assert_eq!(lab.send(&events(3, &ids(3))).duplicates, 30);
        lab.erase(ORG, "doomed");
        lab.erase(ORG, "doomed");
        assert_eq!(agents(lab.store(), ORG).len(), 2);
    }
    assert_eq!(lab.send(&[event("stays", None, None)]).accepted, 1);
    let last = lab.all(ORG).into_iter().map(|one| one.seq).max();
    assert_eq!(last, Some(600 + 200 + 200 + 1), "numbers are never given again");
}

#[test]
fn an_agent_of_another_organisation_with_the_same_name_stays() {
    let lab = Lab::with(small_segments);
    let ids = ids(0);
    let all = events(0, &ids);
    lab.send(&all);
    let submission = Submission {
        org: OrgId(2),
        key: KEY,
        signed: false,
        source: Source::Ingest,
        max_agents: 100,
        lenient: false,
        evaluations: &all,
    };
    lab.try_send(&submission).unwrap();
    let before = (lab.all(OrgId(2)), agents(lab.store(), OrgId(2)));
    lab.erase(ORG, "doomed");
    assert_eq!((lab.all(OrgId(2)), agents(lab.store(), OrgId(2))), before);
    assert_eq!(lab.all(ORG).len(), 20);
}

#[test]
fn what_is_sent_while_an_agent_is_erased_is_erased_with_it_or_begins_anew_whole() {
    let lab = Arc::new(Lab::with(|options| {
        small_segments(options);
        options.window_cache = 1;
    }));
    let sender = {
        let lab = Arc::clone(&lab);
        std::thread::spawn(move || {
            for batch in 0..150 {
                assert_eq!(lab.send(&events(batch, &ids(batch))).accepted, 30);
            }
        })
    };
    for _ in 0..12 {
        lab.erase(ORG, "doomed");
    }
    sender.join().unwrap();
    let listed = lab.all(ORG);
    for agent in agents(lab.store(), ORG) {
        let own = listed
            .iter()
            .filter(|one| one.evaluation.agent_id == agent.agent_id)
            .count();
        assert_eq!(agent.eval_count, own as u64, "{}", agent.agent_id);
        assert_eq!(
            lab.store().reputations(ORG, &[&agent.agent_id]).unwrap(),
            [agent.summary]
        );
    }
}

fn open(disk: &SimDisk) -> Result<Store, Error> {
    let mut options = Options {
        clock: Arc::new(|| Micros(NOW + SECOND)),
        // Only when the test asks.
        upkeep_every: std::time::Duration::from_secs(3_600),
        ..Options::default()
    };
    options.journal.first_segment_bytes = 4 << 10;
    options.journal.max_segment_bytes = 4 << 10;
    options.journal.inline = true;
    let disk = Arc::new(disk.clone());
    Store::open(disk, Path::new("/data"), options, Arc::new(Unobserved))
}

fn send(store: &Store, batch: usize) -> Result<Receipt, Refused> {
    let ids = ids(batch);
    let events = events(batch, &ids);
    ingest(store, &events)
}

/// Six batches, an erasure in their middle, after a clean stop; those that were taken, and what became of the
/// erasure if it was asked for.
fn work(disk: &SimDisk) -> (BTreeSet<usize>, Option<Result<(), Refused>>) {
    work_looking(disk, || ())
}

/// The same with a look at the disk once the agent is gone.
fn work_looking(disk: &SimDisk, look: impl Fn()) -> (BTreeSet<usize>, Option<Result<(), Refused>>) {
    let mut taken = BTreeSet::new();
    let Ok(store) = open(disk) else {
        return (taken, None);
    };
    for batch in 0..3 {
        if send(&store, batch).is_ok() {
            taken.insert(batch);
        }
    }
    store.close();
    let Ok(store) = open(disk) else {
        return (taken, None);
    };
    if send(&store, 3).is_ok() {
        taken.insert(3);
    }
    // Of what failed once, the second attempt must find the rest.
    let erased = try_erase(&store, ORG, "doomed").or_else(|_| try_erase(&store, ORG, "doomed"));
    if erased.is_ok() {
        look();
    }
    for batch in 4..6 {
        if send(&store, batch).is_ok() {
            taken.insert(batch);
        }
    }
    store.close();
    (taken, Some(erased))
}

fn listed(store: &Store) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut query = everything();
    loop {
        let page = store.events(ORG, &query).unwrap();
        all.extend(page.events.into_iter().map(|one| {
            let evaluation = one.evaluation;
            (
                evaluation.agent_id.into_owned(),
                evaluation.evaluation_id.unwrap().into_owned(),
            )
        }));
        match page.next {
            Some(key) => query.start = store::Start::After(key),
            None => return all,
        }
    }
}

#[test]
fn a_crash_at_every_operation_of_an_erasure_leaves_it_to_be_finished_or_never_asked_for() {
    let disk = SimDisk::new(0);
    assert_eq!(work(&disk), ((0..6).collect(), Some(Ok(()))));
    let operations = disk.operations();
    for at in 1..=operations {
        let disk = SimDisk::new(at);
        disk.fail_nth(at, Fault::Halt);
        let (taken, erased) = work(&disk);
        for (how, after) in [("power cut", disk.crash()), ("kill", disk.kill())] {
            let what = format!("{how} at operation {at} of {operations}");
            let store = open(&after).unwrap_or_else(|error| panic!("{what}: {error}"));
            while store.stats().erasures > 0 {
                store.settle();
            }
            let found = listed(&store);
            for batch in &taken {
                for id in ids(*batch).iter().filter(|id| !id.starts_with("doomed")) {
                    assert_eq!(
                        found.iter().filter(|(_, other)| other == id).count(),
                        1,
                        "{what}: {id}"
                    );
                }
            }
            let doomed: BTreeSet<_> = found
                .iter()
                .filter(|(agent, _)| agent == "doomed")
                .map(|(_, id)| id)
                .collect();
            let of = |batches: std::ops::Range<usize>| -> usize {
                ids_of_doomed(batches).filter(|id| doomed.contains(id)).count()
            };
            // All that came before the erasure is there, or nothing.
            let (before, last) = (of(0..4), of(3..4));
            let all_before = 10 * taken.iter().filter(|batch| **batch < 4).count();
            assert!(
                before == 0 || before >= all_before,
                "{what}: {before} of {all_before}, {last}"
            );
            if erased == Some(Ok(())) {
                assert_eq!(before, 0, "{what}");
                for batch in 0..4 {
                    let id = format!("doomed-id-{batch}-1");
                    assert_eq!(
                        files_with(&after, Path::new("/data"), id.as_bytes()),
                        [""; 0],
                        "{what}"
                    );
                }
            }
            let known = agents(&store, ORG)
                .into_iter()
                .find(|agent| agent.agent_id == "doomed");
            assert_eq!(
                known.map_or(0, |agent| agent.eval_count),
                doomed.len() as u64,
                "{what}"
            );
            // Whatever happened, the agent can be erased, and all traces go.
            try_erase(&store, ORG, "doomed").unwrap_or_else(|refused| panic!("{what}: {refused}"));
            store.close();
            assert_eq!(
                files_with(&after, Path::new("/data"), b"doomed"),
                [""; 0],
                "{what}"
            );
        }
    }
}

#[test]
fn an_erasure_is_not_answered_while_a_failing_disk_keeps_some_of_it() {
    let disk = SimDisk::new(0);
    work(&disk);
    let operations = disk.operations();
    for at in 1..=operations {
        let disk = SimDisk::new(at);
        disk.fail_nth(at, Fault::Error);
        work_looking(&disk, || {
            let left = files_with(&disk, Path::new("/data"), b"doomed");
            assert_eq!(left, [""; 0], "an error of operation {at} of {operations}");
        });
    }
}

fn ids_of_doomed(batches: std::ops::Range<usize>) -> impl Iterator<Item = String> {
    let ids = batches.flat_map(ids);
    ids.filter(|id| id.starts_with("doomed"))
}

#[test]
fn who_asks_again_before_the_erasure_is_on_disk_waits_for_it_too() {
    let disk = Arc::new(SimDisk::new(1));
    let options = Options {
        upkeep_every: Duration::from_secs(3_600),
        ..Options::default()
    };
    let any_disk = Arc::clone(&disk) as Arc<dyn Disk>;
    let store = Store::open(any_disk, Path::new("/data"), options, Arc::new(Unobserved)).unwrap();
    ingest(&store, &[event("doomed", Some("e"), Some(NOW))]).unwrap();
    assert!(store.knows(ORG, "doomed") && !store.knows(ORG, "nobody"));
    disk.hold_syncs(true);
    store.register(ORG, KEY, "new", 10, Box::new(drop)); // it keeps the disk busy
    let erase = || {
        let (answer, answers) = mpsc::channel();
        let reply = Box::new(move |outcome| drop(answer.send(outcome)));
        store.erase(ORG, Some(KEY), "doomed", reply);
        answers
    };
    let both = [erase(), erase()];
    std::thread::sleep(Duration::from_millis(50));
    disk.hold_syncs(false);
    // Nothing is erased before upkeep comes by.
    let early = both[1].recv_timeout(Duration::from_millis(500));
    assert_eq!(early, Err(mpsc::RecvTimeoutError::Timeout));
    assert!(store.knows(ORG, "doomed"), "some of it is there");
    for answers in both {
        let mut outcome = answers.try_recv();
        while outcome == Err(mpsc::TryRecvError::Empty) {
            store.settle();
            outcome = answers.try_recv();
        }
        assert_eq!(outcome, Ok(Ok(())));
        assert_eq!(files_with(&*disk, Path::new("/data"), b"doomed"), [""; 0]);
    }
    assert!(!store.knows(ORG, "doomed"));
}

#[test]
fn erasing_somebody_unknown_begins_no_segment() {
    let lab = Lab::new();
    for batch in 0..5 {
        lab.send(&events(batch, &ids(batch)));
        lab.erase(ORG, "nobody");
    }
    assert_eq!(lab.store().stats().segments, 1);
}
