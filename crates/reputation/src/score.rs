//! The score of a window and the stage of life it stands for.

use crate::WINDOW;

/// The totals of a window: all that a score depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Summary {
    /// Evaluations in the window: at most [`WINDOW`].
    pub evaluations: u32,
    /// Those of them that passed.
    pub passed: u32,
    /// The sum of their `total_latency_ms`, in microseconds.
    pub latency_sum_us: u64,
    /// Passes in a row, counted back from the newest.
    pub streak: u32,
}

/// How far an agent has come, by the number of evaluations in its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// None yet.
    New,
    /// 1–49.
    Calibrating,
    /// 50–499.
    Active,
    /// A full window of 500.
    Mature,
}

impl Status {
    /// The word that clients see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Calibrating => "calibrating",
            Self::Active => "active",
            Self::Mature => "mature",
        }
    }
}

impl Summary {
    /// The score, 0–1000:
    ///
    /// `floor(400·pass_rate + 250·max(0, 1 − avg_latency_ms/100) + 200·min(streak,50)/50 +
    /// 150·min(evaluations,500)/500)`, and 0 without evaluations (the public description of the API).
    ///
    /// With `n` evaluations, `p` passed, latency sum `s` µs and streak `k`, all four terms share the
    /// denominator `400·n`, so the floor is one integer division:
    /// `(160000·p + max(0, 100000·n − s) + 1600·n·min(k,50) + 120·n²) / (400·n)`.
    #[must_use]
    pub fn score(&self) -> u16 {
        let n = u64::from(self.evaluations);
        if n == 0 {
            return 0;
        }
        let pass = 160_000 * u64::from(self.passed);
        let speed = (100_000 * n).saturating_sub(self.latency_sum_us);
        let streak = 1_600 * n * u64::from(self.streak.min(50));
        let experience = 120 * n * n.min(WINDOW as u64);
        u16::try_from((pass + speed + streak + experience) / (400 * n)).unwrap_or(1_000)
    }

    /// The stage of life that the number of evaluations stands for.
    #[must_use]
    pub fn status(&self) -> Status {
        match self.evaluations {
            0 => Status::New,
            1..50 => Status::Calibrating,
            50..500 => Status::Active,
            _ => Status::Mature,
        }
    }

    /// The share of evaluations that passed, 0–1; 0 without evaluations.
    #[must_use]
    pub fn pass_rate(&self) -> f64 {
        if self.evaluations == 0 {
            0.0
        } else {
            f64::from(self.passed) / f64::from(self.evaluations)
        }
    }

    /// The mean `total_latency_ms`; 0 without evaluations.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "500 × 60 s in µs is far below 2^53")]
    pub fn avg_latency_ms(&self) -> f64 {
        if self.evaluations == 0 {
            0.0
        } else {
            self.latency_sum_us as f64 / f64::from(self.evaluations) / 1_000.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_example_scores_440() {
        let summary = Summary {
            evaluations: 2,
            passed: 1,
            latency_sum_us: 8_000,
            streak: 0,
        };
        assert_eq!((summary.score(), summary.status()), (440, Status::Calibrating));
    }

    #[test]
    fn nothing_scores_nothing() {
        assert_eq!(
            (Summary::default().score(), Summary::default().status()),
            (0, Status::New)
        );
    }

    #[test]
    fn the_best_window_scores_1000() {
        let summary = Summary {
            evaluations: 500,
            passed: 500,
            latency_sum_us: 0,
            streak: 500,
        };
        assert_eq!((summary.score(), summary.status()), (1_000, Status::Mature));
    }

    #[test]
    fn a_slow_window_loses_its_speed_but_no_more() {
        let summary = Summary {
            evaluations: 1,
            passed: 1,
            latency_sum_us: 60_000_000,
            streak: 1,
        };
        assert_eq!(summary.score(), 404); // 400 + 0 + 4 + 0.3
    }

    #[test]
    fn status_changes_at_its_borders() {
        let at = |evaluations| {
            Summary {
                evaluations,
                ..Summary::default()
            }
            .status()
            .as_str()
        };
        assert_eq!(
            [at(0), at(1), at(49), at(50), at(499), at(500)],
            ["new", "calibrating", "calibrating", "active", "active", "mature"]
        );
    }
}
