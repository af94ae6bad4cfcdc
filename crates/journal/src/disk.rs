//! What the log asks of a disk, small enough to be simulated in full.

mod few_open;
mod limited;
mod os;
mod read_only;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use few_open::FewOpenDisk;
pub use limited::LimitedDisk;
pub use os::OsDisk;
pub use read_only::ReadOnlyDisk;

/// How much is copied at once.
const COPY_BYTES: usize = 1 << 20;
/// How much is given to the disk between syncs: the log's next sync waits for all of it.
pub(crate) const SYNC_BYTES: usize = 256 << 10;

/// A tree of directories and files. Changes of entries (create, rename, remove) are durable only after
/// [`sync_dir`](Disk::sync_dir) of their directory.
pub trait Disk: Send + Sync {
    /// Makes the directory and those above it, as far as they are missing, private to their owner. Their
    /// entries are durable on return.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Makes an empty file, private to its owner; fails with `AlreadyExists` if the name is taken.
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Opens a file that exists, for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Gives a file another name in the same directory, atomically, replacing what was there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file's name; open handles go on reading it.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Gives a file of this disk a second name, in another directory.
    ///
    /// # Errors
    /// `Unsupported` on a disk that has no links.
    fn link(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// The names of the files in a directory, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Makes all earlier changes of the directory's entries durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// An open file, addressed by position; no shared cursor, so any thread may read at any time.
pub trait File: Send + Sync {
    /// Reads what is there, up to the length of `buf`; 0 at the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// These bytes will be read soon: a disk may begin to fetch them. Only a hint.
    fn will_read(&self, _offset: u64, _bytes: u32) {}
    /// Writes all of `bytes`, growing the file where needed.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Cuts or grows (with zeros) the file to `bytes`.
    fn set_len(&self, bytes: u64) -> io::Result<()>;
    /// The file's length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Makes what was written durable, with the length where it matters for reading it back.
    fn sync_data(&self) -> io::Result<()>;
    /// Makes what was written and all metadata durable.
    fn sync_all(&self) -> io::Result<()>;
    /// What was written is synced, and it will be read now and then at most: a disk may close it until it is asked for
    /// again. Only a hint; one that is written nevertheless rests no more.
    fn rest(&self) {}

    /// Fills `buf` or fails with `UnexpectedEof`.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let read = self.read_full_at(buf, offset)?;
        if read < buf.len() {
            Err(io::ErrorKind::UnexpectedEof.into())
        } else {
            Ok(())
        }
    }

    /// Fills `buf` as far as the file goes and says how far that was.
    fn read_full_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buf.len() {
            match self.read_at(&mut buf[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(filled)
    }
}

/// Puts `bytes` in the place of a file, so that a crash leaves the old content or the new one: written under
/// `<path>.tmp`, synced, renamed, and the directory synced. Of a failure no temporary file is left.
pub fn write_atomically(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_atomically(disk, path, |put| put(bytes))
}

/// The same of content that comes in pieces, which `write` hands on in order. A large file is synced again and again on
/// the way.
pub fn replace_atomically(
    disk: &dyn Disk,
    path: &Path,
    write: impl FnOnce(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = temporary_name(path);
    let file = create_anew(disk, &temporary)?;
    let (mut end, mut unsynced) = (0, 0);
    let written = write(&mut |piece| {
        for part in piece.chunks(SYNC_BYTES) {
            if unsynced + part.len() > SYNC_BYTES {
                file.sync_data()?;
                unsynced = 0;
            }
            file.write_all_at(part, end)?;
            end += part.len() as u64;
            unsynced += part.len();
        }
        Ok(())
    });
    take_its_name(disk, &*file, &temporary, path, written)?;
    disk.sync_dir(parent(path))
}

/// Copies the first `bytes` of a file to a path, so that a crash leaves what was there or the whole copy. The
/// name is durable once the directory is synced.
pub fn copy_durably(disk: &dyn Disk, from: &dyn File, bytes: u64, to: &Path) -> io::Result<()> {
    let temporary = temporary_name(to);
    let file = create_anew(disk, &temporary)?;
    let written = copy(from, bytes, &*file);
    take_its_name(disk, &*file, &temporary, to, written)
}

fn copy(from: &dyn File, bytes: u64, to: &dyn File) -> io::Result<()> {
    let mut piece = vec![0; COPY_BYTES.min(usize::try_from(bytes).unwrap_or(COPY_BYTES))];
    let mut at = 0;
    while at < bytes {
        let len = piece
            .len()
            .min(usize::try_from(bytes - at).unwrap_or(piece.len()));
        from.read_exact_at(&mut piece[..len], at)?;
        to.write_all_at(&piece[..len], at)?;
        at += len as u64;
    }
    Ok(())
}

/// Gives a file that was written under a temporary name its own, durably but for the name. If that or the writing failed,
/// the file goes: others need the space that there is.
fn take_its_name(
    disk: &dyn Disk,
    file: &dyn File,
    temporary: &Path,
    path: &Path,
    written: io::Result<()>,
) -> io::Result<()> {
    let named = written
        .and_then(|()| file.sync_all())
        .and_then(|()| disk.rename(temporary, path));
    if named.is_err()
        && let Err(e) = disk.remove(temporary)
    {
        tracing::debug!(file = %temporary.display(), error = %e, "an unfinished file could not be removed");
    }
    named
}

/// Makes an empty file in the place of whatever a crash left under that name.
pub(crate) fn create_anew(disk: &dyn Disk, path: &Path) -> io::Result<Arc<dyn File>> {
    match disk.create_new(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            disk.remove(path)?;
            disk.create_new(path)
        }
        other => other,
    }
}

/// The name under which a file is written before it takes its place.
pub(crate) fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(crate::name::TEMPORARY);
    name.into()
}

/// The directory of a file.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}
