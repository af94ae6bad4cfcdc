//! Latency at half of the full load, against what the disk itself takes, and what a server that does nothing takes.

use super::disk;
use crate::fleet::{self, Pace, Squad};
use crate::place::Place;
use crate::report::{Cell, Table};
use crate::server::Server;
use crate::traffic::Traffic;
use crate::traffic::ingest::Ingest;
use anyhow::{Context as _, Result};
use std::time::Duration;

/// About what a group of some batches takes on disk.
const COMMIT_BYTES: usize = 16 << 10;

pub(crate) fn run(place: &Place) -> Result<Vec<Table>> {
    let sink = place.sink()?;
    let shipped = place.repute("shipped", &[])?;
    let mut traffic = Ingest::usual(&place.keys);
    let mut full = eager(place, &shipped.server, &mut traffic, place.time)?;
    let step = half_pace(&full);
    let mut for_sink = Ingest::usual(&place.keys).for_sink();
    let mut before = disk::commits(place, COMMIT_BYTES, place.time / 2)?;
    let mut sunk = paced(place, &sink, &mut for_sink, step, place.time / 2)?;
    let mut half = paced(place, &shipped.server, &mut traffic, step, place.time)?;
    sunk.join(&paced(place, &sink, &mut for_sink, step, place.time / 2)?);
    before.append(&disk::commits(place, COMMIT_BYTES, place.time / 2)?);
    let mut table = Table::new(
        "half: latency at half load, counted from the moment that a request is due",
        &["what", "requests/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms"],
    );
    let mut row = |name: &str, rate: Cell, latencies: &mut crate::latencies::Latencies| {
        let quantiles = [0.5, 0.99, 0.999, 1.0].map(|share| Cell::Number(latencies.quantile_ms(share), 3));
        table.row([name.into(), rate].into_iter().chain(quantiles));
    };
    row("the disk alone, 16 KiB", Cell::None, &mut before);
    row(
        "full load",
        Cell::Number(full.requests_per_s(), 0),
        &mut full.latencies,
    );
    row(
        "null sink at half load",
        Cell::Number(sunk.requests_per_s(), 0),
        &mut sunk.latencies,
    );
    row(
        "half load",
        Cell::Number(half.requests_per_s(), 0),
        &mut half.latencies,
    );
    let mut times = |share| half.latencies.quantile_ms(share) / before.quantile_ms(share);
    let (p50, p99) = (times(0.5), times(0.99));
    table.note(format!(
        "Half load against the disk: p50 {p50:.1} ×, p99 {p99:.1} ×."
    ));
    Ok(vec![table])
}

/// A request in each step for so long.
fn paced(
    place: &Place,
    server: &Server,
    traffic: &mut dyn Traffic,
    step: Duration,
    time: Duration,
) -> Result<fleet::Seen> {
    let squad = Squad {
        address: server.address,
        connections: place.connections,
        pace: Pace::Every(step),
        traffic,
    };
    fleet::run(&mut [squad], time, |_| Ok(()))?
        .pop()
        .context("one squad ran")
}

/// Full load for so long, after a warm-up.
pub(super) fn eager(
    place: &Place,
    server: &Server,
    traffic: &mut dyn Traffic,
    time: Duration,
) -> Result<fleet::Seen> {
    let mut run = |time| {
        let squad = Squad {
            address: server.address,
            connections: place.connections,
            pace: Pace::Eager,
            traffic: &mut *traffic,
        };
        fleet::run(&mut [squad], time, |_| Ok(()))?
            .pop()
            .context("one squad ran")
    };
    run(time)?;
    run(time)
}

/// The time between requests at half of that rate.
pub(super) fn half_pace(full: &fleet::Seen) -> Duration {
    Duration::from_secs_f64(2.0 / full.requests_per_s())
}
