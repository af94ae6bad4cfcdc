//! The description of the API (OpenAPI 3.1), from the same types that the answers are made of.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use wire::ErrorBody;
use wire::answers::{
    AgentsPage, AuditPage, EvaluateAnswer, Event, EventsPage, GatesAnswer, Health, IngestAnswer, KeysPage,
    LedgerPage, NewKey, Ready, Registration, Reputation, Reputations, Whoami,
};
use wire::requests::{CreateKeyRequest, EvaluateRequest, IngestRequest, RegisterAgentRequest};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Repute",
        description = "The open, self-hosted quality and reputation layer for AI agents.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        paths::ingest, paths::evaluate, paths::gates, paths::reputation, paths::reputations, paths::events, paths::event, paths::agents,
        paths::register, paths::erase, paths::keys, paths::create_key, paths::revoke_key, paths::ledger, paths::audit, paths::whoami,
        paths::health, paths::ready, paths::metrics, paths::openapi
    ),
    components(schemas(ErrorBody)),
    modifiers(&BearerKey),
    security(("key" = []))
)]
struct Description;

struct BearerKey;

impl Modify for BearerKey {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("`pk_live_…` or `sk_live_…`"))
            .build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(scheme));
    }
}

/// The description as JSON, ending with a line break.
#[must_use]
pub fn openapi_json() -> String {
    Description::openapi()
        .to_pretty_json()
        .map(|json| json + "\n")
        .unwrap_or_default()
}

/// The method and the path of every route.
#[cfg(test)]
pub(crate) fn routes() -> Vec<(String, String)> {
    let mut routes = Vec::new();
    for (path, item) in Description::openapi().paths.paths {
        for (method, operation) in [("GET", item.get), ("POST", item.post), ("DELETE", item.delete)] {
            if operation.is_some() {
                routes.push((method.to_owned(), path.clone()));
            }
        }
    }
    routes
}

/// One empty function a route, to carry its description.
mod paths {
    #![allow(dead_code, reason = "they are read by the derive alone")]

    use super::*;

