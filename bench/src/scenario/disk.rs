//! What this disk takes for a commit: one write into a file of zeros and one `fdatasync`, nothing else.

use crate::latencies::Latencies;
use crate::place::Place;
use crate::report::{Cell, Table};
use crate::server::Scratch;
use anyhow::Result;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

/// A group of one small batch, of some usual ones, and of many.
const SIZES: [usize; 4] = [512, 4 << 10, 16 << 10, 128 << 10];
const FILE_BYTES: u64 = 64 << 20;

pub(crate) fn run(place: &Place) -> Result<Vec<Table>> {
    let mut table = Table::new(
        "disk: a commit of this many bytes",
        &["bytes", "p50 ms", "p99 ms", "max ms"],
    );
    for bytes in SIZES {
        let mut latencies = commits(place, bytes, place.time / 4)?;
        table.row([
            Cell::Number(bytes as f64, 0),
            Cell::Number(latencies.quantile_ms(0.5), 3),
            Cell::Number(latencies.quantile_ms(0.99), 3),
            Cell::Number(latencies.max_ms(), 3),
        ]);
    }
    Ok(vec![table])
}

/// How long commits of this size take, one after the other for so long.
pub(crate) fn commits(place: &Place, bytes: usize, time: Duration) -> Result<Latencies> {
    let dir = Scratch::new(&place.dir, "disk")?;
    let path = dir.path().join("commits");
    // As the journal does it: zeros, synced, before the first commit.
    let file = File::create(&path)?;
    file.write_all_at(&vec![0; FILE_BYTES as usize], 0)?;
    file.sync_all()?;
    let data = vec![0xa5; bytes];
    let mut latencies = Latencies::default();
    let (started, mut at) = (Instant::now(), 0);
    while started.elapsed() < time {
        let before = Instant::now();
        file.write_all_at(&data, at)?;
        file.sync_data()?;
        latencies.push(before.elapsed());
        at += bytes as u64;
        if at + bytes as u64 > FILE_BYTES {
            at = 0;
        }
    }
    Ok(latencies)
}
