//! `repute export ORG`: events as JSON Lines, in order of arrival.

use crate::logging::{self, LogFormat};
use crate::open_files;
use crate::place::Place;
use crate::usage::WrongSetting;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use journal::ReadOnlyDisk;
use serde::Serialize;
use server::accounts::DATABASE;
use std::io::{self, BufWriter, ErrorKind, Write as _, stdout};
use std::ops::ControlFlow;
use store::{EventQuery, Source, Start, StoredEvent};
use wire::answers::Event;
use wire::query::EventsParams;
use wire::timestamp;

/// `repute export`.
#[derive(Args)]
pub(crate) struct ExportArguments {
    /// The organisation's name.
    org: String,
    /// Only events that `GET /v1/events` would list with these parameters, written as there:
    /// `agent_id=a&passed=false&from=2026-05-01T00:00:00Z`; `to`, `tool`, `failed_gate`, `evaluation_id`.
    #[arg(long, value_name = "QUERY")]
    filter: Option<String>,
    /// Only events behind this one: the last `id` of an export that was cut short.
    #[arg(long, default_value = "0", value_name = "ID")]
    after: u64,
    #[command(flatten)]
    place: Place,
}

/// A line: the event as the API lists it, with times to the microsecond, and what the API does not tell.
#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    event: Event,
    /// As sent; null where none was.
    timestamp: Option<String>,
    /// Whether the server made the `evaluation_id`.
    made_id: bool,
}

/// Writes the events to standard output.
pub(crate) fn export(arguments: &ExportArguments) -> Result<()> {
    let data_dir = &arguments.place.data_dir;
    logging::start(LogFormat::Auto, tracing::Level::WARN);
    let query = query(arguments.filter.as_deref())?;
    arguments.place.check()?;
    let database = data_dir.join(DATABASE);
    let org = server::find_org(&database, &arguments.org)
        .with_context(|| format!("cannot read {}", database.display()))?;
    let Some(org) = org else {
        bail!("there is no organisation `{}`", arguments.org);
    };
    let disk = open_files::most_of(ReadOnlyDisk);
    let mut out = BufWriter::new(stdout().lock());
    let mut outcome = Ok(());
    store::export(&disk, data_dir, org, &query, arguments.after, |event| {
        outcome = write(&mut out, event);
        if outcome.is_ok() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    match outcome.and_then(|()| out.flush()) {
        // Whoever reads has enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => Ok(outcome?),
    }
}

fn query(filter: Option<&str>) -> Result<EventQuery> {
    let wrong = |what: &str| WrongSetting::new(format!("--filter: {what}"));
    let params = EventsParams::parse(filter).map_err(|fault| wrong(&fault.to_string()))?;
    if params.cursor.is_some() || params.offset > 0 {
        return Err(wrong("an export has no pages: use --after instead of `cursor` and `offset`").into());
    }
    Ok(EventQuery {
        agent_id: params.agent_id,
        passed: params.passed,
        from: params.from,
        to: params.to,
        tool: params.tool,
        failed_gate: params.failed_gate,
        evaluation_id: params.evaluation_id,
        start: Start::Offset(0),
        limit: usize::MAX,
    })
}

fn write(out: &mut impl io::Write, stored: StoredEvent) -> io::Result<()> {
    let made_id = stored.source == Source::EvaluateMadeId;
    let (recorded_at, received_at) = (stored.recorded_at, stored.received_at);
    let sent_at = stored.evaluation.sent_at;
    let line = Line {
        event: Event {
            created_at: timestamp::format_micros(recorded_at),
            received_at: timestamp::format_micros(received_at),
            ..server::event(stored)
        },
        timestamp: sent_at.map(timestamp::format_micros),
        made_id,
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}
