//! `GET /v1/ledger`.

use crate::http::error::Refusal;
use crate::http::guard::Call;
use crate::http::message::{Response, json};
use crate::ledger::{Entry, Item, Query, Side, Span};
use hyper::StatusCode;
use reputation::Micros;
use store::KeyId;
use wire::LedgerPlace;
use wire::answers::{EventBooks, LedgerEntry, LedgerPage, RequestBooks};
use wire::query::{LedgerParams, LedgerSpan};

/// A page of the organisation's books.
pub(crate) async fn page(call: Call) -> Result<Response, Refusal> {
    let Call {
        app, caller, request, ..
    } = call;
    let params = LedgerParams::parse(request.uri().query())?;
    let (org, filters) = (caller.org, params.filters());
    let after = match &params.cursor {
        Some(cursor) => Some(app.cursors.ledger_place(org.0, &filters, cursor)?),
        None => None,
    };
    let limit = usize::try_from(params.limit).unwrap_or(1);
    let query = Query {
        span: match params.by {
            LedgerSpan::Minute => Span::Minute,
            LedgerSpan::Day => Span::Day,
        },
        key: params.key_id.map(KeyId),
        from: params.from.unwrap_or(Micros(0)),
        to: params.to.unwrap_or(Micros::MAX),
        after: after.map(|place| (place.at, KeyId(place.key))),
        limit: limit + 1, // one more tells whether there is a next page
    };
    let found = app.administer(move |app| {
        let entries = app.ledger.entries(org, &query);
        entries.map_err(|error| Refusal::Internal(error.to_string()))
    });
    let mut entries = found.await?;
    let is_last = entries.len() <= limit;
    entries.truncate(limit);
    let next_cursor = entries.last().filter(|_| !is_last).map(|entry| {
        let (at, key) = (entry.at, entry.key.0);
        app.cursors
            .after_ledger_entry(org.0, &filters, LedgerPlace { at, key })
    });
    let page = LedgerPage {
        entries: entries.into_iter().map(answer).collect(),
        next_cursor,
    };
    Ok(json(StatusCode::OK, &page))
}

fn answer(entry: Entry) -> LedgerEntry {
    let (mut requests, mut events) = (RequestBooks::default(), EventBooks::default());
    for (item, count) in entry.items {
        match item {
            Item::Requests(status) => requests.add(status, count),
            Item::Events(fate) => {
                events.received += count;
                let by_reason = || (fate.as_str().to_owned(), count);
                match fate.side() {
                    Side::Recorded => events.recorded += count,
                    Side::Duplicates => events.duplicates += count,
                    Side::Refused => events.refused.extend([by_reason()]),
                    Side::Shed => events.shed.extend([by_reason()]),
                }
            }
        }
    }
    LedgerEntry::new(entry.at, entry.key.0.to_string(), requests, events)
}
