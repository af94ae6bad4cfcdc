//! `GET /v1/reputation` and `GET /v1/reputation/{agent_id}`.

use crate::http::error::Refusal;
use crate::http::guard::Call;
use crate::http::message::{Response, json};
use hyper::StatusCode;
use wire::answers::{Reputation, Reputations};
use wire::query::{ReputationsParams, agent_id_of_segment, no_parameters};

/// One agent's standing. An agent never seen has an empty one.
pub(crate) async fn one(call: Call) -> Result<Response, Refusal> {
    let Call {
        app, caller, request, ..
    } = call;
    no_parameters(request.uri().query())?;
    // The path is taken as it came, since a slash in an id comes as %2F.
    let segment = request
        .uri()
        .path()
        .strip_prefix("/v1/reputation/")
        .unwrap_or_default();
    let agent_id = agent_id_of_segment(segment)?;
    let summary = match app.store.warm_summary(caller.org, &agent_id) {
        Some(summary) => summary,
        None => {
            let id = agent_id.clone();
            let read = app
                .read(move |store| store.reputations(caller.org, &[&id]))
                .await?;
            read.into_iter().next().unwrap_or_default()
        }
    };
    Ok(json(StatusCode::OK, &Reputation::new(agent_id, &summary)))
}

/// The standing of up to 100 agents, in the order asked.
pub(crate) async fn many(call: Call) -> Result<Response, Refusal> {
    let Call {
        app, caller, request, ..
    } = call;
    let ReputationsParams { agent_ids } = ReputationsParams::parse(request.uri().query())?;
    let ids = agent_ids.clone();
    let summaries = app
        .read(move |store| {
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            store.reputations(caller.org, &ids)
        })
        .await?;
    let reputations = agent_ids
        .into_iter()
        .zip(&summaries)
        .map(|(id, summary)| Reputation::new(id, summary));
    Ok(json(
        StatusCode::OK,
        &Reputations {
            reputations: reputations.collect(),
        },
    ))
}
