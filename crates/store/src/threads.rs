//! The store's threads, and what becomes of the store when one of them ends by a panic.

use crate::shared::Shared;
use crate::{Error, Refused, erasure};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Starts a thread.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Error> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|why| Error::System {
            what: "a thread",
            why: why.to_string(),
        })
}

/// Starts a thread without which the store cannot go on. If it ends by a panic, nothing is taken any more until a
/// restart, which recovers all from the log; and nobody waits for what it will not do.
pub(crate) fn spawn_vital<T: Send + 'static>(
    name: &'static str,
    shared: &Arc<Shared>,
    journal: &journal::StateHandle,
    run: impl FnOnce(&Shared) -> T + Send + 'static,
) -> Result<JoinHandle<T>, Error> {
    let alarm = Alarm {
        thread: name,
        shared: Arc::clone(shared),
        journal: journal.clone(),
    };
    spawn(name, move || run(&alarm.shared))
}

/// Goes off where it is dropped by a panic.
struct Alarm {
    thread: &'static str,
    shared: Arc<Shared>,
    journal: journal::StateHandle,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let why = format!("the thread {} ended by a panic", self.thread);
        tracing::error!("nothing is taken any more until a restart: {why}");
        self.journal.poison(&why);
        self.shared.sealing.give_up(&why);
        erasure::refuse_waiting(&self.shared, &Refused::OutcomeUnknown(why));
    }
}
