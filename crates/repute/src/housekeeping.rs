//! What a running server writes down now and then: times of last use, and the ledger.

use server::Ledger;
use server::accounts::Accounts;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::Store;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

/// How often the times of last use are written down.
const LAST_USED_EVERY: Duration = Duration::from_secs(60);
/// How often the ledger is.
const LEDGER_EVERY: Duration = Duration::from_secs(1);
/// The wait after a write of the ledger is at least so many times as long as the write: with ten thousand keys
/// at work it must not take a core.
const LEDGER_REST: u32 = 20;
/// How often old minutes and days of the ledger are let go of.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// Starts it all; it goes on until aborted.
pub(crate) fn spawn(
    accounts: &Arc<Accounts>,
    store: &Arc<Store>,
    ledger: &Arc<Ledger>,
) -> [JoinHandle<()>; 3] {
    [
        tokio::spawn(write_last_used(Arc::clone(accounts))),
        tokio::spawn(write_ledger(Arc::clone(ledger))),
        tokio::spawn(prune_ledger(Arc::clone(ledger), Arc::clone(store))),
    ]
}

async fn write_last_used(accounts: Arc<Accounts>) {
    loop {
        sleep(LAST_USED_EVERY).await;
        let accounts = Arc::clone(&accounts);
        if let Ok(Err(error)) = spawn_blocking(move || accounts.flush()).await {
            tracing::warn!(%error, "the times of last use cannot be written");
        }
    }
}

async fn write_ledger(ledger: Arc<Ledger>) {
    let mut rest = LEDGER_EVERY;
    let mut is_failing = false;
    loop {
        sleep(rest).await;
        let (ledger, started) = (Arc::clone(&ledger), Instant::now());
        let written = spawn_blocking(move || ledger.flush()).await;
        rest = LEDGER_EVERY.max(started.elapsed() * LEDGER_REST);
        match written {
            Ok(Err(error)) if !is_failing => {
                tracing::warn!(%error, "the ledger cannot be written; trying again");
                is_failing = true;
            }
            Ok(Ok(())) => is_failing = false,
            _ => {}
        }
    }
}

async fn prune_ledger(ledger: Arc<Ledger>, store: Arc<Store>) {
    loop {
        sleep(PRUNE_EVERY).await;
        let (ledger, store) = (Arc::clone(&ledger), Arc::clone(&store));
        let pruned = spawn_blocking(move || {
            let now = store::now();
            ledger.prune(now, store.oldest_receipt())
        });
        if let Ok(Err(error)) = pruned.await {
            tracing::warn!(%error, "old entries of the ledger cannot be removed");
        }
    }
}
