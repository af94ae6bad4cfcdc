//! A disk that keeps few files open, however many are in use: a log has two for each of its segments, and a process may
//! have only so many.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::{Disk, File};

/// A disk on which about so many resting files are open at most, those that were used last. One that rests
/// ([`File::rest`]) is closed without notice, and opened again by its name when it is asked for; one whose name goes
/// or gets another meaning is opened before, so that a handle reads on what it read.
pub struct FewOpenDisk {
    shared: Arc<Shared>,
}

struct Shared {
    disk: Arc<dyn Disk>,
    most: usize,
    names: Mutex<Names>,
    /// How often some name went or got another meaning; changed under the lock of the names.
    changes: AtomicUsize,
}

/// Locked before any handle's state.
#[derive(Default)]
struct Names {
    /// The handles of each name. Some may be gone.
    handles: HashMap<PathBuf, Vec<Weak<Handle>>>,
    /// Resting files that are open, in the order in which they are looked at when there is one too many: one that was
    /// used since the last look stays, another is closed.
    resting: VecDeque<Weak<Handle>>,
}

struct Handle {
    shared: Arc<Shared>,
    state: Mutex<HandleState>,
    was_used: AtomicBool,
}

struct HandleState {
    /// `None` once the name is gone or is another file's.
    name: Option<PathBuf>,
    /// `None` while it is closed. Only one that rests and has its name ever is.
    open: Option<Arc<dyn File>>,
    rests: bool,
}

/// What is given out: as long as it lives, so does the handle.
struct FewOpenFile(Arc<Handle>);

impl FewOpenDisk {
    /// This disk, with at most `most` resting files open. Files that do not rest are open as long as they have handles.
    pub fn new(disk: Arc<dyn Disk>, most: usize) -> FewOpenDisk {
        FewOpenDisk {
            shared: Arc::new(Shared {
                disk,
                most,
                names: Mutex::default(),
                changes: AtomicUsize::new(0),
            }),
        }
    }

    fn give_out(&self, path: &Path, file: Arc<dyn File>) -> Arc<dyn File> {
        let handle = Arc::new(Handle {
            shared: Arc::clone(&self.shared),
            state: Mutex::new(HandleState {
                name: Some(path.to_owned()),
                open: Some(file),
                rests: false,
            }),
            was_used: AtomicBool::new(true),
        });
        let mut names = self.shared.names.lock();
        let handles = names.handles.entry(path.to_owned()).or_default();
        handles.retain(|other| other.strong_count() > 0);
        handles.push(Arc::downgrade(&handle));
        Arc::new(FewOpenFile(handle))
    }
}

impl Disk for FewOpenDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.shared.disk.create_dir_all(dir)
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let file = self.shared.disk.create_new(path)?;
        Ok(self.give_out(path, file))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let file = self.shared.disk.open(path)?;
        Ok(self.give_out(path, file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut names = self.shared.names.lock();
        names.open_all(to, &*self.shared.disk, self.shared.most)?;
        self.shared.changes.fetch_add(1, Ordering::Release);
        self.shared.disk.rename(from, to)?;
        names.give(to, None);
        names.give(from, Some(to));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut names = self.shared.names.lock();
        names.open_all(path, &*self.shared.disk, self.shared.most)?;
        self.shared.changes.fetch_add(1, Ordering::Release);
        self.shared.disk.remove(path)?;
        names.give(path, None);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.shared.disk.link(from, to)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.shared.disk.list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.shared.disk.sync_dir(dir)
    }
}

impl Names {
    fn of(&self, path: &Path) -> Vec<Arc<Handle>> {
        let handles = self.handles.get(path).into_iter().flatten();
        handles.filter_map(Weak::upgrade).collect()
    }

    /// Opens what is closed under this name, which is about to go.
    fn open_all(&mut self, path: &Path, disk: &dyn Disk, most: usize) -> io::Result<()> {
        let handles = self.of(path);
        self.close_beyond(most.saturating_sub(handles.len()));
        for handle in handles {
            let mut state = handle.state.lock();
            if state.open.is_none() {
                state.open = Some(disk.open(path)?);
                self.resting.push_back(Arc::downgrade(&handle));
            }
        }
        Ok(())
    }

    /// The files of this name have another from now on, or none.
    fn give(&mut self, path: &Path, other: Option<&Path>) {
        for handle in self.of(path) {
            handle.state.lock().name = other.map(Path::to_owned);
        }
        if let (Some(handles), Some(other)) = (self.handles.remove(path), other) {
            self.handles.insert(other.to_owned(), handles);
        }
    }

    /// A resting file is open; others are closed if that is one too many.
    fn rests(&mut self, handle: &Arc<Handle>, most: usize) {
        self.resting.push_back(Arc::downgrade(handle));
        self.close_beyond(most);
    }

