//! Around every request: which route it asks for, its id, panics, the browser's headers, the metrics, and one line in the log.

use super::app::App;
use super::books::GONE;
use super::error::{Cause, Refusal};
use super::guard::guard;
use super::message::{Request, Response, empty};
use super::routes::{Asked, Side, Target, method_not_allowed, not_found};
use super::unread::{Unread, end_connection};
use crate::Metrics;
use futures_util::FutureExt as _;
use hyper::body::Incoming;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST,
    HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY, TRANSFER_ENCODING, VARY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{HeaderMap, Method, StatusCode, Version};
use std::any::Any;
use std::hash::{BuildHasher as _, RandomState};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use store::OrgId;
use tracing::Instrument as _;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The route of what has none, for logs and metrics.
const NO_ROUTE: &str = "none";
/// What every answer says to a browser that takes it for more than data.
const SECURITY: [(HeaderName, &str); 3] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
    (REFERRER_POLICY, "no-referrer"),
];
/// The most that a request's headers may have.
const MAX_HEADER_BYTES: usize = 32 << 10;
const MAX_HEADERS: usize = 100;
/// The longest id of its own that a caller may give a request.
const MAX_REQUEST_ID: usize = 64;

/// The whole way of a request.
pub(crate) async fn observe(app: Arc<App>, side: Side, request: hyper::Request<Incoming>) -> Response {
    let began = Instant::now();
    let id = request_id(request.headers());
    let method = request.method().clone();
    let origin = request.headers().get(ORIGIN).cloned();
    let (request, unread) = Unread::watch(request);
    let is_api = is_api(&request);
    let asked = Asked::by(side, &method, request.uri().path());
    let route = asked.path().unwrap_or(NO_ROUTE);
    let open = OpenRequest::new(&app.metrics, &method, route, began);
    // Whatever else is logged on the way carries the id too.
    let span = tracing::debug_span!("request", request_id = id);
    let answered = AssertUnwindSafe(answer(&app, request, began, asked)).catch_unwind();
    let answered = answered.instrument(span).await;
    let (mut response, org) = answered.unwrap_or_else(|panic| (panicked(&*panic), None));
    unread.settle(&app, &mut response);
    let headers = response.headers_mut();
    if is_api {
        allow_origin(&app, origin.as_ref(), headers);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    for (name, value) in SECURITY {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let (status, elapsed) = (response.status().as_u16(), began.elapsed());
    open.answered(status);
    let duration_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    let org_id = org.map(|org| org.0);
    let cause = response.extensions().get::<Cause>().map(|cause| cause.0.as_str());
    match status {
        500 => {
            tracing::error!(request_id = id, %method, route, status, duration_us, org_id, cause, "request");
        }
        501.. => tracing::warn!(request_id = id, %method, route, status, duration_us, org_id, "request"),
        400.. => tracing::info!(request_id = id, %method, route, status, duration_us, org_id, "request"),
        _ => tracing::debug!(request_id = id, %method, route, status, duration_us, org_id, "request"),
    }
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// What the routes answer, unless something is wrong with the request as such; and whose key it came with.
async fn answer(app: &Arc<App>, request: Request, began: Instant, asked: Asked) -> (Response, Option<OrgId>) {
    let response = if headers_too_large(request.headers()) {
        Refusal::HeadersTooLarge.into_response()
    } else if let Some(sentence) = unclear(&request) {
        let mut response = Refusal::Validation(sentence.to_owned()).into_response();
        end_connection(&mut response);
        response
    } else if request.method() == Method::OPTIONS && is_api(&request) {
        preflight()
    } else {
        match asked {
            Asked::Nothing => not_found(request.uri().path()),
            Asked::OtherMethod(path) => method_not_allowed(path),
            Asked::Route(route) => match route.target {
                Target::Open(run) => run(app),
                Target::Guarded(needs, run) => {
                    return guard(Arc::clone(app), request, began, needs, run).await;
                }
            },
        }
    };
    (response, None)
}

fn is_api(request: &Request) -> bool {
    request.uri().path().starts_with("/v1/")
}

/// The answer, as it goes over the wire, to what could not be read as a request.
pub(super) fn unreadable(app: &App, status: StatusCode) -> Vec<u8> {
    let refusal = if status == StatusCode::BAD_REQUEST {
        Refusal::NotHttp
    } else {
        Refusal::BeginningTooLarge
    };
    let (body, _) = refusal.body();
    let json = serde_json::to_string(&body).unwrap_or_default();
    let id = new_request_id();
    app.metrics.request_received();
    app.metrics
        .request(&Method::OPTIONS, NO_ROUTE, body.status, Duration::ZERO);
    tracing::info!(request_id = id, route = NO_ROUTE, status = body.status, "request");
    let security: String = SECURITY
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{security}x-request-id: {id}\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{json}",
        json.len()
    )
    .into_bytes()
}

/// A request in the metrics: received at once, and later answered or given up by its client.
struct OpenRequest<'a> {
    metrics: &'a Metrics,
    method: &'a Method,
    route: &'static str,
    began: Instant,
    status: u16,
}

impl<'a> OpenRequest<'a> {
    fn new(metrics: &'a Metrics, method: &'a Method, route: &'static str, began: Instant) -> Self {
        metrics.request_received();
        Self {
            metrics,
            method,
            route,
            began,
            status: GONE,
        }
    }

    fn answered(mut self, status: u16) {
        self.status = status;
    }
}

impl Drop for OpenRequest<'_> {
    fn drop(&mut self) {
        self.metrics
            .request(self.method, self.route, self.status, self.began.elapsed());
    }
}

