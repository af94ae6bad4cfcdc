//! Putting a directory in order after whatever happened to it: first everything is looked at, then, if all of
//! it makes sense, changed. Each change may be cut short by a crash and is then made again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::Disk;
use crate::error::{Damage, Error};
use crate::listing::{Found, Listing};
use crate::scan::{Scan, scan, seal_at, seal_at_end};
use crate::segment::{Phase, Segment};

/// A directory in order.
pub(crate) struct Recovered {
    /// Sealed, oldest first.
    pub(crate) segments: Vec<Segment>,
    pub(crate) next_seq: u64,
    pub(crate) next_number: u64,
}

/// Recovers the log in `dir`, made if it is not there.
pub(crate) fn recover(disk: &Arc<dyn Disk>, dir: &Path, shard: u32) -> Result<Recovered, Error> {
    disk.create_dir_all(dir).map_err(Error::io("create", dir))?;
    let listing = Listing::read(&**disk, dir, shard)?.in_order(dir)?;
    let mut segments = Vec::new();
    let mut found = listing.chain.into_iter().peekable();
    let mut tail = None;
    while let Some(file) = found.next() {
        match found.peek() {
            Some(next) => segments.push(file.inner(disk, next)?),
            None => tail = Some(file.tail(disk)?),
        }
    }
    remove_all(&**disk, dir, &listing.obsolete)?;
    // A later segment was begun, so all frames of these are synced, whether the seal was written or not.
    for segment in &segments {
        segment.trim()?;
    }
    let (next_seq, next_number) = match tail {
        None => (1, 1),
        Some(Tail { segment, proven }) => settle(&segment, proven, &**disk, dir, &mut segments)?,
    };
    Ok(Recovered {
        segments,
        next_seq,
        next_number,
    })
}

/// Makes the newest segment durable and puts it behind the others; gives what comes next.
fn settle(
    tail: &Segment,
    proven: bool,
    disk: &dyn Disk,
    dir: &Path,
    segments: &mut Vec<Segment>,
) -> Result<(u64, u64), Error> {
    let next_seq = tail.last_seq() + 1;
    let without_frames = next_seq == tail.first_seq;
    // Without a segment before it, only this header still knows where the sequence goes on.
    let knows_the_sequence = segments.is_empty() && next_seq > 1;
    if proven {
        tail.trim()?;
        segments.push(tail.clone());
    } else if without_frames && !knows_the_sequence {
        remove_all(disk, dir, &[tail.path.to_path_buf()])?;
        return Ok((next_seq, tail.number));
    } else {
        // What was read may be in the page cache alone, left there by a process killed before its sync, or
        // by a sync that failed; a new file is durable or not there at all.
        tracing::info!(file = %tail.path.display(), frames_to = tail.last_seq(), "recovering the end of the log");
        let mut rewrite = tail.rewrite()?;
        for frame in tail.frames() {
            let frame = frame?;
            rewrite.push(frame.seq, &frame.payload)?;
        }
        segments.push(rewrite.finish()?);
    }
    Ok((next_seq, tail.number + 1))
}

/// The newest segment.
struct Tail {
    segment: Segment,
    /// Its seal says that it is durable.
    proven: bool,
}

impl Found {
    /// The segment, where `next` follows it.
    fn inner(self, disk: &Arc<dyn Disk>, next: &Found) -> Result<Segment, Error> {
        let (end, mut last_seq, phase) = self.ending()?;
        let goes_on_after = next.header.previous_seq;
        // A rewrite may have dropped its last frames; then the seal alone had known the last number.
        if self.header.generation > 0 && phase == Phase::Closed {
            last_seq = last_seq.max(goes_on_after);
        }
        if last_seq != goes_on_after {
            let what = format!(
                "segment {} ends with frame {last_seq}, but segment {} goes on after frame {goes_on_after}",
                self.header.number, next.header.number
            );
            return Err(Damage {
                file: self.path,
                offset: end,
                what,
            }
            .into());
        }
        Ok(self.into_segment(disk, end, last_seq, phase))
    }

    /// The segment, where none follows it.
    fn tail(self, disk: &Arc<dyn Disk>) -> Result<Tail, Error> {
        let (end, last_seq, phase) = self.ending()?;
        let proven = phase == Phase::Sealed || self.has_seal_at(end)?;
        Ok(Tail {
            segment: self.into_segment(disk, end, last_seq, phase),
            proven,
        })
    }

    /// End, last sequence number, and whether it is sealed with its exact length.
    fn ending(&self) -> Result<(u64, u64, Phase), Error> {
        if let Some(seal) = seal_at_end(&*self.file, &self.header).map_err(Error::io("read", &self.path))? {
            return Ok((seal.end, seal.last_seq, Phase::Sealed));
        }
        match scan(&self.file, &self.header).map_err(Error::io("read", &self.path))? {
            Scan::Ends { end, last_seq } => Ok((end, last_seq, Phase::Closed)),
            Scan::Damaged { offset, what } => Err(Damage {
                file: self.path.clone(),
                offset,
                what,
            }
            .into()),
        }
    }

    /// Whether the crash came between the seal and the cut to the exact length.
    fn has_seal_at(&self, end: u64) -> Result<bool, Error> {
        let seal = seal_at(&*self.file, &self.header, end).map_err(Error::io("read", &self.path))?;
        Ok(seal.is_some())
    }

    pub(crate) fn into_segment(self, disk: &Arc<dyn Disk>, end: u64, last_seq: u64, phase: Phase) -> Segment {
        Segment::new(
            Arc::clone(disk),
            self.file,
            &self.path,
            self.header,
            end,
            last_seq,
            phase,
        )
    }
}

fn remove_all(disk: &dyn Disk, dir: &Path, files: &[PathBuf]) -> Result<(), Error> {
    if files.is_empty() {
        return Ok(());
    }
    // The newer generations that make these obsolete may be renamed in memory alone.
    disk.sync_dir(dir).map_err(Error::io("sync", dir))?;
    for file in files {
        disk.remove(file).map_err(Error::io("remove", file))?;
    }
    disk.sync_dir(dir).map_err(Error::io("sync", dir))
}
