//! `repute torture DIR`: the crash lab, on the disk and with the settings that the server is to run with.
//!
//! It starts this same program in a directory of its own, loads it, hurts it, restarts it and checks the books,
//! again and again: every event that was acknowledged is listed once, none twice although all were resent until
//! acknowledged and some after it, and every score is that of a recount.

mod books;
mod client;
mod fault;
mod load;
mod process;

use crate::logging::{self, LogFormat};
use crate::units;
use anyhow::{Context as _, Result, bail};
use books::Balance;
use clap::Args;
use fault::Fault;
use load::{EVENTS, Round, Sender};
use process::Process;
use serde_json::json;
use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs};
use wire::KeyKind;

/// Batches that a round sends at most, so that the books stay small enough to be read after each.
const MAX_BATCHES_OF_ROUND: u64 = 2_000;
/// How long the books may take to be read, request by request, and a last batch to be acknowledged.
const PATIENCE: Duration = Duration::from_secs(30);

/// Settings of `serve` that let events go.
const RETENTION_VARIABLES: [&str; 2] = ["REPUTE_RETENTION", "REPUTE_RETENTION_BYTES"];

/// `repute torture`.
#[derive(Args)]
pub(crate) struct TortureArguments {
    /// Where: it works in a directory of its own below this one, which is there, on the disk that matters.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// How often the server is hurt.
    #[arg(long, default_value = "20", value_parser = units::at_least_one::<u32>, value_name = "N")]
    crashes: u32,
    /// What is done to it, in turns, separated by commas.
    #[arg(
        long,
        default_value = "kill,torn,stop,full",
        value_delimiter = ',',
        value_name = "FAULT"
    )]
    faults: Vec<Fault>,
    /// How many send at once.
    #[arg(long, default_value = "16", value_parser = units::at_least_one::<u16>, value_name = "N")]
    senders: u16,
    /// How long they send before it is hurt.
    #[arg(long, default_value = "300ms", value_parser = units::duration, value_name = "TIME")]
    load: Duration,
    /// Leave the directory when all is well; when something is not, it stays anyhow.
    #[arg(long)]
    keep: bool,
    /// Answer as JSON, for scripts.
    #[arg(long)]
    json: bool,
    /// Flags of `repute serve`, behind `--`, but for retention. Variables (`REPUTE_…`) hold as they do for the server.
    #[arg(last = true, value_name = "SERVE FLAGS")]
    serve: Vec<String>,
}

/// What a round came to.
struct Outcome {
    fault: Fault,
    requests: u64,
    resent: u64,
    acknowledged: u64,
    restart: Duration,
    balance: Balance,
}

/// Runs the lab.
pub(crate) fn torture(arguments: &TortureArguments) -> Result<ExitCode> {
    logging::start(LogFormat::Auto, tracing::Level::WARN);
    // A path that was mistyped may be on another disk than the one that matters.
    if !arguments.dir.is_dir() {
        bail!(
            "there is no directory {}: name one on the disk that matters",
            arguments.dir.display()
        );
    }
    let dir = arguments.dir.join(format!("torture-{}", std::process::id()));
    fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let outcomes =
        run(arguments, &dir).with_context(|| format!("everything is left in {}", dir.display()))?;
    let lost: u64 = outcomes.iter().map(|one| one.balance.lost).sum();
    let twice: u64 = outcomes.iter().map(|one| one.balance.twice).sum();
    let wrong: u64 = outcomes.iter().map(|one| one.balance.wrong_scores).sum();
    let is_sound = outcomes.iter().all(|one| one.balance.is_sound());
    let crashes = outcomes.len();
    if arguments.json {
        let rounds: Vec<_> = outcomes.iter().map(as_json).collect();
        let report = json!({
            "crashes": crashes, "lost": lost, "counted_twice": twice, "wrong_scores": wrong, "rounds": rounds,
        });
        say(&format!("{report}\n"))?;
    } else {
        if wrong > 0 {
            say(&format!("{wrong} scores differ from a recount\n"))?;
        }
        say(&format!(
            "{lost} acknowledged events lost, {twice} counted twice, in {crashes} crashes\n"
        ))?;
    }
    if is_sound && !arguments.keep {
        fs::remove_dir_all(&dir)?;
    } else {
        say(&format!("everything is left in {}\n", dir.display()))?;
    }
    Ok(ExitCode::from(u8::from(!is_sound)))
}

