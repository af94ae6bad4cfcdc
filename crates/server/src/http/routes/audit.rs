//! `GET /v1/audit`.

use crate::accounts::AuditEntry;
use crate::http::error::Refusal;
use crate::http::guard::Call;
use crate::http::message::{Response, json};
use hyper::StatusCode;
use wire::AuditPlace;
use wire::answers::AuditPage;
use wire::query::AuditParams;

/// A page of what was changed of the organisation, and by whom.
pub(crate) async fn page(call: Call) -> Result<Response, Refusal> {
    let Call {
        app, caller, request, ..
    } = call;
    let params = AuditParams::parse(request.uri().query())?;
    let (org, filters) = (caller.org, params.filters());
    let before = match &params.cursor {
        Some(cursor) => Some(app.cursors.audit_place(org.0, &filters, cursor)?.id),
        None => None,
    };
    let limit = usize::try_from(params.limit).unwrap_or(1);
    // One more tells whether there is a next page.
    let one_more = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let mut entries = app
        .administer(move |app| Ok(app.accounts.audit(org, before, one_more)?))
        .await?;
    let is_last = entries.len() <= limit;
    entries.truncate(limit);
    let next_cursor = entries.last().filter(|_| !is_last).map(|entry| {
        let place = AuditPlace { id: entry.id };
        app.cursors.after_audit_entry(org.0, &filters, place)
    });
    let page = AuditPage {
        entries: entries.into_iter().map(AuditEntry::answer).collect(),
        next_cursor,
    };
    Ok(json(StatusCode::OK, &page))
}
