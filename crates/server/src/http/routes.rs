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
use super::guard::{Call, Needs};
use super::message::Response;
use crate::rate_limit::Class;
use hyper::Method;
use hyper::header::{ALLOW, HeaderValue};
use std::future::Future;
use std::pin::Pin;
use wire::Scope;

/// A place of the API, and what happens there for one method.
pub(crate) struct Route {
    pub(crate) method: Method,
    /// Where a segment in braces stands for any that is not empty.
    pub(crate) path: &'static str,
    pub(crate) target: Target,
    audience: Audience,
}

/// Who asks for a route, where clients and operators come in at doors of their own.
enum Audience {
    Clients,
    Operators,
    Both,
}

pub(crate) enum Target {
    /// For everybody.
    Open(fn(&App) -> Response),
    /// Behind the guard.
    Guarded(Needs, Guarded),
}

/// A route behind the guard.
pub(crate) type Guarded = fn(Call) -> Pin<Box<dyn Future<Output = Result<Response, Refusal>> + Send>>;

macro_rules! boxed {
    ($route:path) => {
        |call| Box::pin($route(call))
    };
}

/// Every route; the busiest first, since they are looked through in this order.
pub(crate) static ROUTES: [Route; 20] = [
    guarded(Method::POST, "/v1/ingest", INGEST, boxed!(ingest::ingest)),
    guarded(Method::POST, "/v1/evaluate", EVALUATE, boxed!(evaluate::evaluate)),
    guarded(Method::GET, "/v1/gates", READ, boxed!(gates::gates)),
    guarded(Method::GET, "/v1/reputation", READ, boxed!(reputation::many)),
    guarded(
        Method::GET,
        "/v1/reputation/{agent_id}",
        READ,
        boxed!(reputation::one),
    ),
    guarded(Method::GET, "/v1/events", READ, boxed!(events::page)),
    guarded(Method::GET, "/v1/events/{id}", READ, boxed!(events::one)),
    guarded(Method::GET, "/v1/agents", READ, boxed!(agents::list)),
    guarded(Method::POST, "/v1/agents", REGISTER, boxed!(agents::register)),
    guarded(
        Method::DELETE,
        "/v1/agents/{agent_id}",
        ADMIN,
        boxed!(agents::erase),
    ),
    guarded(Method::GET, "/v1/keys", ADMIN, boxed!(keys::list)),
    guarded(Method::POST, "/v1/keys", ADMIN, boxed!(keys::create)),
    guarded(Method::DELETE, "/v1/keys/{id}", ADMIN, boxed!(keys::revoke)),
    guarded(Method::GET, "/v1/ledger", ADMIN, boxed!(ledger::page)),
    guarded(Method::GET, "/v1/audit", ADMIN, boxed!(audit::page)),
    guarded(Method::GET, "/v1/whoami", ANY, boxed!(keys::whoami)),
    open("/health", status::health, Audience::Both),
    open("/ready", status::ready, Audience::Both),
    open("/metrics", status::metrics, Audience::Operators),
    open("/openapi.json", status::openapi, Audience::Clients),
];

const INGEST: Needs = Needs {
    scope: Some(Scope::Ingest),
    class: Class::Ingest,
};
const EVALUATE: Needs = needs(Scope::Evaluate);
const READ: Needs = needs(Scope::Read);
const REGISTER: Needs = needs(Scope::Ingest);
const ADMIN: Needs = needs(Scope::Admin);
const ANY: Needs = Needs {
    scope: None,
    class: Class::Other,
};

const fn needs(scope: Scope) -> Needs {
    Needs {
        scope: Some(scope),
        class: Class::Other,
    }
}

const fn guarded(method: Method, path: &'static str, needs: Needs, run: Guarded) -> Route {
    Route {
        method,
        path,
        target: Target::Guarded(needs, run),
        audience: Audience::Clients,
    }
}

const fn open(path: &'static str, run: fn(&App) -> Response, audience: Audience) -> Route {
    Route {
        method: Method::GET,
        path,
        target: Target::Open(run),
        audience,
    }
}

/// Which routes there are where a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// All of them.
    Everybody,
    /// What clients ask; the metrics are elsewhere.
    Clients,
    /// What operators ask.
    Operators,
}

impl Side {
    fn has(self, route: &Route) -> bool {
        match self {
            Self::Everybody => true,
            Self::Clients => !matches!(route.audience, Audience::Operators),
            Self::Operators => !matches!(route.audience, Audience::Clients),
        }
    }
}

