//! How long a start takes, and how soon the server is as fast as before.

use super::half::eager;
use super::query::filled;
use crate::fleet::{self, Pace, Squad};
use crate::place::Place;
use crate::report::{Cell, Table};
use crate::server::Server;
use crate::traffic::ingest::Ingest;
use anyhow::{Context as _, Result};
use std::time::{Duration, Instant};

/// How long the rate after a start is watched.
const WATCHED: Duration = Duration::from_secs(5);

pub(crate) fn run(place: &Place) -> Result<Vec<Table>> {
    let mut tables = Vec::new();
    for events in &place.events {
        let mut table = Table::new(
            format!("restart: {events} events"),
            &[
                "after",
                "the stop took s",
                "ready after s",
                "rate in the 5th second against before",
            ],
        );
        let mut traffic = Ingest::usual(&place.keys);
        let server = filled(place, *events)?;
        let before = eager(place, &server, &mut traffic, place.time / 2)?.events_per_s();
        let stopped = server.stop()?;
        let (server, ready) = start(place)?;
        let after = fifth_second(place, &server, &mut traffic)?;
        table.row([
            "a clean stop".into(),
            Cell::Number(stopped.as_secs_f64(), 2),
            Cell::Number(ready.as_secs_f64(), 2),
            Cell::Number(after / before, 2),
        ]);
        server.kill()?;
        let (server, ready) = start(place)?;
        let after = fifth_second(place, &server, &mut traffic)?;
        table.row([
            "a kill in the middle of ingest".into(),
            Cell::None,
            Cell::Number(ready.as_secs_f64(), 2),
            Cell::Number(after / before, 2),
        ]);
        server.stop()?;
        tables.push(table);
    }
    Ok(tables)
}

fn start(place: &Place) -> Result<(Server, Duration)> {
    let started = Instant::now();
    let dir = place.dir.join(super::query::FILLED);
    let server = place.repute_on(&dir, &[], &place.server_cores)?;
    Ok((server, started.elapsed()))
}

/// Events in the fifth second of full load.
fn fifth_second(place: &Place, server: &Server, traffic: &mut Ingest) -> Result<f64> {
    let squad = Squad {
        address: server.address,
        connections: place.connections,
        pace: Pace::Eager,
        traffic,
    };
    let seen = fleet::run(&mut [squad], WATCHED, |_| Ok(()))?
        .pop()
        .context("one squad ran")?;
    Ok(seen.seconds.get(4).map_or(0.0, |second| second.events as f64))
}
