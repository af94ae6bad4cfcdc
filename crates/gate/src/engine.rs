//! Runs a list of gates over one output: one budget, results in list order, a gate's fault kept apart.

mod verdict;

pub use verdict::{Ending, GateResult, Verdict};

use crate::text::Detectors;
use crate::{Budget, Context, Gate, Outcome, Stopped, Subject};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// The most gates in a list.
pub const MAX_GATES: usize = 50;
/// The longest name of a gate, in code points.
pub const MAX_NAME: usize = 200;
/// The longest reason, in code points.
pub const MAX_REASON: usize = 500;

/// Gates in the order in which they run.
#[derive(Debug)]
pub struct Engine {
    gates: Vec<Listed>,
    settings: Settings,
    detectors: Detectors,
}

/// A gate of a list.
pub struct Listed {
    /// The gate.
    pub gate: Box<dyn Gate>,
    /// Whether it only watches: it runs and its result is told, but it is never a failure.
    pub shadow: bool,
}

/// How a list of gates is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long all gates together may take, by the wall clock.
    pub budget: Duration,
    /// Whether the first failure stops the rest.
    pub fail_fast: bool,
}

impl Settings {
    /// The budget where nobody says otherwise.
    pub const DEFAULT_BUDGET: Duration = Duration::from_millis(50);
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            budget: Self::DEFAULT_BUDGET,
            fail_fast: false,
        }
    }
}

/// Why gates cannot be a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Results could not be told apart.
    #[error("two gates are named `{0}`")]
    SameName(String),
    /// A name that an event cannot hold.
    #[error("a gate's name must have 1 to {MAX_NAME} characters")]
    NameLength,
    /// More than an event can hold.
    #[error("more than {MAX_GATES} gates")]
    TooMany,
    /// It decides whether the others run.
    #[error("`{0}` must be the first gate")]
    NotFirst(String),
}

impl Engine {
    /// Gates that run in that order.
    ///
    /// # Errors
    /// Where the names are not unique, or the list is too long or in a wrong order.
    pub fn new(gates: Vec<Listed>, settings: Settings) -> Result<Self, Unfit> {
        if gates.len() > MAX_GATES {
            return Err(Unfit::TooMany);
        }
        for (index, listed) in gates.iter().enumerate() {
            let name = listed.gate.name();
            if !(1..=MAX_NAME).contains(&name.chars().count()) {
                return Err(Unfit::NameLength);
            }
            if gates[..index].iter().any(|other| other.gate.name() == name) {
                return Err(Unfit::SameName(name.to_owned()));
            }
            if index > 0 && listed.gate.must_be_first() {
                return Err(Unfit::NotFirst(name.to_owned()));
            }
        }
        let detectors = gates.iter().map(|listed| listed.gate.detectors()).collect();
        Ok(Self {
            gates,
            settings,
            detectors,
        })
    }

    /// The gates, in order.
    #[must_use]
    pub fn gates(&self) -> &[Listed] {
        &self.gates
    }

    /// How they are run.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Whether a run may take more than linear time, see [`Gate::is_heavy`].
    #[must_use]
    pub fn is_heavy(&self) -> bool {
        self.gates.iter().any(|listed| listed.gate.is_heavy())
    }

    /// Runs the gates. The budget starts now.
    #[must_use]
    pub fn run(&self, context: &Context<'_>) -> Verdict<'_> {
        self.run_by(context, &Instant::now)
    }

    /// Runs the gates by that clock.
    #[must_use]
    pub fn run_by(&self, context: &Context<'_>, clock: &dyn Fn() -> Instant) -> Verdict<'_> {
        let budget = Budget::start(self.settings.budget, clock);
        let subject = Subject::new(context, &budget, self.detectors);
        let mut results: Vec<GateResult<'_>> = Vec::with_capacity(self.gates.len());
        let mut not_run = None;
        let mut now = budget.started();
        for listed in &self.gates {
            let result = if let Some(ending) = not_run.clone() {
                GateResult::not_run(listed, ending)
            } else {
                let began = now;
                let told = ask(&*listed.gate, &subject, budget.is_spent_at(began));
                now = budget.now();
                // An outcome that comes after the end of the budget comes too late; a fault stays a fault.
                let told = told.and_then(|outcome| match budget.is_spent_at(now) {
                    true => Err(Ending::TimedOut),
                    false => Ok(outcome),
                });
                GateResult::new(listed, told, now.saturating_duration_since(began))
            };
            if not_run.is_none() {
                not_run = self.what_ends(&result);
            }
            results.push(result);
        }
        Verdict::new(results, now.saturating_duration_since(budget.started()))
    }

    /// Why the gates after this one do not run, if they do not.
    fn what_ends(&self, result: &GateResult<'_>) -> Option<Ending> {
        if result.shadow {
            None
        } else if result.ends_run {
            Some(Ending::Deadline)
        } else if self.settings.fail_fast && result.failed() {
            Some(Ending::Aborted)
        } else {
            None
        }
    }
}

/// Lets a gate look, unless the time is up. Its panic is its fault, not its caller's.
fn ask(gate: &dyn Gate, subject: &Subject<'_>, is_spent: bool) -> Result<Outcome, Ending> {
    if is_spent {
        return Err(Ending::TimedOut);
    }
    // What a panic leaves half done is the subject's findings, which are then as if never looked for.
    match catch_unwind(AssertUnwindSafe(|| gate.check(subject))) {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(Stopped::OutOfBudget(_))) => Err(Ending::TimedOut),
        Ok(Err(Stopped::Fault(cause))) => Err(Ending::Faulted(cause)),
        Err(_) => Err(Ending::Faulted("it panicked".to_owned())),
    }
}

impl fmt::Debug for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listed")
            .field("gate", &self.gate.name())
            .field("shadow", &self.shadow)
            .finish()
    }
}

#[cfg(test)]
mod tests;
