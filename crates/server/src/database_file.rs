//! The SQLite databases beside the log, looked at and copied from outside, also beside a running server.

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;
use store::OrgId;

/// Faults that are told at most.
const MAX_FAULTS: u32 = 100;
/// How long to wait for a server that is just writing.
const PATIENCE: Duration = Duration::from_secs(10);

/// What SQLite finds wrong with a database: nothing, usually.
///
/// # Errors
/// Where it cannot be read at all.
pub fn check_database(file: &Path) -> io::Result<Vec<String>> {
    let check = || -> rusqlite::Result<Vec<String>> {
        let connection = open(file)?;
        let mut query = connection.prepare(&format!("PRAGMA integrity_check({MAX_FAULTS})"))?;
        let lines = query.query_map([], |row| row.get::<_, String>(0))?;
        lines.filter(|line| line.as_deref() != Ok("ok")).collect()
    };
    check().map_err(io::Error::other)
}

/// Copies a database to a file as it is at one moment, durably but for the name; what is there is replaced.
///
/// # Errors
/// Where one cannot be read or the other not be written.
pub fn copy_database(from: &Path, to: &Path) -> io::Result<()> {
    match fs::remove_file(to) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let connection = open(from).map_err(io::Error::other)?;
    // Made private before SQLite writes to it.
    let file = File::options().write(true).create_new(true).open(to)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    // One statement, so one state of the database.
    connection
        .execute("VACUUM INTO ?", [to.to_string_lossy()])
        .map_err(io::Error::other)?;
    file.sync_all()
}

/// Whether there is an organisation in the database of organisations and keys.
///
/// # Errors
/// Where it cannot be read.
pub fn has_orgs(file: &Path) -> io::Result<bool> {
    let has = || {
        let connection = open(file)?;
        let table = "SELECT EXISTS (SELECT * FROM sqlite_master WHERE name = 'org')";
        if !connection.query_row(table, [], |row| row.get::<_, bool>(0))? {
            return Ok(false);
        }
        connection.query_row("SELECT EXISTS (SELECT * FROM org)", [], |row| row.get(0))
    };
    let has: rusqlite::Result<bool> = has();
    has.map_err(io::Error::other)
}

/// The number of the organisation of this name, in the database of organisations and keys.
///
/// # Errors
/// Where it cannot be read.
pub fn find_org(file: &Path, name: &str) -> io::Result<Option<OrgId>> {
    let find = || {
        let number = |row: &rusqlite::Row<'_>| row.get(0).map(OrgId);
        open(file)?
            .query_row("SELECT id FROM org WHERE name = ?", [name], number)
            .optional()
    };
    find().map_err(io::Error::other)
}

fn open(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(PATIENCE)?;
    Ok(connection)
}
