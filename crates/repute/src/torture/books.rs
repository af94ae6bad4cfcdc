//! The books: what the server lists and says, against what it acknowledged.

use super::client::Client;
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a score is counted over.
const WINDOW: usize = 500;

/// What does not balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Balance {
    /// Events listed.
    pub(crate) listed: u64,
    /// Acknowledged and not listed.
    pub(crate) lost: u64,
    /// Listed more than once.
    pub(crate) twice: u64,
    /// Agents whose score or number of evaluations is not that of a recount over what is listed.
    pub(crate) wrong_scores: u64,
}

impl Balance {
    /// Whether nothing is wrong.
    pub(crate) fn is_sound(&self) -> bool {
        (self.lost, self.twice, self.wrong_scores) == (0, 0, 0)
    }
}

/// An event of a window.
struct Counted {
    passed: bool,
    latency_us: u128,
}

/// Reads everything; `is_acknowledged` has one entry for each event that was made, by its id.
pub(crate) fn check(client: &mut Client, is_acknowledged: &[bool]) -> Result<Balance> {
    let mut balance = Balance::default();
    let mut times = vec![0u8; is_acknowledged.len()];
    let mut windows: BTreeMap<String, Vec<Counted>> = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let (status, page) = client.get(&format!("/v1/events?limit=100{cursor}"))?;
        let Some(events) = page["events"].as_array().filter(|_| status == 200) else {
            bail!("the events are not listed: {status}: {page}");
        };
        for event in events {
            let id = event["evaluation_id"]
                .as_str()
                .and_then(|id| id.parse::<usize>().ok());
            let seen = id
                .and_then(|id| times.get_mut(id))
                .context("an event that nobody sent is listed")?;
            *seen = seen.saturating_add(1);
            balance.listed += 1;
            let agent_id = event["agent_id"].as_str().unwrap_or_default();
            let window = match windows.get_mut(agent_id) {
                Some(window) => window,
                None => windows.entry(agent_id.to_owned()).or_default(),
            };
            // Newest first, so the window is what comes first.
            if window.len() < WINDOW {
                window.push(Counted {
                    passed: event["passed"] == true,
                    latency_us: (event["total_latency_ms"].as_f64().unwrap_or_default() * 1e3).round()
                        as u128,
                });
            }
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    for (times, is_acknowledged) in times.iter().zip(is_acknowledged) {
        balance.lost += u64::from(*times == 0 && *is_acknowledged);
        balance.twice += u64::from(*times > 1);
    }
    for (agent_id, window) in &windows {
        let (_, standing) = client.get(&format!("/v1/reputation/{agent_id}"))?;
        balance.wrong_scores += u64::from(!is_recount(&standing, window));
    }
    Ok(balance)
}

/// Whether a standing is what the published formula gives, in exact integers.
fn is_recount(standing: &Value, window: &[Counted]) -> bool {
    let n = window.len() as u128;
    let passed = window.iter().filter(|event| event.passed).count() as u128;
    let micros: u128 = window.iter().map(|event| event.latency_us).sum();
    let streak = window.iter().take_while(|event| event.passed).count() as u128;
    let denominator = 100_000 * n * 50 * 500;
    let sum = 400 * passed * (denominator / n)
        + 250 * (100_000 * n).saturating_sub(micros) * (denominator / (100_000 * n))
        + 200 * streak.min(50) * (denominator / 50)
        + 150 * n * (denominator / 500);
    standing["score"].as_u64().map(u128::from) == Some(sum / denominator)
        && standing["evaluations"].as_u64().map(u128::from) == Some(n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_standing_that_a_recount_does_not_give_is_noticed() {
        let window: Vec<Counted> = (0..10)
            .map(|n| Counted {
                passed: n != 4,
                latency_us: 20_000,
            })
            .collect();
        // 400 * 0.9 + 250 * 0.8 + 200 * 4 / 50 + 150 * 10 / 500
        assert!(is_recount(&json!({ "score": 579, "evaluations": 10 }), &window));
        assert!(!is_recount(&json!({ "score": 578, "evaluations": 10 }), &window));
        assert!(!is_recount(&json!({ "score": 579, "evaluations": 11 }), &window));
    }
}
