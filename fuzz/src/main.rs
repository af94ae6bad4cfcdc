//! Fuzzes for long: `cargo run --profile fuzz -p fuzz -- TARGET --seconds 600`; see `docs/decisions/`, "Fuzzing".
#![allow(clippy::print_stdout, reason = "a program for people at a terminal")]

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use fuzz::{Limits, TARGETS, Target, run};
use std::path::PathBuf;
use std::time::Duration;
use std::{fs, process};

/// Feeds changed inputs to what reads bytes from outside.
#[derive(Parser)]
struct Arguments {
    /// Which target; `all` is one after the other.
    target: String,
    /// How long for each target.
    #[arg(long, default_value = "60")]
    seconds: u64,
    /// How many inputs for each target at most.
    #[arg(long, default_value_t = u64::MAX)]
    inputs: u64,
    /// The longest input, in bytes.
    #[arg(long, default_value = "65536")]
    input_bytes: usize,
    /// Another seed makes other inputs.
    #[arg(long, default_value = "1")]
    seed: u64,
    /// Where an input that finds something is written.
    #[arg(long, default_value = "target/fuzz-found")]
    found: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let chosen = |target: &&Target| arguments.target == "all" || arguments.target == target.name;
    let targets: Vec<&Target> = TARGETS.iter().filter(chosen).collect();
    if targets.is_empty() {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        bail!("no target `{}`: all, {}", arguments.target, names.join(", "));
    }
    let limits = Limits {
        time: Duration::from_secs(arguments.seconds),
        inputs: arguments.inputs,
        input_bytes: arguments.input_bytes,
        seed: arguments.seed,
    };
    println!(
        "{:<14} {:>12} {:>12} {:>7} {:>12} {:>10}",
        "target", "inputs", "taken", "kinds", "slowest", "inputs/s"
    );
    let mut has_found = false;
    for target in targets {
        match run(target, &limits).with_context(|| format!("the corpus of {}", target.name))? {
            Ok(totals) => println!(
                "{:<14} {:>12} {:>12} {:>7} {:>9} µs {:>10.0}",
                target.name,
                totals.inputs,
                totals.good,
                totals.kinds,
                totals.slowest.as_micros(),
                totals.inputs as f64 / totals.took.as_secs_f64(),
            ),
            Err(found) => {
                has_found = true;
                let place = arguments.found.join(target.name);
                fs::create_dir_all(&arguments.found)?;
                fs::write(&place, &found.input).with_context(|| format!("writing {}", place.display()))?;
                println!(
                    "{:<14} {:>12} inputs, and then a fault: {}",
                    target.name,
                    found.after,
                    place.display()
                );
            }
        }
    }
    process::exit(i32::from(has_found))
}
