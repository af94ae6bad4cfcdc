//! A copy of the database as it is at one moment, also beside a running server.

use super::{DATABASE, Error};
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

/// How long to wait for a server that is just writing.
const PATIENCE: Duration = Duration::from_secs(10);

/// Copies [`DATABASE`] of this directory to a file, durably but for its name; what is there is replaced.
///
/// # Errors
/// Where it cannot be read or written.
pub fn copy(dir: &Path, to: &Path) -> Result<(), Error> {
    let io = |source| Error::Io {
        path: to.to_owned(),
        source,
    };
    match fs::remove_file(to) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    let connection = Connection::open_with_flags(dir.join(DATABASE), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(PATIENCE)?;
    // One statement, so one state of the database; made private before SQLite writes to it.
    let file = File::options()
        .write(true)
        .create_new(true)
        .open(to)
        .map_err(io)?;
    file.set_permissions(Permissions::from_mode(0o600)).map_err(io)?;
    connection.execute("VACUUM INTO ?", [to.to_string_lossy()])?;
    file.sync_all().map_err(io)
}
