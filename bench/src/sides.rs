//! A comparison: several sides measured in turn, again and again, so that what the machine does meanwhile
//! falls on all of them.

use crate::fleet::{self, Pace, Seen, Squad};
use crate::report::{Cell, Table};
use crate::server::Server;
use crate::traffic::Traffic;
use anyhow::{Context as _, Result};
use std::time::Duration;

/// How often each side has its turn.
const ROUNDS: u32 = 3;
/// How long each side runs before anything counts: so long that windows are full and memory is warm.
const WARM_UP: Duration = Duration::from_secs(3);

/// One side.
pub(crate) struct Side<'s> {
    pub(crate) name: String,
    pub(crate) server: &'s Server,
    pub(crate) connections: usize,
    pub(crate) traffic: Box<dyn Traffic + 's>,
}

/// What was measured of a side.
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) seen: Seen,
    pub(crate) cpu: Duration,
}

impl Measured {
    /// Time on the server's cores, in microseconds a request.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.seen.answered as f64
    }

    /// Events for each second that the server spent on a core.
    pub(crate) fn events_per_core_s(&self) -> f64 {
        self.seen.events_per_s() * self.seen.elapsed.as_secs_f64() / self.cpu.as_secs_f64()
    }
}

/// Measures all sides, each for so long in all.
pub(crate) fn alternate(sides: &mut [Side<'_>], time: Duration) -> Result<Vec<Measured>> {
    let mut measured: Vec<Measured> = sides
        .iter()
        .map(|side| Measured {
            name: side.name.clone(),
            seen: Seen::default(),
            cpu: Duration::ZERO,
        })
        .collect();
    for side in &mut *sides {
        side.run(WARM_UP.min(time))?;
    }
    for _ in 0..ROUNDS {
        for (side, measured) in sides.iter_mut().zip(&mut measured) {
            let before = side.server.cpu()?;
            let seen = side.run(time / ROUNDS)?;
            measured.cpu += side.server.cpu()? - before;
            measured.seen.join(&seen);
        }
    }
    Ok(measured)
}

impl Side<'_> {
    fn run(&mut self, time: Duration) -> Result<Seen> {
        let squad = Squad {
            address: self.server.address,
            connections: self.connections,
            pace: Pace::Eager,
            traffic: &mut *self.traffic,
        };
        let seen = fleet::run(&mut [squad], time, |_| Ok(()));
        let seen = seen.with_context(|| self.name.clone())?;
        seen.into_iter().next().context("one squad ran")
    }
}

const COLUMNS: [&str; 8] = [
    "side",
    "events/s",
    "requests/s",
    "server busy",
    "server µs/request",
    "events per core·s",
    "p50 ms",
    "p99 ms",
];

/// A table of sides; `baselines` adds columns: how many times the server's time of that row each needs.
pub(crate) fn table(title: impl Into<String>, measured: &mut [Measured], baseline: Option<usize>) -> Table {
    let mut columns = COLUMNS.to_vec();
    if baseline.is_some() {
        columns.push("× sink");
    }
    let mut table = Table::new(title, &columns);
    let base_us = baseline.map(|at| measured[at].cpu_us());
    for side in measured {
        let busy = side.cpu.as_secs_f64() / side.seen.elapsed.as_secs_f64();
        let mut row = vec![
            side.name.clone().into(),
            Cell::Number(side.seen.events_per_s(), 0),
            Cell::Number(side.seen.requests_per_s(), 0),
            Cell::Number(busy, 2),
            Cell::Number(side.cpu_us(), 1),
            Cell::Number(side.events_per_core_s(), 0),
            Cell::Number(side.seen.latencies.quantile_ms(0.5), 2),
            Cell::Number(side.seen.latencies.quantile_ms(0.99), 2),
        ];
        row.extend(base_us.map(|base| Cell::Number(side.cpu_us() / base, 1)));
        table.row(row);
    }
    table
}
