//! Measures Repute on this machine: `cargo run --release -p bench -- <scenario>`.
//!
//! It starts what it needs on loopback, keeps server and client on different cores, checks every answer, and
//! prints tables. What each figure means is in `docs/performance.md`.
#![allow(clippy::print_stdout, reason = "a program for people at a terminal")]

mod body;
mod clock;
mod cpu;
mod fleet;
mod latencies;
mod place;
mod random;
mod report;
mod scenario;
mod server;
mod sides;
mod sink;
mod traffic;

use anyhow::{Context as _, Result};
use clap::Parser;
use cpu::Cores;
use place::Place;
use serde_json::json;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Measures Repute on this machine.
#[derive(Parser)]
#[command(name = "bench", after_help = scenario::list())]
struct Arguments {
    /// What to measure; `all` is every scenario in turn.
    scenario: String,
    /// How long one side of a comparison is measured, in seconds; `soak` runs so long.
    #[arg(long, default_value = "5")]
    seconds: f64,
    /// Connections of the client, where the scenario has no number of its own.
    #[arg(long, default_value = "32")]
    connections: usize,
    /// Events to fill a store with, in `query`, `restart` and `memory`; several numbers with commas.
    #[arg(long, default_value = "10000000", value_delimiter = ',')]
    events: Vec<u64>,
    /// Where servers keep their data: on the disk to be measured.
    #[arg(long, default_value = "target/bench")]
    dir: PathBuf,
    /// The server's cores.
    #[arg(long, default_value = "0")]
    server_cores: Cores,
    /// The client's core.
    #[arg(long, default_value = "1")]
    client_cores: Cores,
    /// The program to measure; without, this workspace's is built.
    #[arg(long)]
    repute: Option<PathBuf>,
    /// Where to write everything as JSON.
    #[arg(long, default_value = "target/bench.json")]
    json: PathBuf,
}

fn main() -> Result<()> {
    if std::env::args().nth(1).as_deref() == Some(place::SINK) {
        return sink::serve();
    }
    let arguments = Arguments::parse();
    let scenarios = scenario::named(&arguments.scenario)?;
    std::fs::create_dir_all(&arguments.dir)?;
    let place = Place::new(
        arguments.repute,
        arguments.dir,
        arguments.server_cores,
        arguments.client_cores,
        Duration::from_secs_f64(arguments.seconds),
        arguments.connections,
        arguments.events,
    )?;
    let machine = place.describe();
    println!("{machine}\n");
    let mut results = Vec::new();
    for scenario in scenarios {
        let started = Instant::now();
        let tables = (scenario.run)(&place).with_context(|| format!("scenario {}", scenario.name))?;
        for table in &tables {
            println!("{table}");
            results.push(json!({"scenario": scenario.name, "table": table.to_json()}));
        }
        eprintln_progress(scenario.name, started.elapsed());
    }
    let all = json!({"machine": machine, "results": results});
    std::fs::write(&arguments.json, serde_json::to_string_pretty(&all)?)
        .with_context(|| format!("writing {}", arguments.json.display()))
}

#[expect(clippy::print_stderr, reason = "progress is no part of the tables")]
fn eprintln_progress(scenario: &str, took: Duration) {
    eprintln!("{scenario}: {:.0} s", took.as_secs_f64());
}
