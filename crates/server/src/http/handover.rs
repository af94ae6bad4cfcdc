//! What is handed to the store, until it answers.

use super::error::{NO_ROOM, Refusal};
use store::{NotKept, Refused};
use tokio::sync::oneshot;

/// Something that the store was given. It answers whether or not the client still listens.
pub(crate) struct HandedOver<T>(oneshot::Receiver<Result<T, Refused>>);

/// The store's reply, and where it arrives.
pub(crate) fn hand_over<T: Send>() -> (impl FnOnce(Result<T, Refused>) + Send, HandedOver<T>) {
    let (answer, receipt) = oneshot::channel();
    (move |outcome| drop(answer.send(outcome)), HandedOver(receipt))
}

impl<T> HandedOver<T> {
    /// What became of it. `positions` are the original indexes of the events that were handed over, empty where the
    /// client sent no list of them.
    pub(crate) async fn outcome(self, positions: &[usize]) -> Result<T, Refusal> {
        let outcome = self.0.await;
        let outcome = outcome.map_err(|_| Refusal::Internal("the store gave no answer".to_owned()))?;
        outcome.map_err(|refused| refusal(refused, positions))
    }
}

/// What the store refuses, as the client is told.
fn refusal(refused: Refused, positions: &[usize]) -> Refusal {
    match refused {
        Refused::AgentLimit { limit, events } => {
            let original = |event: u32| positions.get(event as usize).copied();
            Refusal::AgentLimit {
                limit,
                events: events.into_iter().filter_map(original).collect(),
            }
        }
        Refused::NotKept(NotKept::Overloaded) => Refusal::Overloaded,
        Refused::NotKept(NotKept::Full(_)) => Refusal::NotKept(NO_ROOM.to_owned()),
        Refused::NotKept(NotKept::Draining) => Refusal::NotKept("the server is stopping".to_owned()),
        Refused::OutcomeUnknown(_) => Refusal::OutcomeUnknown,
        Refused::Internal(cause) => Refusal::Internal(cause),
    }
}
