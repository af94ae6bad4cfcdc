//! The handle that verdicts are tracked with.

mod builder;
mod process;

use crate::books::Books;
use crate::courier::Courier;
use crate::settings::{SettingError, WhenFull, check_key};
use crate::valid::{Cuts, Defaults, make_valid};
use crate::{Event, evaluation_id, listeners, time};
pub use builder::Builder;
use process::{Plan, Process};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Takes verdicts, and delivers them in the background.
///
/// A handle may be cloned and shared by threads. When the last one is dropped, what waits is drained as by
/// [`shutdown`](Self::shutdown). A handle in a `static` is never dropped: call `shutdown` before the process
/// ends.
#[derive(Clone)]
pub struct Telemetry(Arc<Inner>);

struct Inner {
    plan: Arc<Plan>,
    process: Process,
}

impl Telemetry {
    /// Begins to set up a client.
    pub fn builder() -> Builder {
        Builder::default()
    }

    fn new(plan: Plan) -> Result<Self, SettingError> {
        let plan = Arc::new(plan);
        let process = Process::begin(&plan)?;
        Ok(Self(Arc::new(Inner { plan, process })))
    }

    /// Tracks an event. Does no I/O, and never waits unless [`WhenFull::Block`] was asked for; whatever
    /// happens to the event is told by the books and the callbacks.
    pub fn track(&self, mut event: Event) {
        let Plan {
            telemetry, listeners, ..
        } = &*self.0.plan;
        if event.passed && telemetry.sample_rate < 1.0 && fastrand::f64() >= telemetry.sample_rate {
            return;
        }
        let courier = self.courier();
        let mut cuts = Cuts::new();
        let defaults = Defaults {
            agent_id: telemetry.agent_id.as_deref(),
            evaluation_id: &|| evaluation_id::make(|bytes| getrandom::fill(bytes).is_ok()),
            now: &|| time::written(SystemTime::now()),
        };
        let valid = make_valid(&mut event, &defaults, &mut cuts).ok();
        if let Some(line) = valid.and_then(|()| serde_json::to_string(&event).ok()) {
            let block = telemetry.when_full == WhenFull::Block && !listeners::is_inside();
            courier.track(line.into(), &cuts, block);
        } else {
            courier.count_invalid();
            listeners.tell_dropped(&event, crate::DropReason::Invalid);
        }
    }

    /// Reads the books.
    #[must_use]
    pub fn books(&self) -> Books {
        self.courier().books()
    }

    /// Waits until what is in memory now has been delivered, refused, dropped or spooled, at most that long.
    /// Says whether all of it was delivered.
    ///
    /// Blocks. In async code call it on a thread for blocking work.
    #[must_use]
    pub fn flush(&self, within: Duration) -> bool {
        // Inside a callback, the thread that delivers is the one that would wait for itself.
        self.courier().flush(if listeners::is_inside() {
            Duration::ZERO
        } else {
            within
        })
    }

    /// Uses another key from now on. A client that is paused for its key tries at once.
    pub fn set_api_key(&self, key: &str) -> Result<(), SettingError> {
        check_key("api_key", key)?;
        self.courier().set_api_key(key);
        Ok(())
    }

    /// Takes no more events, delivers what waits for at most `shutdown_timeout`, and puts the rest into the
    /// spool or, without one, drops it. The second time it does nothing.
    ///
    /// Blocks. In async code call it on a thread for blocking work.
    pub fn shutdown(&self) {
        self.0.shut_down(self.courier());
    }

    fn courier(&self) -> &Arc<Courier> {
        self.0.process.courier(&self.0.plan)
    }
}

impl Inner {
    fn shut_down(&self, courier: &Courier) {
        courier.shut_down(self.plan.telemetry.shutdown_timeout, !listeners::is_inside());
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(courier) = self.process.existing() {
            self.shut_down(courier);
        }
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("books", &self.books())
            .finish_non_exhaustive()
    }
}
