//! Random operations against a model of the contract that does everything the slow and obvious way.

use crate::kit::{KEY, Lab, NOW, ORG, SECOND, everything};
use reputation::{Evaluation, GateResult, Micros, Slot, Summary, WINDOW, Window};
use std::collections::{BTreeMap, BTreeSet};
use store::{AgentOrder, EventQuery, Options, OrgId, Source, Start, StoredEvent, Submission};

/// 1999-06-15T00:00:00Z.
const YEAR_1999: i64 = 929_404_800_000_000;
const AGENTS: [&str; 4] = ["a", "b", "c", "d"];
const TOOLS: [&str; 3] = ["search", "write", "mail"];
const GATES: [&str; 3] = ["pii", "content", "schema"];

/// A small generator of its own, so that a seed names a run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.next(n) == 0
    }
}

/// How the times of a run are spread.
#[derive(Clone, Copy, Debug)]
enum Times {
    InOrder,
    Descending,
    Spread,
    AllEqual,
    AnyIn30Years,
}

/// An event as the model keeps it.
#[derive(Clone)]
struct Kept {
    evaluation: Evaluation<'static>,
    recorded_at: i64,
    received_at: i64,
    late: bool,
    score: u16,
    source: Source,
    /// Retention let it go.
    gone: bool,
    /// Its agent was erased: as if it had never been, but for its number.
    erased: bool,
}

/// Whether an event is a repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    New,
    Repeat,
    /// The contract leaves it open: what it may repeat is not kept, and not covered by the window.
    Open,
}

#[derive(Default)]
struct Model {
    /// By organisation, in order of arrival.
    events: BTreeMap<u32, Vec<Kept>>,
    /// All of them in order of arrival: organisation, place.
    order: Vec<(u32, usize)>,
}

impl Model {
    fn of(&self, org: OrgId) -> &[Kept] {
        self.events.get(&org.0).map_or(&[], Vec::as_slice)
    }

    fn verdict(&self, org: OrgId, one: &Evaluation<'_>) -> Verdict {
        let Some(id) = &one.evaluation_id else {
            return Verdict::New;
        };
        let own: Vec<&Kept> = self
            .of(org)
            .iter()
            .filter(|kept| kept.evaluation.agent_id == one.agent_id && !kept.erased)
            .collect();
        let newest = own.len().saturating_sub(WINDOW);
        let window = self.window(org, &one.agent_id);
        let oldest = window.oldest().map(|slot| (slot.recorded_at.0, slot.arrival));
        let mut verdict = Verdict::New;
        for (arrival, kept) in own.iter().enumerate() {
            let is_new = arrival >= newest;
            let is_same = kept.evaluation.evaluation_id.as_ref() == Some(id)
                && match (kept.source, one.sent_at) {
                    (Source::Evaluate, _) => is_new,
                    (_, Some(sent)) => kept.evaluation.sent_at == Some(sent),
                    (_, None) => kept.evaluation.sent_at.is_none() && is_new,
                };
            if !is_same {
                continue;
            }
            let is_by_time = kept.evaluation.sent_at == Some(Micros(kept.recorded_at));
            let is_in_window = Some((kept.recorded_at, arrival as u64 + 1)) >= oldest;
            let is_covered = if is_by_time { is_in_window } else { is_new };
            if !kept.gone || is_covered {
                return Verdict::Repeat;
            }
            verdict = Verdict::Open;
        }
        verdict
    }

    /// Retention left so many events of all, the newest to arrive.
    fn keep(&mut self, newest: u64) {
        let mut left = newest;
        for (org, place) in self.order.iter().rev() {
            let events = self.events.get_mut(org);
            let Some(kept) = events.and_then(|events| events.get_mut(*place)) else {
                continue;
            };
            if left == 0 {
                kept.gone = true;
            } else if !kept.erased {
                left -= 1;
            }
        }
    }

    fn erase(&mut self, org: OrgId, agent: &str) {
        for kept in self.events.entry(org.0).or_default() {
            kept.erased |= kept.evaluation.agent_id == agent;
        }
    }

    fn window(&self, org: OrgId, agent: &str) -> Window {
        let own = self
            .of(org)
            .iter()
            .filter(|kept| kept.evaluation.agent_id == agent && !kept.erased);
        let slot = |(arrival, kept): (u64, &Kept)| Slot {
            recorded_at: Micros(kept.recorded_at),
            arrival,
            latency_us: kept.evaluation.total_latency_us,
            passed: kept.evaluation.passed,
            identity: 0,
        };
        (1u64..).zip(own).map(slot).collect()
    }