/// The answer where a route panicked: the cause goes to the log alone.
fn panicked(panic: &(dyn Any + Send)) -> Response {
    let cause = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without words");
    Refusal::Internal(format!("panic: {cause}")).into_response()
}

/// The caller's own id where it is one, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let is_id = |id: &&str| {
        (1..=MAX_REQUEST_ID).contains(&id.len())
            && id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    given.filter(is_id).map_or_else(new_request_id, str::to_owned)
}

/// A new id. It is a keyed hash of a count: the count itself would tell each client how busy the others are.
fn new_request_id() -> String {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    format!(
        "{:016x}{:016x}",
        KEY.hash_one((count, 0)),
        KEY.hash_one((count, 1))
    )
}

fn headers_too_large(headers: &HeaderMap) -> bool {
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    bytes > MAX_HEADER_BYTES || headers.len() > MAX_HEADERS
}

/// What a server must refuse although it can be read, since another one on the way may read it otherwise.
fn unclear(request: &Request) -> Option<&'static str> {
    let headers = request.headers();
    // RFC 9112, 3.2.
    if request.version() == Version::HTTP_11 && headers.get_all(HOST).iter().count() != 1 {
        return Some("Host: HTTP/1.1 asks for exactly one");
    }
    // RFC 9112, 6.1.
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = |coding: &HeaderValue| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    let is_understood = codings.next().is_none_or(is_chunked) && codings.next().is_none();
    (!is_understood).then_some("Transfer-Encoding: only `chunked`, and only once")
}

fn preflight() -> Response {
    let mut response = empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, HEAD, POST, DELETE, OPTIONS"),
    );
    headers.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "Authorization, Content-Type, Content-Encoding, Prefer, X-Request-Id, X-Pecta-Signature, X-Repute-Signature, \
             X-Repute-Timestamp",
        ),
    );
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    response
}

fn allow_origin(app: &App, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Retry-After, RateLimit, RateLimit-Policy, X-Request-Id"),
    );
    let allowed = &app.config.cors_origins;
    if allowed.is_empty() {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        return;
    }
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) =
        origin.filter(|origin| allowed.iter().any(|one| one.as_bytes() == origin.as_bytes()))
    {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use std::collections::HashSet;

    #[test]
    fn a_new_request_id_tells_nothing_of_how_many_there_were() {
        let ids: Vec<u128> = (0..1_000)
            .map(|_| u128::from_str_radix(&new_request_id(), 16).unwrap())
            .collect();
        let steps: HashSet<u128> = ids.windows(2).map(|two| two[1].wrapping_sub(two[0])).collect();
        assert_eq!(steps.len(), 999);
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 1_000);
    }

    #[tokio::test]
    async fn what_a_panic_said_is_for_the_log_alone() {
        let response = panicked(&"a body: secret".to_owned());
        assert_eq!(
            response.extensions().get::<Cause>().map(|cause| cause.0.as_str()),
            Some("panic: a body: secret")
        );
        let expected = Refusal::Internal(String::new()).into_response();
        assert_eq!(response.status(), expected.status());
        let [told, internal] = [response, expected].map(|response| response.into_body().collect());
        assert_eq!(told.await.unwrap().to_bytes(), internal.await.unwrap().to_bytes());
    }
}
