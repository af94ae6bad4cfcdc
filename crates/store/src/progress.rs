//! How far publishing has come: what the look-ups after a doubt wait for.

use parking_lot::{Condvar, Mutex};

/// Counts the groups that were published.
#[derive(Default)]
pub(crate) struct Progress {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    published: u64,
    ended: bool,
}

impl Progress {
    /// The number of the last group that readers see.
    pub(crate) fn published(&self) -> u64 {
        self.state.lock().published
    }

    /// Tells that this group is published.
    pub(crate) fn publish(&self, group: u64) {
        self.state.lock().published = group;
        self.changed.notify_all();
    }

    /// Tells that no group will be published any more.
    pub(crate) fn end(&self) {
        self.state.lock().ended = true;
        self.changed.notify_all();
    }

    /// Waits until this group is published, or none will be.
    pub(crate) fn wait_for(&self, group: u64) {
        let mut state = self.state.lock();
        self.changed
            .wait_while(&mut state, |state| state.published < group && !state.ended);
    }
}
