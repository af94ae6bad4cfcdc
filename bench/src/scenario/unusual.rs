//! Traffic that is not as the fast paths like it: each kind against the usual one, and what other clients,
//! who send as usual, feel of it.

use crate::body::{Age, Draw, Shape};
use crate::fleet::{self, Pace, Seen, Squad};
use crate::place::{Place, Repute};
use crate::report::{Cell, Table};
use crate::server::Server;
use crate::traffic::Traffic;
use crate::traffic::ingest::{Ingest, Paths};
use anyhow::{Context as _, Result};
use std::time::Duration;

/// Connections of the others, who send as usual.
const OTHERS: usize = 8;
const DAY_US: i64 = 86_400_000_000;
/// Agents of which one batch in `cold` comes, per slot that their windows have.
const COLD_WINDOWS: [u64; 2] = [50, 500];
/// How many times more agents there are than windows in memory.
const COLD_RATIO: u64 = 10;

/// Times spread over 5 s.
pub(crate) fn late(place: &Place) -> Result<Vec<Table>> {
    let unusual = Ingest::new(Shape::USUAL, Age::up_to(5_000_000), &place.keys);
    compare(place, "late: times spread over 5 s", unusual)
}

/// Every batch twice.
pub(crate) fn repeat(place: &Place) -> Result<Vec<Table>> {
    compare(
        place,
        "repeat: every batch twice",
        Ingest::usual(&place.keys).twice(),
    )
}

/// All of one agent.
pub(crate) fn hot(place: &Place) -> Result<Vec<Table>> {
    let shape = Shape {
        agents: 1,
        agents_a_body: (1, 1),
        ..Shape::USUAL
    };
    compare(
        place,
        "hot: all events of one agent",
        Ingest::new(shape, Age::FRESH, &place.keys),
    )
}

/// Random times of the last 30 days.
pub(crate) fn backfill(place: &Place) -> Result<Vec<Table>> {
    let age = Age {
        from_us: DAY_US,
        to_us: 30 * DAY_US,
    };
    compare(
        place,
        "backfill: random times of the last 30 days",
        Ingest::new(Shape::USUAL, age, &place.keys),
    )
}

/// The usual traffic and the unusual one in turn, each with others beside it.
fn compare(place: &Place, title: &str, mut unusual: Ingest) -> Result<Vec<Table>> {
    let Repute { server, .. } = &place.repute("unusual", &[])?;
    let mut usual = Ingest::usual(&place.keys);
    let mut others = Ingest::usual(&place.keys);
    let (mut as_usual, mut as_asked) = (Pair::default(), Pair::default());
    pair(place, server, &mut usual, &mut others, place.time)?;
    pair(place, server, &mut unusual, &mut others, place.time)?;
    unusual.paths = Paths::default();
    for _ in 0..2 {
        as_usual.join(&pair(place, server, &mut usual, &mut others, place.time / 2)?);
        as_asked.join(&pair(place, server, &mut unusual, &mut others, place.time / 2)?);
    }
    Ok(vec![table(title, as_usual, as_asked, &unusual.paths)])
}

/// What two squads saw side by side.
#[derive(Default)]
struct Pair {
    main: Seen,
    others: Seen,
    cpu: Duration,
}

impl Pair {
    fn join(&mut self, other: &Self) {
        self.main.join(&other.main);
        self.others.join(&other.others);
        self.cpu += other.cpu;
    }

    fn events_per_core_s(&self) -> f64 {
        let events = self.main.events + self.others.events;
        events as f64 / self.cpu.as_secs_f64()
    }
}

fn pair(
    place: &Place,
    server: &Server,
    main: &mut dyn Traffic,
    others: &mut dyn Traffic,
    time: Duration,
) -> Result<Pair> {
    let squad = |traffic, connections| Squad {
        address: server.address,
        connections,
        pace: Pace::Eager,
        traffic,
    };
    let before = server.cpu()?;
    let mut squads = [
        squad(main, place.connections - OTHERS.min(place.connections / 2)),
        squad(others, OTHERS),
    ];
    let mut seen = fleet::run(&mut squads, time, |_| Ok(()))?;
    let others = seen.pop().context("two squads ran")?;
    let main = seen.pop().context("two squads ran")?;
    Ok(Pair {
        main,
        others,
        cpu: server.cpu()? - before,
    })
}

