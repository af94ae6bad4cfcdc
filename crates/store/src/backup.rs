//! Copies a data directory into another, beside the server that writes to it, so that a start on the copy is the
//! restore.
//!
//! First everything is copied under temporary names, which a start takes for leftovers; only then do the files
//! take their places, while a mark says that the directory is none to be started on. So a backup that is cut
//! short leaves the one before it as it was, or is refused until it is taken again.

use crate::Error;
use crate::checkpoint::{self, Covered};
use crate::recover::SHARD_DIR;
use crate::secret;
use crate::segments;
use hashbrown::HashSet;
use journal::{Disk, Place, Survey, copy_durably, parent, write_atomically};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Says that a directory is a backup, taken whole: when, and how far.
const MANIFEST: &str = "backup.json";
/// Says that a backup was begun here and not finished.
const MARK: &str = "backup.unfinished";
/// How often the log is looked at until it goes with the checkpoint that was read before it.
const LOOKS: usize = 8;

/// A backup being taken.
pub struct Backup {
    disk: Arc<dyn Disk>,
    target: PathBuf,
    /// Files that are copied and wait under their temporary names.
    staged: Vec<PathBuf>,
    /// All files that the backup has, copied now or before.
    whole: HashSet<PathBuf>,
    /// What was done so far.
    pub figures: BackupFigures,
}

/// What a backup took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupFigures {
    /// The last frame in it: all events acknowledged before the backup began stand in frames up to here.
    pub last_frame: u64,
    /// Segments in it.
    pub segments: u64,
    /// Files copied, or linked.
    pub copied_files: u64,
    /// Their bytes.
    pub copied_bytes: u64,
    /// Files that the backup had from before.
    pub kept_files: u64,
}

impl Backup {
    /// Begins a backup into `target`, which is made if it is not there.
    ///
    /// # Errors
    /// [`Error::NotABackup`] for a target that holds something else; where a disk refuses.
    pub fn begin(disk: &Arc<dyn Disk>, target: &Path) -> Result<Self, Error> {
        let is_backup = Self::may_go_to(&**disk, target)?;
        let log = target.join(SHARD_DIR);
        disk.create_dir_all(&log).map_err(Error::io(&log))?;
        let backup = Self {
            disk: Arc::clone(disk),
            target: target.to_owned(),
            staged: Vec::new(),
            whole: HashSet::new(),
            figures: BackupFigures::default(),
        };
        if !is_backup {
            backup.mark()?;
        }
        Ok(backup)
    }

    /// Sees that a backup may go to `target`, which is not there, empty, or a backup: gives whether it is one. Writes nothing.
    ///
    /// # Errors
    /// [`Error::NotABackup`] for a target that holds something else; where it cannot be looked at.
    pub fn may_go_to(disk: &dyn Disk, target: &Path) -> Result<bool, Error> {
        let has = |name: &str| disk.open(&target.join(name)).is_ok();
        if has(MANIFEST) || has(MARK) {
            return Ok(true);
        }
        let names = |dir: &Path| match disk.list(dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed.map_err(Error::io(dir)),
        };
        // The lock is the caller's own; a mark that was not finished is what a crash leaves of a first backup.
        let mark = temporary(Path::new(MARK));
        let is_ours = |name: &String| name == "lock" || Path::new(name) == mark;
        if !names(target)?.iter().all(is_ours) || !names(&target.join(SHARD_DIR))?.is_empty() {
            return Err(Error::NotABackup {
                dir: target.to_owned(),
            });
        }
        Ok(false)
    }

    /// Copies the log of the data directory at `source` as it is now. With `link`, what is never written again is
    /// linked instead, which needs the same file system.
    ///
    /// # Errors
    /// [`Error::NotABackup`] where the target is a backup of another directory; [`Error::LessThanBackup`] where it has
    /// more than the log; [`Error::Journal`] where the log is damaged or its end is missing; where a disk refuses.
    pub fn copy_log(&mut self, from: &Arc<dyn Disk>, source: &Path, link: bool) -> Result<(), Error> {
        let log = self.target.join(SHARD_DIR);
        let secret_file = secret::path(source);
        let secret = read(&**from, &secret_file).map_err(Error::io(&secret_file))?;
        match read(&*self.disk, &secret::path(&self.target)) {
            Ok(other) if other != secret => {
                return Err(Error::NotABackup {
                    dir: self.target.clone(),
                });
            }
            _ => self.add(secret::FILE, &secret)?,
        }
        let source_log = source.join(SHARD_DIR);
        let (registry, survey) = look(from, &source_log)?;
        let newest = survey.places.last();
        self.figures.last_frame = newest.map_or(0, |place| place.last_seq);
        self.refuse_less(
            registry.as_ref().map(|(covered, _)| *covered),
            newest,
            &source_log,
        )?;
        for place in &survey.places {
            self.segment(from, place, &log, link)?;
        }
        if let Some((covered, bytes)) = registry {
            let (disk, path) = (Arc::clone(&self.disk), checkpoint::path_of(&log, covered.turn));
            self.stage(&path, |to| write_atomically(&*disk, to, &bytes))?;
            self.figures.copied_bytes += bytes.len() as u64;
        }
        Ok(())
    }

