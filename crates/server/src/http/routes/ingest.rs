//! `POST /v1/ingest`.

use crate::http::app::{App, LARGE_BODY_BYTES};
use crate::http::body::{self, Received, Signing};
use crate::http::error::Refusal;
use crate::http::guard::Call;
use crate::http::handover::{HandedOver, hand_over};
use crate::http::message::{Response, json};
use crate::ledger::Fate;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, StatusCode};
use store::{Draft, Receipt, Source, Submission};
use wire::Invalid;
use wire::answers::{IngestAnswer, ReputationUpdate};
use wire::ingest::{self, Sorted};
use wire::query::no_parameters;

const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// A batch handed to the store, and what the answer needs beside its receipt.
struct Submitted {
    receipt: HandedOver<Receipt>,
    /// The original index of each event that was handed over.
    positions: Vec<usize>,
    invalid: Vec<Invalid>,
    max_agents: u64,
}

pub(crate) async fn ingest(call: Call) -> Result<Response, Refusal> {
    let Call {
        app, caller, request, ..
    } = call;
    app.takes_submissions()?;
    let (parts, body) = request.into_parts();
    let lenient = is_lenient(&parts.headers);
    let limit = app.config.max_body_bytes;
    let mut received = body::read(&app, &caller, &parts.headers, body, limit, Signing::Checked).await?;
    no_parameters(parts.uri.query())?;
    let submitted = if received.bytes.len() <= LARGE_BODY_BYTES {
        submit(&app, received, lenient)?
    } else {
        let turn = received.turn.take();
        app.off_thread(received.caller.org, turn, move |app, _turn| {
            submit(app, received, lenient)
        })
        .await?
    };
    let receipt = submitted.receipt.outcome(&submitted.positions).await?;
    Ok(answer(
        receipt,
        &submitted.positions,
        submitted.invalid,
        submitted.max_agents,
        lenient,
    ))
}

/// Whether the client wants the good events taken where others are bad. Of a preference that is given more than once the
/// first counts (RFC 7240, section 2).
fn is_lenient(headers: &HeaderMap) -> bool {
    let values = headers
        .get_all(PREFER)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split(','));
    let handling = preferences.find_map(|preference| {
        let (preference, _parameters) = preference.split_once(';').unwrap_or((preference, ""));
        let (name, value) = preference.split_once('=')?;
        name.trim().eq_ignore_ascii_case("handling").then_some(value)
    });
    handling.is_some_and(|value| value.trim().trim_matches('"').eq_ignore_ascii_case("lenient"))
}

/// Parses the batch and hands it to the store.
fn submit(app: &App, received: Received, lenient: bool) -> Result<Submitted, Refusal> {
    let Received {
        bytes,
        share,
        caller,
        signed,
        ..
    } = received;
    let max_agents = app.max_agents(&caller.settings);
    let submission = Submission {
        org: caller.org,
        key: caller.key,
        signed,
        source: Source::Ingest,
        max_agents,
        lenient,
        evaluations: &[],
    };
    let mut draft = Draft::new(&submission, bytes.len());
    let sorted = ingest::read(&bytes, |evaluation| draft.push(evaluation))?;
    let total = sorted.total();
    let Sorted { positions, invalid } = sorted;
    let books = app.books(&caller);
    books.received(total);
    if !invalid.is_empty() && (!lenient || positions.is_empty()) {
        books.not_taken(Fate::Invalid, total);
        return Err(Refusal::Invalid(invalid));
    }
    let (valid_count, invalid_count) = (positions.len(), invalid.len());
    let (answer, receipt) = hand_over();
    let reply = move |outcome| {
        books.settled(&outcome, valid_count, invalid_count); // also where the client has gone
        answer(outcome);
        drop(share); // until here the batch has taken about as much memory as its body
    };
    app.store.hand_in(draft, Box::new(reply));
    Ok(Submitted {
        receipt,
        positions,
        invalid,
        max_agents,
    })
}

fn answer(
    receipt: Receipt,
    positions: &[usize],
    mut rejected: Vec<Invalid>,
    max_agents: u64,
    lenient: bool,
) -> Response {
    let beyond = receipt
        .rejected
        .iter()
        .filter_map(|event| positions.get(*event as usize));
    rejected.extend(beyond.map(|event| Invalid::agent_limit(*event, max_agents)));
    rejected.sort_by_key(|invalid| invalid.event);
    let updates = receipt.updates.into_iter();
    let body = IngestAnswer {
        accepted: receipt.accepted,
        reputation_updates: updates
            .map(|one| ReputationUpdate::new(one.agent_id, &one.summary))
            .collect(),
        duplicates: receipt.duplicates,
        late: receipt.late,
        clamped: receipt.clamped,
        rejected,
    };
    let mut response = json(StatusCode::ACCEPTED, &body);
    if lenient {
        let applied = HeaderValue::from_static("handling=lenient");
        response.headers_mut().insert(PREFERENCE_APPLIED, applied);
    }
    response
}
