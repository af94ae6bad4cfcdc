//! Counts instructions of a fixed case with callgrind: the same on a busy machine and on a quiet one, so that
//! a regression shows anywhere. A report: it never fails for a number.

use crate::body::{Age, Body, Fresh, Shape};
use crate::random::Random;
use crate::report::{Cell, Table};
use crate::traffic::evaluate;
use anyhow::{Context as _, Result, bail};
use gate::Context;
use gate::config::Config;
use journal::OsDisk;
use json::Document;
use reputation::{Evaluation, Micros};
use serde_json::{Map, Value, json};
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, mpsc};
use std::time::Instant;
use store::{Draft, EventQuery, KeyId, Options, OrgId, Source, Start, Store, Submission, Unobserved};

/// The argument that makes this program the case that is counted.
pub(crate) const CASE: &str = "fixed-case";
/// Each step runs so often and twice so often; the difference is free of what comes once.
const ROUNDS: u64 = 200;
const POOL: usize = 64;
const BEGIN: Micros = Micros(1_767_225_600_000_000);
/// A count that differs less says nothing: hash seeds and waiting threads differ from run to run.
const NOISE_PERCENT: f64 = 3.0;

const STEPS: [(&str, &str); 5] = [
    ("refresh", "make a body fresh (the bench's own)"),
    ("parse", "read a body of 100 events"),
    ("take", "copy, count, encode, publish it"),
    ("query", "the newest 50 events of an agent"),
    (
        "judge",
        "read an output of 2 KB and run the default gates over it",
    ),
];

/// The counts, against those that are checked in; `record` takes them over.
pub(crate) fn report(record: bool) -> Result<Table> {
    let [refresh, parse, take, query, judge] = STEPS.map(|(step, _)| count(step));
    let (refresh, parse, take) = (refresh?, parse?, take?);
    // Each of these runs includes the one before.
    let counts = [refresh, parse - refresh, take - parse, query?, judge?];
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.json");
    let known: Map<String, Value> = match std::fs::read(&file) {
        Ok(bytes) => serde_json::from_slice(&bytes)?,
        Err(_) => Map::new(),
    };
    let mut table = Table::new(
        "instructions of a fixed case",
        &["step", "instructions", "checked in", "change %"],
    );
    for ((step, about), count) in STEPS.iter().zip(counts) {
        let before = known.get(*step).and_then(Value::as_f64).unwrap_or(f64::NAN);
        let change = 100.0 * (count - before) / before;
        table.row([
            (*about).into(),
            Cell::Number(count, 0),
            Cell::Number(before, 0),
            Cell::Number(change, 1),
        ]);
        if change > NOISE_PERCENT {
            table.note(format!("More than before: {about}."));
        }
    }
    if record {
        let all: Map<String, Value> = STEPS
            .iter()
            .zip(counts)
            .map(|((step, _), count)| ((*step).to_owned(), json!(count.round())))
            .collect();
        std::fs::write(&file, serde_json::to_string_pretty(&all)? + "\n")?;
    }
    Ok(table)
}

/// Instructions that one round of a step takes.
fn count(step: &str) -> Result<f64> {
    let run = |rounds: u64| -> Result<f64> {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe()?)
            .args([CASE, step, &rounds.to_string()])
            .output()
            .context("starting valgrind: is it installed?")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let collected = said
            .lines()
            .find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
        match collected {
            Some(collected) if output.status.success() => Ok(collected),
            _ => bail!("valgrind: {said}"),
        }
    };
    Ok((run(2 * ROUNDS)? - run(ROUNDS)?) / ROUNDS as f64)
}

/// What is counted.
pub(crate) fn case(step: &str, rounds: u64) -> Result<()> {
    let mut random = Random::new(7);
    if step == "judge" {
        return judge(&mut random, rounds);
    }
    let mut bodies: Vec<Body> = (0..POOL).map(|_| Body::new(Shape::USUAL, &mut random)).collect();
    let mut fresh = Fresh::new(random);
    let dir = std::env::temp_dir().join(format!("bench-case-{}", std::process::id()));
    let store = match step {
        "take" | "query" => Some(open(&dir)?),
        _ => None,
    };
    let batches = if step == "query" { POOL as u64 } else { rounds };
    for round in 0..batches {
        let body = &mut bodies[round as usize % POOL];
        body.refresh(Micros(BEGIN.0 + round as i64 * 1_000), Age::FRESH, &mut fresh);
        if step == "refresh" {
            continue;
        }
        let submission = Submission {
            org: OrgId(1),
            key: KeyId(1),
            signed: false,
            source: Source::Ingest,
            max_agents: 1_000_000,
            lenient: false,
            evaluations: &[],
        };
        if let Some(store) = &store {
            let mut draft = Draft::new(&submission, body.bytes.len());
            read(body, |evaluation| draft.push(evaluation))?;
            hand_in(store, draft)?;
        } else {
            read(body, |evaluation| {
                black_box(evaluation);
            })?;
        }
    }
    if let Some(store) = store {
        if step == "query" {
            query(&store, rounds)?;
        }
        store.close();
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(())
}

fn open(dir: &Path) -> Result<Store> {
    std::fs::create_dir_all(dir)?;
    let mut options = Options::default();
    options.journal.sync = false;
    Ok(Store::open(Arc::new(OsDisk), dir, options, Arc::new(Unobserved))?)
}

fn read<'a>(body: &'a Body, take: impl FnMut(&Evaluation<'a>)) -> Result<()> {
    let sorted = wire::ingest::read(&body.bytes, take).map_err(|fault| anyhow::anyhow!("{fault}"))?;
    black_box(sorted);
    Ok(())
}

fn hand_in(store: &Store, draft: Draft) -> Result<()> {
    let (answer, answers) = mpsc::channel();
    store.hand_in(draft, Box::new(move |outcome| drop(answer.send(outcome))));
    answers
        .recv()?
        .map(drop)
        .map_err(|refused| anyhow::anyhow!("{refused:?}"))
}

fn judge(random: &mut Random, rounds: u64) -> Result<()> {
    let config = Config::compatible();
    let outputs: Vec<String> = (0..POOL)
        .map(|_| format!("\"{}\"", evaluate::output(random)))
        .collect();
    for round in 0..rounds as usize {
        let output = Document::parse(outputs[round % POOL].as_bytes())
            .map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let engine = &config.set_for("default", "agent", None).engine;
        black_box(engine.run(&Context {
            agent_id: "agent",
            tool: None,
            input: None,
            output: &output,
            latency_ms: None,
            tmax_ms: None,
            started_at: Instant::now(),
        }));
    }
    Ok(())
}

fn query(store: &Store, rounds: u64) -> Result<()> {
    let agents = store.agents(OrgId(1), &store::AgentOrder::AgentId(None), 100)?;
    for round in 0..rounds as usize {
        let query = EventQuery {
            agent_id: Some(agents[round % agents.len()].agent_id.clone()),
            passed: None,
            from: None,
            to: None,
            tool: None,
            failed_gate: None,
            evaluation_id: None,
            start: Start::Offset(0),
            limit: 50,
        };
        black_box(store.events(OrgId(1), &query)?);
    }
    Ok(())
}
