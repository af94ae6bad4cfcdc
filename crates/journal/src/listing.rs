//! The segment files of a directory, sorted out by their names and first sectors; nothing is changed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::SECTOR;
use crate::disk::{Disk, File};
use crate::error::{Damage, Error};
use crate::header::{FORMAT_VERSION, FirstSector, Header};
use crate::name;
use crate::scan::{is_blank_behind_header, lost_its_header};

/// What a directory holds.
pub(crate) struct Listing {
    /// The newest generation of each segment, oldest first.
    pub(crate) chain: Vec<Found>,
    /// Files that hold nothing any more.
    pub(crate) obsolete: Vec<PathBuf>,
    /// Files under the name of a segment that are none, or another, and the number in that name.
    pub(crate) unreadable: Vec<(u64, Damage)>,
    /// Numbers between others that no file has.
    pub(crate) missing: Vec<u64>,
}

/// A file with a good header.
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn File>,
    pub(crate) header: Header,
}

impl Listing {
    /// Looks at every file.
    ///
    /// # Errors
    /// [`Error::NewerFormat`], [`Error::Io`].
    pub(crate) fn read(disk: &dyn Disk, dir: &Path, shard: u32) -> Result<Listing, Error> {
        let mut newest: BTreeMap<u64, Found> = BTreeMap::new();
        let (mut obsolete, mut blank, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
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
            file.rest();
            match first_sector(&file).map_err(Error::io("read", &path))? {
                FirstSector::Newer(found) => {
                    return Err(Error::NewerFormat {
                        file: path,
                        found,
                        supported: FORMAT_VERSION,
                    });
                }
                FirstSector::Damaged(what) => unreadable.push((number, at_start(path, what))),
                FirstSector::Blank if lost_its_header(&file).map_err(Error::io("read", &path))? => {
                    let what = "the segment header is blank, but frames follow";
                    unreadable.push((number, at_start(path, what)));
                }
                FirstSector::Blank => blank.push((number, path)),
                FirstSector::Header(header) => {
                    if (header.number, header.generation, header.shard) != (number, generation, shard) {
                        let what = format!(
                            "this is generation {} of segment {} of shard {}, under the name of another",
                            header.generation, header.number, header.shard
                        );
                        unreadable.push((number, at_start(path, what)));
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
        let last = newest.keys().next_back().copied().unwrap_or(0);
        for (number, path) in blank {
            // A segment is prepared after the newest; before that one, a blank file once had a header.
            if number < last && !newest.contains_key(&number) {
                let what = "the segment header is blank, but later segments exist";
                unreadable.push((number, at_start(path, what)));
            } else {
                obsolete.push(path);
            }
        }
        let chain: Vec<Found> = newest.into_values().collect();
        let gaps = chain
            .windows(2)
            .flat_map(|pair| pair[0].header.number + 1..pair[1].header.number);
        let missing = gaps
            .filter(|number| unreadable.iter().all(|(other, _)| other != number))
            .collect();
        Ok(Listing {
            chain,
            obsolete,
            unreadable,
            missing,
        })
    }

    /// The listing, if all of it makes sense.
    pub(crate) fn in_order(mut self, dir: &Path) -> Result<Listing, Error> {
        if !self.unreadable.is_empty() {
            return Err(self.unreadable.swap_remove(0).1.into());
        }
        match self.missing.first() {
            Some(&number) => Err(Error::MissingSegment {
                dir: dir.to_path_buf(),
                number,
            }),
            None => Ok(self),
        }
    }
}

fn at_start(file: PathBuf, what: impl Into<String>) -> Damage {
    Damage {
        file,
        offset: 0,
        what: what.into(),
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