    /// Sees that the log ends where it should, and not before the backup that is there: what it lost would go from the
    /// backup, too.
    fn refuse_less(&self, covered: Option<Covered>, newest: Option<&Place>, log: &Path) -> Result<(), Error> {
        let last = self.figures.last_frame;
        let segment = newest.and_then(|place| place.segment.as_ref());
        if let Some(damage) = covered.and_then(|covered| covered.missing_end(last, segment, log)) {
            return Err(Error::from_damage(damage));
        }
        let there = Survey::take(&self.disk, &self.target.join(SHARD_DIR), 0)?;
        let has = there.places.last().map_or(0, |place| place.last_seq);
        if has > last {
            return Err(Error::LessThanBackup {
                dir: self.target.clone(),
                has,
                left: last,
            });
        }
        Ok(())
    }

    fn mark(&self) -> Result<(), Error> {
        let mark = self.target.join(MARK);
        write_atomically(&*self.disk, &mark, b"").map_err(Error::io(&mark))
    }

    /// Adds a file of this name and content.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let (disk, path) = (Arc::clone(&self.disk), self.target.join(name));
        self.stage(&path, |to| write_atomically(&*disk, to, bytes))
    }

    /// Adds a file that `write` makes, durably, under the path it is given.
    ///
    /// # Errors
    /// Whatever `write` says.
    pub fn add_written<E>(
        &mut self,
        name: &str,
        write: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), E> {
        let path = self.target.join(name);
        write(&temporary(&path))?;
        self.whole.insert(path.clone());
        self.staged.push(path);
        self.figures.copied_files += 1;
        Ok(())
    }

    fn stage(&mut self, path: &Path, write: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<(), Error> {
        let to = temporary(path);
        write(&to).map_err(Error::io(&to))?;
        self.whole.insert(path.to_owned());
        self.staged.push(path.to_owned());
        self.figures.copied_files += 1;
        Ok(())
    }

    /// Copies a segment, and its index if it has one.
    fn segment(&mut self, from: &Arc<dyn Disk>, place: &Place, log: &Path, link: bool) -> Result<(), Error> {
        if let Some(damage) = place.damage.first() {
            return Err(Error::from_damage(damage.clone()));
        }
        let Some(segment) = &place.segment else {
            return Ok(());
        };
        let name = segment.path.file_name().unwrap_or_default();
        let path = log.join(name);
        self.figures.segments += 1;
        if place.is_copied_to(&*self.disk, &path)? {
            self.keep(path);
        } else {
            // Damage is not passed on in silence, nor over a good copy.
            for frame in segment.frames() {
                frame.map_err(Error::from_damage_beside(&**from))?;
            }
            let disk = Arc::clone(&self.disk);
            let linked = link && place.sealed && self.link(&segment.path, &path)?;
            if !linked {
                let bytes = place.copy_to(&*disk, &temporary(&path))?;
                self.staged.push(path.clone());
                self.whole.insert(path);
                self.figures.copied_files += 1;
                self.figures.copied_bytes += bytes;
            }
        }
        let name = (segment.number, segment.generation);
        let (index, path) = (
            segments::index_path_of(parent(&segment.path), name),
            segments::index_path_of(log, name),
        );
        if !place.sealed {
            return Ok(());
        }
        // Derived: without it, a start builds it.
        let Ok(file) = from.open(&index) else {
            return Ok(());
        };
        let bytes = file.len().map_err(Error::io(&index))?;
        if self.disk.open(&path).and_then(|there| there.len()).ok() == Some(bytes) {
            self.keep(path);
        } else if !(link && self.link(&index, &path)?) {
            let disk = Arc::clone(&self.disk);
            self.stage(&path, |to| copy_durably(&*disk, &*file, bytes, to))?;
            self.figures.copied_bytes += bytes;
        }
        Ok(())
    }

    /// Links a file that is never written again; false where it is gone meanwhile.
    fn link(&mut self, from: &Path, path: &Path) -> Result<bool, Error> {
        let to = temporary(path);
        if self.disk.open(&to).is_ok() {
            self.disk.remove(&to).map_err(Error::io(&to))?;
        }
        match self.disk.link(from, &to) {
            Ok(()) => {
                self.staged.push(path.to_owned());
                self.whole.insert(path.to_owned());
                self.figures.copied_files += 1;
                Ok(true)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io(&to)(error)),
        }
    }

    fn keep(&mut self, path: PathBuf) {
        self.whole.insert(path);
        self.figures.kept_files += 1;
    }

    /// Lets everything take its place; `manifest` is what the backup says of itself. Of the names in
    /// `remove`, the backup has none afterwards.
    ///
    /// # Errors
    /// Where the disk refuses: then the directory is marked, and the backup is to be taken again.
    pub fn finish(self, manifest: &str, remove: &[&str]) -> Result<BackupFigures, Error> {
        let Self { disk, target, .. } = &self;
        let log = target.join(SHARD_DIR);
        self.mark()?;
        for path in &self.staged {
            disk.rename(&temporary(path), path).map_err(Error::io(path))?;
        }
        for dir in [&log, target] {
            disk.sync_dir(dir).map_err(Error::io(dir))?;
        }
        // What the backup before had and this one has not: segments that were rewritten, erased or let go.
        let in_log = disk.list(&log).map_err(Error::io(&log))?;
        let stale = in_log
            .iter()
            .map(|name| log.join(name))
            .filter(|path| !self.whole.contains(path));
        let others = remove
            .iter()
            .map(|name| target.join(name))
            .filter(|path| disk.open(path).is_ok());
        for path in stale.chain(others) {
            disk.remove(&path).map_err(Error::io(&path))?;
        }
        disk.sync_dir(&log).map_err(Error::io(&log))?;
        let file = target.join(MANIFEST);
        write_atomically(&**disk, &file, manifest.as_bytes()).map_err(Error::io(&file))?;
        let mark = target.join(MARK);
        disk.remove(&mark).map_err(Error::io(&mark))?;
        disk.sync_dir(target).map_err(Error::io(target))?;
        Ok(self.figures)
    }
}

