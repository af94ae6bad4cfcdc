//! Typed calls: what is repeated, what is not, and what an answer that is none of the API's becomes.

use crate::kit::{KEY, Reply, Scripted};
use repute_client::{ApiError, Client, Evaluate, Event, Status};
use serde_json::json;
use std::time::Duration;

fn client(server: &Scripted) -> Client {
    let client = Client::builder().url(&server.url).api_key(KEY);
    client.request_timeout(Duration::from_secs(20)).build().unwrap()
}

fn failing(status: u16) -> Reply {
    Reply::json(
        status,
        &json!({"error": "a sentence", "code": "a_code", "status": status}),
    )
}

fn verdict() -> Reply {
    let gate =
        json!({"name": "pii", "passed": false, "latency_ms": 0.5, "reason": "email", "details": {"at": 3}});
    Reply::json(
        200,
        &json!({"evaluation_id": "e", "passed": false, "gates": [gate], "total_latency_ms": 0.75,
            "reputation": {"score": 245, "lifecycle": "calibrating", "eval_count": 1}, "duplicate": true}),
    )
}

#[test]
fn an_evaluation_is_repeated_with_the_same_id_and_read_whole() {
    let server = Scripted::replaying([Reply::Cut, failing(503), failing(408), verdict()]);
    let request = Evaluate::new("a", json!({"text": "hello"})).tool("t").input("in");
    let evaluation = client(&server)
        .evaluate(&request.latency(Duration::from_millis(7)))
        .unwrap();
    assert!(!evaluation.passed && evaluation.duplicate);
    assert_eq!(
        (evaluation.reputation.score, evaluation.reputation.lifecycle),
        (245, Status::Calibrating)
    );
    assert_eq!(evaluation.gates[0].details, Some(json!({"at": 3})));

    let seen = server.seen();
    assert_eq!(seen.len(), 4);
    let id = seen[0].body["evaluation_id"].clone();
    assert_eq!(id.as_str().unwrap().len(), 22);
    let body = json!({"agent_id": "a", "output": {"text": "hello"}, "tool": "t", "input": "in", "latency_ms": 7.0,
        "evaluation_id": id});
    assert!(
        seen.iter()
            .all(|request| request.path == "/v1/evaluate" && request.body == body),
        "{seen:?}"
    );
}

#[test]
fn an_id_of_one_s_own_is_kept() {
    let server = Scripted::replaying([verdict()]);
    let request = Evaluate::new("a", json!(null)).evaluation_id("mine");
    client(&server).evaluate(&request).unwrap();
    assert_eq!(
        server.seen()[0].body,
        json!({"agent_id": "a", "output": null, "evaluation_id": "mine"})
    );
}

#[test]
fn a_read_is_tried_three_times_more_and_then_says_what_the_server_said() {
    let server = Scripted::new(|_| failing(500));
    let error = client(&server).whoami().unwrap_err();
    assert_eq!(
        (error.status(), error.code(), server.seen().len()),
        (Some(500), Some("a_code"), 4)
    );
    assert_eq!(error.to_string(), "a sentence (500 a_code)");
}

#[test]
fn what_may_have_had_its_effect_and_what_is_wrong_is_not_repeated() {
    let server = Scripted::new(|_| failing(503));
    let client = client(&server);
    assert_eq!(client.register_agent("a").unwrap_err().status(), Some(503));
    assert_eq!(
        client.ingest(&[Event::new(true)]).unwrap_err().status(),
        Some(503)
    );
    server.change(|_| failing(404));
    assert_eq!(client.event("1").unwrap_err().status(), Some(404));
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn an_answer_that_is_none_of_the_api_s_is_an_error_and_a_redirect_is_not_followed() {
    let answer = |status, headers: &[(&str, &str)], body: &str| Reply::Answer {
        status,
        headers: headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect(),
        body: body.to_owned(),
    };
    let server = Scripted::replaying([
        answer(200, &[("X-Request-Id", "r1")], "<html>"),
        answer(302, &[("Location", "/elsewhere")], ""),
        answer(403, &[], "<html>"),
    ]);
    let client = client(&server);
    let error = client.whoami().unwrap_err();
    assert!(matches!(error, ApiError::Answer { status: 200, .. }), "{error:?}");
    assert_eq!(error.request_id(), Some("r1"));
    assert_eq!(client.whoami().unwrap_err().code(), Some("http_302"));
    assert_eq!(client.whoami().unwrap_err().code(), Some("http_403"));
    assert!(server.seen().iter().all(|request| request.path == "/v1/whoami"));
}
