//! `GET /v1/agents`, `POST /v1/agents` and `DELETE /v1/agents/{agent_id}`.

use crate::accounts::Actor;
use crate::http::body::{self, Signing};
use crate::http::error::Refusal;
use crate::http::guard::Call;
use crate::http::handover::hand_over;
use crate::http::message::{Response, empty, json};
use hyper::StatusCode;
use store::AgentOrder;
use wire::AgentPlace;
use wire::answers::{AgentEntry, AgentsPage, Registration};
use wire::query::{AgentsOrder, AgentsParams, agent_id_of_segment, no_parameters};

/// A page of the organisation's agents.
pub(crate) async fn list(call: Call) -> Result<Response, Refusal> {
    let Call {
        app, caller, request, ..
    } = call;
    let params = AgentsParams::parse(request.uri().query())?;
    let filters = params.filters();
    let place = match &params.cursor {
        Some(cursor) => Some(app.cursors.agent_place(caller.org.0, &filters, cursor)?),
        None => None,
    };
    let order = match (params.order, place) {
        (AgentsOrder::LastSeen, Some(AgentPlace::LastSeen(last_seen, agent_id))) => {
            AgentOrder::LastSeen(Some((last_seen, agent_id)))
        }
        (AgentsOrder::AgentId, Some(AgentPlace::AgentId(agent_id))) => AgentOrder::AgentId(Some(agent_id)),
        (AgentsOrder::LastSeen, _) => AgentOrder::LastSeen(None),
        (AgentsOrder::AgentId, _) => AgentOrder::AgentId(None),
    };
    let limit = usize::try_from(params.limit).unwrap_or(500);
    // One more than asked for tells whether there is a next page.
    let mut agents = app
        .read(move |store| store.agents(caller.org, &order, limit + 1))
        .await?;
    let has_more = agents.len() > limit;
    agents.truncate(limit);
    let next_cursor = agents.last().filter(|_| has_more).map(|last| {
        let agent_id = last.agent_id.clone();
        let place = match params.order {
            AgentsOrder::LastSeen => AgentPlace::LastSeen(last.last_seen, agent_id),
            AgentsOrder::AgentId => AgentPlace::AgentId(agent_id),
        };
        app.cursors.after_agent(caller.org.0, &filters, &place)
    });
    let entry = |agent: store::Agent| {
        let summary = params.include_reputation.then_some(&agent.summary);
        AgentEntry::new(
            agent.agent_id.clone(),
            agent.first_seen,
            agent.last_seen,
            agent.eval_count,
            summary,
        )
    };
    Ok(json(
        StatusCode::OK,
        &AgentsPage {
            agents: agents.into_iter().map(entry).collect(),
            next_cursor,
        },
    ))
}

/// Makes an agent known.
pub(crate) async fn register(call: Call) -> Result<Response, Refusal> {
    let Call {
        app, caller, request, ..
    } = call;
    app.takes_submissions()?;
    let (parts, body) = request.into_parts();
    let limit = app.config.max_body_bytes;
    let received = body::read(&app, &caller, &parts.headers, body, limit, Signing::Ignored).await?;
    no_parameters(parts.uri.query())?;
    let caller = received.caller;
    let agent_id = wire::registration(&received.bytes)?.into_owned();
    let (reply, registered) = hand_over();
    let max_agents = app.max_agents(&caller.settings);
    app.store
        .register(caller.org, caller.key, &agent_id, max_agents, Box::new(reply));
    registered.outcome(&[]).await?;
    Ok(json(StatusCode::CREATED, &Registration::new(agent_id)))
}

/// Erases an agent for good; one that isn't known is gone already.
pub(crate) async fn erase(call: Call) -> Result<Response, Refusal> {
    let Call {
        app, caller, request, ..
    } = call;
    no_parameters(request.uri().query())?;
    app.writable().map_err(|refusal| match refusal {
        Refusal::NotKept(why) => Refusal::NotBegun(why),
        other => other,
    })?;
    // The path is taken as it came, since a slash in an id comes as %2F.
    let segment = request
        .uri()
        .path()
        .strip_prefix("/v1/agents/")
        .unwrap_or_default();
    let agent_id = agent_id_of_segment(segment)?;
    let actor = Actor::Key(caller.key);
    // Before it begins, so that none goes on after a crash of which nobody wrote down who asked for it.
    app.administer(move |app| Ok(app.accounts.note_erasure(caller.org, actor)?))
        .await?;
    let (reply, erased) = hand_over();
    app.store
        .erase(caller.org, Some(caller.key), &agent_id, Box::new(reply));
    erased.outcome(&[]).await.map_err(|refusal| match refusal {
        Refusal::NotKept(why) => Refusal::NotFinished(why),
        other => other,
    })?;
    Ok(empty(StatusCode::NO_CONTENT))
}
