//! A log directory as it is, good or not: what checking, repairing and copying go by.
//!
//! Nothing is changed. Another process may write to the directory meanwhile: a segment is read from the file
//! that was opened first, whatever takes its place; the open segment ends with its last whole frame; and what
//! looks wrong is looked at again, since it may have been half written.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::SECTOR;
use crate::disk::{Disk, File, copy_durably};
use crate::error::{Damage, Error};
use crate::header::{HEADER_BYTES, Header, fresh_salt};
use crate::listing::{Found, Listing};
use crate::rewrite::Rewrite;
use crate::scan::{Reader, seal_at, seal_at_end};
use crate::seal::{SEAL_BYTES, Seal};
use crate::segment::{Phase, Segment};

/// How often a directory is looked at until it makes sense, and how long to wait in between.
const LOOKS: usize = 4;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// A log as it was found.
pub struct Survey {
    /// What there is for each number from the oldest to the newest.
    pub places: Vec<Place>,
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    shard: u32,
}

/// What there is for one number of the log.
pub struct Place {
    /// The segment's number.
    pub number: u64,
    /// The last sequence number before it.
    pub previous_seq: u64,
    /// Its last sequence number. Of a segment that cannot be read it is what the next one goes on after, or
    /// no less than it can have been.
    pub last_seq: u64,
    /// Its newest generation, as far as it can be read. Frames inside may be damaged all the same.
    pub segment: Option<Segment>,
    /// Whether it has its seal.
    pub sealed: bool,
    /// What is wrong with it as a whole.
    pub damage: Vec<Damage>,
    /// Its files, the damaged ones included.
    pub files: Vec<PathBuf>,
    generation: u32,
}

impl Survey {
    /// Looks at the log in `dir`.
    ///
    /// # Errors
    /// [`Error::NewerFormat`]; [`Error::Io`].
    pub fn take(disk: &Arc<dyn Disk>, dir: &Path, shard: u32) -> Result<Survey, Error> {
        let mut looks = 1;
        loop {
            match Survey::look(disk, dir, shard) {
                Ok(survey) if looks == LOOKS || survey.places.iter().all(|p| p.damage.is_empty()) => {
                    return Ok(survey);
                }
                Err(e) if looks == LOOKS || !e.is_not_found() => return Err(e),
                Ok(_) | Err(_) => {}
            }
            looks += 1;
            std::thread::sleep(BETWEEN_LOOKS);
        }
    }

    fn look(disk: &Arc<dyn Disk>, dir: &Path, shard: u32) -> Result<Survey, Error> {
        // First all headers, then the frames: so a frame before one that is already there is whole.
        let listing = Listing::read(&**disk, dir, shard)?;
        let mut places = Vec::new();
        for found in listing.chain {
            places.push(Place::of(found, disk)?);
        }
        for (number, damage) in listing.unreadable {
            places.sort_by_key(|place: &Place| place.number);
            let file = disk.open(&damage.file).map_err(Error::io("open", &damage.file))?;
            let rest = Place::unreadable(number, damage, file, disk, shard)?;
            match places.binary_search_by_key(&number, |place| place.number) {
                Ok(at) => places[at].also(rest),
                Err(at) => places.insert(at, rest),
            }
        }
        for number in listing.missing {
            places.push(Place::missing(number, dir));
        }
        places.sort_by_key(|place| place.number);
        join(&mut places);
        Ok(Survey {
            places,
            disk: Arc::clone(disk),
            dir: dir.to_path_buf(),
            shard,
        })
    }

    /// Whether the log begins with its first segment, readable or not: none was let go.
    #[must_use]
    pub fn starts_whole(&self) -> bool {
        let first = self.places.first();
        first.is_none_or(|place| (place.number, place.previous_seq) == (1, 0))
    }

    /// Adds a place for frames up to `last_seq`, which are known to have stood behind the last segment.
    pub fn add_lost_end(&mut self, last_seq: u64) {
        let before = self.places.last();
        let (number, previous_seq) = before.map_or((1, 0), |place| (place.number + 1, place.last_seq));
        let mut place = Place::missing(number, &self.dir);
        place.damage[0].what =
            format!("the log ends with frame {previous_seq}, and frames up to {last_seq} are known of");
        (place.previous_seq, place.last_seq) = (previous_seq, last_seq.max(previous_seq));
        self.places.push(place);
    }

