//! Whether the log takes frames.

use std::sync::Arc;

use parking_lot::Mutex;

/// What the log can do at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It takes frames.
    Writable,
    /// A segment could not be prepared; nothing is taken, and what follows passes by itself. Says why.
    Full(String),
    /// A write or sync failed; nothing is taken until the journal is opened again. Says why.
    Poisoned(String),
}

/// A view of a journal's state, for any thread.
#[derive(Clone, Debug)]
pub struct StateHandle(Arc<Mutex<State>>);

impl StateHandle {
    pub(crate) fn new() -> StateHandle {
        StateHandle(Arc::new(Mutex::new(State::Writable)))
    }

    /// The state now.
    pub fn get(&self) -> State {
        self.0.lock().clone()
    }

    /// Why nothing will be written any more, if so.
    pub(crate) fn poisoned(&self) -> Option<String> {
        match &*self.0.lock() {
            State::Poisoned(reason) => Some(reason.clone()),
            State::Writable | State::Full(_) => None,
        }
    }

    /// From now on nothing is written any more until the log is opened again. The first reason stays: what follows from
    /// it explains nothing.
    pub fn poison(&self, reason: &str) {
        let mut state = self.0.lock();
        if !matches!(*state, State::Poisoned(_)) {
            *state = State::Poisoned(reason.to_owned());
        }
    }

    pub(crate) fn set_full(&self, reason: &str) {
        let mut state = self.0.lock();
        if !matches!(*state, State::Poisoned(_)) {
            *state = State::Full(reason.to_owned());
        }
    }

    pub(crate) fn clear_full(&self) {
        let mut state = self.0.lock();
        if matches!(*state, State::Full(_)) {
            *state = State::Writable;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poisoned_log_does_not_recover_and_a_full_one_does() {
        let state = StateHandle::new();
        state.set_full("no space");
        assert_eq!(state.get(), State::Full("no space".into()));
        state.clear_full();
        assert_eq!(state.get(), State::Writable);
        state.poison("first");
        state.poison("second");
        state.set_full("no space");
        state.clear_full();
        assert_eq!(state.get(), State::Poisoned("first".into()));
    }
}
