//! Making an event valid before it is buffered: the server refuses a whole batch for one bad event.

use crate::Event;
use crate::event::Gate;
use crate::time;
use std::collections::BTreeMap;
use wire::ingest::{MAX_GATE_LATENCY_MS, MAX_GATES, MAX_TOTAL_LATENCY_MS};
use wire::{MAX_AGENT_ID, MAX_EVALUATION_ID, MAX_GATE_NAME, MAX_REASON, MAX_TOOL};

/// How often each field was cut, by its path: `agent_id`, `gates.reason`, …
pub(crate) type Cuts = BTreeMap<&'static str, u64>;

/// An event that can't be made valid.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unfit;

/// What an event gets if it has none of its own.
pub(crate) struct Defaults<'a> {
    pub(crate) agent_id: Option<&'a str>,
    pub(crate) evaluation_id: &'a dyn Fn() -> Option<String>,
    pub(crate) now: &'a dyn Fn() -> String,
}

/// Cuts the event to what the server takes, counts each cut, and gives it an agent, an id and a time.
pub(crate) fn make_valid(event: &mut Event, defaults: &Defaults<'_>, cuts: &mut Cuts) -> Result<(), Unfit> {
    let empty = |text: &Option<String>| text.as_deref().is_none_or(str::is_empty);
    if empty(&event.agent_id) {
        event.agent_id = defaults.agent_id.map(str::to_owned);
    }
    if empty(&event.agent_id) {
        return Err(Unfit);
    }
    if let Some(timestamp) = event.timestamp.as_deref().filter(|text| !text.is_empty()) {
        time::is_taken(timestamp).then_some(()).ok_or(Unfit)?;
    } else {
        event.timestamp = Some((defaults.now)());
    }
    if let Some(id) = event.evaluation_id.as_deref().filter(|id| !id.is_empty()) {
        end_of(id, MAX_EVALUATION_ID)
            .is_none()
            .then_some(())
            .ok_or(Unfit)?;
    } else {
        event.evaluation_id = Some((defaults.evaluation_id)().ok_or(Unfit)?);
    }

    if let Some(agent_id) = &mut event.agent_id {
        cut(agent_id, MAX_AGENT_ID, "agent_id", cuts);
    }
    if let Some(tool) = &mut event.tool {
        cut(tool, MAX_TOOL, "tool", cuts);
    }
    clamp(
        &mut event.total_latency_ms,
        MAX_TOTAL_LATENCY_MS,
        "total_latency_ms",
        cuts,
    );
    choose_gates(&mut event.gates, cuts);
    for gate in &mut event.gates {
        cut(&mut gate.name, MAX_GATE_NAME, "gates.name", cuts);
        if let Some(reason) = &mut gate.reason {
            cut(reason, MAX_REASON, "gates.reason", cuts);
        }
        clamp(
            &mut gate.latency_ms,
            MAX_GATE_LATENCY_MS,
            "gates.latency_ms",
            cuts,
        );
    }
    Ok(())
}

/// Keeps the first 50 gates. A failed one beyond them takes the place of the last that passed, since it is
/// the one that people will look for.
fn choose_gates(gates: &mut Vec<Gate>, cuts: &mut Cuts) {
    if gates.len() <= MAX_GATES {
        return;
    }
    *cuts.entry("gates").or_default() += 1;
    let beyond = gates.split_off(MAX_GATES);
    for failed in beyond.into_iter().filter(Gate::is_failure) {
        let Some(place) = gates.iter().rposition(|gate| !gate.is_failure()) else {
            return;
        };
        gates[place] = failed;
    }
}

/// Where the text must end to have that many code points, if it is longer.
fn end_of(text: &str, limit: usize) -> Option<usize> {
    if text.len() <= limit {
        return None;
    }
    text.char_indices().nth(limit).map(|(at, _)| at)
}

fn cut(text: &mut String, limit: usize, field: &'static str, cuts: &mut Cuts) {
    if let Some(end) = end_of(text, limit) {
        text.truncate(end);
        *cuts.entry(field).or_default() += 1;
    }
}

fn clamp(number: &mut f64, most: impl Into<f64>, field: &'static str, cuts: &mut Cuts) {
    let within = if number.is_nan() {
        0.0
    } else {
        number.clamp(0.0, most.into())
    };
    if *number != within {
        *number = within;
        *cuts.entry(field).or_default() += 1;
    }
}

#[cfg(test)]
mod tests;
