//! What needs no key: `/health`, `/ready`, `/metrics`, `/openapi.json`.

use crate::http::app::App;
use crate::http::error::Refusal;
use crate::http::message::{Response, json, text};
use hyper::StatusCode;
use wire::answers::{Health, Ready};

/// The process serves.
pub(crate) fn health(_app: &App) -> Response {
    json(StatusCode::OK, &Health::OK)
}

/// An ingest would be accepted.
pub(crate) fn ready(app: &App) -> Response {
    match app.writable() {
        Ok(()) => json(StatusCode::OK, &Ready::new(app.store.stats().damage)),
        Err(refusal) => refusal.into_response(),
    }
}

/// Figures in the Prometheus text format.
pub(crate) fn metrics(app: &App) -> Response {
    let (stats, bytes_in_flight) = (app.store.stats(), app.budget.used());
    match app.metrics.encode(&stats, bytes_in_flight) {
        Ok(figures) => text(
            StatusCode::OK,
            figures,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        Err(error) => Refusal::Internal(error.to_string()).into_response(),
    }
}

/// The description of the API, as the code has it.
pub(crate) fn openapi(_app: &App) -> Response {
    text(StatusCode::OK, crate::openapi_json(), "application/json")
}
