//! What needs no key: `/health`, `/ready`, `/metrics`, `/openapi.json`.

use crate::http::app::App;
use crate::http::error::{Refusal, json};
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};
use std::sync::Arc;
use wire::answers::{Health, Ready};

/// The process serves.
pub(crate) async fn health() -> Response<Body> {
    json(StatusCode::OK, &Health::OK)
}

/// An ingest would be accepted.
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Response<Body> {
    match app.writable() {
        Ok(()) => json(StatusCode::OK, &Ready::new(app.store.stats().damage)),
        Err(refusal) => refusal.into_response(),
    }
}

/// Figures in the Prometheus text format.
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response<Body> {
    let (stats, bytes_in_flight) = (app.store.stats(), app.budget.used());
    match app.metrics.encode(&stats, bytes_in_flight) {
        Ok(text) => text_response(text, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        Err(error) => Refusal::Internal(error.to_string()).into_response(),
    }
}

/// The description of the API, as the code has it.
pub(crate) async fn openapi() -> Response<Body> {
    text_response(crate::openapi_json(), "application/json")
}

fn text_response(text: String, content_type: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
