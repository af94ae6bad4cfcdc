//! Open files: as many as the system lets this process have, and not all of them for connections.
//!
//! Usual systems begin with 1,024 and allow many more. Without any left, the store could open neither the
//! next segment nor an index, so clients that only connect must not be able to take all.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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
    (limit / 2).max(1)
}
