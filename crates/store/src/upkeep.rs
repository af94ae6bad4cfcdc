//! What keeps the stored segments in order while events come: one thread, one thing at a time, at a measured
//! pace, so that neither the log nor queries wait for it.

use crate::compaction::Compaction;
use crate::erasure;
use crate::owner::{self, Message};
use crate::retention::Retention;
use crate::scrub::Scrub;
use crate::shared::Shared;
use crate::{Error, NotKept, Refused};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often to look while somebody waits.
const SHORT: Duration = Duration::from_millis(5);

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
    owner: Sender<Message>,
    retention: Retention,
    compaction: Compaction,
    scrub: Scrub,
    /// What the last failed step said, so that it's logged once.
    trouble: Option<String>,
}

impl Upkeep {
    pub(crate) fn new(owner: Sender<Message>) -> Self {
        Self {
            retention: Retention::new(owner.clone()),
            compaction: Compaction::new(),
            owner,
            scrub: Scrub::new(),
            trouble: None,
        }
    }

    /// Runs until it's told to end.
    pub(crate) fn run(mut self, shared: &Shared, jobs: &Receiver<Job>, closing: &AtomicBool) {
        loop {
            let every = shared.options.upkeep_every;
            let somebody_waits = every < Duration::MAX && !shared.waiting.lock().is_empty();
            let pause = if somebody_waits { SHORT } else { every };
            match jobs.recv_timeout(pause) {
                Err(RecvTimeoutError::Timeout) => self.work(shared, closing),
                Ok(Job::Settle(done)) => {
                    self.work(shared, closing);
                    drop(done);
                }
                Ok(Job::Close) | Err(RecvTimeoutError::Disconnected) => {
                    return erasure::refuse_waiting(shared, &Refused::NotKept(NotKept::Draining));
                }
            }
        }
    }

    /// Does what there is to do: of several things the first. One that fails waits for the next time, and does not
    /// keep the others from being done.
    fn work(&mut self, shared: &Shared, closing: &AtomicBool) {
        let mut failed = [false; 4];
        while !closing.load(Ordering::Acquire) {
            // Full segments get their indexes first, since writers wait for those.
            if shared.options.upkeep_every == Duration::MAX {
                owner::settle(&self.owner);
            }
            shared.sealing.wait_until_idle();
            let mut is_idle = true;
            for (task, failed) in failed.iter_mut().enumerate().filter(|(_, failed)| !**failed) {
                let stepped = match task {
                    0 => erasure::step(shared),
                    1 => self.retention.step(shared),
                    2 => self.compaction.step(shared),
                    _ => self.scrub.step(shared),
                };
                match shared.damage.note(stepped) {
                    Ok(Step::Idle) => continue,
                    Ok(Step::More) => self.trouble = None,
                    Err(error) => {
                        if task == 0 {
                            erasure::put_off(shared, &error);
                        }
                        self.complain(&error);
                        *failed = true;
                    }
                }
                is_idle = false;
                break;
            }
            if is_idle {
                return;
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
