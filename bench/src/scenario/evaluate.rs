//! Running gates on the server, against taking in one event whose gates ran elsewhere.

use super::half::{eager, half_pace};
use crate::body::{Age, Shape};
use crate::fleet::{self, Pace, Squad};
use crate::latencies::Latencies;
use crate::place::Place;
use crate::report::{Cell, Table};
use crate::server::Server;
use crate::traffic::Traffic;
use crate::traffic::evaluate;
use crate::traffic::ingest::Ingest;
use anyhow::Result;

/// Each side at half load so often, in turn: what the disk does at one moment must not stand for a side.
const ROUNDS: u32 = 6;

pub(crate) fn run(place: &Place) -> Result<Vec<Table>> {
    let shipped = place.repute("shipped", &[])?;
    let mut ingest = Ingest::new(Shape::ONE, Age::FRESH, &place.keys);
    let mut evaluate = evaluate::requests(&place.keys);
    let mut sides = [
        Side::new("ingest of one event", place, &shipped.server, &mut ingest)?,
        Side::new("evaluate", place, &shipped.server, &mut evaluate)?,
    ];
    for _ in 0..ROUNDS {
        for side in &mut sides {
            side.go_on(place, &shipped.server)?;
        }
    }
    let mut table = Table::new(
        "evaluate: outputs of 2 KB under the default gates, against an ingest of one event, each at half of its full load",
        &["what", "full load, requests/s", "p50 ms", "p99 ms", "p99.9 ms"],
    );
    for side in &mut sides {
        let quantiles = [0.5, 0.99, 0.999].map(|share| Cell::Number(side.half.quantile_ms(share), 3));
        let full = Cell::Number(side.full.requests_per_s(), 0);
        table.row([side.name.into(), full].into_iter().chain(quantiles));
    }
    let [ingest, evaluate] = &mut sides;
    let mut times = |share| evaluate.half.quantile_ms(share) / ingest.half.quantile_ms(share);
    let (p50, p99) = (times(0.5), times(0.99));
    table.note(format!("Against the ingest: p50 {p50:.2} ×, p99 {p99:.2} ×."));
    Ok(vec![table])
}

/// One kind of request, its full load, and its latencies at half of it.
struct Side<'a> {
    name: &'static str,
    traffic: &'a mut dyn Traffic,
    full: fleet::Seen,
    half: Latencies,
}

impl<'a> Side<'a> {
    fn new(name: &'static str, place: &Place, server: &Server, traffic: &'a mut dyn Traffic) -> Result<Self> {
        Ok(Self {
            name,
            full: eager(place, server, traffic, place.time)?,
            traffic,
            half: Latencies::default(),
        })
    }

    fn go_on(&mut self, place: &Place, server: &Server) -> Result<()> {
        let squad = Squad {
            address: server.address,
            connections: place.connections,
            pace: Pace::Every(half_pace(&self.full)),
            traffic: &mut *self.traffic,
        };
        let seen = fleet::run(&mut [squad], place.time / ROUNDS, |_| Ok(()))?;
        seen.iter().for_each(|seen| self.half.append(&seen.latencies));
        Ok(())
    }
}
