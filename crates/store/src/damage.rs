//! Damage that reads came upon, kept for the operator until the process ends.

use crate::Error;
use parking_lot::Mutex;

/// How many places are remembered; an operator needs the first, not all.
const MAX_REMEMBERED: usize = 16;

/// The places found damaged so far.
#[derive(Default)]
pub(crate) struct Damage {
    found: Mutex<Vec<String>>,
}

impl Damage {
    /// Remembers the error if it is damage, and logs it the first time.
    pub(crate) fn note<T>(&self, outcome: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &outcome
            && error.is_damage()
        {
            let what = error.to_string();
            let mut found = self.found.lock();
            if !found.contains(&what) && found.len() < MAX_REMEMBERED {
                tracing::error!(
                    damage = what,
                    "stored events are damaged; what does not need them goes on"
                );
                found.push(what);
            }
        }
        outcome
    }

    /// All that was found.
    pub(crate) fn list(&self) -> Vec<String> {
        self.found.lock().clone()
    }
}
