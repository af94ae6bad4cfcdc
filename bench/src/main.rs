//! Measures Repute on this machine: `cargo run --release -p bench -- <scenario>`.
//!
//! It starts what it needs on loopback, keeps server and client on different cores, checks every answer, and
//! prints tables. What each figure means is in `docs/performance.md`.
#![allow(clippy::print_stdout, reason = "a program for people at a terminal")]

mod body;
mod clock;
mod cpu;
mod fleet;
mod instructions;
mod latencies;
mod place;
mod random;
mod report;
mod scenario;
mod server;
mod sides;
mod sink;
mod traffic;

use anyhow::{Context as _, Result, bail};
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
    /// What to measure; `all` is every scenario in turn; `instructions` counts a fixed case with valgrind.
    scenario: String,
    /// How long one side of a comparison is measured, in seconds.
    #[arg(long, default_value = "5")]
    seconds: f64,
    /// How long `soak` runs, in seconds.
    #[arg(long, default_value = "60")]
    soak_seconds: u64,
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
    /// Take the counts of `instructions` over into the file that is checked in.
    #[arg(long)]
    record: bool,
}

fn main() -> Result<()> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    match given.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [place::SINK] => return sink::serve(),
        [scenario::proxy::SERVER] => return scenario::proxy::serve(),
        [instructions::CASE, step, rounds] => return instructions::case(step, rounds.parse()?),
        _ => {}
    }
    let arguments = Arguments::parse();
    if arguments.scenario == "instructions" {
        println!("{}", instructions::report(arguments.record)?);
        return Ok(());
    }
    let scenarios = scenario::named(&arguments.scenario)?;
    let json = arguments.json.clone();
    // First, so that a run of minutes does not end without its results.
    if let Some(folder) = json.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    }
    let place = Place::new(arguments)?;
    let machine = place.describe();
    println!("{machine}\n");
    let (mut results, mut failed) = (Vec::new(), Vec::new());
    for scenario in scenarios {
        let started = Instant::now();
        match (scenario.run)(&place) {
            Ok(tables) => {
                for table in &tables {
                    println!("{table}");
                    results.push(json!({"scenario": scenario.name, "table": table.to_json()}));
                }
            }
            // The others are worth having all the same.
            Err(error) => {
                println!("{} failed: {error:#}\n", scenario.name);
                failed.push(scenario.name);
            }
        }
        progress(scenario.name, started.elapsed());
    }
    let all = json!({"machine": machine, "results": results, "failed": failed});
    std::fs::write(&json, serde_json::to_string_pretty(&all)?)
        .with_context(|| format!("writing {}", json.display()))?;
    if failed.is_empty() {
        Ok(())
    } else {
        bail!("failed: {}", failed.join(", "))
    }
}

#[expect(clippy::print_stderr, reason = "progress is no part of the tables")]
fn progress(scenario: &str, took: Duration) {
    eprintln!("{scenario}: {:.0} s", took.as_secs_f64());
}
