//! What the routes about events answer.

use super::plain_number;
use crate::timestamp;
use ::reputation::{Evaluation, GateResult, Micros};
use serde::Serialize;
use utoipa::ToSchema;

/// How an event came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A client reported it.
    Ingest,
    /// The server ran the gates.
    Evaluate,
}

/// An event as it is listed. Every field is there; what is absent is null.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Event {
    /// Opaque; `GET /v1/events/{id}` takes it.
    #[schema(example = "17")]
    pub id: String,
    /// As sent, or as made by the server.
    #[schema(required)]
    pub evaluation_id: Option<String>,
    /// The agent.
    pub agent_id: String,
    /// The tool it called.
    #[schema(required)]
    pub tool_name: Option<String>,
    /// The verdict.
    pub passed: bool,
    /// Gate by gate, as sent.
    pub gates: Vec<Gate>,
    /// To the microsecond.
    #[serde(serialize_with = "plain_number::serialize")]
    pub total_latency_ms: f64,
    /// The agent's score just after this event was counted.
    pub reputation_score: u16,
    /// The recorded time, which orders events.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When the server took it in.
    #[schema(format = DateTime)]
    pub received_at: String,
    /// How it came to be.
    pub source: Source,
    /// The key that sent it.
    pub key_id: String,
    /// Whether a valid signature came with it.
    pub signed: bool,
    /// Whether it was older than a full window and changed no score.
    pub late: bool,
    /// The agent's own latency, to the microsecond; no part of the score.
    #[serde(serialize_with = "plain_number::optional::serialize")]
    #[schema(required)]
    pub agent_latency_ms: Option<f64>,
}

/// What is known of an event beside what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The organisation's own sequence number.
    pub seq: u64,
    /// The agent's score just after.
    pub score: u16,
    /// The time that orders it.
    pub recorded_at: Micros,
    /// When the server took it in.
    pub received_at: Micros,
    /// How it came to be.
    pub source: Source,
    /// The id of the key that sent it.
    pub key_id: String,
    /// Whether a valid signature came with it.
    pub signed: bool,
    /// Whether it was older than a full window.
    pub late: bool,
}

impl Event {
    /// An event, from what was sent and what was recorded with it.
    #[must_use]
    pub fn new(sent: Evaluation<'_>, recorded: Recorded) -> Self {
        Self {
            id: recorded.seq.to_string(),
            evaluation_id: sent.evaluation_id.map(Into::into),
            agent_id: sent.agent_id.into(),
            tool_name: sent.tool.map(Into::into),
            passed: sent.passed,
            gates: sent.gates.into_iter().map(Gate::from).collect(),
            total_latency_ms: millis(sent.total_latency_us),
            reputation_score: recorded.score,
            created_at: timestamp::format(recorded.recorded_at),
            received_at: timestamp::format(recorded.received_at),
            source: recorded.source,
            key_id: recorded.key_id,
            signed: recorded.signed,
            late: recorded.late,
            agent_latency_ms: sent.agent_latency_us.map(millis),
        }
    }
}

/// The sequence number that an event's id stands for; `None` where no event can have such an id.
#[must_use]
pub fn seq_of_id(id: &str) -> Option<u64> {
    // One text for one event: no sign, no leading zero.
    id.parse()
        .ok()
        .filter(|seq: &u64| *seq > 0 && seq.to_string() == id)
}

/// Microseconds as milliseconds: the double nearest to the quotient, whose shortest writing is exact.
fn millis(micros: u32) -> f64 {
    f64::from(micros) / 1_000.0
}

/// A gate's verdict, as sent.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Gate {
    /// Its name.
    #[schema(example = "pii")]
    pub name: String,
    /// Its verdict.
    pub passed: bool,
    /// Its run time.
    #[serde(serialize_with = "plain_number::serialize")]
    #[schema(example = 4)]
    pub latency_ms: f64,
    /// Why, if that was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
    /// Whether it was skipped, if that was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub skipped: Option<bool>,
}

impl From<GateResult<'_>> for Gate {
    fn from(gate: GateResult<'_>) -> Self {
        Self {
            name: gate.name.into(),
            passed: gate.passed,
            latency_ms: gate.latency_ms,
            reason: gate.reason.map(Into::into),
            skipped: gate.skipped,
        }
    }
}

