//! `rtb.tmax-guard`: whether there is time left for other gates.

use crate::{Gate, Outcome, Stopped, Subject};

/// Never fails. Ends the run when less than a buffer is left of the time that the exchange may take.
#[derive(Clone, Copy, Debug)]
pub struct TmaxGuard {
    /// How much must be left, in milliseconds.
    pub buffer_ms: f64,
}

impl Default for TmaxGuard {
    fn default() -> Self {
        Self { buffer_ms: 15.0 }
    }
}

impl Gate for TmaxGuard {
    fn name(&self) -> &'static str {
        "rtb.tmax-guard"
    }

    fn must_be_first(&self) -> bool {
        true
    }

    fn check(&self, subject: &Subject<'_>) -> Result<Outcome, Stopped> {
        let Some(tmax_ms) = subject.context().tmax_ms else {
            return Ok(Outcome::pass());
        };
        let left_ms = tmax_ms - subject.elapsed_ms();
        if left_ms >= self.buffer_ms {
            return Ok(Outcome::pass());
        }
        // Rounded down, so that it is still less than what is needed; a zero is added to make a -0 one.
        let reason = format!(
            "tmax budget: {}ms of {}ms left, {}ms needed",
            left_ms.floor() + 0.0,
            tmax_ms + 0.0,
            self.buffer_ms + 0.0
        );
        Ok(Outcome {
            ends_run: true,
            ..Outcome::skip(reason)
        })
    }
}
