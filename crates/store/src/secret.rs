//! The secret of a data directory: authenticates cursors, and hashes the identities by which repeats are told.
//!
//! Another in its place would pass unnoticed, and what is kept of events by their identities alone would be counted
//! again when it is resent. So the file has a checksum, and where there is a log a new one is made by a repair alone.

use crate::{Error, has_log};
use journal::Disk;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

pub(crate) const FILE: &str = "store.key";
const BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 4;

pub(crate) type Secret = [u8; BYTES];

pub(crate) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

/// The secret, made where there is neither one nor a log.
pub(crate) fn open(disk: &dyn Disk, data_dir: &Path) -> Result<Secret, Error> {
    match read(disk, data_dir)? {
        Some(secret) => Ok(secret),
        None => make(disk, data_dir),
    }
}

/// The secret; `None` where there is neither one nor a log.
///
/// # Errors
/// [`Error::Secret`] where it is missing or damaged.
pub(crate) fn read(disk: &dyn Disk, data_dir: &Path) -> Result<Option<Secret>, Error> {
    let file = path(data_dir);
    let lost = |why| Error::Secret {
        file: path(data_dir),
        why,
    };
    let opened = match disk.open(&file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return if has_log(disk, data_dir) {
                Err(lost("is missing"))
            } else {
                Ok(None)
            };
        }
        Err(error) => return Err(Error::io(&file)(error)),
    };
    let mut bytes = [0; BYTES + CHECKSUM_BYTES + 1];
    let len = opened.read_full_at(&mut bytes, 0).map_err(Error::io(&file))?;
    match bytes[..len].split_at_checked(BYTES) {
        // One of before 0.1.0 has no checksum.
        Some((secret, checksum))
            if checksum.is_empty() || checksum == crc32c::crc32c(secret).to_le_bytes() =>
        {
            Ok(secret.try_into().ok())
        }
        _ => Err(lost("is damaged")),
    }
}

/// Makes a new secret in the place of whatever there is.
pub(crate) fn make(disk: &dyn Disk, data_dir: &Path) -> Result<Secret, Error> {
    let mut secret = [0; BYTES];
    getrandom::fill(&mut secret).map_err(|why| Error::System {
        what: "random bytes",
        why: why.to_string(),
    })?;
    let file = path(data_dir);
    let bytes = [&secret[..], &crc32c::crc32c(&secret).to_le_bytes()].concat();
    journal::write_atomically(disk, &file, &bytes).map_err(Error::io(&file))?;
    Ok(secret)
}
