//! `repute import ORG FILE`: takes in what `repute export` wrote, on a stopped server.

use crate::data_dir::DataDir;
use crate::logging::{self, LogFormat};
use crate::open_files;
use crate::place::Place;
use crate::settings;
use anyhow::{Context as _, Error, Result, anyhow, bail};
use clap::Args;
use journal::OsDisk;
use serde::Deserialize;
use serde_json::{Number, Value, json};
use server::accounts::{Actor, DATABASE};
use std::fs::File;
use std::io::{BufRead, BufReader, Write as _, stdin, stdout};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use store::{KeyId, Options, OrgId, Provenance, Receipt, Source, Store, Submission, Unobserved};
use wire::ingest::MAX_EVENTS;
use wire::{answers, ingest, timestamp};

/// `repute import`.
#[derive(Args)]
pub(crate) struct ImportArguments {
    /// The organisation's name. It must be there: `repute org create`.
    org: String,
    /// What `repute export` wrote; `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Go on with an import of the same file that was cut short: passes over what the organisation has, by id. Only where
    /// the import began in an organisation without events.
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    place: Place,
}

/// A line of an export.
#[derive(Deserialize)]
struct Line {
    id: String,
    agent_id: String,
    tool_name: Option<String>,
    passed: bool,
    gates: Value,
    total_latency_ms: Number,
    agent_latency_ms: Option<f64>,
    evaluation_id: Option<String>,
    timestamp: Option<String>,
    created_at: String,
    received_at: String,
    source: String,
    key_id: String,
    signed: bool,
    made_id: bool,
}

/// Lines that came in together.
struct Batch {
    /// The number of the first line in the file.
    first_line: u64,
    lines: Vec<Line>,
}

/// Where it goes.
struct Import {
    store: Store,
    org: OrgId,
    keeps_ids: bool,
    /// The number of the newest event there was when it began.
    last_id: u64,
    /// All lines before this one are in.
    next_line: u64,
    recorded: u64,
    duplicates: u64,
    passed_over: u64,
}

/// Takes the file in.
pub(crate) fn import(arguments: &ImportArguments) -> Result<()> {
    let master_key = settings::master_key()?;
    logging::start(LogFormat::Auto, tracing::Level::WARN);
    let place = &arguments.place;
    place.check()?;
    let Some(dir) = DataDir::try_take(&place.data_dir)? else {
        bail!("a server is using {}: stop it first", place.data_dir.display());
    };
    let org = server::find_org(&dir.path().join(DATABASE), &arguments.org)?.with_context(|| {
        format!(
            "there is no organisation `{}`: make it with `repute org create`",
            arguments.org
        )
    })?;
    let store = Store::open(
        open_files::most_of(OsDisk),
        dir.path(),
        Options::default(),
        Arc::new(Unobserved),
    )?;
    let last_id = store.last_seq(org);
    let mut import = Import {
        store,
        org,
        keeps_ids: arguments.resume || last_id == 0,
        last_id,
        next_line: 1,
        recorded: 0,
        duplicates: 0,
        passed_over: 0,
    };
    let outcome = import.take_in(&mut *open(&arguments.file)?, arguments.resume);
    import.store.close();
    let accounts = dir.open_accounts(master_key.as_deref())?;
    accounts.note_import(org, import.recorded, Actor::Operator)?;
    accounts.close()?;
    outcome.map_err(|error| import.and_how_far(error))?;
    let text = if place.json {
        let report = json!({
            "recorded": import.recorded, "duplicates": import.duplicates, "passed_over": import.passed_over,
            "ids_kept": import.keeps_ids,
        });
        format!("{report}\n")
    } else {
        let ids = if import.keeps_ids {
            "their own ids"
        } else {
            "new ids"
        };
        format!(
            "{} events are in under {ids}, {} were there before, {} passed over\n",
            import.recorded, import.duplicates, import.passed_over
        )
    };
    Ok(stdout().write_all(text.as_bytes())?)
}

fn open(file: &Path) -> Result<Box<dyn BufRead>> {
    if file == Path::new("-") {
        return Ok(Box::new(BufReader::new(stdin())));
    }
    let opened = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    if opened.metadata()?.is_dir() {
        bail!("{} is a directory", file.display());
    }
    Ok(Box::new(BufReader::new(opened)))
}

/// What is wrong with a line: its place in the file is for others to say.
fn of_a_line(error: &serde_json::Error) -> Error {
    let told = error.to_string();
    match told.rsplit_once(" at line ") {
        Some((what, _)) => anyhow!("{what} at column {}", error.column()),
        None => anyhow!(told),
    }
}

impl Import {
    fn take_in(&mut self, file: &mut dyn BufRead, resume: bool) -> Result<()> {
        let mut batch = Batch {
            first_line: 1,
            lines: Vec::new(),
        };
        let mut is_of_this_file = !resume || self.last_id == 0;
        for (number, line) in (1..).zip(file.lines()) {
            let line = line
                .map_err(Error::new)
                .and_then(|text| serde_json::from_str::<Line>(&text).map_err(|error| of_a_line(&error)));
            let line = line.with_context(|| format!("line {number}"))?;
            if resume && line.number()? <= self.last_id {
                is_of_this_file |= line.number()? == self.last_id && self.is_newest(&line)?;
                self.passed_over += 1;
                if is_of_this_file {
                    self.next_line = number + 1;
                }
                continue;
            }
            self.check(is_of_this_file)?;
            if !batch.takes(&line)? {
                self.send(&batch)?;
                batch.lines.clear();
            }
            if batch.lines.is_empty() {
                batch.first_line = number;
            }
            batch.lines.push(line);
        }
        self.check(is_of_this_file)?;
        self.send(&batch)
    }