    /// Takes an event; whether it was recorded, late, clamped.
    fn take(
        &mut self,
        org: OrgId,
        one: &Evaluation<'static>,
        now: i64,
        source: Source,
    ) -> (bool, bool, bool) {
        if self.verdict(org, one) == Verdict::Repeat {
            return (false, false, false);
        }
        let clamped = one.sent_at.is_some_and(|sent| sent.0 > now + 300 * SECOND);
        let recorded_at = one.sent_at.filter(|_| !clamped).map_or(now, |sent| sent.0);
        let window = self.window(org, &one.agent_id);
        let late = window.is_full()
            && window
                .oldest()
                .is_some_and(|oldest| oldest.recorded_at.0 > recorded_at);
        let kept = Kept {
            evaluation: one.clone(),
            recorded_at,
            received_at: now,
            late,
            score: 0,
            source,
            gone: false,
            erased: false,
        };
        let events = self.events.entry(org.0).or_default();
        self.order.push((org.0, events.len()));
        events.push(kept);
        let score = self.window(org, &one.agent_id).summary().score();
        if let Some(kept) = self.events.get_mut(&org.0).and_then(|events| events.last_mut()) {
            kept.score = score;
        }
        (true, late, clamped)
    }

    /// What a query answers, without paging: (sequence number, event), newest first.
    fn ask(&self, org: OrgId, query: &EventQuery) -> Vec<(u64, &Kept)> {
        let mut found: Vec<(u64, &Kept)> = (1u64..)
            .zip(self.of(org))
            .filter(|(_, kept)| {
                if kept.gone || kept.erased {
                    return false;
                }
                let e = &kept.evaluation;
                query.agent_id.as_deref().is_none_or(|agent| agent == e.agent_id)
                    && query.passed.is_none_or(|passed| passed == e.passed)
                    && query.from.is_none_or(|from| kept.recorded_at >= from.0)
                    && query.to.is_none_or(|to| kept.recorded_at <= to.0)
                    && query
                        .tool
                        .as_deref()
                        .is_none_or(|tool| e.tool.as_deref() == Some(tool))
                    && query
                        .evaluation_id
                        .as_deref()
                        .is_none_or(|id| e.evaluation_id.as_deref() == Some(id))
                    && query
                        .failed_gate
                        .as_deref()
                        .is_none_or(|name| e.gates.iter().any(|g| g.name == name && g.failed()))
            })
            .collect();
        found.sort_by_key(|(seq, kept)| std::cmp::Reverse((kept.recorded_at, *seq)));
        found
    }
}

fn evaluation(random: &mut Random, times: Times, now: i64, serial: u64) -> Evaluation<'static> {
    let sent = match times {
        Times::InOrder => now - 50_000 + serial as i64,
        Times::Descending => now - serial as i64 * 1_000,
        Times::Spread => now - random.next(5_000_000) as i64,
        Times::AllEqual => NOW,
        Times::AnyIn30Years => YEAR_1999 + random.next((NOW - YEAR_1999) as u64) as i64,
    };
    let sent = match random.next(20) {
        0 => None,
        1 => Some(now + 301 * SECOND + random.next(1_000) as i64),
        _ => Some(sent),
    };
    let passed = !random.one_in(8);
    let mut gates = Vec::new();
    for name in GATES {
        gates.push(GateResult {
            name: name.into(),
            passed: passed || !random.one_in(2),
            latency_ms: random.next(40) as f64 / 8.0,
            reason: (!passed).then(|| format!("reason {}", random.next(3)).into()),
            skipped: [None, None, Some(false), Some(true)][random.next(4) as usize],
        });
    }
    Evaluation {
        agent_id: AGENTS[random.next(AGENTS.len() as u64) as usize].into(),
        tool: TOOLS.get(random.next(4) as usize).map(|tool| (*tool).into()),
        passed,
        gates,
        total_latency_us: random.next(200_000) as u32,
        sent_at: sent.map(Micros),
        evaluation_id: (!random.one_in(6)).then(|| format!("id-{}", random.next(400)).into()),
        agent_latency_us: None,
    }
}

fn same(stored: &StoredEvent, seq: u64, kept: &Kept) {
    assert_eq!(stored.seq, seq);
    assert_eq!(stored.evaluation, kept.evaluation);
    assert_eq!(
        (
            stored.recorded_at.0,
            stored.received_at.0,
            stored.late,
            stored.score,
            stored.source
        ),
        (
            kept.recorded_at,
            kept.received_at,
            kept.late,
            kept.score,
            kept.source
        ),
        "event {seq}"
    );
}

