//! For fuzz targets: reads arbitrary bytes as a segment's file.

use std::path::Path;
use std::sync::Arc;

use crate::disk::{Disk, File};
use crate::error::Damage;
use crate::frame::FrameRef;
use crate::header::{FirstSector, Header};
use crate::scan::{Scan, scan, seal_at_end};
use crate::segment::{Phase, Segment};
use crate::{SECTOR, SimDisk};

/// What a segment's file was read as.
#[derive(Debug)]
pub struct Reading {
    /// Where its frames end and with which sequence number; or where it is damaged.
    pub scanned: Result<(u64, u64), u64>,
    /// Its frames up to there.
    pub frames: Vec<Result<FrameRef, Damage>>,
    /// Where its seal says that it ends, and with which sequence number.
    pub seal: Option<(u64, u64)>,
}

/// Reads a file; `None` if its first sector is no header.
///
/// # Panics
/// If the simulated disk has no room, or the reader has a fault.
#[must_use]
pub fn read_segment(bytes: &[u8]) -> Option<Reading> {
    let FirstSector::Header(header) = Header::decode(bytes.first_chunk::<SECTOR>()?) else {
        return None;
    };
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(0));
    let path = Path::new("segment");
    let file: Arc<dyn File> = disk
        .create_dir_all(Path::new("."))
        .and_then(|()| disk.create_new(path))
        .unwrap_or_else(|error| panic!("{error}"));
    file.write_all_at(bytes, 0)
        .unwrap_or_else(|error| panic!("{error}"));
    let scanned = match scan(&file, &header).unwrap_or_else(|error| panic!("{error}")) {
        Scan::Ends { end, last_seq } => Ok((end, last_seq)),
        Scan::Damaged { offset, .. } => Err(offset),
    };
    let seal = seal_at_end(&*file, &header).unwrap_or_else(|error| panic!("{error}"));
    let (end, last_seq) = scanned.unwrap_or((bytes.len() as u64, u64::MAX));
    let segment = Segment::new(disk, file, path, header, end, last_seq, Phase::Closed);
    Some(Reading {
        scanned,
        frames: segment.frames().collect(),
        seal: seal.map(|seal| (seal.end, seal.last_seq)),
    })
}
