//! Hands what the store does to all who want to hear of it.

use crate::{Ledger, Metrics};
use std::sync::Arc;
use std::time::Duration;
use store::{Booked, Observer};

struct Hearers {
    metrics: Arc<Metrics>,
    ledger: Arc<Ledger>,
}

/// What a store is to be opened with, so that these hear of it.
#[must_use]
pub fn observer(metrics: Arc<Metrics>, ledger: Arc<Ledger>) -> Arc<dyn Observer> {
    Arc::new(Hearers { metrics, ledger })
}

impl Observer for Hearers {
    fn committed(&self, latency: Duration, submissions: usize, _events: usize, bytes: usize) {
        self.metrics.committed(latency, submissions, bytes);
    }

    fn booked(&self, frame_seq: u64, batches: &[Booked]) {
        self.metrics.booked(batches);
        self.ledger.book(frame_seq, batches);
    }

    fn carried(&self, bytes: u64) {
        self.metrics.carried(bytes);
    }

    fn scrubbed(&self, bytes: u64) {
        self.metrics.scrubbed(bytes);
    }

    fn compacted(&self, bytes: u64) {
        self.metrics.compacted(bytes);
    }

    fn let_go(&self, events: u64) {
        self.metrics.let_go(events);
    }
}