fn random_query(random: &mut Random, model: &Model, org: OrgId) -> EventQuery {
    let events = model.of(org);
    let some_time = |random: &mut Random| {
        let at = random.next(events.len().max(1) as u64) as usize;
        events.get(at).map(|kept| Micros(kept.recorded_at))
    };
    let mut query = EventQuery {
        limit: 1 + random.next(100) as usize,
        ..everything()
    };
    if random.one_in(2) {
        query.agent_id = Some(AGENTS[random.next(4) as usize].to_owned());
        if random.one_in(3) {
            query.evaluation_id = Some(format!("id-{}", random.next(400)));
        }
    }
    query.passed = [None, None, Some(true), Some(false)][random.next(4) as usize];
    query.from = some_time(random).filter(|_| random.one_in(3));
    query.to = some_time(random).filter(|_| random.one_in(3));
    match random.next(5) {
        0 => query.tool = Some(TOOLS[random.next(3) as usize].to_owned()),
        1 => query.failed_gate = Some(GATES[random.next(3) as usize].to_owned()),
        2 => query.start = Start::Offset(random.next(events.len() as u64 + 10)),
        _ => {}
    }
    query
}

/// Asks the question page by page and compares all of it with the model.
fn compare(lab: &Lab, model: &Model, org: OrgId, query: &EventQuery) {
    let mut expected = model.ask(org, query);
    if let Start::Offset(skip) = query.start {
        expected.drain(..(skip as usize).min(expected.len()));
    }
    let mut query = query.clone();
    let mut at = 0;
    loop {
        let page = lab.store().events(org, &query).unwrap();
        let ends_here = page.next.is_none();
        assert!(page.events.len() <= query.limit);
        for stored in &page.events {
            let (seq, kept) = expected
                .get(at)
                .unwrap_or_else(|| panic!("one too many: {query:?}"));
            same(stored, *seq, kept);
            at += 1;
        }
        match page.next {
            Some(key) => query.start = Start::After(key),
            None => {
                assert_eq!(at, expected.len(), "{query:?}");
                return;
            }
        }
        assert!(
            !ends_here && (at < expected.len() || query.tool.is_some() || query.failed_gate.is_some()),
            "{query:?}"
        );
    }
}

fn check(lab: &Lab, model: &Model, random: &mut Random) {
    for org in [ORG, OrgId(2)] {
        compare(
            lab,
            model,
            org,
            &EventQuery {
                limit: 100,
                ..everything()
            },
        );
        for _ in 0..12 {
            let query = random_query(random, model, org);
            compare(lab, model, org, &query);
        }
        let agents = lab.store().agents(org, &AgentOrder::AgentId(None), 500).unwrap();
        let known = model.of(org).iter().filter(|kept| !kept.erased);
        let known: BTreeSet<&str> = known.map(|kept| &*kept.evaluation.agent_id).collect();
        assert!(agents.iter().map(|agent| &*agent.agent_id).eq(known));
        for agent in agents {
            let own: Vec<&Kept> = model
                .of(org)
                .iter()
                .filter(|k| k.evaluation.agent_id == agent.agent_id && !k.erased)
                .collect();
            let times = own.iter().map(|kept| kept.recorded_at);
            assert_eq!(agent.eval_count, own.len() as u64);
            assert_eq!(
                (Some(agent.first_seen.0), Some(agent.last_seen.0)),
                (times.clone().min(), times.max())
            );
            let expected: Summary = model.window(org, &agent.agent_id).summary();
            assert_eq!(agent.summary, expected);
            assert_eq!(
                lab.store().reputations(org, &[&agent.agent_id]).unwrap(),
                [expected]
            );
        }
        let seq = 1 + random.next(model.of(org).len().max(1) as u64);
        let stored = lab.store().event(org, seq).unwrap();
        match model.of(org).get(seq as usize - 1) {
            Some(kept) if !kept.gone && !kept.erased => same(&stored.unwrap(), seq, kept),
            _ => assert_eq!(stored, None),
        }
    }
}

fn run(times: Times, seed: u64) {
    run_with(times, seed, None, false);
}

