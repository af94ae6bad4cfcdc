//! What a running server does now and then: it writes down times of last use and the ledger, looks at keys that are
//! about to expire, and whether its directory is still its own.

use crate::data_dir::Whereabouts;
use reputation::Micros;
use server::Ledger;
use server::accounts::Accounts;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::Store;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

/// How often the times of last use are written down.
const LAST_USED_EVERY: Duration = Duration::from_secs(60);
/// How often it is looked whether the data directory was moved.
const WHEREABOUTS_EVERY: Duration = Duration::from_secs(1);
/// How often the ledger is.
const LEDGER_EVERY: Duration = Duration::from_secs(1);
/// The wait after a write of the ledger is at least so many times as long as the write: with ten thousand keys
/// at work it must not take a core.
const LEDGER_REST: u32 = 20;
/// How often old minutes and days of the ledger are let go of.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// How often keys that are about to expire are looked at, first at the start.
const EXPIRY_EVERY: Duration = Duration::from_secs(86_400);
/// How long before its last secret key expires an organisation that requires signatures is warned of.
const EXPIRY_WARNING: Duration = Duration::from_secs(7 * 86_400);

/// Starts it all; it goes on until aborted.
pub(crate) fn spawn(
    accounts: &Arc<Accounts>,
    store: &Arc<Store>,
    ledger: &Arc<Ledger>,
    whereabouts: Whereabouts,
) -> [JoinHandle<()>; 5] {
    [
        tokio::spawn(watch(whereabouts)),
        tokio::spawn(write_last_used(Arc::clone(accounts))),
        tokio::spawn(write_ledger(Arc::clone(ledger))),
        tokio::spawn(prune_ledger(Arc::clone(ledger), Arc::clone(store))),
        tokio::spawn(warn_of_expiry(Arc::clone(accounts))),
    ]
}

/// Ends the process once the data directory was moved: the next segment, and even an orderly stop, would write into whatever
/// has its path by then. As after a kill, what was acknowledged is in the directory that was moved.
async fn watch(whereabouts: Whereabouts) {
    loop {
        sleep(WHEREABOUTS_EVERY).await;
        let whereabouts = whereabouts.clone();
        if let Ok(false) = spawn_blocking(move || whereabouts.is_unchanged()).await {
            tracing::error!(
                "the data directory was moved or replaced: ending at once; start again where it is now, all that was acknowledged \
                 is in it"
            );
            std::process::exit(1);
        }
    }
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

async fn warn_of_expiry(accounts: Arc<Accounts>) {
    loop {
        let warning_us = i64::try_from(EXPIRY_WARNING.as_micros()).unwrap_or(i64::MAX);
        let by = Micros(store::now().0.saturating_add(warning_us));
        for org in accounts.shut_by(by) {
            tracing::warn!(
                org_id = org.0,
                by = wire::timestamp::format(by),
                "this organisation requires signatures and has no secret key that is live by then: it takes no events without one; \
                 `repute key create` makes another"
            );
        }
        sleep(EXPIRY_EVERY).await;
    }
}
