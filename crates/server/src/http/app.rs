//! What every request shares.

use super::books::Books;
use super::budget::Budget;
use super::error::{NO_ROOM, Refusal};
use super::turns::{SharedTurn, SharedTurns, Turns};
use crate::accounts::{Accounts, OrgSettings, Principal};
use crate::rate_limit::RateLimits;
use crate::{Config, Gates, Ledger, Metrics};
use reputation::Micros;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Health, OrgId, Store};
use tokio::sync::watch;
use wire::CursorKey;

/// Reads of the store that run at once; each has a thread of the blocking pool.
const READS_AT_ONCE: usize = 64;
/// Changes of keys, and reads of the audit log and the ledger, that run or wait for SQLite at once.
const ADMINISTRATION_AT_ONCE: usize = 16;
/// Large bodies that are checked, unpacked and parsed at once, and evaluations that may take long, off the threads that
/// serve connections.
const LARGE_BODIES_AT_ONCE: usize = 4;
/// A larger body, as sent or unpacked, is none for the threads that serve connections.
pub(crate) const LARGE_BODY_BYTES: usize = 256 << 10;

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
    large_bodies: SharedTurns,
    reads: Turns,
    administration: Turns,
    draining: watch::Sender<bool>,
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
            large_bodies: SharedTurns::new(LARGE_BODIES_AT_ONCE),
            reads: Turns::new(READS_AT_ONCE),
            administration: Turns::new(ADMINISTRATION_AT_ONCE),
            draining: watch::Sender::new(false),
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
        self.draining.send_replace(true);
    }

    /// Waits until the server only finishes what it has.
    pub(crate) async fn drains(&self) {
        // It fails only where nobody can say so any more: then the server is gone.
        drop(self.draining.subscribe().wait_for(|draining| *draining).await);
    }

    /// How many agents an organisation with these settings may have.
    pub(crate) fn max_agents(&self, settings: &OrgSettings) -> u64 {
        settings.max_agents.unwrap_or(self.config.max_agents)
    }

    /// Whether an event would be taken now, and if not, the answer that says why.
    pub(crate) fn writable(&self) -> Result<(), Refusal> {
        if *self.draining.borrow() {
            return Err(Refusal::NotKept("the server is stopping".to_owned()));
        }
        match self.store.health() {
            Health::Writable => Ok(()),
            Health::Full(why) => {
                tracing::debug!(why, "refusing: no room");
                Err(Refusal::NotKept(NO_ROOM.to_owned()))
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

    /// Does what a large body of this organisation asks for off the threads that serve connections, in the turn that it has
    /// already, or in one that it waits for. The work keeps the turn, or lets it go.
    pub(crate) async fn off_thread<T: Send + 'static>(
        self: &Arc<Self>,
        org: OrgId,
        turn: Option<SharedTurn>,
        work: impl FnOnce(&Self, SharedTurn) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let turn = match turn {
            Some(turn) => turn,
            None => self.large_bodies.take(org).await?,
        };
        let app = Arc::clone(self);
        on_a_thread(move || work(&app, turn)).await
    }

    /// Reads the store on a thread that may wait for the disk.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Store) -> Result<T, store::Error> + Send + 'static,
    ) -> Result<T, Refusal> {
        let store = Arc::clone(&self.store);
        let read = move || read(&store).map_err(|error| Refusal::Internal(error.to_string()));
        in_turn(&self.reads, read).await
    }

    /// Asks SQLite something on a thread that may wait for the disk.
    pub(crate) async fn administer<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let app = Arc::clone(self);
        in_turn(&self.administration, move || work(&app)).await
    }
}

async fn in_turn<T: Send + 'static>(
    turns: &Turns,
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let turn = turns.take().await?;
    on_a_thread(move || {
        let _turn = turn;
        work()
    })
    .await
}

async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|panic| Refusal::Internal(panic.to_string()))?
}
