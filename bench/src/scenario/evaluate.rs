//! Running gates on the server, against taking in one event whose gates ran elsewhere.

use super::half::{eager, half_pace};
use crate::body::{Age, Shape};
use crate::fleet::{self, Pace, Squad};
use crate::place::Place;
use crate::report::{Cell, Table};
use crate::traffic::Traffic;
use crate::traffic::evaluate;
use crate::traffic::ingest::Ingest;
use anyhow::{Context as _, Result};

pub(crate) fn run(place: &Place) -> Result<Vec<Table>> {
    let shipped = place.repute("shipped", &[])?;
    let mut table = Table::new(
        "evaluate: outputs of 2 KB under the default gates, against an ingest of one event, each at half of its full load",
        &["what", "full load, requests/s", "p50 ms", "p99 ms", "p99.9 ms"],
    );
    let mut ingest = Ingest::new(Shape::ONE, Age::FRESH, &place.keys);
    let mut evaluate = evaluate::requests(&place.keys);
    let sides: [(&str, &mut dyn Traffic); 2] =
        [("ingest of one event", &mut ingest), ("evaluate", &mut evaluate)];
    let mut p99s = Vec::new();
    for (name, traffic) in sides {
        let full = eager(place, &shipped.server, traffic, place.time)?;
        let squad = Squad {
            address: shipped.server.address,
            connections: place.connections,
            pace: Pace::Every(half_pace(&full)),
            traffic,
        };
        let mut half = fleet::run(&mut [squad], place.time, |_| Ok(()))?
            .pop()
            .context("one squad ran")?;
        let quantiles = [0.5, 0.99, 0.999].map(|share| half.latencies.quantile_ms(share));
        p99s.push(quantiles[1]);
        let cells = quantiles.map(|quantile| Cell::Number(quantile, 3));
        table.row(
            [name.into(), Cell::Number(full.requests_per_s(), 0)]
                .into_iter()
                .chain(cells),
        );
    }
    if let [ingest, evaluate] = p99s[..] {
        table.note(format!("p99 against the ingest's: {:.2} ×.", evaluate / ingest));
    }
    Ok(vec![table])
}