/// What a request asks for.
pub(crate) enum Asked {
    Route(&'static Route),
    /// There is such a path, but not for this method.
    OtherMethod(&'static str),
    Nothing,
}

impl Asked {
    /// HEAD is GET, of whose answer the body is not sent.
    pub(crate) fn by(side: Side, method: &Method, path: &str) -> Self {
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let mut there = None;
        for route in ROUTES.iter().filter(|route| side.has(route)) {
            if is_at(route.path, path) {
                if route.method == *method {
                    return Self::Route(route);
                }
                there = Some(route.path);
            }
        }
        there.map_or(Self::Nothing, Self::OtherMethod)
    }

    /// The path in the form that logs and metrics have.
    pub(crate) fn path(&self) -> Option<&'static str> {
        match self {
            Self::Route(route) => Some(route.path),
            Self::OtherMethod(path) => Some(path),
            Self::Nothing => None,
        }
    }
}

/// Whether this path is one of those that the pattern stands for.
fn is_at(pattern: &str, path: &str) -> bool {
    match pattern.split_once('{') {
        None => pattern == path,
        Some((before, _)) => path
            .strip_prefix(before)
            .is_some_and(|segment| !segment.is_empty() && !segment.contains('/')),
    }
}

/// Another method than these of a path.
pub(crate) fn method_not_allowed(path: &str) -> Response {
    let mut methods = Vec::new();
    for route in ROUTES.iter().filter(|route| route.path == path) {
        methods.push(route.method.as_str());
        if route.method == Method::GET {
            methods.push("HEAD");
        }
    }
    let mut response = Refusal::MethodNotAllowed.into_response();
    if let Ok(methods) = HeaderValue::try_from(methods.join(",")) {
        response.headers_mut().insert(ALLOW, methods);
    }
    response
}

/// No route. Says how to write an id with a slash, since that is how most get here.
pub(crate) fn not_found(path: &str) -> Response {
    let sentence = if path.starts_with("/v1/reputation/") || path.starts_with("/v1/agents/") {
        "no such route: an agent_id is one path segment; write a slash in it as %2F"
    } else {
        "no such route"
    };
    Refusal::NotFound(sentence.to_owned()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn asked(side: Side, method: &Method, path: &str) -> Option<(&'static str, bool)> {
        let asked = Asked::by(side, method, path);
        asked.path().map(|path| (path, matches!(asked, Asked::Route(_))))
    }

    #[test]
    fn a_pattern_is_one_segment_that_is_not_empty() {
        let get = |path| asked(Side::Everybody, &Method::GET, path);
        assert_eq!(get("/v1/reputation"), Some(("/v1/reputation", true)));
        assert_eq!(
            get("/v1/reputation/a%2Fb"),
            Some(("/v1/reputation/{agent_id}", true))
        );
        for path in [
            "/v1/reputation/",
            "/v1/reputation/a/",
            "/v1/reputation/a/b",
            "/v1/reputations",
            "/v1/Reputation",
            "//v1/reputation",
            "/v1/ingest/",
            "/",
            "",
            "*",
        ] {
            assert_eq!(get(path), None, "{path}");
        }
    }

    #[test]
    fn head_is_get_and_another_method_is_told_from_no_route() {
        let at = |method, path| asked(Side::Everybody, &method, path);
        assert_eq!(at(Method::HEAD, "/v1/agents"), Some(("/v1/agents", true)));
        assert_eq!(at(Method::HEAD, "/v1/ingest"), Some(("/v1/ingest", false)));
        assert_eq!(
            at(Method::GET, "/v1/agents/a"),
            Some(("/v1/agents/{agent_id}", false))
        );
        assert_eq!(at(Method::OPTIONS, "/health"), Some(("/health", false)));
    }

    #[test]
    fn each_side_has_its_routes() {
        let get = |side, path| asked(side, &Method::GET, path).is_some();
        for (path, for_clients, for_operators) in [
            ("/v1/agents", true, false),
            ("/openapi.json", true, false),
            ("/health", true, true),
            ("/ready", true, true),
            ("/metrics", false, true),
        ] {
            assert!(get(Side::Everybody, path), "{path}");
            assert_eq!(get(Side::Clients, path), for_clients, "{path}");
            assert_eq!(get(Side::Operators, path), for_operators, "{path}");
        }
    }

    #[test]
    fn the_description_has_every_route() {
        let described: BTreeSet<_> = crate::openapi::routes().into_iter().collect();
        let routes = ROUTES.iter();
        let served = routes.map(|route| (route.method.to_string(), route.path.to_owned()));
        assert_eq!(served.collect::<BTreeSet<_>>(), described);
    }
}