    /// Closes resting files until no more than so many are open, as far as they may be closed.
    fn close_beyond(&mut self, most: usize) {
        // Whoever reads meanwhile could keep this from ending.
        for _ in 0..2 * self.resting.len() {
            if self.resting.len() <= most {
                break;
            }
            let Some(next) = self.resting.pop_front().and_then(|next| next.upgrade()) else {
                continue;
            };
            let mut state = next.state.lock();
            if !state.rests {
                continue;
            }
            // One without a name counts as long as it has handles.
            if next.was_used.swap(false, Ordering::Relaxed) || state.name.is_none() {
                self.resting.push_back(Arc::downgrade(&next));
            } else {
                state.open = None;
            }
        }
    }
}

impl Handle {
    /// The open file, to be read.
    fn file(self: &Arc<Self>) -> io::Result<Arc<dyn File>> {
        let shared = &*self.shared;
        loop {
            let changes = shared.changes.load(Ordering::Acquire);
            let name = {
                let state = self.state.lock();
                if let Some(file) = &state.open {
                    self.was_used.store(true, Ordering::Relaxed);
                    return Ok(Arc::clone(file));
                }
                state.name.clone().ok_or(io::ErrorKind::NotFound)?
            };
            // Without a lock, since a disk may take its time. If the name goes meanwhile, somebody has opened it.
            let opened = shared.disk.open(&name);
            let mut names = shared.names.lock();
            let mut state = self.state.lock();
            if state.open.is_none() && state.name.as_ref() == Some(&name) {
                // It may have been another's name for a moment.
                let file = match opened {
                    Ok(file) if shared.changes.load(Ordering::Acquire) == changes => file,
                    _ => shared.disk.open(&name)?,
                };
                state.open = Some(Arc::clone(&file));
                self.was_used.store(true, Ordering::Relaxed);
                drop(state);
                names.rests(self, shared.most);
                return Ok(file);
            }
        }
    }

    /// The open file, to be written: it rests no more, since what is written to a file is synced by the handle that wrote
    /// it.
    fn file_to_write(&self) -> io::Result<Arc<dyn File>> {
        {
            let state = self.state.lock();
            if let Some(file) = state.open.as_ref().filter(|_| !state.rests) {
                return Ok(Arc::clone(file));
            }
        }
        let _names = self.shared.names.lock(); // its name stays what it is
        let mut state = self.state.lock();
        let file = match (&state.open, &state.name) {
            (Some(file), _) => Arc::clone(file),
            (None, Some(name)) => self.shared.disk.open(name)?,
            (None, None) => return Err(io::ErrorKind::NotFound.into()),
        };
        state.open = Some(Arc::clone(&file));
        state.rests = false;
        Ok(file)
    }
}

