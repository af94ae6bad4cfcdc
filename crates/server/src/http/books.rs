//! Counting what one caller sends, in the metrics and in the ledger at once.

use crate::accounts::Principal;
use crate::ledger::{Fate, Item};
use crate::{Ledger, Metrics};
use std::sync::Arc;
use store::{KeyId, NotKept, OrgId, Receipt, Refused};

/// The status that stands for a client that went away before its answer, as access logs have it.
pub(crate) const GONE: u16 = 499;

/// The books of one key. What is recorded or a repeat is not counted here: the store tells of that itself.
#[derive(Clone)]
pub(crate) struct Books {
    metrics: Arc<Metrics>,
    ledger: Arc<Ledger>,
    org: OrgId,
    key: KeyId,
}

impl Books {
    pub(super) fn new(metrics: &Arc<Metrics>, ledger: &Arc<Ledger>, caller: &Principal) -> Self {
        Self {
            metrics: Arc::clone(metrics),
            ledger: Arc::clone(ledger),
            org: caller.org,
            key: caller.key,
        }
    }

    /// A body parsed as a list of so many events.
    pub(crate) fn received(&self, events: usize) {
        self.metrics.events_received(events as u64);
    }

    /// Some of them were not taken.
    pub(crate) fn not_taken(&self, fate: Fate, events: usize) {
        self.metrics.not_taken(fate, events as u64);
        self.count(Item::Events(fate), events as u64);
    }

    /// What became of a batch, of whose events the store was given the valid ones. Where it takes none, all are of
    /// one fate, as their sender is told.
    pub(crate) fn settled(&self, outcome: &Result<Receipt, Refused>, valid: usize, invalid: usize) {
        match outcome {
            Ok(receipt) => {
                self.not_taken(Fate::Invalid, invalid);
                self.not_taken(Fate::AgentLimit, receipt.rejected.len());
            }
            Err(refused) => self.not_taken(fate(refused), valid + invalid),
        }
    }

    /// A request of the key, until it's answered or given up.
    pub(crate) fn request(self) -> OpenRequest {
        OpenRequest {
            books: self,
            status: GONE,
        }
    }

    fn count(&self, item: Item, count: u64) {
        let now = store::now();
        self.ledger.count(self.org, self.key, now, item, count);
    }
}

/// A request that is to be counted by its answer's status, or as [`GONE`].
pub(crate) struct OpenRequest {
    books: Books,
    status: u16,
}

impl OpenRequest {
    pub(crate) fn answered(mut self, status: u16) {
        self.status = status;
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.books.count(Item::Requests(self.status), 1);
    }
}

fn fate(refused: &Refused) -> Fate {
    match refused {
        Refused::AgentLimit { .. } => Fate::AgentLimit,
        Refused::NotKept(NotKept::Overloaded) => Fate::Overloaded,
        Refused::NotKept(NotKept::Full(_)) => Fate::Full,
        Refused::NotKept(NotKept::Draining) => Fate::Draining,
        Refused::OutcomeUnknown(_) => Fate::OutcomeUnknown,
        Refused::Internal(_) => Fate::Internal,
    }
}
