//! All routes on one page.

pub(crate) mod agents;
pub(crate) mod audit;
pub(crate) mod evaluate;
pub(crate) mod events;
pub(crate) mod gates;
pub(crate) mod ingest;
pub(crate) mod keys;
pub(crate) mod ledger;
pub(crate) mod reputation;
pub(crate) mod status;

use super::app::App;
use super::error::Refusal;
use super::guard::{Call, Needs, guard};
use super::observe::{observe, panicked};
use crate::rate_limit::Class;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, get};
use std::future::Future;
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;
use wire::Scope;

/// Every route for clients, with the metrics or without.
pub(crate) fn router(app: Arc<App>, with_metrics: bool) -> Router {
    let read = Needs {
        scope: Some(Scope::Read),
        class: Class::Other,
    };
    let admin = Needs {
        scope: Some(Scope::Admin),
        class: Class::Other,
    };
    let ingest = Needs {
        scope: Some(Scope::Ingest),
        class: Class::Ingest,
    };
    let evaluate = Needs {
        scope: Some(Scope::Evaluate),
        class: Class::Other,
    };
    let register = Needs {
        scope: Some(Scope::Ingest),
        class: Class::Other,
    };
    let any = Needs {
        scope: None,
        class: Class::Other,
    };
    let routes = Router::new()
        .route("/v1/ingest", on(MethodFilter::POST, ingest, ingest::ingest))
        .route(
            "/v1/evaluate",
            on(MethodFilter::POST, evaluate, evaluate::evaluate),
        )
        .route("/v1/gates", on(MethodFilter::GET, read, gates::gates))
        .route("/v1/reputation", on(MethodFilter::GET, read, reputation::many))
        .route(
            "/v1/reputation/{agent_id}",
            on(MethodFilter::GET, read, reputation::one),
        )
        .route("/v1/events", on(MethodFilter::GET, read, events::page))
        .route("/v1/events/{id}", on(MethodFilter::GET, read, events::one))
        .route(
            "/v1/agents",
            on(MethodFilter::GET, read, agents::list).merge(on(
                MethodFilter::POST,
                register,
                agents::register,
            )),
        )
        .route(
            "/v1/agents/{agent_id}",
            on(MethodFilter::DELETE, admin, agents::erase),
        )
        .route(
            "/v1/keys",
            on(MethodFilter::GET, admin, keys::list).merge(on(MethodFilter::POST, admin, keys::create)),
        )
        .route("/v1/keys/{id}", on(MethodFilter::DELETE, admin, keys::revoke))
        .route("/v1/ledger", on(MethodFilter::GET, admin, ledger::page))
        .route("/v1/audit", on(MethodFilter::GET, admin, audit::page))
        .route("/v1/whoami", on(MethodFilter::GET, any, keys::whoami))
        .route("/health", get(status::health))
        .route("/ready", get(status::ready))
        .route("/openapi.json", get(status::openapi));
    surrounded(
        app,
        if with_metrics {
            routes.route("/metrics", get(status::metrics))
        } else {
            routes
        },
    )
}

/// What operators ask, on an address of its own.
pub(crate) fn operators(app: Arc<App>) -> Router {
    let routes = Router::new()
        .route("/health", get(status::health))
        .route("/ready", get(status::ready))
        .route("/metrics", get(status::metrics));
    surrounded(app, routes)
}

/// Around all routes, from the outside in: observation, panics.
fn surrounded(app: Arc<App>, routes: Router<Arc<App>>) -> Router {
    routes
        .fallback(not_found)
        .method_not_allowed_fallback(async || Refusal::MethodNotAllowed.into_response())
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(Arc::clone(&app), observe))
        .with_state(app)
}

/// A route behind the guard, for one method.
fn on<F, Fut>(method: MethodFilter, needs: Needs, route: F) -> MethodRouter<Arc<App>>
where
    F: Fn(Call) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Response<Body>, Refusal>> + Send + 'static,
{
    axum::routing::on(
        method,
        async move |State(app): State<Arc<App>>, request: Request| guard(app, request, needs, route).await,
    )
}

/// No route. Says how to write an id with a slash, since that is how most get here.
async fn not_found(request: Request) -> Response<Body> {
    let path = request.uri().path();
    let sentence = if path.starts_with("/v1/reputation/") || path.starts_with("/v1/agents/") {
        "no such route: an agent_id is one path segment; write a slash in it as %2F"
    } else {
        "no such route"
    };
    Refusal::NotFound(sentence.to_owned()).into_response()
}
