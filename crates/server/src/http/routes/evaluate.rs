//! `POST /v1/evaluate`: runs the gates, records what they say, and answers it.

use crate::http::app::App;
use crate::http::body::{self, Received, Signing};
use crate::http::error::Refusal;
use crate::http::guard::Call;
use crate::http::handover::{HandedOver, hand_over};
use crate::http::message::{Response, json};
use crate::ledger::Fate;
use gate::config::Config;
use gate::{Context, Verdict};
use hyper::StatusCode;
use json::Document;
use reputation::{Evaluation, GateResult, Micros};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Receipt, Source, Submission};
use wire::answers::{EvaluateAnswer, EvaluatedGate, EvaluatedReputation};
use wire::query::no_parameters;
use wire::{MAX_TOTAL_LATENCY_US, evaluate, evaluation_id};

/// What a body may have beside `input` and `output`.
const ENVELOPE_BYTES: usize = 64 << 10;
/// A larger body is judged off the threads that serve connections.
const LARGE_BODY_BYTES: usize = 16 << 10;

/// An evaluation handed to the store, and what the answer needs beside its receipt.
struct Submitted {
    receipt: HandedOver<Receipt>,
    evaluation_id: String,
    passed: bool,
    gates: Vec<EvaluatedGate>,
    total_latency_ms: f64,
}

pub(crate) async fn evaluate(call: Call) -> Result<Response, Refusal> {
    let Call {
        app,
        caller,
        request,
        began,
    } = call;
    app.takes_submissions()?;
    let (parts, body) = request.into_parts();
    let limit = app.config.max_evaluate_body_bytes;
    let too_large = |refusal| match refusal {
        Refusal::BodyTooLarge { .. } => Refusal::PayloadTooLarge { limit },
        other => other,
    };
    let most = limit.saturating_add(ENVELOPE_BYTES);
    let read = body::read(&app, &caller, &parts.headers, body, most, Signing::Checked).await;
    let mut received = read.map_err(too_large)?;
    no_parameters(parts.uri.query())?;
    let job = Job {
        gates: app.gates.current(),
        began,
    };
    let is_quick = received.bytes.len() <= LARGE_BODY_BYTES && !job.may_be_heavy(&received.caller.org_name);
    let submitted = if is_quick {
        job.run(&app, &received)?
    } else {
        let turn = received.turn.take();
        app.off_thread(received.caller.org, turn, move |app, _turn| {
            job.run(app, &received)
        })
        .await?
    };
    let receipt = submitted.receipt.outcome(&[]).await?;
    let summary = receipt.updates.first().map(|update| update.summary);
    let body = EvaluateAnswer {
        evaluation_id: submitted.evaluation_id,
        passed: submitted.passed,
        gates: submitted.gates,
        total_latency_ms: submitted.total_latency_ms,
        reputation: EvaluatedReputation::new(&summary.unwrap_or_default()),
        duplicate: receipt.duplicates > 0,
    };
    Ok(json(StatusCode::OK, &body))
}

/// What an evaluation needs beside its body.
struct Job {
    gates: Arc<Config>,
    began: Instant,
}

impl Job {
    /// Whether a set that may judge an agent of this organisation may take more than linear time.
    fn may_be_heavy(&self, org_name: &str) -> bool {
        let mut rules = self.gates.rules_of(org_name);
        rules.any(|rule| rule.set.engine.is_heavy())
    }

    /// Reads the body, runs the gates, and hands what they say to the store.
    fn run(self, app: &App, received: &Received) -> Result<Submitted, Refusal> {
        let request = evaluate::parse(&received.bytes)?;
        let limit = app.config.max_evaluate_body_bytes;
        if request.payload_bytes() > limit {
            return Err(Refusal::PayloadTooLarge { limit });
        }
        let tool = request.tool.as_deref();
        let set = self
            .gates
            .set_for(&received.caller.org_name, &request.agent_id, tool);
        let tmax = request
            .input
            .as_ref()
            .and_then(|input: &Document<'_>| input.root().get("tmax"));
        let verdict = set.engine.run(&Context {
            agent_id: &request.agent_id,
            tool,
            input: request.input.as_ref(),
            output: &request.output,
            latency_ms: request.latency.map(|latency| latency.ms),
            tmax_ms: tmax.and_then(|tmax| tmax.as_f64()),
            started_at: self.began,
        });
        app.metrics.evaluated(set, &verdict);
        let books = app.books(&received.caller);
        books.received(1);
        if let Some((gate, cause)) = verdict.fault() {
            // Our fault must not lower a reputation: nothing is recorded.
            books.not_taken(Fate::Internal, 1);
            return Err(Refusal::Internal(format!("gate `{gate}`: {cause}")));
        }
        let (source, id) = match &request.evaluation_id {
            Some(id) => (Source::Evaluate, id.clone().into_owned()),
            None => (Source::EvaluateMadeId, new_id(app.now())?),
        };
        let total_latency_us = micros(verdict.total).min(MAX_TOTAL_LATENCY_US);
        let evaluation = Evaluation {
            agent_id: request.agent_id,
            tool: request.tool,
            passed: verdict.passed,
            gates: verdict.results.iter().map(recorded).collect(),
            total_latency_us,
            sent_at: None,
            evaluation_id: Some(id.as_str().into()),
            agent_latency_us: request.latency.map(|latency| latency.us),
        };
        let (answer, receipt) = hand_over();
        let submission = Submission {
            org: received.caller.org,
            key: received.caller.key,
            signed: received.signed,
            source,
            max_agents: app.max_agents(&received.caller.settings),
            lenient: false,
            evaluations: &[evaluation],
        };
        let reply = move |outcome| {
            books.settled(&outcome, 1, 0); // also where the client has gone
            answer(outcome);
        };
        app.store.submit(&submission, Box::new(reply));
        Ok(Submitted {
            receipt,
            evaluation_id: id,
            passed: verdict.passed,
            total_latency_ms: f64::from(total_latency_us) / 1e3,
            gates: answered(verdict),
        })
    }
}

/// A new id, which carries the time.
fn new_id(now: Micros) -> Result<String, Refusal> {
    evaluation_id::make(now.0, getrandom::fill)
        .map_err(|error| Refusal::Internal(format!("no random bytes: {error}")))
}

/// A result as the event has it: without details.
fn recorded<'r>(result: &'r gate::GateResult<'_>) -> GateResult<'r> {
    GateResult {
        name: result.name.into(),
        passed: result.passed,
        latency_ms: f64::from(micros(result.latency)) / 1e3,
        reason: result.reason.as_deref().map(Into::into),
        skipped: result.skipped.then_some(true),
    }
}

fn answered(verdict: Verdict<'_>) -> Vec<EvaluatedGate> {
    let results = verdict.results.into_iter();
    results
        .map(|result| EvaluatedGate {
            name: result.name.to_owned(),
            passed: result.passed,
            latency_ms: f64::from(micros(result.latency)) / 1e3,
            reason: result.reason.map(Into::into),
            skipped: result.skipped,
            shadow: result.shadow,
            details: result.details,
        })
        .collect()
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
