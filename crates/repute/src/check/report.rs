//! What `repute check` says, to people or to scripts.

use gate::{GateResult, Verdict};
use serde_json::{Value, json};
use std::io::{self, Write};

/// How many outputs passed, failed, or were none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) unreadable: u64,
    /// Those that passed, but would not have if shadow gates counted.
    shadow_failing: u64,
}

/// Verdicts on their way out.
pub(crate) struct Report<W> {
    json: bool,
    quiet: bool,
    out: W,
    totals: Totals,
}

impl<W: Write> Report<W> {
    pub(crate) fn new(json: bool, quiet: bool, out: W) -> Self {
        Self {
            json,
            quiet,
            out,
            totals: Totals::default(),
        }
    }

    pub(crate) fn verdict(&mut self, line: usize, verdict: &Verdict<'_>) -> io::Result<()> {
        let count = if verdict.passed {
            &mut self.totals.passed
        } else {
            &mut self.totals.failed
        };
        *count += 1;
        self.totals.shadow_failing += u64::from(verdict.shadow_would_fail());
        if self.json {
            let gates: Vec<Value> = verdict.results.iter().map(gate).collect();
            let told = json!({
                "line": line, "passed": verdict.passed, "gates": gates,
                "total_latency_ms": verdict.total.as_secs_f64() * 1e3,
            });
            return writeln!(self.out, "{told}");
        }
        if verdict.passed && self.quiet {
            return Ok(());
        }
        writeln!(
            self.out,
            "line {line}: {}",
            if verdict.passed { "passed" } else { "FAILED" }
        )?;
        for result in &verdict.results {
            let word = match (result.failed(), result.skipped) {
                (true, _) => "FAILED",
                (_, true) => "skipped",
                _ => continue, // a gate that passed has nothing to say
            };
            let place = result
                .details
                .as_ref()
                .and_then(|details| details["where"].as_str());
            let place = place
                .filter(|place| !place.is_empty())
                .map_or_else(String::new, |place| format!(" at {place}"));
            let reason = result.reason.as_deref().unwrap_or_default();
            writeln!(self.out, "  {word} {}: {reason}{place}", result.name)?;
        }
        Ok(())
    }

    /// A value that is not what was expected.
    pub(crate) fn unreadable(&mut self, line: usize, why: &str) -> io::Result<()> {
        self.totals.unreadable += 1;
        if self.json {
            writeln!(self.out, "{}", json!({ "line": line, "error": why }))
        } else {
            writeln!(self.out, "line {line}: {why}")
        }
    }

    /// The totals, told to people.
    pub(crate) fn finish(mut self) -> io::Result<Totals> {
        let Totals {
            passed,
            failed,
            unreadable,
            shadow_failing,
        } = self.totals;
        if !self.json {
            write!(self.out, "{passed} passed, {failed} failed")?;
            if unreadable > 0 {
                write!(self.out, ", {unreadable} not readable")?;
            }
            if shadow_failing > 0 {
                write!(
                    self.out,
                    "; {shadow_failing} more would fail if shadow gates counted"
                )?;
            }
            writeln!(self.out)?;
        }
        self.out.flush()?;
        Ok(self.totals)
    }
}

fn gate(result: &GateResult<'_>) -> Value {
    let mut told = json!({
        "name": result.name, "passed": result.passed, "latency_ms": result.latency.as_secs_f64() * 1e3,
    });
    if let Some(reason) = &result.reason {
        told["reason"] = reason.as_ref().into();
    }
    if result.skipped {
        told["skipped"] = true.into();
    }
    if result.shadow {
        told["shadow"] = true.into();
    }
    if let Some(details) = &result.details {
        told["details"] = details.clone();
    }
    told
}
