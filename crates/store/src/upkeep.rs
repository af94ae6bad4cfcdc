//! What keeps the stored segments in order while events come: one thread, one thing at a time, at a measured
//! pace, so that neither the log nor queries wait for it.

use crate::Error;
use crate::owner::Message;
use crate::retention::Retention;
use crate::shared::Shared;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::sync::atomic::{AtomicBool, Ordering};

/// What the thread is asked.
pub(crate) enum Job {
    /// Do all that can be done now, then drop the sender.
    Settle(Sender<()>),
    /// End.
    Close,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Something was done, and there may be more.
    More,
    /// There is nothing to do now.
    Idle,
}

/// The thread's state.
pub(crate) struct Upkeep {
    retention: Retention,
    /// What the last failed step said, so that it's logged once.
    trouble: Option<String>,
}

impl Upkeep {
    pub(crate) fn new(owner: Sender<Message>) -> Self {
        Self {
            retention: Retention::new(owner),
            trouble: None,
        }
    }

    /// Runs until it's told to end.
    pub(crate) fn run(mut self, shared: &Shared, jobs: &Receiver<Job>, closing: &AtomicBool) {
        loop {
            match jobs.recv_timeout(shared.options.upkeep_every) {
                Err(RecvTimeoutError::Timeout) => self.work(shared, closing),
                Ok(Job::Settle(done)) => {
                    self.work(shared, closing);
                    drop(done);
                }
                Ok(Job::Close) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Does what there is to do.
    fn work(&mut self, shared: &Shared, closing: &AtomicBool) {
        while !closing.load(Ordering::Acquire) {
            match shared.damage.note(self.retention.step(shared)) {
                Ok(Step::More) => self.trouble = None,
                Ok(Step::Idle) => return,
                Err(error) => return self.complain(&error),
            }
        }
    }

    fn complain(&mut self, error: &Error) {
        let what = error.to_string();
        if self.trouble.as_ref() != Some(&what) {
            tracing::warn!(%error, "keeping the segments in order failed; trying again");
        }
        self.trouble = Some(what);
    }
}
