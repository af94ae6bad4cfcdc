//! Replaces a file at once, and keeps the old one beside it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Backups of one second.
const MAX_BACKUPS: u32 = 100;

/// Puts `after` in the place of `before`; where the copy of `before` is. `None` if the file does not hold
/// `before` any more, and then nothing is changed.
pub(super) fn replace(file: &Path, before: &str, after: &str) -> io::Result<Option<PathBuf>> {
    if fs::read(file)? != before.as_bytes() {
        return Ok(None);
    }
    // What is in such a file may be secret: the copies are as open as it is, no more.
    let mode = fs::metadata(file)?.mode() & 0o777;
    let backup = backup(file, before, mode)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let temporary = file.with_file_name(format!(".{name}.repute-{}", std::process::id()));
    make(&temporary, after, mode)?;
    let renamed = fs::rename(&temporary, file);
    if renamed.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    renamed?;
    if let Some(directory) = file.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok(Some(backup))
}

fn backup(file: &Path, text: &str, mode: u32) -> io::Result<PathBuf> {
    let now = crate::decision::timestamp(SystemTime::now());
    let digits: String = now[..19].chars().filter(char::is_ascii_digit).collect();
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    for number in 0..MAX_BACKUPS {
        let more = match number {
            0 => String::new(),
            number => format!("-{number}"),
        };
        let path = file.with_file_name(format!("{name}.{digits}{more}.bak"));
        match make(&path, text, mode) {
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| path),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn make(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_file_is_kept_with_its_mode_and_a_changed_one_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mcp.json");
        make(&file, "before", 0o640).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        let first = replace(&file, "before", "after").unwrap().unwrap();
        let second = replace(&file, "after", "more").unwrap().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "more");
        assert_eq!(fs::read_to_string(&first).unwrap(), "before");
        assert_eq!(fs::read_to_string(&second).unwrap(), "after");
        assert_eq!([mode(&file), mode(&first), mode(&second)], [0o640; 3]);
        assert!(replace(&file, "before", "x").unwrap().is_none());
        assert_eq!(fs::read_to_string(&file).unwrap(), "more");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }
}
