//! Latencies, every one of them kept.

use std::time::Duration;

/// In nanoseconds, up to 4.29 s.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies {
    ns: Vec<u32>,
    is_sorted: bool,
}

impl Latencies {
    pub(crate) fn push(&mut self, latency: Duration) {
        self.ns
            .push(u32::try_from(latency.as_nanos()).unwrap_or(u32::MAX));
        self.is_sorted = false;
    }

    pub(crate) fn append(&mut self, other: &Self) {
        self.ns.extend_from_slice(&other.ns);
        self.is_sorted = false;
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.ns.len()
    }

    /// The latency, in milliseconds, that this share of all does not exceed; not a number where there is none.
    pub(crate) fn quantile_ms(&mut self, share: f64) -> f64 {
        if !self.is_sorted {
            self.ns.sort_unstable();
            self.is_sorted = true;
        }
        let rank = (share * self.ns.len() as f64).ceil() as usize;
        self.ns
            .get(rank.max(1) - 1)
            .map_or(f64::NAN, |ns| f64::from(*ns) / 1e6)
    }

    pub(crate) fn max_ms(&mut self) -> f64 {
        self.quantile_ms(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted_list() {
        let mut latencies = Latencies::default();
        (1..=100)
            .rev()
            .for_each(|ms| latencies.push(Duration::from_millis(ms)));
        let all = [0.0, 0.5, 0.99, 1.0].map(|share| latencies.quantile_ms(share));
        assert_eq!(all, [1.0, 50.0, 99.0, 100.0]);
        assert!(Latencies::default().max_ms().is_nan());
    }
}
