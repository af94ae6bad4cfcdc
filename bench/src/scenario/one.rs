//! Full load with bodies of one event.

use crate::body::{Age, Shape};
use crate::place::Place;
use crate::report::Table;
use crate::sides::{self, Side, alternate};
use crate::traffic::ingest::Ingest;
use anyhow::Result;

const CONNECTIONS: usize = 64;

pub(crate) fn run(place: &Place) -> Result<Vec<Table>> {
    let sink = place.sink()?;
    let unsynced = place.repute("unsynced", &["--no-sync"])?;
    let shipped = place.repute("shipped", &[])?;
    let traffic = || Ingest::new(Shape::ONE, Age::FRESH, &place.keys);
    let side = |name: &str, server, traffic| Side {
        name: name.to_owned(),
        server,
        connections: CONNECTIONS,
        traffic: Box::new(traffic),
    };
    let mut sides = vec![
        side("null sink", &sink, traffic().for_sink()),
        side("without sync", &unsynced.server, traffic()),
        side("as shipped", &shipped.server, traffic()),
    ];
    let mut measured = alternate(&mut sides, place.time)?;
    drop(sides);
    Ok(vec![sides::table(
        "one: bodies of one event, 64 connections, full load",
        &mut measured,
        Some(0),
    )])
}