    /// Starts a generation of this place that follows the one before it and ends where the next begins,
    /// whatever frames it is given; it takes the place of all its files.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn rewrite(&self, place: &Place) -> Result<Rewrite, Error> {
        let header = Header {
            unsynced: false,
            compact: false,
            shard: self.shard,
            epoch: place.segment.as_ref().map_or(1, |segment| segment.header().epoch),
            number: place.number,
            generation: place.generation + 1,
            previous_seq: place.previous_seq,
            salt: place
                .segment
                .as_ref()
                .map_or_else(fresh_salt, |segment| segment.header().salt),
        };
        let (disk, old) = (Arc::clone(&self.disk), place.files.clone());
        Rewrite::in_place_of(disk, &self.dir, header, old, place.last_seq)
    }
}

impl Place {
    /// Copies the segment as it is now to a path, with a seal behind its frames, durably but for the name; gives
    /// the bytes.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn copy_to(&self, disk: &dyn Disk, to: &Path) -> Result<u64, Error> {
        let Some(segment) = &self.segment else {
            return Ok(0);
        };
        let end = segment.end();
        copy_durably(disk, &**segment.file(), end, to)
            .and_then(|()| {
                let file = disk.open(to)?;
                file.write_all_at(&self.seal(segment), end)?;
                file.sync_all()
            })
            .map_err(Error::io("copy to", to))?;
        Ok(end + SEAL_BYTES)
    }

    /// Whether the file at this path is a copy of the segment as it is now.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn is_copied_to(&self, disk: &dyn Disk, path: &Path) -> Result<bool, Error> {
        let Some(segment) = &self.segment else {
            return Ok(false);
        };
        let Ok(copy) = disk.open(path) else {
            return Ok(false);
        };
        let end = segment.end();
        // The salt in the header is the segment's own, and the seal tells where it ended.
        let same = || -> io::Result<bool> {
            let (mut header, mut other, mut seal) = ([0; SECTOR], [0; SECTOR], [0; SECTOR]);
            segment.file().read_full_at(&mut header, 0)?;
            copy.read_full_at(&mut other, 0)?;
            copy.read_full_at(&mut seal, end)?;
            Ok(copy.len()? == end + SEAL_BYTES && header == other && seal == self.seal(segment))
        };
        same().map_err(Error::io("read", path))
    }

    fn seal(&self, segment: &Segment) -> [u8; SECTOR] {
        let (end, last_seq) = (segment.end(), self.last_seq);
        Seal { end, last_seq }.encode(segment.header())
    }

    fn of(found: Found, disk: &Arc<dyn Disk>) -> Result<Place, Error> {
        let header = found.header;
        let extent = Extent::of(&found.file, &header).map_err(Error::io("read", &found.path))?;
        let files = vec![found.path.clone()];
        Ok(Place {
            number: header.number,
            previous_seq: header.previous_seq,
            last_seq: extent.last_seq,
            sealed: extent.phase == Phase::Sealed,
            damage: Vec::new(),
            files,
            generation: header.generation,
            segment: Some(found.into_segment(disk, extent.end, extent.last_seq, extent.phase)),
        })
    }

    /// What a file with a bad header still tells.
    fn unreadable(
        number: u64,
        damage: Damage,
        file: Arc<dyn File>,
        disk: &Arc<dyn Disk>,
        shard: u32,
    ) -> Result<Place, Error> {
        let path = damage.file.clone();
        let generation = crate::name::generation_of(&path);
        let len = file.len().map_err(Error::io("read", &path))?;
        let header =
            without_its_checksum(&file, number, generation, shard).map_err(Error::io("read", &path))?;
        let mut place = match header {
            Some(header) => Place::of(
                Found {
                    path: path.clone(),
                    file,
                    header,
                },
                disk,
            )?,
            None => Place {
                // No frame is shorter than a sector.
                last_seq: len.saturating_sub(HEADER_BYTES) / SECTOR as u64,
                files: vec![path],
                ..Place::missing(number, Path::new(""))
            },
        };
        place.generation = generation;
        place.damage = vec![damage];
        Ok(place)
    }

    fn missing(number: u64, dir: &Path) -> Place {
        let damage = Damage {
            file: crate::name::segment_path(dir, number, 0),
            offset: 0,
            what: format!("segment {number} is missing between older and newer ones"),
        };
        Place {
            number,
            previous_seq: 0,
            last_seq: 0,
            segment: None,
            sealed: false,
            damage: vec![damage],
            files: Vec::new(),
            generation: 0,
        }
    }

    /// Another file of the same number, which is none of its own.
    fn also(&mut self, other: Place) {
        self.damage.extend(other.damage);
        self.files.extend(other.files);
        self.generation = self.generation.max(other.generation);
        self.segment = self.segment.take().or(other.segment);
    }
}

