//! Putting a directory in order after whatever happened to it: first everything is looked at, then, if all of
//! it makes sense, changed. Each change may be cut short by a crash and is then made again.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::SECTOR;
use crate::disk::{Disk, File};
use crate::error::{Damage, Error};
use crate::header::{FORMAT_VERSION, FirstSector, Header};
use crate::name;
use crate::scan::{Scan, is_blank_behind_header, lost_its_header, scan, seal_at, seal_at_end};
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
    let listing = Listing::read(&**disk, dir, shard)?;
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

/// The segment files of a directory, sorted out.
struct Listing {
    /// The newest generation of each segment, oldest first, without a gap.
    chain: Vec<Found>,
    /// Files that hold nothing any more.
    obsolete: Vec<PathBuf>,
}

/// A file with a good header.
struct Found {
    path: PathBuf,
    file: Arc<dyn File>,
    header: Header,
}

/// The newest segment.
struct Tail {
    segment: Segment,
    /// Its seal says that it is durable.
    proven: bool,
}

impl Listing {
    fn read(disk: &dyn Disk, dir: &Path, shard: u32) -> Result<Listing, Error> {
        let mut newest: BTreeMap<u64, Found> = BTreeMap::new();
        let (mut obsolete, mut blank, mut damage) = (Vec::new(), Vec::new(), None);
        let mut names = disk.list(dir).map_err(Error::io("list", dir))?;
        names.sort_unstable();
        for name in &names {
            let path = dir.join(name);
            if name.ends_with(name::TEMPORARY) {
                obsolete.push(path);
                continue;
            }
            let Some((number, generation)) = name::parse(name) else {
                if name.ends_with(".seg") {
                    tracing::warn!(file = %path.display(), "not the name of a segment; left alone");
                }
                continue;
            };
            let file = disk.open(&path).map_err(Error::io("open", &path))?;
            match first_sector(&file).map_err(Error::io("read", &path))? {
                FirstSector::Newer(found) => {
                    return Err(Error::NewerFormat {
                        file: path,
                        found,
                        supported: FORMAT_VERSION,
                    });
                }
                FirstSector::Damaged(what) => {
                    // Not returned yet: that a later file is of a newer version says more.
                    damage.get_or_insert(Damage {
                        file: path,
                        offset: 0,
                        what: what.into(),
                    });
                }
                FirstSector::Blank => {
                    if lost_its_header(&file).map_err(Error::io("read", &path))? {
                        let what = "the segment header is blank, but frames follow".into();
                        damage.get_or_insert(Damage {
                            file: path,
                            offset: 0,
                            what,
                        });
                    } else {
                        blank.push((number, path));
                    }
                }
                FirstSector::Header(header) => {
                    if (header.number, header.generation, header.shard) != (number, generation, shard) {
                        let what = format!(
                            "this is generation {} of segment {} of shard {}, under the name of another",
                            header.generation, header.number, header.shard
                        );
                        damage.get_or_insert(Damage {
                            file: path,
                            offset: 0,
                            what,
                        });
                        continue;
                    }
                    let lower = match newest.remove(&number) {
                        Some(other) if other.header.generation > generation => {
                            newest.insert(number, other);
                            path
                        }
                        other => {
                            newest.insert(number, Found { path, file, header });
                            match other {
                                Some(lower) => lower.path,
                                None => continue,
                            }
                        }
                    };
                    obsolete.push(lower);
                }
            }
        }
        if let Some(damage) = damage {
            return Err(damage.into());
        }
        let last = newest.keys().next_back().copied().unwrap_or(0);
        for (number, path) in blank {
            // A segment is prepared after the newest; before that one, a blank file once had a header.
            if number < last && !newest.contains_key(&number) {
                let what = "the segment header is blank, but later segments exist".into();
                return Err(Damage {
                    file: path,
                    offset: 0,
                    what,
                }
                .into());
            }
            obsolete.push(path);
        }
        let chain: Vec<Found> = newest.into_values().collect();
        for pair in chain.windows(2) {
            let number = pair[0].header.number + 1;
            if pair[1].header.number != number {
                return Err(Error::MissingSegment {
                    dir: dir.to_path_buf(),
                    number,
                });
            }
        }
        Ok(Listing { chain, obsolete })
    }
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

    fn into_segment(self, disk: &Arc<dyn Disk>, end: u64, last_seq: u64, phase: Phase) -> Segment {
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

fn first_sector(file: &Arc<dyn File>) -> io::Result<FirstSector> {
    // A file shorter than a sector was being prepared; what is missing counts as zeros.
    let mut sector = [0; SECTOR];
    file.read_full_at(&mut sector, 0)?;
    match Header::decode(&sector) {
        // The first write was cut within the header: nothing was ever in this segment.
        FirstSector::Damaged(_) if is_blank_behind_header(file)? => Ok(FirstSector::Blank),
        other => Ok(other),
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
