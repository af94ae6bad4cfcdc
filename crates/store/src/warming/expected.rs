//! Who is waited for.

use crate::agent::AgentNo;
use hashbrown::HashSet;
use parking_lot::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long after the start a window is waited for; then whoever needs it reads it alone.
const PATIENCE: Duration = Duration::from_secs(5);

/// The agents whose windows are on their way to the owner.
pub(crate) struct Expected {
    agents: Mutex<HashSet<AgentNo>>,
    changed: Condvar,
    until: Instant,
}

impl Expected {
    /// None yet, at the start of a store.
    pub(crate) fn new() -> Self {
        Self::until(Instant::now() + PATIENCE)
    }

    fn until(until: Instant) -> Self {
        Self {
            agents: Mutex::default(),
            changed: Condvar::new(),
            until,
        }
    }

    /// Waits while the agent's window is on its way, but not for ever.
    pub(crate) fn wait_for(&self, no: AgentNo) {
        let mut agents = self.agents.lock();
        let is_on_its_way = |agents: &mut HashSet<AgentNo>| agents.contains(&no);
        self.changed
            .wait_while_until(&mut agents, is_on_its_way, self.until);
    }

    /// These are.
    pub(super) fn begin(&self, agents: impl Iterator<Item = AgentNo>) {
        self.agents.lock().extend(agents);
    }

    /// The owner has these.
    pub(super) fn arrived(&self, agents: &[AgentNo]) {
        let mut expected = self.agents.lock();
        for no in agents {
            expected.remove(no);
        }
        self.changed.notify_all();
    }

    /// No more come.
    pub(super) fn end(&self) {
        *self.agents.lock() = HashSet::new();
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const LONG: Duration = Duration::from_secs(60);

    /// Whether somebody who waits for agent 1 goes on, when this is done.
    fn goes_on_after(done: impl FnOnce(&Expected)) -> bool {
        let expected = Expected::until(Instant::now() + LONG);
        expected.begin([AgentNo(1), AgentNo(2)].into_iter());
        let (went_on, goes_on) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                expected.wait_for(AgentNo(1));
                went_on.send(()).unwrap();
            });
            assert!(
                goes_on.recv_timeout(Duration::from_millis(20)).is_err(),
                "it did not wait"
            );
            done(&expected);
            let went_on = goes_on.recv_timeout(Duration::from_millis(200)).is_ok();
            expected.end();
            went_on
        })
    }

    #[test]
    fn a_window_is_waited_for_until_it_is_there_or_will_not_come() {
        assert!(goes_on_after(|expected| expected.arrived(&[AgentNo(1)])));
        assert!(goes_on_after(Expected::end));
        assert!(!goes_on_after(|expected| expected.arrived(&[AgentNo(2)])));
    }

    #[test]
    fn one_that_is_not_expected_is_not_waited_for_nor_any_for_ever() {
        let expected = Expected::until(Instant::now() + LONG);
        expected.begin([AgentNo(2)].into_iter());
        expected.wait_for(AgentNo(1));
        let late = Expected::until(Instant::now() + Duration::from_millis(10));
        late.begin([AgentNo(1)].into_iter());
        late.wait_for(AgentNo(1));
    }
}
