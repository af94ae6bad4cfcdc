//! Open files: as many as the system lets this process have, and not all of them for connections or segments.
//!
//! Usual systems begin with 1,024 and allow many more. Without any left, the store could open neither the
//! next segment nor an index, so clients that only connect must not be able to take all. Nor must a log that grows.

use journal::{Disk, FewOpenDisk};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::Arc;

/// Segments and indexes that are open at most: beyond that another one open saves little.
const MOST_RESTING: usize = 4_096;
/// What a process has open besides segments, indexes and connections, at most.
const OTHERS: usize = 64;

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

/// How many of that many open files may be connections.
pub(crate) fn for_connections(limit: usize) -> usize {
    (limit.saturating_sub(OTHERS) / 2).max(1)
}

/// The server's disk, with few of the files open that it is asked for: a quarter of those that this process may have.
pub(crate) fn few_of(disk: impl Disk + 'static) -> Arc<dyn Disk> {
    Arc::new(FewOpenDisk::new(
        Arc::new(disk),
        (raise().saturating_sub(OTHERS) / 4).clamp(8, MOST_RESTING),
    ))
}

/// A command's disk, with as many open as this process may have: what a server beside it removes is read on from an open file
/// alone.
pub(crate) fn most_of(disk: impl Disk + 'static) -> Arc<dyn Disk> {
    Arc::new(FewOpenDisk::new(
        Arc::new(disk),
        raise().saturating_sub(OTHERS).max(8),
    ))
}