    #[utoipa::path(
        post, path = "/v1/ingest",
        description = "Takes a batch of 1 to 100 evaluation events. The 202 means that each accepted event is on stable \
                       storage and counted in the scores it reports. Send the same bytes again until an answer comes: an \
                       event with an `evaluation_id` counts once.",
        params(
            ("X-Pecta-Signature" = Option<String>, Header, description = "`sha256=` and the hexadecimal HMAC-SHA256 of the body as sent, keyed with a secret key"),
            ("X-Repute-Signature" = Option<String>, Header, description = "The same under our own name; where both are sent, both must match"),
            ("X-Repute-Timestamp" = Option<String>, Header, description = "Seconds since 1970; where it is sent, the signature is that of `<seconds>.<body>`, and it must lie within 300 s of the server's clock"),
            ("Content-Encoding" = Option<String>, Header, description = "`gzip`, `zstd` or `identity`"),
            ("Prefer" = Option<String>, Header, description = "`handling=lenient`: take the good events where others are bad")
        ),
        request_body = IngestRequest,
        responses(
            (status = 202, description = "Taken", body = IngestAnswer),
            (status = 400, description = "`bad_json`, `validation_error`", body = ErrorBody),
            (status = 401, description = "`auth_*`, `hmac_*`", body = ErrorBody),
            (status = 403, description = "`scope_missing`, `agent_limit`", body = ErrorBody),
            (status = 408, description = "`request_timeout`", body = ErrorBody),
            (status = 413, description = "`body_too_large`", body = ErrorBody),
            (status = 415, description = "`unsupported_encoding`", body = ErrorBody),
            (status = 429, description = "`rate_limited`, with `Retry-After`", body = ErrorBody),
            (status = 500, description = "`internal`", body = ErrorBody),
            (status = 503, description = "`unavailable`, with `Retry-After`: not kept, or outcome unknown", body = ErrorBody)
        )
    )]
    fn ingest() {}

    #[utoipa::path(
        post, path = "/v1/evaluate",
        description = "Runs the gates over one output. The 200, also for a failing verdict, means that the evaluation is on \
                       stable storage and counted in the standing it reports. With an `evaluation_id` the request may be \
                       sent again: a repeat is judged, answered with `duplicate`, and not recorded.",
        params(
            ("X-Pecta-Signature" = Option<String>, Header, description = "As for an ingest"),
            ("X-Repute-Signature" = Option<String>, Header, description = "As for an ingest"),
            ("X-Repute-Timestamp" = Option<String>, Header, description = "As for an ingest"),
            ("Content-Encoding" = Option<String>, Header, description = "`gzip`, `zstd` or `identity`")
        ),
        request_body = EvaluateRequest,
        responses(
            (status = 200, description = "The verdict", body = EvaluateAnswer),
            (status = 400, description = "`bad_json`, `validation_error`", body = ErrorBody),
            (status = 401, description = "`auth_*`, `hmac_*`", body = ErrorBody),
            (status = 403, description = "`scope_missing`, `agent_limit`", body = ErrorBody),
            (status = 408, description = "`request_timeout`", body = ErrorBody),
            (status = 413, description = "`body_too_large`", body = ErrorBody),
            (status = 415, description = "`unsupported_encoding`", body = ErrorBody),
            (status = 429, description = "`rate_limited`, with `Retry-After`", body = ErrorBody),
            (status = 500, description = "`internal`; nothing was recorded", body = ErrorBody),
            (status = 503, description = "`unavailable`, with `Retry-After`: not kept, or outcome unknown", body = ErrorBody)
        )
    )]
    fn evaluate() {}

    #[utoipa::path(
        get, path = "/v1/gates",
        description = "Which gates judge the organisation's agents.",
        params(("agent_id" = Option<String>, Query, min_length = 1, max_length = 200, description = "Only the set that judges this agent")),
        responses(
            (status = 200, description = "The rules and their sets", body = GatesAnswer),
            (status = 400, description = "`validation_error`", body = ErrorBody),
            (status = 401, description = "`auth_*`", body = ErrorBody),
            (status = 403, description = "`scope_missing`", body = ErrorBody),
            (status = 429, description = "`rate_limited`", body = ErrorBody),
            (status = 500, description = "`internal`", body = ErrorBody)
        )
    )]
    fn gates() {}

    #[utoipa::path(
        get, path = "/v1/reputation/{agent_id}",
        description = "An agent's standing. An agent never seen has an empty one.",
        params(("agent_id" = String, Path, description = "One path segment; a slash in it is written `%2F`")),
        responses(
            (status = 200, description = "Its standing", body = Reputation),
            (status = 400, description = "`validation_error`", body = ErrorBody),
            (status = 401, description = "`auth_*`", body = ErrorBody),
            (status = 403, description = "`scope_missing`", body = ErrorBody),
            (status = 404, description = "`not_found`", body = ErrorBody),
            (status = 429, description = "`rate_limited`", body = ErrorBody),
            (status = 500, description = "`internal`", body = ErrorBody),
            (status = 503, description = "`unavailable`", body = ErrorBody)
        )
    )]
    fn reputation() {}

    #[utoipa::path(
        get, path = "/v1/reputation",
        description = "The standing of 1 to 100 agents, in the order asked.",
        params(("agent_id" = Vec<String>, Query, min_items = 1, max_items = 100, description = "Repeated: one for each agent")),
        responses(
            (status = 200, description = "Their standings", body = Reputations),
            (status = 400, description = "`validation_error`", body = ErrorBody),
            (status = 401, description = "`auth_*`", body = ErrorBody),
            (status = 403, description = "`scope_missing`", body = ErrorBody),
            (status = 429, description = "`rate_limited`", body = ErrorBody),
            (status = 500, description = "`internal`", body = ErrorBody),
            (status = 503, description = "`unavailable`", body = ErrorBody)
        )
    )]
    fn reputations() {}

    #[utoipa::path(
        get, path = "/v1/events",
        description = "Events, newest first. Only the absence of `next_cursor` means the end.",
        params(
            ("limit" = Option<u64>, Query, minimum = 1, maximum = 100, description = "Default 50"),
            ("offset" = Option<u64>, Query, minimum = 0, maximum = 100_000, description = "Not with `cursor`, `tool` or `failed_gate`"),
            ("cursor" = Option<String>, Query, min_length = 1, description = "`next_cursor` of the page before, with the same filters"),
            ("agent_id" = Option<String>, Query, min_length = 1, max_length = 200, description = "Only this agent's"),
            ("passed" = Option<bool>, Query, description = "Only with this verdict"),
            ("from" = Option<String>, Query, description = "Only at or after this time (ISO 8601)"),
            ("to" = Option<String>, Query, description = "Only at or before this time (ISO 8601)"),
            ("tool" = Option<String>, Query, min_length = 1, max_length = 200, description = "Only with this tool"),
            ("failed_gate" = Option<String>, Query, min_length = 1, max_length = 200, description = "Only where this gate failed"),
            ("evaluation_id" = Option<String>, Query, min_length = 1, max_length = 50, description = "Only with this id; needs `agent_id`")
        ),
        responses(
            (status = 200, description = "A page", body = EventsPage),
            (status = 400, description = "`validation_error`", body = ErrorBody),
            (status = 401, description = "`auth_*`", body = ErrorBody),
            (status = 403, description = "`scope_missing`", body = ErrorBody),
            (status = 429, description = "`rate_limited`", body = ErrorBody),
            (status = 500, description = "`internal`", body = ErrorBody),
            (status = 503, description = "`unavailable`", body = ErrorBody)
        )
    )]
    fn events() {}

    #[utoipa::path(
        get, path = "/v1/events/{id}",
        description = "One event.",
        params(("id" = String, Path, description = "The event's `id`")),
        responses(
            (status = 200, description = "The event", body = Event),
            (status = 400, description = "`validation_error`", body = ErrorBody),
            (status = 401, description = "`auth_*`", body = ErrorBody),
            (status = 403, description = "`scope_missing`", body = ErrorBody),
            (status = 404, description = "`not_found`", body = ErrorBody),
            (status = 429, description = "`rate_limited`", body = ErrorBody),
            (status = 500, description = "`internal`", body = ErrorBody),
            (status = 503, description = "`unavailable`", body = ErrorBody)
        )
    )]
    fn event() {}

    #[utoipa::path(
        get, path = "/v1/agents",
        description = "The organisation's agents.",
        params(
            ("limit" = Option<u64>, Query, minimum = 1, maximum = 500, description = "Default 500"),
            ("order" = Option<String>, Query, pattern = "^(last_seen|agent_id)$", description = "`last_seen` (newest first, the default) or `agent_id`"),
            ("cursor" = Option<String>, Query, min_length = 1, description = "`next_cursor` of the page before"),
            ("include" = Option<String>, Query, pattern = "^reputation$", description = "`reputation` adds `score` and `status`")
        ),
        responses(
            (status = 200, description = "A page", body = AgentsPage),
            (status = 400, description = "`validation_error`", body = ErrorBody),
            (status = 401, description = "`auth_*`", body = ErrorBody),
            (status = 403, description = "`scope_missing`", body = ErrorBody),
            (status = 429, description = "`rate_limited`", body = ErrorBody),
            (status = 500, description = "`internal`", body = ErrorBody),
            (status = 503, description = "`unavailable`", body = ErrorBody)
        )
    )]
    fn agents() {}

    #[utoipa::path(
        post, path = "/v1/agents",
        description = "Makes an agent known before its first event. Nothing of one that exists is changed.",
        request_body = RegisterAgentRequest,
        responses(
            (status = 201, description = "Known", body = Registration),
            (status = 400, description = "`bad_json`, `validation_error`", body = ErrorBody),
            (status = 401, description = "`auth_*`", body = ErrorBody),
            (status = 403, description = "`scope_missing`, `agent_limit`", body = ErrorBody),
            (status = 408, description = "`request_timeout`", body = ErrorBody),
            (status = 413, description = "`body_too_large`", body = ErrorBody),
            (status = 415, description = "`unsupported_encoding`", body = ErrorBody),
            (status = 429, description = "`rate_limited`", body = ErrorBody),
            (status = 500, description = "`internal`", body = ErrorBody),
            (status = 503, description = "`unavailable`", body = ErrorBody)
        )
    )]
    fn register() {}

    #[utoipa::path(
        delete, path = "/v1/agents/{agent_id}",
        description = "Erases an agent: its events, its window and its name are gone for good when this is answered. \
                       An agent that is not known is gone already. Needs the scope `admin`.",
        params(("agent_id" = String, Path, description = "One path segment, percent-decoded once")),
        responses(
            (status = 204, description = "Gone"),
            (status = 400, description = "`validation_error`", body = ErrorBody),
            (status = 401, description = "`auth_*`", body = ErrorBody),
            (status = 403, description = "`scope_missing`", body = ErrorBody),
            (status = 429, description = "`rate_limited`", body = ErrorBody),
            (status = 500, description = "`internal`", body = ErrorBody),
            (status = 503, description = "`unavailable`: not begun, so ask again; or not finished, and goes on by itself: ask again until 204", body = ErrorBody)
        )
    )]
    fn erase() {}

    #[utoipa::path(
        get, path = "/v1/keys",
        description = "All keys of the organisation, revoked ones included. Needs the scope `admin`.",
        responses(
            (status = 200, description = "The keys", body = KeysPage),
            (status = 400, description = "`validation_error`", body = ErrorBody),
            (status = 401, description = "`auth_*`", body = ErrorBody),
            (status = 403, description = "`scope_missing`", body = ErrorBody),
            (status = 429, description = "`rate_limited`", body = ErrorBody),
            (status = 500, description = "`internal`", body = ErrorBody)
        )
    )]
    fn keys() {}

    #[utoipa::path(
        post, path = "/v1/keys",
        description = "Makes a key and shows it, this once. Needs the scope `admin`.",
        request_body = CreateKeyRequest,
        responses(
            (status = 201, description = "The key", body = NewKey),
            (status = 400, description = "`bad_json`, `validation_error`", body = ErrorBody),
            (status = 401, description = "`auth_*`", body = ErrorBody),
            (status = 403, description = "`scope_missing`", body = ErrorBody),
            (status = 408, description = "`request_timeout`", body = ErrorBody),
            (status = 413, description = "`body_too_large`", body = ErrorBody),
            (status = 415, description = "`unsupported_encoding`", body = ErrorBody),
            (status = 429, description = "`rate_limited`", body = ErrorBody),
            (status = 500, description = "`internal`", body = ErrorBody),
            (status = 503, description = "`unavailable`", body = ErrorBody)
        )
    )]
    fn create_key() {}

    #[utoipa::path(
        delete, path = "/v1/keys/{id}",
        description = "Revokes a key, at once. Needs the scope `admin`.",
        params(("id" = String, Path, description = "The key's `id`")),
        responses(
            (status = 204, description = "Revoked, now or before"),
            (status = 400, description = "`validation_error`", body = ErrorBody),
            (status = 401, description = "`auth_*`", body = ErrorBody),
            (status = 403, description = "`scope_missing`", body = ErrorBody),
            (status = 404, description = "`not_found`", body = ErrorBody),
            (status = 409, description = "`last_secret_key`", body = ErrorBody),
            (status = 429, description = "`rate_limited`", body = ErrorBody),
            (status = 500, description = "`internal`", body = ErrorBody),
            (status = 503, description = "`unavailable`", body = ErrorBody)
        )
    )]
    fn revoke_key() {}

    #[utoipa::path(
        get, path = "/v1/ledger",
        description = "What each key sent and what became of it, newest first. Needs the scope `admin`.",
        params(
            ("by" = Option<String>, Query, pattern = "^(day|minute)$", description = "`day` (UTC, the default; kept as long as events are) or `minute` (kept for a day)"),
            ("key_id" = Option<String>, Query, description = "Only what this key sent"),
            ("from" = Option<String>, Query, description = "Only stretches that start at or after this time (ISO 8601)"),
            ("to" = Option<String>, Query, description = "Only stretches that start at or before this time (ISO 8601)"),
            ("limit" = Option<u64>, Query, minimum = 1, maximum = 1440, description = "Default 100"),
            ("cursor" = Option<String>, Query, min_length = 1, description = "`next_cursor` of the page before")
        ),
        responses(
            (status = 200, description = "A page", body = LedgerPage),
            (status = 400, description = "`validation_error`", body = ErrorBody),
            (status = 401, description = "`auth_*`", body = ErrorBody),
            (status = 403, description = "`scope_missing`", body = ErrorBody),
            (status = 429, description = "`rate_limited`", body = ErrorBody),
            (status = 500, description = "`internal`", body = ErrorBody),
            (status = 503, description = "`unavailable`", body = ErrorBody)
        )
    )]
    fn ledger() {}

    #[utoipa::path(
        get, path = "/v1/audit",
        description = "Who changed what of the organisation, newest first. Needs the scope `admin`.",
        params(
            ("limit" = Option<u64>, Query, minimum = 1, maximum = 100, description = "Default 50"),
            ("cursor" = Option<String>, Query, min_length = 1, description = "`next_cursor` of the page before")
        ),
        responses(
            (status = 200, description = "A page", body = AuditPage),
            (status = 400, description = "`validation_error`", body = ErrorBody),
            (status = 401, description = "`auth_*`", body = ErrorBody),
            (status = 403, description = "`scope_missing`", body = ErrorBody),
            (status = 429, description = "`rate_limited`", body = ErrorBody),
            (status = 500, description = "`internal`", body = ErrorBody),
            (status = 503, description = "`unavailable`", body = ErrorBody)
        )
    )]
    fn audit() {}

    #[utoipa::path(
        get, path = "/v1/whoami",
        description = "Who is asking: organisation, key, scopes, limits and the server's version. Any key will do.",
        responses(
            (status = 200, description = "The caller", body = Whoami),
            (status = 400, description = "`validation_error`", body = ErrorBody),
            (status = 401, description = "`auth_*`", body = ErrorBody),
            (status = 429, description = "`rate_limited`", body = ErrorBody),
            (status = 500, description = "`internal`", body = ErrorBody)
        )
    )]
    fn whoami() {}

    #[utoipa::path(get, path = "/health", description = "The process serves.", security(()),
        responses((status = 200, description = "It does", body = Health)))]
    fn health() {}

    #[utoipa::path(get, path = "/ready", description = "An ingest would be accepted.", security(()),
        responses(
            (status = 200, description = "It would", body = Ready),
            (status = 503, description = "It would not, and why", body = ErrorBody)
        ))]
    fn ready() {}

    #[utoipa::path(get, path = "/metrics", description = "Figures for Prometheus.", security(()),
        responses((status = 200, description = "The figures", body = String, content_type = "application/openmetrics-text")))]
    fn metrics() {}

    #[utoipa::path(get, path = "/openapi.json", description = "This description.", security(()),
        responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
    fn openapi() {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Run with `UPDATE_OPENAPI=1` to write the file anew.
    #[test]
    fn the_checked_in_description_is_that_of_the_code() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(&path, openapi_json()).unwrap();
        }
        let checked_in = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            checked_in == openapi_json(),
            "docs/openapi.json is not what the code says: UPDATE_OPENAPI=1 writes it anew"
        );
    }
}
