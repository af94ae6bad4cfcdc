//! `GET|POST /v1/keys`, `DELETE /v1/keys/{id}` and `GET /v1/whoami`.

use crate::accounts::{self, Accounts, Actor, KeyInfo, NewKey, SignatureRule};
use crate::http::app::App;
use crate::http::body::{self, Signing};
use crate::http::error::Refusal;
use crate::http::guard::Call;
use crate::http::message::{Response, empty, json};
use hyper::StatusCode;
use std::sync::Arc;
use store::KeyId;
use wire::answers::{self, KeyEntry, KeysPage, Limits, Whoami};
use wire::query::no_parameters;
use wire::{KeyRequest, timestamp};

/// Who is asking.
pub(crate) async fn whoami(call: Call) -> Result<Response, Refusal> {
    let Call {
        app, caller, request, ..
    } = call;
    no_parameters(request.uri().query())?;
    let settings = &caller.settings;
    let limits = Limits {
        ingest_rate_limit: settings.ingest_rate_limit.unwrap_or(app.config.ingest_rate_limit),
        rate_limit: settings.rate_limit.unwrap_or(app.config.rate_limit),
        max_agents: app.max_agents(settings),
        max_body_bytes: app.config.max_body_bytes as u64,
        require_signature: settings.signature.requires(),
        require_timestamp: settings.signature == SignatureRule::Timestamped,
    };
    let whoami = Whoami {
        organisation: caller.org_name.to_string(),
        key_id: caller.key.0.to_string(),
        kind: caller.kind,
        scopes: caller.scopes,
        limits,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    Ok(json(StatusCode::OK, &whoami))
}

/// All keys of the organisation, revoked ones included.
pub(crate) async fn list(call: Call) -> Result<Response, Refusal> {
    let Call {
        app, caller, request, ..
    } = call;
    no_parameters(request.uri().query())?;
    let keys = app.accounts.keys(caller.org).into_iter().map(entry).collect();
    Ok(json(StatusCode::OK, &KeysPage { keys }))
}

/// Makes a key, and shows it this once.
pub(crate) async fn create(call: Call) -> Result<Response, Refusal> {
    let Call {
        app, caller, request, ..
    } = call;
    let (parts, body) = request.into_parts();
    let limit = app.config.max_body_bytes;
    let received = body::read(&app, &caller, &parts.headers, body, limit, Signing::Ignored).await?;
    no_parameters(parts.uri.query())?;
    let caller = received.caller;
    let KeyRequest {
        kind,
        name,
        scopes,
        expires_at,
    } = KeyRequest::parse(&received.bytes)?;
    let now = app.now();
    if expires_at.is_some_and(|at| at <= now) {
        return Err(Refusal::Validation("expires_at: not in the future".to_owned()));
    }
    let new = NewKey {
        kind,
        name,
        scopes,
        expires_at,
        text: None,
    };
    let actor = Actor::Key(caller.key);
    let made = change(&app, move |accounts| {
        accounts.create_key(caller.org, new, now, actor)
    })
    .await?;
    let info = made.info;
    let answer = answers::NewKey::new(
        info.id.0.to_string(),
        &made.key,
        info.name,
        info.scopes,
        info.created_at,
        info.expires_at,
    );
    Ok(json(StatusCode::CREATED, &answer))
}

/// Revokes a key, at once.
pub(crate) async fn revoke(call: Call) -> Result<Response, Refusal> {
    let Call {
        app, caller, request, ..
    } = call;
    no_parameters(request.uri().query())?;
    let id = request.uri().path().strip_prefix("/v1/keys/").unwrap_or_default();
    let id = id.parse().ok().filter(|number: &u32| number.to_string() == id);
    let id = KeyId(id.ok_or_else(no_such_key)?);
    let now = app.now();
    let actor = Actor::Key(caller.key);
    change(&app, move |accounts| {
        accounts.revoke_key(caller.org, id, now, actor)
    })
    .await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Changes organisations or keys on a thread that may wait for the disk.
async fn change<T: Send + 'static>(
    app: &Arc<App>,
    change: impl FnOnce(&Accounts) -> Result<T, accounts::Error> + Send + 'static,
) -> Result<T, Refusal> {
    let refusal = |error| match error {
        accounts::Error::UnknownKey => no_such_key(),
        accounts::Error::LastSecretKey => Refusal::LastSecretKey,
        accounts::Error::TooManySecretKeys => {
            Refusal::Validation("kind: the organisation has 5 live secret keys; revoke one first".to_owned())
        }
        accounts::Error::AdminNeedsSecret => {
            Refusal::Validation("scopes: `admin` is for secret keys alone".to_owned())
        }
        error => error.into(),
    };
    app.administer(move |app| change(&app.accounts).map_err(refusal))
        .await
}

fn no_such_key() -> Refusal {
    Refusal::NotFound("no such key".to_owned())
}

fn entry(info: KeyInfo) -> KeyEntry {
    KeyEntry {
        id: info.id.0.to_string(),
        kind: info.kind,
        name: info.name,
        scopes: info.scopes,
        last4: info.last4,
        created_at: timestamp::format(info.created_at),
        last_used_at: info.last_used_at.map(timestamp::format),
        expires_at: info.expires_at.map(timestamp::format),
        revoked_at: info.revoked_at.map(timestamp::format),
    }
}
