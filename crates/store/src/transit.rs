//! Windows on their way from the disk to the owner. They come faster than a busy disk lets the owner take them, so only
//! so many travel at once, whatever the number of submissions that ask for them.

use crate::agent::{AgentNo, AgentState};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;

/// Windows that travel at once; each loader may add one batch's. Some 14 KB each where they are full.
const MAX_WINDOWS: usize = 4_096;

/// How many travel.
#[derive(Default)]
pub(crate) struct Transit {
    windows: Mutex<usize>,
    changed: Condvar,
}

/// States that were read for a submission, until the owner has them or nobody wants them any more.
#[derive(Default)]
pub(crate) struct Loaded {
    states: Vec<(AgentNo, AgentState)>,
    counted: Option<Counted>,
}

struct Counted {
    transit: Arc<Transit>,
    windows: usize,
}

impl Transit {
    /// Waits until more may be read.
    pub(crate) fn wait_for_room(&self) {
        let mut windows = self.windows.lock();
        self.changed
            .wait_while(&mut windows, |windows| *windows >= MAX_WINDOWS);
    }

    /// Sends these on their way.
    pub(crate) fn send(self: &Arc<Self>, states: Vec<(AgentNo, AgentState)>) -> Loaded {
        let windows = states.len();
        *self.windows.lock() += windows;
        let counted = Some(Counted {
            transit: Arc::clone(self),
            windows,
        });
        Loaded { states, counted }
    }

    /// How many travel now.
    pub(crate) fn windows(&self) -> usize {
        *self.windows.lock()
    }
}

impl Loaded {
    /// They have arrived.
    pub(crate) fn take(&mut self) -> Vec<(AgentNo, AgentState)> {
        self.counted = None;
        std::mem::take(&mut self.states)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        *self.transit.windows.lock() -= self.windows;
        self.transit.changed.notify_all();
    }
}
