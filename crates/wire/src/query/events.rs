//! The parameters of `GET /v1/events`.

use super::checked_text;
use super::pairs::{Once, Pairs, instant, whole_number};
use crate::{Fault, Filters, MAX_AGENT_ID, MAX_EVALUATION_ID, MAX_GATE_NAME, MAX_TOOL};
use reputation::Micros;

/// The most events on a page.
pub const MAX_EVENTS_LIMIT: u64 = 100;
/// Events on a page that asks for no number.
pub const DEFAULT_EVENTS_LIMIT: u64 = 50;
/// The greatest offset; a cursor goes deeper.
pub const MAX_OFFSET: u64 = 100_000;

/// A question about events, within every rule of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsParams {
    /// How many at most: 1–100.
    pub limit: u64,
    /// How many newer ones to pass over: 0–100,000, and 0 beside a cursor, `tool` or `failed_gate`.
    pub offset: u64,
    /// Only this agent's.
    pub agent_id: Option<String>,
    /// Only with this verdict.
    pub passed: Option<bool>,
    /// Only recorded at or after this microsecond: the first that is shown as the millisecond asked for.
    pub from: Option<Micros>,
    /// Only recorded at or before this microsecond: the last that is shown as the millisecond asked for.
    pub to: Option<Micros>,
    /// Only with this tool.
    pub tool: Option<String>,
    /// Only where a gate of this name failed.
    pub failed_gate: Option<String>,
    /// Only with this id; never without `agent_id`.
    pub evaluation_id: Option<String>,
    /// Where the page before ended, still to be opened with [`EventsParams::filters`].
    pub cursor: Option<String>,
}

impl EventsParams {
    /// Reads a query string, without its `?`.
    pub fn parse(query: Option<&str>) -> Result<Self, Fault> {
        let mut limit = Once::new("limit");
        let mut offset = Once::new("offset");
        let mut agent_id = Once::new("agent_id");
        let mut passed = Once::new("passed");
        let mut from = Once::new("from");
        let mut to = Once::new("to");
        let mut tool = Once::new("tool");
        let mut failed_gate = Once::new("failed_gate");
        let mut evaluation_id = Once::new("evaluation_id");
        let mut cursor = Once::new("cursor");
        for pair in Pairs::new(query) {
            let pair = pair?;
            match pair.name.as_str() {
                "limit" => limit.take(pair.value, |name, v| whole_number(name, &v, 1, MAX_EVENTS_LIMIT))?,
                "offset" => offset.take(pair.value, |name, v| whole_number(name, &v, 0, MAX_OFFSET))?,
                "agent_id" => agent_id.take(pair.value, |name, v| checked_text(name, v, MAX_AGENT_ID))?,
                "passed" => passed.take(pair.value, |name, v| true_or_false(name, &v))?,
                "from" => from.take(pair.value, |name, v| instant(name, &v))?,
                "to" => to.take(pair.value, |name, v| instant(name, &v))?,
                "tool" => tool.take(pair.value, |name, v| checked_text(name, v, MAX_TOOL))?,
                "failed_gate" => {
                    failed_gate.take(pair.value, |name, v| checked_text(name, v, MAX_GATE_NAME))?;
                }
                "evaluation_id" => {
                    evaluation_id.take(pair.value, |name, v| checked_text(name, v, MAX_EVALUATION_ID))?;
                }
                "cursor" => cursor.take(pair.value, |name, v| checked_text(name, v, usize::MAX))?,
                _ => return Err(pair.unknown()),
            }
        }
        let offset = offset.get();
        let params = Self {
            limit: limit.get().unwrap_or(DEFAULT_EVENTS_LIMIT),
            offset: offset.unwrap_or(0),
            agent_id: agent_id.get(),
            passed: passed.get(),
            from: from.get().map(first_of_milli_not_before),
            to: to.get().map(last_of_milli),
            tool: tool.get(),
            failed_gate: failed_gate.get(),
            evaluation_id: evaluation_id.get(),
            cursor: cursor.get(),
        };
        params.check_together(offset.is_some())?;
        Ok(params)
    }

    /// The digest of everything but `limit`, to bind a cursor to.
    #[must_use]
    pub fn filters(&self) -> Filters {
        let text = |text: &Option<String>| text.clone().map(String::into_bytes);
        let time = |time: Option<Micros>| time.map(|time| time.0.to_le_bytes().to_vec());
        let parameters = [
            text(&self.agent_id),
            self.passed.map(|passed| vec![u8::from(passed)]),
            time(self.from),
            time(self.to),
            text(&self.tool),
            text(&self.failed_gate),
            text(&self.evaluation_id),
        ];
        Filters::of("GET /v1/events", &parameters.each_ref().map(Option::as_deref))
    }

    /// Checks what depends on several parameters.
    fn check_together(&self, has_offset: bool) -> Result<(), Fault> {
        if self.evaluation_id.is_some() && self.agent_id.is_none() {
            return Err(Fault::validation("evaluation_id", "needs `agent_id` beside it"));
        }
        let beside = [
            (self.cursor.is_some(), "not possible beside `cursor`"),
            (
                self.tool.is_some(),
                "not possible beside `tool`: follow `next_cursor`",
            ),
            (
                self.failed_gate.is_some(),
                "not possible beside `failed_gate`: follow `next_cursor`",
            ),
        ];
        match beside.into_iter().find(|(given, _)| has_offset && *given) {
            Some((_, rule)) => Err(Fault::validation("offset", rule)),
            None => Ok(()),
        }
    }
}

fn true_or_false(name: &'static str, text: &str) -> Result<bool, Fault> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Fault::validation(name, "neither `true` nor `false`")),
    }
}

/// The first microsecond of the first millisecond that does not begin before this time.
fn first_of_milli_not_before(time: Micros) -> Micros {
    Micros(Micros(time.0 + Micros::PER_MILLI - 1).millis() * Micros::PER_MILLI)
}

/// The last microsecond of this time's millisecond.
fn last_of_milli(time: Micros) -> Micros {
    Micros(time.millis() * Micros::PER_MILLI + Micros::PER_MILLI - 1)
}

#[cfg(test)]
mod tests;