fn table(title: &str, mut usual: Pair, mut unusual: Pair, paths: &Paths) -> Table {
    let mut table = Table::new(
        title,
        &[
            "traffic",
            "its events/s",
            "all events per core·s",
            "its p99 ms",
            "others' p50 ms",
            "others' p99 ms",
        ],
    );
    for (name, pair) in [("usual", &mut usual), ("this", &mut unusual)] {
        table.row([
            name.into(),
            Cell::Number(pair.main.events_per_s(), 0),
            Cell::Number(pair.events_per_core_s(), 0),
            Cell::Number(pair.main.latencies.quantile_ms(0.99), 2),
            Cell::Number(pair.others.latencies.quantile_ms(0.5), 2),
            Cell::Number(pair.others.latencies.quantile_ms(0.99), 2),
        ]);
    }
    table.note(format!(
        "Against the usual: {:.2} of the rate, {:.1} × the others' p99. Of the events {:.1} % were repeats, {:.1} % late.",
        unusual.main.events_per_s() / usual.main.events_per_s(),
        unusual.others.latencies.quantile_ms(0.99) / usual.others.latencies.quantile_ms(0.99),
        100.0 * paths.duplicates as f64 / paths.accepted as f64,
        100.0 * paths.late as f64 / paths.accepted as f64,
    ));
    table
}

/// Many more agents than windows in memory, all equally active.
pub(crate) fn cold(place: &Place) -> Result<Vec<Table>> {
    COLD_WINDOWS
        .iter()
        .map(|slots| cold_windows(place, *slots))
        .collect()
}

fn cold_windows(place: &Place, slots: u64) -> Result<Table> {
    let agents = place.events[0] / slots;
    let cache = (agents / COLD_RATIO).to_string();
    let Repute { server, .. } = &place.repute("cold", &["--window-cache", &cache])?;
    let traffic = |prefix, agents, draw| {
        let shape = Shape {
            agents,
            agents_a_body: (15, 15),
            prefix,
            draw,
            ..Shape::USUAL
        };
        Ingest::new(shape, Age::FRESH, &place.keys)
    };
    // A few hundred agents of their own, who stay in memory.
    let mut warm = traffic("warm-agent-", 500, Draw::Random);
    let mut others = traffic("warm-agent-", 500, Draw::Random);
    let mut filling = traffic("bid-agent-", agents, Draw::InTurn);
    let fill = fill(place, server, &mut filling, agents * slots)?;
    let mut cold = traffic("bid-agent-", agents, Draw::Random);
    pair(place, server, &mut warm, &mut others, place.time)?;
    let as_usual = pair(place, server, &mut warm, &mut others, place.time)?;
    pair(place, server, &mut cold, &mut others, place.time)?;
    let as_asked = pair(place, server, &mut cold, &mut others, place.time)?;
    let title =
        format!("cold: {agents} agents with windows of {slots}, {cache} of them in memory, 15 agents a body");
    let mut table = table(&title, as_usual, as_asked, &cold.paths);
    table.note(format!("Filling them came to {fill:.0} events/s."));
    Ok(table)
}

/// Sends until so many events are in; how many a second that were.
pub(super) fn fill(place: &Place, server: &Server, traffic: &mut Ingest, events: u64) -> Result<f64> {
    let started = std::time::Instant::now();
    let mut sent = 0;
    while sent < events {
        let squad = Squad {
            address: server.address,
            connections: place.connections,
            pace: Pace::Eager,
            traffic,
        };
        let seen = fleet::run(&mut [squad], Duration::from_secs(1), |_| Ok(()))?;
        sent += seen.iter().map(|seen| seen.answered).sum::<u64>() * Shape::USUAL.events as u64;
    }
    Ok(sent as f64 / started.elapsed().as_secs_f64())
}
