//! `pii`: what identifies a person.

use super::found;
use crate::{Detector, Detectors, Gate, Outcome, Stopped, Subject};

/// Fails when the output holds what identifies a person.
#[derive(Clone, Copy, Debug)]
pub struct Pii {
    detectors: Detectors,
}

/// What it can look for, in the order in which it is told, and what it is called.
const KINDS: [(Detector, &str); 6] = [
    (Detector::Email, "email address"),
    (Detector::Ssn, "SSN"),
    (Detector::Phone, "phone number"),
    (Detector::Card, "card number"),
    (Detector::Iban, "IBAN"),
    (Detector::Ip, "IP address"),
];

impl Pii {
    /// What it looks for by default.
    pub const DEFAULT: [Detector; 3] = [Detector::Email, Detector::Ssn, Detector::Phone];

    /// Looks for these.
    #[must_use]
    pub fn new(detectors: Detectors) -> Self {
        Self { detectors }
    }
}

impl Default for Pii {
    fn default() -> Self {
        Self::new(Self::DEFAULT.into_iter().collect())
    }
}

impl Gate for Pii {
    fn name(&self) -> &'static str {
        "pii"
    }

    fn detectors(&self) -> Detectors {
        self.detectors
    }

    fn check(&self, subject: &Subject<'_>) -> Result<Outcome, Stopped> {
        let findings = subject.findings()?;
        let wanted = KINDS.iter().filter(|(detector, _)| self.detectors.has(*detector));
        let mut hits = wanted.filter_map(|(detector, name)| Some((*name, findings.first(*detector)?)));
        Ok(match hits.next() {
            None => Outcome::pass(),
            Some((name, hit)) => found(subject, name, hit),
        })
    }
}
