//! `GET /v1/events` and `GET /v1/events/{id}`.

use crate::http::error::Refusal;
use crate::http::guard::Call;
use crate::http::message::{Response, json};
use hyper::StatusCode;
use store::{EventKey, EventQuery, Source, Start, StoredEvent};
use wire::EventPlace;
use wire::answers::{self, Event, EventsPage, Recorded, seq_of_id};
use wire::query::{EventsParams, no_parameters};

/// A page of events, newest first.
pub(crate) async fn page(call: Call) -> Result<Response, Refusal> {
    let Call {
        app, caller, request, ..
    } = call;
    let params = EventsParams::parse(request.uri().query())?;
    let filters = params.filters();
    let start = match &params.cursor {
        Some(cursor) => {
            let EventPlace { recorded_at, seq } = app.cursors.event_place(caller.org.0, &filters, cursor)?;
            Start::After(EventKey { recorded_at, seq })
        }
        None => Start::Offset(params.offset),
    };
    let query = EventQuery {
        agent_id: params.agent_id,
        passed: params.passed,
        from: params.from,
        to: params.to,
        tool: params.tool,
        failed_gate: params.failed_gate,
        evaluation_id: params.evaluation_id,
        start,
        limit: usize::try_from(params.limit).unwrap_or(100),
    };
    let page = app.read(move |store| store.events(caller.org, &query)).await?;
    let next = page.next.map(|EventKey { recorded_at, seq }| {
        app.cursors
            .after_event(caller.org.0, &filters, EventPlace { recorded_at, seq })
    });
    let events = page.events.into_iter().map(event).collect();
    Ok(json(
        StatusCode::OK,
        &EventsPage::new(events, params.limit, params.offset, next),
    ))
}

/// One event.
pub(crate) async fn one(call: Call) -> Result<Response, Refusal> {
    let Call {
        app, caller, request, ..
    } = call;
    no_parameters(request.uri().query())?;
    let id = request
        .uri()
        .path()
        .strip_prefix("/v1/events/")
        .unwrap_or_default();
    let found = match seq_of_id(id) {
        Some(seq) => app.read(move |store| store.event(caller.org, seq)).await?,
        None => None,
    };
    let found = found.ok_or_else(|| Refusal::NotFound("no such event".to_owned()))?;
    Ok(json(StatusCode::OK, &event(found)))
}

/// A stored event as it is listed.
#[must_use]
pub fn event(stored: StoredEvent) -> Event {
    let recorded = Recorded {
        seq: stored.seq,
        score: stored.score,
        recorded_at: stored.recorded_at,
        received_at: stored.received_at,
        source: match stored.source {
            Source::Ingest => answers::Source::Ingest,
            Source::Evaluate | Source::EvaluateMadeId => answers::Source::Evaluate,
        },
        key_id: stored.key.0.to_string(),
        signed: stored.signed,
        late: stored.late,
    };
    Event::new(stored.evaluation, recorded)
}
