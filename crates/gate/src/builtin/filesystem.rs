//! `filesystem`: destructive commands, path traversal, sensitive paths.

use super::found;
use crate::text;
use crate::{Detector, Detectors, Gate, Outcome, Stopped, Subject};

/// Fails when the output holds what may harm a filesystem.
#[derive(Clone, Copy, Debug)]
pub struct Filesystem {
    detectors: Detectors,
}

impl Filesystem {
    /// What it looks for by default.
    pub const DEFAULT: [Detector; 3] = [
        Detector::RecursiveRemove,
        Detector::Traversal,
        Detector::SensitivePath,
    ];

    /// Looks for these: any that are about commands and paths, and [`Detector::Argv`].
    #[must_use]
    pub fn new(detectors: Detectors) -> Self {
        text::prepare_commands(); // so that the first output does not wait for that
        Self { detectors }
    }
}

impl Default for Filesystem {
    fn default() -> Self {
        Self::new(Self::DEFAULT.into_iter().collect())
    }
}

impl Gate for Filesystem {
    fn name(&self) -> &'static str {
        "filesystem"
    }

    fn detectors(&self) -> Detectors {
        self.detectors
    }

    fn check(&self, subject: &Subject<'_>) -> Result<Outcome, Stopped> {
        let findings = subject.findings()?;
        let wanted = Detector::OF_COMMAND_LINES
            .into_iter()
            .filter(|one| self.detectors.has(*one));
        let mut hits = wanted.filter_map(|one| findings.first(one).map(|hit| (one, hit)));
        Ok(match hits.next() {
            None => Outcome::pass(),
            Some((Detector::Traversal, hit)) => found(subject, "path traversal", hit),
            Some((Detector::SensitivePath, hit)) => found(subject, "sensitive path", hit),
            Some((_, hit)) => found(subject, "destructive command", hit),
        })
    }
}
