//! Whether the database is whole, looked at from outside, also beside a running server.

use super::{DATABASE, Error};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// Faults that are told at most.
const MAX_FAULTS: u32 = 100;
/// How long to wait for a server that is just writing.
const PATIENCE: Duration = Duration::from_secs(5);

/// What SQLite finds wrong with [`DATABASE`] in this directory: nothing, usually.
///
/// # Errors
/// Where it cannot be opened at all.
pub fn check(dir: &Path) -> Result<Vec<String>, Error> {
    let connection = Connection::open_with_flags(dir.join(DATABASE), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(PATIENCE)?;
    let mut query = connection.prepare(&format!("PRAGMA integrity_check({MAX_FAULTS})"))?;
    let lines: Vec<String> = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut faults: Vec<String> = lines.into_iter().filter(|line| line != "ok").collect();
    let orphans: u64 = connection.query_row(
        "SELECT count(*) FROM key WHERE org NOT IN (SELECT id FROM org)",
        [],
        |row| row.get(0),
    )?;
    if orphans > 0 {
        faults.push(format!("{orphans} keys belong to no organisation"));
    }
    Ok(faults)
}
