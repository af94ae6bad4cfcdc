//! Full load with bodies of 100 events, in every way in which they may come.

use crate::place::Place;
use crate::report::{Cell, Table};
use crate::sides::{self, Measured, Side, alternate};
use crate::traffic::ingest::{Coding, Ingest};
use anyhow::Result;

/// Connections of the larger fleet.
const MANY: usize = 128;

pub(crate) fn run(place: &Place) -> Result<Vec<Table>> {
    let sink = place.sink()?;
    let unsynced = place.repute("unsynced", &["--no-sync"])?;
    let shipped = place.repute("shipped", &[])?;
    let both = place.repute_with("both-cores", &[], &place.all_cores())?;
    let few = place.connections;
    let side = |name: &str, server, connections, coding| Side {
        name: name.to_owned(),
        server,
        connections,
        traffic: Box::new(Ingest::usual(&place.keys).coded(coding)),
    };
    let many = |name: &str| format!("{name}, {MANY} connections");
    let mut sides = vec![
        Side {
            name: "null sink".to_owned(),
            server: &sink,
            connections: few,
            traffic: Box::new(Ingest::usual(&place.keys).for_sink()),
        },
        side("without sync", &unsynced.server, few, Coding::Plain),
        side("as shipped", &shipped.server, few, Coding::Plain),
        side(&many("without sync"), &unsynced.server, MANY, Coding::Plain),
        side(&many("as shipped"), &shipped.server, MANY, Coding::Plain),
        side("signed", &shipped.server, few, Coding::Signed),
        side("gzip", &shipped.server, few, Coding::Gzip),
        side("zstd", &shipped.server, few, Coding::Zstd),
        side(
            "as shipped, server and client on both cores",
            &both.server,
            few,
            Coding::Plain,
        ),
    ];
    let mut measured = alternate(&mut sides, place.time)?;
    drop(sides);
    let ratio = |a: usize, b: usize| measured[a].seen.events_per_s() / measured[b].seen.events_per_s();
    let ratios = [
        ("durable / without sync", ratio(2, 1)),
        ("the same with 128 connections", ratio(4, 3)),
        ("two cores / one", ratio(8, 2)),
    ];
    let mut table = sides::table("ingest: bodies of 100 events, full load", &mut measured, Some(0));
    let bytes =
        shipped.server.metric("repute_stored_bytes")? / shipped.server.metric("repute_stored_events")?;
    table.note(format!(
        "On disk as written, index included: {bytes:.1} bytes an event."
    ));
    table.note(
        "The client compresses and signs on its one core, so it is what limits the rate of those rows; the server's \
         time per request is not touched by that.",
    );
    Ok(vec![
        table,
        ratio_table(&ratios),
        paths(&shipped.server, &measured)?,
    ])
}

fn ratio_table(ratios: &[(&str, f64)]) -> Table {
    let mut table = Table::new("ingest: throughput against throughput", &["ratio", "is"]);
    for (name, ratio) in ratios {
        table.row([(*name).into(), Cell::Number(*ratio, 2)]);
    }
    table
}

/// The share of events by what became of them, as the server counts.
fn paths(server: &crate::server::Server, _: &[Measured]) -> Result<Table> {
    let names = ["recorded", "duplicate", "late", "clamped"];
    let counts = names
        .iter()
        .map(|name| server.metric(&format!("repute_events_{name}_total")))
        .collect::<Result<Vec<f64>>>()?;
    let mut table = Table::new("ingest: share of events per path", &["events", "share"]);
    for (name, count) in names.iter().zip(&counts) {
        table.row([(*name).into(), Cell::Number(count / (counts[0] + counts[1]), 4)]);
    }
    Ok(table)
}
