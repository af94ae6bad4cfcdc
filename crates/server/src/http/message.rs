//! Requests and answers, as all rooms of the server know them.

use super::unread::Body;
use bytes::Bytes;
use http_body_util::Full;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};

/// A request, whose body may still be on its way.
pub(crate) type Request = hyper::Request<Body>;
/// An answer; its body is there as a whole.
pub(crate) type Response = hyper::Response<Full<Bytes>>;

/// Headers that an answer has room for at once: as many as most have.
const USUAL_HEADERS: usize = 12;

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

/// An answer with a body.
pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>, content_type: &'static str) -> Response {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(USUAL_HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An answer with a JSON body.
pub(crate) fn json(status: StatusCode, body: &impl serde::Serialize) -> Response {
    let (status, bytes) = match serde_json::to_vec(body) {
        Ok(bytes) => (status, bytes),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, Vec::new()),
    };
    text(status, bytes, "application/json")
}