/// The same with retention and erasures; says how many events retention let go.
fn run_with(times: Times, seed: u64, retention_bytes: Option<u64>, erases: bool) -> usize {
    let mut random = Random(seed);
    let mut lab = Lab::with(|options: &mut Options| {
        options.journal.first_segment_bytes = 24 << 10;
        options.journal.max_segment_bytes = 24 << 10;
        options.retention_bytes = retention_bytes;
        // Half of the runs keep hardly a window in memory: agents go and come back all the time.
        options.window_cache = if seed.is_multiple_of(2) { 20_000 } else { 1 };
    });
    let mut model = Model::default();
    let mut sent: Vec<(OrgId, Source, Vec<Evaluation<'static>>)> = Vec::new();
    let (mut now, mut serial) = (NOW, 0);
    for step in 0..70 {
        now += random.next(2_000_000) as i64;
        lab.set_clock(now);
        let (org, source, evaluations) = if !sent.is_empty() && random.one_in(6) {
            let at = random.next(sent.len() as u64) as usize;
            sent[at].clone() // a client sends again
        } else {
            let source = if random.one_in(10) {
                Source::Evaluate
            } else {
                Source::Ingest
            };
            let count = if source == Source::Evaluate {
                1
            } else {
                1 + random.next(80)
            };
            let mut evaluations = Vec::new();
            for _ in 0..count {
                serial += 1;
                let mut one = evaluation(&mut random, times, now, serial);
                if source == Source::Evaluate {
                    one.sent_at = None;
                }
                evaluations.push(one);
            }
            (if random.one_in(5) { OrgId(2) } else { ORG }, source, evaluations)
        };
        // Inside a batch a repeat is one of the batch, whatever the rules for arrivals say: the same there.
        let (mut expected, mut settled) = ((0, 0, 0), Vec::new());
        for one in evaluations {
            if model.verdict(org, &one) == Verdict::Open {
                continue;
            }
            let (recorded, late, clamped) = model.take(org, &one, now, source);
            settled.push(one);
            expected = (
                expected.0 + u32::from(!recorded),
                expected.1 + u32::from(late),
                expected.2 + u32::from(clamped),
            );
        }
        let evaluations = settled;
        if evaluations.is_empty() {
            continue;
        }
        let submission = Submission {
            org,
            key: KEY,
            signed: false,
            source,
            max_agents: 100,
            lenient: false,
            evaluations: &evaluations,
        };
        let receipt = lab.try_send(&submission).unwrap();
        let what = format!("{times:?}, seed {seed}, step {step}");
        assert_eq!(
            (receipt.duplicates, receipt.late, receipt.clamped),
            expected,
            "{what}"
        );
        assert_eq!(receipt.accepted as usize, evaluations.len(), "{what}");
        for update in &receipt.updates {
            assert_eq!(
                update.summary,
                model.window(org, &update.agent_id).summary(),
                "{what}: {}",
                update.agent_id
            );
        }
        sent.push((org, source, evaluations));
        if retention_bytes.is_some() {
            lab.store().settle();
            model.keep(lab.store().stats().events);
        }
        if erases && random.one_in(8) {
            let org = if random.one_in(3) { OrgId(2) } else { ORG };
            let agent = AGENTS[random.next(4) as usize];
            lab.erase(org, agent);
            model.erase(org, agent);
            // What was rewritten may have let more go.
            model.keep(lab.store().stats().events);
        }
        if random.one_in(15) {
            lab.restart();
        }
        if random.one_in(15) {
            check(&lab, &model, &mut random);
        }
    }
    check(&lab, &model, &mut random);
    lab.restart();
    check(&lab, &model, &mut random);
    model.events.values().flatten().filter(|kept| kept.gone).count()
}

#[test]
fn times_in_order_agree_with_the_model() {
    (0..2).for_each(|seed| run(Times::InOrder, seed));
}

#[test]
fn times_descending_agree_with_the_model() {
    (10..12).for_each(|seed| run(Times::Descending, seed));
}

#[test]
fn times_spread_over_seconds_agree_with_the_model() {
    (20..22).for_each(|seed| run(Times::Spread, seed));
}

#[test]
fn times_all_equal_agree_with_the_model() {
    (30..32).for_each(|seed| run(Times::AllEqual, seed));
}

#[test]
fn times_from_1999_agree_with_the_model() {
    (40..42).for_each(|seed| run(Times::AnyIn30Years, seed));
}

#[test]
fn retention_agrees_with_the_model() {
    let all = [
        Times::InOrder,
        Times::Descending,
        Times::Spread,
        Times::AllEqual,
        Times::AnyIn30Years,
    ];
    for (times, seed) in all.into_iter().zip(50..) {
        let gone = run_with(times, seed, Some(90 << 10), false);
        assert!(gone > 500, "{times:?}: only {gone} events went");
    }
}

#[test]
fn erasing_agrees_with_the_model() {
    for (times, seed) in [Times::InOrder, Times::Spread, Times::AllEqual]
        .into_iter()
        .zip(60..)
    {
        run_with(times, seed, None, true);
    }
}

#[test]
fn erasing_while_retention_lets_events_go_agrees_with_the_model() {
    for (times, seed) in [Times::InOrder, Times::AnyIn30Years].into_iter().zip(70..) {
        run_with(times, seed, Some(90 << 10), true);
    }
}
