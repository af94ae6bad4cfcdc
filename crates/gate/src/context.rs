//! What gates look at.

use crate::text::{Detectors, Findings, scan};
use crate::{Budget, OutOfBudget};
use json::Document;
use std::cell::OnceCell;
use std::time::Instant;

/// One output of an agent, and what is known of how it came to be.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Who is judged.
    pub agent_id: &'a str,
    /// The tool or function that the agent called.
    pub tool: Option<&'a str>,
    /// What the agent was given.
    pub input: Option<&'a Document<'a>>,
    /// What it put out.
    pub output: &'a Document<'a>,
    /// How long the agent took, in milliseconds.
    pub latency_ms: Option<f64>,
    /// How long the whole exchange may take, in milliseconds (OpenRTB's `tmax`).
    pub tmax_ms: Option<f64>,
    /// When the exchange began.
    pub started_at: Instant,
}

#[cfg(test)]
impl<'a> Context<'a> {
    /// An output of which nothing else is known.
    pub(crate) fn of(output: &'a Document<'a>, started_at: Instant) -> Self {
        Self {
            agent_id: "a",
            tool: None,
            input: None,
            output,
            latency_ms: None,
            tmax_ms: None,
            started_at,
        }
    }
}

/// What a gate is handed: the context, and the budget that it shares with the others.
#[derive(Debug)]
pub struct Subject<'a> {
    context: &'a Context<'a>,
    budget: &'a Budget<'a>,
    detectors: Detectors,
    findings: OnceCell<Findings<'a>>,
}

impl<'a> Subject<'a> {
    pub(crate) fn new(context: &'a Context<'a>, budget: &'a Budget<'a>, detectors: Detectors) -> Self {
        Self {
            context,
            budget,
            detectors,
            findings: OnceCell::new(),
        }
    }

    /// What is judged.
    #[must_use]
    pub fn context(&self) -> &'a Context<'a> {
        self.context
    }

    /// Since the exchange began, in milliseconds.
    #[must_use]
    pub fn elapsed_ms(&self) -> f64 {
        let elapsed = self
            .budget
            .now()
            .saturating_duration_since(self.context.started_at);
        elapsed.as_secs_f64() * 1e3
    }

    /// What the one pass over the output's strings found for all gates of the run. Who asks first waits for it.
    ///
    /// # Errors
    /// Where the budget was spent on the way.
    pub fn findings(&self) -> Result<&Findings<'a>, OutOfBudget> {
        if let Some(findings) = self.findings.get() {
            return Ok(findings);
        }
        let findings = scan(self.context.output, self.detectors, self.budget)?;
        Ok(self.findings.get_or_init(|| findings))
    }

    /// When the budget ends; `None` without end.
    #[must_use]
    pub fn until(&self) -> Option<Instant> {
        self.budget.until()
    }

    /// To be called every now and then in a long walk.
    ///
    /// # Errors
    /// Where the budget is spent: the gate should stop at once.
    pub fn check_budget(&self) -> Result<(), OutOfBudget> {
        self.budget.check()
    }
}