/// Lets each place follow the one before it, and notes where it does not.
fn join(places: &mut [Place]) {
    let mut previous = None;
    for place in &mut *places {
        let unknown = place.segment.is_none();
        if let Some(previous) = previous.filter(|_| unknown) {
            // `last_seq` was counted from nothing.
            place.previous_seq = previous;
            place.last_seq += previous;
        }
        previous = Some(place.last_seq);
    }
    for at in 1..places.len() {
        let [before, after] = &mut places[at - 1..=at] else {
            continue;
        };
        let goes_on_after = after.previous_seq;
        match &before.segment {
            None => before.last_seq = goes_on_after.max(before.previous_seq),
            // A rewrite may have dropped its last frames; then the seal alone had known the last number.
            Some(segment) if !before.sealed && segment.generation > 0 => {
                before.last_seq = before.last_seq.max(goes_on_after);
            }
            Some(segment) if before.last_seq != goes_on_after => {
                let what = format!(
                    "segment {} ends with frame {}, but segment {} goes on after frame {goes_on_after}",
                    before.number, before.last_seq, after.number
                );
                before.damage.push(segment.damage(segment.end(), what));
                before.last_seq = goes_on_after.max(before.previous_seq);
            }
            Some(_) => {}
        }
        if after.segment.is_none() {
            after.previous_seq = before.last_seq;
            after.last_seq = after.last_seq.max(before.last_seq);
        }
    }
}

/// How far a segment goes.
struct Extent {
    end: u64,
    last_seq: u64,
    phase: Phase,
}

impl Extent {
    /// By its seal, or by its last whole frame.
    fn of(file: &Arc<dyn File>, header: &Header) -> io::Result<Extent> {
        if let Some(seal) = seal_at_end(&**file, header)? {
            let (end, last_seq) = (seal.end, seal.last_seq);
            return Ok(Extent {
                end,
                last_seq,
                phase: Phase::Sealed,
            });
        }
        let limit = file.len()?;
        let mut reader = Reader::new(Arc::clone(file));
        let (mut end, mut last_seq) = (HEADER_BYTES, header.previous_seq);
        loop {
            let next = match reader.frame(header, end, limit)? {
                Some(frame) => Some(frame),
                None if header.unsynced => None,
                // What stands behind a bad frame was written after it had been synced.
                None => reader.next_frame(header, end + SECTOR as u64, limit, last_seq)?,
            };
            match next {
                Some(frame) if frame.seq > last_seq => (end, last_seq) = (frame.end(), frame.seq),
                _ => break,
            }
        }
        let last_seq = seal_at(&**file, header, end)?.map_or(last_seq, |seal| seal.last_seq);
        Ok(Extent {
            end,
            last_seq,
            phase: Phase::Closed,
        })
    }
}

/// The header of a segment whose first sector does not check, if it still opens a frame.
fn without_its_checksum(
    file: &Arc<dyn File>,
    number: u64,
    generation: u32,
    shard: u32,
) -> io::Result<Option<Header>> {
    let mut sector = [0; SECTOR];
    file.read_full_at(&mut sector, 0)?;
    let mut header = Header {
        number,
        generation,
        shard,
        ..Header::fields(&sector)
    };
    let first = Reader::new(Arc::clone(file)).frame(&header, HEADER_BYTES, file.len()?)?;
    Ok(first.map(|frame| {
        let may_be = header.may_follow(header.previous_seq, frame.seq);
        if !may_be {
            header.previous_seq = frame.seq.saturating_sub(1);
        }
        header
    }))
}
