//! Full speed for long: a row a second.

use crate::cpu::anonymous_bytes;
use crate::fleet::{self, Pace, Seen, Squad};
use crate::place::Place;
use crate::report::{Cell, Table};
use crate::server::Server;
use crate::traffic::Traffic;
use crate::traffic::ingest::Ingest;
use anyhow::{Context as _, Result};
use std::time::Duration;

/// What the log may take: small enough for retention to work during the run.
const RETENTION: &str = "256MiB";
/// How long the sink runs before and after.
const SINK: Duration = Duration::from_secs(5);

pub(crate) fn run(place: &Place) -> Result<Vec<Table>> {
    let sink = place.sink()?;
    let shipped = place.repute("soak", &["--retention-bytes", RETENTION])?;
    let server = &shipped.server;
    let mut for_sink = Ingest::usual(&place.keys).for_sink();
    let mut sunk = load(place, &sink, &mut for_sink, SINK, |_| Ok(()))?;
    let mut traffic = Ingest::usual(&place.keys);
    let mut memory = Vec::new();
    let mut soaked = load(place, server, &mut traffic, place.soak, |_| {
        memory.push(anonymous_bytes(server.pid())?);
        Ok(())
    })?;
    sunk.join(&load(place, &sink, &mut for_sink, SINK, |_| Ok(()))?);
    let whole = place.soak.as_secs() as usize;
    let mut rows = Table::new(
        "soak: second by second",
        &["second", "events/s", "slowest ms", "MB"],
    );
    for (at, second) in soaked.seconds.iter().take(whole).enumerate() {
        rows.row([
            Cell::Number((at + 1) as f64, 0),
            Cell::Number(second.events as f64, 0),
            Cell::Number(second.max.as_secs_f64() * 1e3, 1),
            memory
                .get(at)
                .map_or(Cell::None, |bytes| Cell::Number(*bytes as f64 / 1e6, 0)),
        ]);
    }
    let mut rates: Vec<u64> = soaked
        .seconds
        .iter()
        .take(whole)
        .map(|second| second.events)
        .collect();
    rates.sort_unstable();
    let median = rates[rates.len() / 2];
    let mut table = Table::new("soak: the whole run", &["what", "is"]);
    let mut line = |what: &str, value: f64, decimals| table.row([what.into(), Cell::Number(value, decimals)]);
    line("seconds", place.soak.as_secs_f64(), 0);
    line("events/s, median second", median as f64, 0);
    line(
        "slowest second against the median",
        rates[0] as f64 / median as f64,
        2,
    );
    line("p50 ms", soaked.latencies.quantile_ms(0.5), 2);
    line("p99 ms", soaked.latencies.quantile_ms(0.99), 2);
    line("p99.99 ms", soaked.latencies.quantile_ms(0.9999), 1);
    line("slowest request ms", soaked.latencies.max_ms(), 1);
    line("the sink's slowest ms", sunk.latencies.max_ms(), 1);
    let mb = |at: usize| memory.get(at).map_or(f64::NAN, |bytes| *bytes as f64 / 1e6);
    line("MB at half of the time", mb(memory.len() / 2), 0);
    line("MB at the end", mb(memory.len().saturating_sub(1)), 0);
    line(
        "bytes stored per event",
        server.metric("repute_stored_bytes")? / server.metric("repute_stored_events")?,
        1,
    );
    Ok(vec![rows, table])
}

fn load(
    place: &Place,
    server: &Server,
    traffic: &mut dyn Traffic,
    time: Duration,
    each_second: impl FnMut(Duration) -> Result<()>,
) -> Result<Seen> {
    let squad = Squad {
        address: server.address,
        connections: place.connections,
        pace: Pace::Eager,
        traffic,
    };
    fleet::run(&mut [squad], time, each_second)?
        .pop()
        .context("one squad ran")
}
