//! Anonymous memory of the server: with busy agents over many stored events, and with very many agents.

use super::half::eager;
use super::query::filled;
use super::unusual::fill;
use crate::body::{Age, Draw, Shape};
use crate::place::{Place, Repute};
use crate::report::{Cell, Table};
use crate::server::Server;
use crate::traffic::ingest::Ingest;
use anyhow::Result;

const MANY_AGENTS: u64 = 1_000_000;

pub(crate) fn run(place: &Place) -> Result<Vec<Table>> {
    let mut table = Table::new(
        "memory: anonymous memory of the server after full load",
        &["case", "stored events", "agents", "windows in memory", "MB"],
    );
    for events in &place.events {
        let server = filled(place, *events)?;
        eager(place, &server, &mut Ingest::usual(&place.keys), place.time / 2)?;
        row(&mut table, "10,000 busy agents", &server)?;
        server.stop()?;
    }
    let Repute { server, .. } = &place.repute("memory", &["--max-agents", "2000000"])?;
    let everybody = Shape {
        agents: MANY_AGENTS,
        agents_a_body: (100, 100),
        draw: Draw::InTurn,
        ..Shape::USUAL
    };
    fill(
        place,
        server,
        &mut Ingest::new(everybody, Age::FRESH, &place.keys),
        MANY_AGENTS,
    )?;
    eager(place, server, &mut Ingest::usual(&place.keys), place.time / 2)?;
    row(&mut table, "1 million agents, 10,000 of them busy", server)?;
    Ok(vec![table])
}

fn row(table: &mut Table, case: &str, server: &Server) -> Result<()> {
    let metric = |name: &str| server.metric(name).map(|value| Cell::Number(value, 0));
    table.row([
        case.into(),
        metric("repute_stored_events")?,
        metric("repute_agents")?,
        metric("repute_resident_windows")?,
        Cell::Number(crate::cpu::anonymous_bytes(server.pid())? as f64 / 1e6, 0),
    ]);
    Ok(())
}
