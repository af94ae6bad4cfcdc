//! `repute check`: runs a gate set over outputs in a file or on standard input.

mod cases;
mod report;

use crate::usage::WrongSetting;
use anyhow::{Context as _, Result};
use cases::{Case, Cases};
use clap::Args;
use gate::Context;
use gate::config::{Config, Set};
use report::Report;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// The exit code where an output could not be read as JSON, as that of a wrong setting.
const UNREADABLE: u8 = 2;

/// What `repute check` can be told.
#[derive(Args)]
pub(crate) struct CheckArguments {
    /// Outputs: one JSON value, or JSON Lines; without a file, or with `-`, standard input.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The file with the gate sets; without, `filesystem`, `pii` and `content`.
    #[arg(long, env = "REPUTE_GATES", value_name = "FILE")]
    gates: Option<PathBuf>,
    /// The set to run; without, the one that the rules give to the organisation and the agent.
    #[arg(long, value_name = "NAME")]
    set: Option<String>,
    /// The organisation that the rules are asked for.
    #[arg(long, default_value = "default", value_name = "NAME")]
    organisation: String,
    /// The agent that the rules are asked for.
    #[arg(long, default_value = "", value_name = "ID")]
    agent: String,
    /// The tool that the rules are asked for, where each value is an output alone.
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// Each value is a request as for `POST /v1/evaluate`, not an output alone.
    #[arg(long)]
    requests: bool,
    /// One JSON object a line, for scripts.
    #[arg(long)]
    json: bool,
    /// Only failures and the totals.
    #[arg(long, conflicts_with = "json")]
    quiet: bool,
}

/// Checks everything; the exit code says whether something failed.
pub(crate) fn check(arguments: &CheckArguments) -> Result<ExitCode> {
    let config = match &arguments.gates {
        None => Config::compatible(),
        Some(file) => Config::load(file)
            .map_err(|error| WrongSetting::new(format!("--gates (REPUTE_GATES): {error}")))?,
    };
    if let Some(name) = &arguments.set
        && config.set(name).is_none()
    {
        return Err(WrongSetting::new(format!("--set: there is no set `{name}`")).into());
    }
    let mut report = Report::new(arguments.json, arguments.quiet, BufWriter::new(stdout().lock()));
    let mut cases = Cases::new(source(arguments)?);
    while let Some(case) = cases.next().context("reading")? {
        check_one(arguments, &config, &case, &mut report)?;
    }
    let totals = report.finish()?;
    Ok(match totals {
        totals if totals.unreadable > 0 => ExitCode::from(UNREADABLE),
        totals if totals.failed > 0 => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

fn source(arguments: &CheckArguments) -> Result<Box<dyn BufRead>> {
    Ok(match &arguments.file {
        Some(file) if file.as_os_str() != "-" => {
            let wrong = |why: io::Error| WrongSetting::new(format!("{}: {why}", file.display()));
            let opened = File::open(file).map_err(wrong)?;
            if opened.metadata().map_err(wrong)?.is_dir() {
                return Err(wrong(ErrorKind::IsADirectory.into()).into());
            }
            Box::new(BufReader::new(opened))
        }
        _ => Box::new(BufReader::new(io::stdin())),
    })
}

fn check_one(
    arguments: &CheckArguments,
    config: &Config,
    case: &Case,
    report: &mut Report<impl io::Write>,
) -> Result<()> {
    let set_for = |agent: &str, tool: Option<&str>| -> &Set {
        let named = arguments.set.as_deref().and_then(|name| config.set(name));
        named.unwrap_or_else(|| config.set_for(&arguments.organisation, agent, tool))
    };
    let started_at = Instant::now();
    if arguments.requests {
        match wire::evaluate::parse(&case.text) {
            Err(fault) => report.unreadable(case.line, &fault.to_string())?,
            Ok(request) => {
                let tmax = request.input.as_ref().and_then(|input| input.root().get("tmax"));
                let tool = request.tool.as_deref();
                let verdict = set_for(&request.agent_id, tool).engine.run(&Context {
                    agent_id: &request.agent_id,
                    tool,
                    input: request.input.as_ref(),
                    output: &request.output,
                    latency_ms: request.latency.map(|latency| latency.ms),
                    tmax_ms: tmax.and_then(|tmax| tmax.as_f64()),
                    started_at,
                });
                report.verdict(case.line, &verdict)?;
            }
        }
    } else {
        match json::Document::parse(&case.text) {
            Err(fault) => report.unreadable(case.line, &fault.to_string())?,
            Ok(output) => {
                let tool = arguments.tool.as_deref();
                let verdict = set_for(&arguments.agent, tool).engine.run(&Context {
                    agent_id: &arguments.agent,
                    tool,
                    input: None,
                    output: &output,
                    latency_ms: None,
                    tmax_ms: None,
                    started_at,
                });
                report.verdict(case.line, &verdict)?;
            }
        }
    }
    Ok(())
}
