//! Before a route runs: who asks, may they, and how often.

use super::app::App;
use super::error::Refusal;
use crate::accounts::Principal;
use crate::rate_limit::{Admission, Class};
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue, Response};
use std::future::Future;
use std::sync::Arc;
use wire::{Fault, Scope};

/// What a route is given.
pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    pub(crate) caller: Principal,
    pub(crate) request: Request,
}

/// What a route needs of its caller.
#[derive(Clone, Copy)]
pub(crate) struct Needs {
    /// `None`: any key will do.
    pub(crate) scope: Option<Scope>,
    pub(crate) class: Class,
}

/// Checks key, rate limit and scope, runs the route, and turns what it refuses into an answer.
pub(crate) async fn guard<F, Fut>(app: Arc<App>, request: Request, needs: Needs, route: F) -> Response<Body>
where
    F: FnOnce(Call) -> Fut,
    Fut: Future<Output = Result<Response<Body>, Refusal>>,
{
    let caller = match authenticate(&app, request.headers()) {
        Ok(caller) => caller,
        Err(refusal) => return refusal.into_response(),
    };
    let open = app.books(&caller).request();
    let limit = match needs.class {
        Class::Ingest => caller
            .settings
            .ingest_rate_limit
            .unwrap_or(app.config.ingest_rate_limit),
        Class::Other => caller.settings.rate_limit.unwrap_or(app.config.rate_limit),
    };
    let admission = app.limits.admit(caller.org, needs.class, limit, app.uptime());
    let (fields, ticket) = match admission {
        Admission::Unlimited => (None, None),
        Admission::Admitted {
            limit,
            remaining,
            reset_s,
            ticket,
        } => (Some((limit, remaining, reset_s)), Some(ticket)),
        Admission::Refused { limit, retry_after_s } => {
            let mut response = Refusal::RateLimited { retry_after_s }.into_response();
            rate_limit_fields(&mut response, limit, 0, retry_after_s);
            response.extensions_mut().insert(caller.org);
            open.answered(response.status().as_u16());
            return response;
        }
    };
    let (shared, org) = (Arc::clone(&app), caller.org);
    // A good key's request counts, whatever comes of it.
    let mut response = match needs.scope.filter(|scope| !caller.scopes.contains(*scope)) {
        Some(scope) => Refusal::ScopeMissing(scope).into_response(),
        None => route(Call { app, caller, request })
            .await
            .unwrap_or_else(Refusal::into_response),
    };
    if let Some(ticket) = ticket.filter(|_| matches!(response.status().as_u16(), 429 | 503)) {
        shared.limits.give_back(&ticket);
    }
    if let Some((limit, remaining, reset_s)) = fields {
        rate_limit_fields(&mut response, limit, remaining, reset_s);
    }
    response.extensions_mut().insert(org); // for the log
    open.answered(response.status().as_u16());
    response
}

fn authenticate(app: &App, headers: &HeaderMap) -> Result<Principal, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(Refusal::Fault(Fault::AuthMissing)); // two answers to "who asks" are none
    }
    let key = wire::key_of(first.map(HeaderValue::as_bytes))?;
    Ok(app.accounts.authenticate(&key, app.now())?)
}

/// The fields of the IETF draft (draft-ietf-httpapi-ratelimit-headers): quota `q` per window `w` seconds;
/// remaining `r`, to be more in `t` seconds.
fn rate_limit_fields(response: &mut Response<Body>, limit: u64, remaining: u64, reset_s: u64) {
    let fields = [
        ("ratelimit-policy", format!("\"minute\";q={limit};w=60")),
        ("ratelimit", format!("\"minute\";r={remaining};t={reset_s}")),
    ];
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
}
