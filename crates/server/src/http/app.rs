//! What every request shares.

use super::books::Books;
use super::budget::Budget;
use super::error::Refusal;
use crate::accounts::{Accounts, OrgSettings, Principal};
use crate::rate_limit::RateLimits;
use crate::{Config, Gates, Ledger, Metrics};
use reputation::Micros;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use store::{Health, Store};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use wire::CursorKey;

/// Reads of the store that run at once; each has a thread of the blocking pool.
const READS_AT_ONCE: usize = 64;
/// How long a read or a large body may wait for its turn before it is answered with 503.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);
/// Large bodies that are read at once, and evaluations that may take long, off the threads that serve connections.
const LARGE_BODIES_AT_ONCE: usize = 4;

pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) store: Arc<Store>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) gates: Arc<Gates>,
    pub(crate) limits: RateLimits,
    pub(crate) budget: Budget,
    pub(crate) cursors: CursorKey,
    large_bodies: Semaphore,
    reads: Semaphore,
    draining: AtomicBool,
    started: Instant,
}

impl App {
    pub(crate) fn new(
        config: Config,
        accounts: Arc<Accounts>,
        store: Arc<Store>,
        metrics: Arc<Metrics>,
        ledger: Arc<Ledger>,
        gates: Arc<Gates>,
    ) -> Self {
        Self {
            limits: RateLimits::new(),
            budget: Budget::new(config.bytes_in_flight),
            cursors: CursorKey::new(&store.cursor_key()),
            large_bodies: Semaphore::new(LARGE_BODIES_AT_ONCE),
            reads: Semaphore::new(READS_AT_ONCE),
            draining: AtomicBool::new(false),
            started: Instant::now(),
            config,
            accounts,
            store,
            metrics,
            ledger,
            gates,
        }
    }

    /// Where what this caller sends is counted.
    pub(crate) fn books(&self, caller: &Principal) -> Books {
        Books::new(&self.metrics, &self.ledger, caller)
    }

    /// Time since the start, which never goes back.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// The time of day.
    pub(crate) fn now(&self) -> Micros {
        store::now()
    }

    /// From now on the server only finishes what it has.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// How many agents an organisation with these settings may have.
    pub(crate) fn max_agents(&self, settings: &OrgSettings) -> u64 {
        settings.max_agents.unwrap_or(self.config.max_agents)
    }

    /// Whether an event would be taken now, and if not, the answer that says why.
    pub(crate) fn writable(&self) -> Result<(), Refusal> {
        if self.draining.load(Ordering::Acquire) {
            return Err(Refusal::NotKept("the server is stopping".to_owned()));
        }
        match self.store.health() {
            Health::Writable => Ok(()),
            Health::Full(why) => {
                tracing::debug!(why, "refusing: no room");
                Err(Refusal::NotKept(
                    "there is no room on the server's disk".to_owned(),
                ))
            }
            Health::Poisoned(_) => Err(Refusal::OutcomeUnknown),
        }
    }

    /// Whether a submission would be taken now; asked before a body is read, so that under overload neither its bytes
    /// nor the work of reading them cost anything.
    pub(crate) fn takes_submissions(&self) -> Result<(), Refusal> {
        self.writable()?;
        if self.store.has_place() {
            Ok(())
        } else {
            Err(Refusal::Overloaded)
        }
    }

    /// Does what a large body asks for off the threads that serve connections.
    pub(crate) async fn off_thread<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let Ok(Ok(_turn)) = timeout(QUEUE_TIMEOUT, self.large_bodies.acquire()).await else {
            return Err(Refusal::Overloaded);
        };
        let app = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&app)).await;
        done.map_err(|panic| Refusal::Internal(panic.to_string()))?
    }

    /// Reads the store on a thread that may wait for the disk.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Store) -> Result<T, store::Error> + Send + 'static,
    ) -> Result<T, Refusal> {
        let Ok(Ok(_turn)) = timeout(QUEUE_TIMEOUT, self.reads.acquire()).await else {
            return Err(Refusal::Overloaded);
        };
        let store = Arc::clone(&self.store);
        match tokio::task::spawn_blocking(move || read(&store)).await {
            Ok(outcome) => outcome.map_err(|error| Refusal::Internal(error.to_string())),
            Err(panic) => Err(Refusal::Internal(panic.to_string())),
        }
    }
}
