//! Turns at something of which only so much is done at once. A turn goes along with the work: a client that goes away
//! takes none back while a thread is still busy for it.

use super::error::Refusal;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use store::OrgId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How long anything may wait for its turn before it is answered with 503. Nothing else uses the blocking pool, which has
/// more threads (512) than there are turns: who has a turn has a thread, so this is the only wait.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);

/// Turns for everybody, in the order in which they are asked for.
pub(crate) struct Turns(Arc<Semaphore>);

impl Turns {
    pub(crate) fn new(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_once)))
    }

    pub(crate) async fn take(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        in_time(next(&self.0)).await
    }
}

/// Turns of which an organisation has all but one at most: others wait for one piece of work, not for all that it sends.
pub(crate) struct SharedTurns {
    at_once: usize,
    all: Arc<Semaphore>,
    by_org: Mutex<HashMap<OrgId, Arc<Semaphore>>>,
}

/// One of those turns.
pub(crate) struct SharedTurn {
    _of_org: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl SharedTurns {
    pub(crate) fn new(at_once: usize) -> Self {
        Self {
            at_once,
            all: Arc::new(Semaphore::new(at_once)),
            by_org: Mutex::default(),
        }
    }

    pub(crate) async fn take(&self, org: OrgId) -> Result<SharedTurn, Refusal> {
        let of_org = || Arc::new(Semaphore::new(self.at_once.saturating_sub(1).max(1)));
        let of_org = Arc::clone(self.by_org.lock().entry(org).or_insert_with(of_org));
        in_time(async {
            Some(SharedTurn {
                _of_org: next(&of_org).await?,
                _of_all: next(&self.all).await?,
            })
        })
        .await
    }
}

async fn next(turns: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(turns).acquire_owned().await.ok()
}

async fn in_time<T>(turn: impl Future<Output = Option<T>>) -> Result<T, Refusal> {
    let turn = timeout(QUEUE_TIMEOUT, turn).await;
    turn.ok().flatten().ok_or(Refusal::Overloaded)
}
