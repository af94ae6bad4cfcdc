//! Open files: as many as the system lets this process have, and not all of them for connections or segments.
//!
//! Usual systems begin with 1,024 and allow many more. Without any left, the store could open neither the
//! next segment nor an index, so clients that only connect must not be able to take all. Nor must a log that grows.

use anyhow::{Result, bail};
use journal::{Disk, FewOpenDisk};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::Arc;

/// Segments and indexes that are open at most: beyond that another one open saves little.
const MOST_RESTING: usize = 4_096;
/// Segments and indexes that may be open at once, however low the limit is.
const FEWEST_RESTING: usize = 8;
/// What a process has open besides segments, indexes and connections, at most.
const OTHERS: usize = 64;
/// With fewer open files a server could not serve some connections, or would fail in the middle of something.
const FEWEST: usize = OTHERS + FEWEST_RESTING + 8;

/// Raises the limit as far as it goes; gives what it is then.
pub(crate) fn raise() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: maximum,
        maximum,
    };
    let raised = setrlimit(Resource::Nofile, wanted).is_ok();
    let limit = if raised { maximum } else { current };
    limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Sees that a server can work with that many open files.
pub(crate) fn check(limit: usize) -> Result<()> {
    if limit < FEWEST {
        bail!("the system allows this process {limit} open files (ulimit -n); it needs at least {FEWEST}");
    }
    Ok(())
}

/// How many of that many open files may be connections.
pub(crate) fn for_connections(limit: usize) -> usize {
    (limit.saturating_sub(OTHERS) / 2).max(1)
}

/// The server's disk, with few of the files open that it is asked for: a quarter of those that this process may have.
pub(crate) fn few_of(disk: impl Disk + 'static) -> Arc<dyn Disk> {
    Arc::new(FewOpenDisk::new(
        Arc::new(disk),
        (raise().saturating_sub(OTHERS) / 4).clamp(FEWEST_RESTING, MOST_RESTING),
    ))
}

/// A command's disk, with as many open as this process may have: what a server beside it removes is read on from an open file
/// alone.
pub(crate) fn most_of(disk: impl Disk + 'static) -> Arc<dyn Disk> {
    Arc::new(FewOpenDisk::new(
        Arc::new(disk),
        raise().saturating_sub(OTHERS).max(FEWEST_RESTING),
    ))
}