    /// Whether the newest event here came from this line. One that was erased meanwhile can only be taken for it.
    fn is_newest(&self, line: &Line) -> Result<bool> {
        let Some(event) = self.store.event(self.org, self.last_id)? else {
            return Ok(true);
        };
        Ok(event.evaluation.agent_id == line.agent_id
            && event.evaluation.evaluation_id.as_deref() == line.evaluation_id.as_deref()
            && event.recorded_at == time(&line.created_at)?
            && event.received_at == time(&line.received_at)?)
    }

    /// Ids tell what is here already only where all events here came from the file, under its ids.
    fn check(&self, is_of_this_file: bool) -> Result<()> {
        if is_of_this_file {
            return Ok(());
        }
        bail!(
            "nothing was taken in: event {} here is not that of the file, so this does not go on with an import of it. Only one that began \
             in an organisation without events can go on; take the file in anew, in such a one",
            self.last_id
        )
    }

    /// Hands a batch in and waits until it is on disk, so that the next one's ids come after it.
    fn send(&mut self, batch: &Batch) -> Result<()> {
        let Some(first) = batch.lines.first() else {
            return Ok(());
        };
        let body = serde_json::to_vec(&json!({
            "events": batch.lines.iter().map(Line::as_sent).collect::<Vec<_>>(),
        }))?;
        // The rules of the API hold for what is imported, too.
        let mut parsed =
            ingest::parse(&body).map_err(|fault| anyhow!("from line {}: {fault}", batch.first_line))?;
        if let Some(invalid) = parsed.invalid.first() {
            bail!(
                "line {}: {}: {}",
                batch.first_line + invalid.event as u64,
                invalid.field,
                invalid.rule
            );
        }
        for (evaluation, line) in parsed.evaluations.iter_mut().zip(&batch.lines) {
            evaluation.agent_latency_us = line.agent_latency_ms.map(|ms| (ms * 1e3).round() as u32);
        }
        let provenance = Provenance {
            received_at: time(&first.received_at)?,
            recorded_at: batch
                .lines
                .iter()
                .map(|line| time(&line.created_at))
                .collect::<Result<_>>()?,
            first_seq: if self.keeps_ids {
                Some(first.number()?)
            } else {
                None
            },
        };
        let submission = Submission {
            org: self.org,
            key: KeyId(first.key_id.parse().context("`key_id` is no number")?),
            signed: first.signed,
            source: match (first.source.as_str(), first.made_id) {
                ("ingest", _) => Source::Ingest,
                ("evaluate", false) => Source::Evaluate,
                ("evaluate", true) => Source::EvaluateMadeId,
                (other, _) => bail!("line {}: no such source: `{other}`", batch.first_line),
            },
            max_agents: u64::MAX,
            lenient: false,
            evaluations: &parsed.evaluations,
        };
        let (answer, answers) = mpsc::channel();
        let reply = Box::new(move |outcome| drop(answer.send(outcome)));
        self.store.import(&submission, provenance, reply);
        let Receipt {
            accepted, duplicates, ..
        } = answers.recv().context("the store ended")??;
        self.recorded += u64::from(accepted - duplicates);
        self.duplicates += u64::from(duplicates);
        self.next_line = batch.first_line + batch.lines.len() as u64;
        Ok(())
    }

    /// Why it ended, and how to go on from there.
    fn and_how_far(&self, error: Error) -> Error {
        let next = self.next_line;
        if next == 1 {
            return error;
        }
        let go_on = if self.keeps_ids {
            "with --resume"
        } else {
            "with what is left of the file from there"
        };
        let why = logging::whole(&error);
        anyhow!("{why}; all lines before line {next} are in: once this is mended, go on {go_on}")
    }
}

impl Batch {
    /// Whether this line came in with the others, right behind them.
    fn takes(&self, line: &Line) -> Result<bool> {
        let Some(last) = self.lines.last() else {
            return Ok(true);
        };
        Ok(self.lines.len() < MAX_EVENTS
            && last.number()? + 1 == line.number()?
            && (&last.received_at, &last.key_id, last.signed)
                == (&line.received_at, &line.key_id, line.signed)
            && (&last.source, last.made_id) == (&line.source, line.made_id))
    }
}

impl Line {
    fn number(&self) -> Result<u64> {
        answers::seq_of_id(&self.id).with_context(|| format!("`{}` is no id of an event", self.id))
    }

    /// As a client would send it.
    fn as_sent(&self) -> Value {
        json!({
            "agent_id": self.agent_id,
            "tool": self.tool_name,
            "passed": self.passed,
            "gates": self.gates,
            "total_latency_ms": self.total_latency_ms,
            "timestamp": self.timestamp,
            "evaluation_id": self.evaluation_id,
        })
    }
}

fn time(text: &str) -> Result<reputation::Micros> {
    timestamp::parse(text).map_err(|misread| anyhow!("`{text}`: {}", misread.rule()))
}
