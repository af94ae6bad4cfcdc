//! `GET /v1/gates`: which gates judge the caller's agents.

use crate::http::error::Refusal;
use crate::http::guard::Call;
use crate::http::message::{Response, json};
use gate::config::{Applying, Set};
use hyper::StatusCode;
use wire::answers::{ConfiguredGate, GateRule, GateSet, GatesAnswer};
use wire::query::GatesParams;

/// The rules of the caller's organisation with their sets, or those that an agent is judged by.
pub(crate) async fn gates(call: Call) -> Result<Response, Refusal> {
    let Call {
        app, caller, request, ..
    } = call;
    let params = GatesParams::parse(request.uri().query())?;
    let config = app.gates.current();
    let rules = config.rules_of(&caller.org_name);
    let mut applying: Vec<Applying<'_>> = Vec::new();
    for rule in rules.filter(|rule| params.agent_id.as_deref().is_none_or(|id| rule.is_for_agent(id))) {
        applying.push(rule);
        // Whatever the agent's tool, no later rule is asked.
        if params.agent_id.is_some() && rule.tools.is_none() {
            break;
        }
    }
    let mut sets: Vec<GateSet> = Vec::new();
    for Applying { set, .. } in &applying {
        if !sets.iter().any(|told| told.name == set.name) {
            sets.push(described(set));
        }
    }
    let told = applying.iter().map(|rule| GateRule {
        agents: rule.agents.map_or_else(|| "*".to_owned(), ToString::to_string),
        tools: rule.tools.map(ToString::to_string),
        set: rule.set.name.clone(),
    });
    let body = GatesAnswer {
        rules: told.collect(),
        sets,
    };
    Ok(json(StatusCode::OK, &body))
}

fn described(set: &Set) -> GateSet {
    let settings = set.engine.settings();
    let gates = set.engine.gates().iter().zip(&set.described);
    GateSet {
        name: set.name.clone(),
        budget_ms: settings.budget.as_secs_f64() * 1e3,
        fail_fast: settings.fail_fast,
        gates: gates
            .map(|(listed, described)| ConfiguredGate {
                name: listed.gate.name().to_owned(),
                gate: described.kind.to_owned(),
                shadow: described.shadow,
                options: described.options.clone(),
            })
            .collect(),
    }
}
