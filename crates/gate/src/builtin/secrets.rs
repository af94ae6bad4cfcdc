//! `secrets`: keys, tokens and passwords of well-known shapes.

use super::found;
use crate::text;
use crate::{Detector, Detectors, Gate, Outcome, Stopped, Subject};

/// Fails when the output holds a secret.
#[derive(Clone, Copy, Debug)]
pub struct Secrets(());

impl Secrets {
    /// Makes its patterns ready, so that the first output does not wait for that.
    #[must_use]
    pub fn new() -> Self {
        text::prepare_secrets();
        Self(())
    }
}

impl Default for Secrets {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate for Secrets {
    fn name(&self) -> &'static str {
        "secrets"
    }

    fn detectors(&self) -> Detectors {
        Detectors::default().with(Detector::Secret)
    }

    fn check(&self, subject: &Subject<'_>) -> Result<Outcome, Stopped> {
        Ok(match subject.findings()?.first(Detector::Secret) {
            None => Outcome::pass(),
            Some(hit) => found(subject, hit.kind.unwrap_or("secret"), hit),
        })
    }
}
