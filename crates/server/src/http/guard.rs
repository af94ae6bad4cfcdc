//! Before a route runs: who asks, may they, and how often.

use super::app::App;
use super::error::Refusal;
use super::message::{Request, Response};
use super::routes::Guarded;
use crate::accounts::Principal;
use crate::rate_limit::{Admission, Class};
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderValue};
use std::sync::Arc;
use std::time::Instant;
use store::OrgId;
use wire::{Fault, Scope};

/// What a route is given.
pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    pub(crate) caller: Principal,
    pub(crate) request: Request,
    /// When the headers of the request were there.
    pub(crate) began: Instant,
}

/// What a route needs of its caller.
#[derive(Clone, Copy)]
pub(crate) struct Needs {
    /// `None`: any key will do.
    pub(crate) scope: Option<Scope>,
    pub(crate) class: Class,
}

/// Checks key, rate limit and scope, runs the route, and turns what it refuses into an answer. Tells whose key it was, too.
pub(crate) async fn guard(
    app: Arc<App>,
    request: Request,
    began: Instant,
    needs: Needs,
    route: Guarded,
) -> (Response, Option<OrgId>) {
    let caller = match authenticate(&app, request.headers()) {
        Ok(caller) => caller,
        Err(refusal) => return (refusal.into_response(), None),
    };
    let org = caller.org;
    let open = app.books(&caller).request();
    let limit = match needs.class {
        Class::Ingest => caller
            .settings
            .ingest_rate_limit
            .unwrap_or(app.config.ingest_rate_limit),
        Class::Other => caller.settings.rate_limit.unwrap_or(app.config.rate_limit),
    };
    let admission = app.limits.admit(org, needs.class, limit, app.uptime());
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
            open.answered(response.status().as_u16());
            return (response, Some(org));
        }
    };
    let shared = Arc::clone(&app);
    // A good key's request counts, whatever comes of it.
    let outcome = match needs.scope.filter(|scope| !caller.scopes.contains(*scope)) {
        Some(scope) => Err(Refusal::ScopeMissing(scope)),
        None => {
            let call = Call {
                app,
                caller,
                request,
                began,
            };
            route(call).await
        }
    };
    let mut response = outcome.unwrap_or_else(Refusal::into_response);
    if let Some(ticket) = ticket.filter(|_| matches!(response.status().as_u16(), 429 | 503)) {
        shared.limits.give_back(&ticket);
    }
    if let Some((limit, remaining, reset_s)) = fields {
        rate_limit_fields(&mut response, limit, remaining, reset_s);
    }
    open.answered(response.status().as_u16());
    (response, Some(org))
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
fn rate_limit_fields(response: &mut Response, limit: u64, remaining: u64, reset_s: u64) {
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