fn run(arguments: &TortureArguments, dir: &std::path::Path) -> Result<Vec<Outcome>> {
    if arguments.faults.is_empty() || arguments.senders == 0 {
        bail!("there must be something to do: --faults and --senders are empty or 0");
    }
    let has_retention = arguments.serve.iter().any(|flag| flag.starts_with("--retention"));
    if has_retention || RETENTION_VARIABLES.iter().any(|name| env::var_os(name).is_some()) {
        bail!(
            "events that retention removes would be taken for lost: leave --retention and --retention-bytes out"
        );
    }
    let key = server::accounts::generate_key(KeyKind::Publishable)?;
    let mut process = Process::new(dir, &arguments.serve, key);
    let mut next = 0;
    let mut senders: Vec<Sender> = (0..arguments.senders).map(|_| Sender::default()).collect();
    let mut is_acknowledged: Vec<bool> = Vec::new();
    let mut outcomes = Vec::new();
    process.start(None)?;
    if !arguments.json {
        say("crash  fault  requests  resent  acknowledged  restart  listed  lost  twice  wrong scores\n")?;
    }
    for crash in 0..arguments.crashes {
        let fault = arguments.faults[crash as usize % arguments.faults.len()];
        let requests: u64 = senders.iter().map(|sender| sender.requests).sum();
        let resent: u64 = senders.iter().map(|sender| sender.resent).sum();
        if fault == Fault::Full {
            process.stop()?;
            process.start(Some(fault::ROOM_BYTES))?;
        }
        next = hurt(fault, &mut process, &mut senders, next, arguments.load)?;
        let started = Instant::now();
        process.start(None)?;
        let restart = started.elapsed();
        if crash + 1 == arguments.crashes {
            settle(&process, &mut senders, next);
        }
        is_acknowledged.resize((next * EVENTS) as usize, false);
        let mut acknowledged = 0;
        for sender in &mut senders {
            if let Some(surprise) = sender.surprise.take() {
                bail!("an answer that should not be: {surprise}");
            }
            for number in sender.acknowledged.drain(..) {
                let first = (number * EVENTS) as usize;
                is_acknowledged[first..first + EVENTS as usize].fill(true);
                acknowledged += EVENTS;
            }
        }
        let outcome = Outcome {
            fault,
            requests: senders.iter().map(|sender| sender.requests).sum::<u64>() - requests,
            resent: senders.iter().map(|sender| sender.resent).sum::<u64>() - resent,
            acknowledged,
            restart,
            balance: books::check(&mut process.client(PATIENCE), &is_acknowledged)?,
        };
        if !arguments.json {
            say(&row(crash + 1, &outcome))?;
        }
        outcomes.push(outcome);
    }
    process.stop()?;
    Ok(outcomes)
}

/// Loads the server, and hurts it meanwhile until it is down; gives the number of the next batch.
fn hurt(
    fault: Fault,
    process: &mut Process,
    senders: &mut [Sender],
    next: u64,
    load: Duration,
) -> Result<u64> {
    let round = Round::new(next, MAX_BATCHES_OF_ROUND);
    thread::scope(|scope| {
        for sender in senders {
            let mut client = process.client(fault.patience());
            let round = &round;
            scope.spawn(move || sender.run(&mut client, round));
        }
        let outcome = fault.strike(process, load, &round);
        round.stop.store(true, Ordering::Relaxed);
        outcome
    })?;
    Ok(round.next.into_inner().min(round.until))
}

/// Sends what is not acknowledged yet.
fn settle(process: &Process, senders: &mut [Sender], next: u64) {
    let round = Round::new(next, 0);
    let mut client = process.client(PATIENCE);
    for sender in senders {
        sender.settle(&mut client, &round);
    }
}

fn say(text: &str) -> Result<()> {
    stdout().write_all(text.as_bytes())?;
    Ok(stdout().flush()?)
}

fn row(crash: u32, outcome: &Outcome) -> String {
    let Outcome {
        fault,
        requests,
        resent,
        acknowledged,
        restart,
        balance,
    } = outcome;
    format!(
        "{crash:>5}  {:<5}  {requests:>8}  {resent:>6}  {acknowledged:>12}  {:>4} ms  {:>6}  {:>4}  {:>5}  {:>12}\n",
        fault.name(),
        restart.as_millis(),
        balance.listed,
        balance.lost,
        balance.twice,
        balance.wrong_scores
    )
}

fn as_json(outcome: &Outcome) -> serde_json::Value {
    json!({
        "fault": outcome.fault.name(),
        "requests": outcome.requests,
        "resent": outcome.resent,
        "acknowledged": outcome.acknowledged,
        "restart_ms": u64::try_from(outcome.restart.as_millis()).unwrap_or(u64::MAX),
        "listed": outcome.balance.listed,
        "lost": outcome.balance.lost,
        "counted_twice": outcome.balance.twice,
        "wrong_scores": outcome.balance.wrong_scores,
    })
}