impl File for FewOpenFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.file()?.read_at(buf, offset)
    }

    fn will_read(&self, offset: u64, bytes: u32) {
        if let Ok(file) = self.0.file() {
            file.will_read(offset, bytes);
        }
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.file_to_write()?.write_all_at(bytes, offset)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.file_to_write()?.set_len(bytes)
    }

    fn len(&self) -> io::Result<u64> {
        self.0.file()?.len()
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.file()?.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.0.file()?.sync_all()
    }

    fn rest(&self) {
        let handle = &self.0;
        let mut names = handle.shared.names.lock();
        let was_open = {
            let mut state = handle.state.lock();
            let rested = std::mem::replace(&mut state.rests, true);
            !rested && state.open.is_some()
        };
        if was_open {
            names.rests(handle, handle.shared.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OsDisk, SimDisk};

    struct Counting {
        disk: SimDisk,
        counts: Arc<Counts>,
    }

    #[derive(Default)]
    struct Counts {
        open: AtomicUsize,
        opened: AtomicUsize,
    }

    struct Counted {
        file: Arc<dyn File>,
        counts: Arc<Counts>,
    }

    impl Counts {
        fn open(&self) -> usize {
            self.open.load(Ordering::Relaxed)
        }

        fn opened(&self) -> usize {
            self.opened.load(Ordering::Relaxed)
        }
    }

    impl Counting {
        fn count(&self, file: Arc<dyn File>) -> Arc<dyn File> {
            self.counts.open.fetch_add(1, Ordering::Relaxed);
            self.counts.opened.fetch_add(1, Ordering::Relaxed);
            let counts = Arc::clone(&self.counts);
            Arc::new(Counted { file, counts })
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.counts.open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    impl Disk for Counting {
        fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
            self.disk.create_dir_all(dir)
        }
        fn create_new(&self, path: &Path) -> io::Result<Arc<dyn File>> {
            Ok(self.count(self.disk.create_new(path)?))
        }
        fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
            Ok(self.count(self.disk.open(path)?))
        }
        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            self.disk.rename(from, to)
        }
        fn remove(&self, path: &Path) -> io::Result<()> {
            self.disk.remove(path)
        }
        fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
            self.disk.list(dir)
        }
        fn sync_dir(&self, dir: &Path) -> io::Result<()> {
            self.disk.sync_dir(dir)
        }
    }

    impl File for Counted {
        fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
            self.file.read_at(buf, offset)
        }
        fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
            self.file.write_all_at(bytes, offset)
        }
        fn set_len(&self, bytes: u64) -> io::Result<()> {
            self.file.set_len(bytes)
        }
        fn len(&self) -> io::Result<u64> {
            self.file.len()
        }
        fn sync_data(&self) -> io::Result<()> {
            self.file.sync_data()
        }
        fn sync_all(&self) -> io::Result<()> {
            self.file.sync_all()
        }
    }

    const MOST: usize = 3;

    fn path(number: usize) -> PathBuf {
        Path::new("/files").join(number.to_string())
    }

    /// Ten resting files, each of which has its number in it.
    fn ten() -> (FewOpenDisk, Vec<Arc<dyn File>>, Arc<Counts>) {
        let counts = Arc::new(Counts::default());
        let counting = Counting {
            disk: SimDisk::new(0),
            counts: Arc::clone(&counts),
        };
        let disk = FewOpenDisk::new(Arc::new(counting), MOST);
        disk.create_dir_all(Path::new("/files")).expect("made");
        let files = (0..10).map(|number: usize| {
            let file = disk.create_new(&path(number)).expect("created");
            file.write_all_at(&[number as u8], 0).expect("written");
            file.sync_all().expect("synced");
            file.rest();
            file
        });
        let files = files.collect();
        (disk, files, counts)
    }

    fn content(file: &Arc<dyn File>) -> u8 {
        let mut byte = [0];
        file.read_exact_at(&mut byte, 0).expect("read");
        byte[0]
    }

    #[test]
    fn few_are_open_and_all_are_read() {
        let (_disk, files, counts) = ten();
        assert_eq!(counts.open(), MOST);
        for at in (0..10).chain([3, 9, 3, 0, 3]) {
            assert_eq!(content(&files[at]), at as u8);
            assert!(counts.open() <= MOST);
        }
    }

    #[test]
    fn what_is_used_stays_open() {
        let (_disk, files, counts) = ten();
        content(&files[4]);
        let before = counts.opened();
        for at in (0..10).filter(|at| *at != 4) {
            content(&files[at]);
            content(&files[4]);
        }
        assert!(counts.opened() - before <= 9, "each of the others once at most");
    }

    #[test]
    fn a_file_without_its_name_is_read_on() {
        let (disk, files, counts) = ten();
        for at in 0..5 {
            disk.remove(&path(at)).expect("removed");
            let other = disk.create_new(&path(at)).expect("the name is free");
            other.write_all_at(&[100], 0).expect("written");
        }
        for (at, file) in files.iter().enumerate().take(8).skip(5) {
            disk.rename(&path(at), &path(at + 100)).expect("renamed");
            content(file);
        }
        let before = counts.opened();
        disk.rename(&path(8), &path(9)).expect("renamed");
        assert_eq!(
            counts.opened(),
            before + 1,
            "the one that had the name was closed"
        );
        for at in (0..10).chain(0..10) {
            assert_eq!(content(&files[at]), at as u8);
        }
        assert!(counts.open() <= 6 + MOST, "six have no name");
        drop(files);
        assert_eq!(counts.open(), 0);
    }

    #[test]
    fn one_that_could_not_be_removed_may_be_closed_again() {
        let (disk, files, counts) = ten();
        disk.remove(&path(0)).expect("removed");
        assert!(disk.remove(&path(0)).is_err());
        assert!(disk.rename(&path(77), &path(1)).is_err());
        assert_eq!(counts.open(), MOST);
        for file in files.iter().chain(&files) {
            content(file);
        }
        assert!(counts.open() <= MOST + 1, "one has no name");
    }

    #[test]
    fn one_that_is_written_stays_open_until_it_rests_again() {
        let (disk, files, _) = ten();
        files[0].write_all_at(&[50], 0).expect("written");
        for file in files.iter().chain(&files) {
            content(file);
        }
        // Nobody can open it by its name.
        disk.shared.disk.remove(&path(0)).expect("removed");
        assert_eq!(content(&files[0]), 50);
        files[0].rest();
        for file in files[1..].iter().chain(&files[1..]) {
            content(file);
        }
        assert!(files[0].len().is_err());
    }

    #[test]
    fn threads_read_while_names_come_and_go() {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = FewOpenDisk::new(Arc::new(OsDisk), 2);
        let names: Vec<PathBuf> = (0..8).map(|number| dir.path().join(number.to_string())).collect();
        let files: Vec<Arc<dyn File>> = names
            .iter()
            .enumerate()
            .map(|(number, name)| {
                let file = disk.create_new(name).expect("created");
                file.write_all_at(&[number as u8], 0).expect("written");
                file.rest();
                file
            })
            .collect();
        std::thread::scope(|scope| {
            for first in 0..3 {
                let files = &files;
                scope.spawn(move || {
                    for step in 0..40_000 {
                        let at = (first + 3 * step) % files.len();
                        assert_eq!(content(&files[at]), at as u8);
                    }
                });
            }
            for round in 0..4_000 {
                let (from, to) = (&names[round % 8], dir.path().join("other"));
                if round < 3_992 {
                    disk.rename(from, &to).expect("renamed");
                    disk.rename(&to, from).expect("renamed back");
                } else {
                    disk.remove(from).expect("removed");
                }
            }
        });
        for (at, file) in files.iter().enumerate() {
            assert_eq!(content(file), at as u8);
        }
    }
}