/// A page of events, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct EventsPage {
    /// The events.
    pub events: Vec<Event>,
    /// The limit that was asked for or the default.
    pub limit: u64,
    /// The offset that was asked for or 0.
    pub offset: u64,
    /// How many events are on this page.
    pub count: usize,
    /// Where the list goes on; only its absence means the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub next_cursor: Option<String>,
}

impl EventsPage {
    /// A page that answers this limit and offset.
    #[must_use]
    pub fn new(events: Vec<Event>, limit: u64, offset: u64, next_cursor: Option<String>) -> Self {
        Self {
            count: events.len(),
            events,
            limit,
            offset,
            next_cursor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn recorded() -> Recorded {
        Recorded {
            seq: 17,
            score: 440,
            recorded_at: Micros(1_767_225_600_000_999),
            received_at: Micros(1_767_225_601_500_000),
            source: Source::Ingest,
            key_id: "2".to_owned(),
            signed: false,
            late: false,
        }
    }

    fn evaluation() -> Evaluation<'static> {
        Evaluation {
            agent_id: Cow::Borrowed("a"),
            tool: None,
            passed: true,
            gates: vec![],
            total_latency_us: 4_000,
            sent_at: None,
            evaluation_id: None,
            agent_latency_us: None,
        }
    }

    #[test]
    fn an_event_has_every_field_and_null_where_nothing_was_sent() {
        assert_eq!(
            serde_json::to_string(&Event::new(evaluation(), recorded())).unwrap(),
            concat!(
                r#"{"id":"17","evaluation_id":null,"agent_id":"a","tool_name":null,"passed":true,"gates":[],"#,
                r#""total_latency_ms":4,"reputation_score":440,"created_at":"2026-01-01T00:00:00.000Z","#,
                r#""received_at":"2026-01-01T00:00:01.500Z","source":"ingest","key_id":"2","signed":false,"#,
                r#""late":false,"agent_latency_ms":null}"#
            )
        );
    }

    #[test]
    fn a_page_tells_what_was_sent() {
        let gate = |reason: Option<&'static str>, skipped| GateResult {
            name: Cow::Borrowed("pii"),
            passed: false,
            latency_ms: 1.5,
            reason: reason.map(Cow::Borrowed),
            skipped,
        };
        let sent = Evaluation {
            tool: Some(Cow::Borrowed("bid")),
            gates: vec![gate(None, None), gate(Some("why"), Some(false))],
            total_latency_us: 59_999_999,
            evaluation_id: Some(Cow::Borrowed("e")),
            agent_latency_us: Some(1_001),
            ..evaluation()
        };
        let event = Event::new(
            sent,
            Recorded {
                source: Source::Evaluate,
                signed: true,
                late: true,
                ..recorded()
            },
        );
        let page = EventsPage::new(vec![event], 1, 0, Some("AAA".to_owned()));
        assert_eq!(
            serde_json::to_string(&page).unwrap(),
            concat!(
                r#"{"events":[{"id":"17","evaluation_id":"e","agent_id":"a","tool_name":"bid","passed":true,"#,
                r#""gates":[{"name":"pii","passed":false,"latency_ms":1.5},"#,
                r#"{"name":"pii","passed":false,"latency_ms":1.5,"reason":"why","skipped":false}],"#,
                r#""total_latency_ms":59999.999,"reputation_score":440,"#,
                r#""created_at":"2026-01-01T00:00:00.000Z","received_at":"2026-01-01T00:00:01.500Z","#,
                r#""source":"evaluate","key_id":"2","signed":true,"late":true,"agent_latency_ms":1.001}],"#,
                r#""limit":1,"offset":0,"count":1,"next_cursor":"AAA"}"#
            )
        );
        assert_eq!(
            serde_json::to_string(&EventsPage::new(vec![], 50, 0, None)).unwrap(),
            r#"{"events":[],"limit":50,"offset":0,"count":0}"#
        );
    }

    #[test]
    fn an_id_is_one_text_for_one_event() {
        assert_eq!(seq_of_id("17"), Some(17));
        assert_eq!(seq_of_id("18446744073709551615"), Some(u64::MAX));
        for id in ["", "0", "017", "+17", "-1", "1.0", "x", "18446744073709551616"] {
            assert_eq!(seq_of_id(id), None, "{id}");
        }
    }
}
