//! All scenarios on one page.

mod disk;
mod evaluate;
mod half;
mod ingest;
mod memory;
mod one;
mod peers;
pub(crate) mod proxy;
mod query;
mod restart;
mod soak;
mod unusual;

use crate::place::Place;
use crate::report::Table;
use anyhow::{Result, bail};

/// Something to measure.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    about: &'static str,
    pub(crate) run: fn(&Place) -> Result<Vec<Table>>,
}

const fn scenario(
    name: &'static str,
    about: &'static str,
    run: fn(&Place) -> Result<Vec<Table>>,
) -> Scenario {
    Scenario { name, about, run }
}

const SCENARIOS: &[Scenario] = &[
    scenario("disk", "what this disk takes for a commit", disk::run),
    scenario(
        "ingest",
        "bodies of 100 events against a null sink, with and without sync, signed, compressed",
        ingest::run,
    ),
    scenario("one", "bodies of one event over 64 connections", one::run),
    scenario(
        "half",
        "latency at half of the full load against the disk's own",
        half::run,
    ),
    scenario(
        "evaluate",
        "gates run by the server, against an ingest of one event",
        evaluate::run,
    ),
    scenario(
        "proxy",
        "what the MCP proxy adds to a call, against the same server without it",
        proxy::run,
    ),
    scenario("late", "times spread over 5 s", unusual::late),
    scenario("repeat", "every batch twice", unusual::repeat),
    scenario("hot", "all events of one agent", unusual::hot),
    scenario(
        "backfill",
        "random old times beside live traffic",
        unusual::backfill,
    ),
    scenario("cold", "many more agents than windows in memory", unusual::cold),
    scenario(
        "query",
        "queries over --events events, alone and during ingest",
        query::run,
    ),
    scenario("restart", "starts with --events events", restart::run),
    scenario(
        "memory",
        "anonymous memory with --events events, and with a million agents",
        memory::run,
    ),
    scenario(
        "soak",
        "full speed for --soak-seconds, a row a second, retention at work",
        soak::run,
    ),
    scenario(
        "peers",
        "Redis, NATS JetStream and PostgreSQL, where they are installed",
        peers::run,
    ),
];

/// The scenarios that this name stands for.
pub(crate) fn named(name: &str) -> Result<Vec<&'static Scenario>> {
    let found: Vec<_> = SCENARIOS
        .iter()
        .filter(|one| name == "all" || one.name == name)
        .collect();
    if found.is_empty() {
        bail!("no scenario {name}\n\n{}", list());
    }
    Ok(found)
}

/// Their names, for the help.
pub(crate) fn list() -> String {
    let lines = SCENARIOS
        .iter()
        .map(|one| format!("  {:<9} {}", one.name, one.about));
    let lines: Vec<String> = lines.collect();
    format!(
        "Scenarios:\n{}\n  all       every one of them in turn",
        lines.join("\n")
    )
}