/// The newest checkpoint, and the log after it. In this order the log has all that the checkpoint knows; and the
/// checkpoint must know of all that the log has let go.
type Looked = (Option<(Covered, Vec<u8>)>, Survey);

fn look(from: &Arc<dyn Disk>, log: &Path) -> Result<Looked, Error> {
    let mut looks = 1;
    loop {
        let registry = checkpoint::read_newest(&**from, log);
        let survey = Survey::take(from, log, 0)?;
        let covered = registry.as_ref().map_or(0, |(covered, _)| covered.frame_seq);
        let oldest = survey.places.first().map_or(0, |place| place.previous_seq);
        if oldest <= covered || looks == LOOKS {
            return Ok((registry, survey));
        }
        looks += 1;
    }
}

/// Sees that a directory is no backup that was begun and not finished.
///
/// # Errors
/// [`Error::UnfinishedBackup`] if it is one.
pub fn refuse_unfinished_backup(disk: &dyn Disk, data_dir: &Path) -> Result<(), Error> {
    if disk.open(&data_dir.join(MARK)).is_ok() {
        return Err(Error::UnfinishedBackup {
            dir: data_dir.to_owned(),
        });
    }
    Ok(())
}

/// Makes a backup a directory of its own, that no further backup goes to; gives what it said of itself.
///
/// # Errors
/// Where the disk refuses.
pub fn adopt_backup(disk: &dyn Disk, data_dir: &Path) -> Result<Option<String>, Error> {
    let file = data_dir.join(MANIFEST);
    let Ok(manifest) = read(disk, &file) else {
        return Ok(None);
    };
    disk.remove(&file).map_err(Error::io(&file))?;
    disk.sync_dir(data_dir).map_err(Error::io(data_dir))?;
    Ok(Some(String::from_utf8_lossy(&manifest).into_owned()))
}

fn read(disk: &dyn Disk, path: &Path) -> std::io::Result<Vec<u8>> {
    let file = disk.open(path)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}
