//! `POST /v1/evaluate` and `GET /v1/gates`: verdicts over the wire, and what becomes of them.

use crate::kit::{Answer, Lab, one};
use gate::config::{Config, Set};
use gate::{Engine, Gate, Listed, Outcome, Settings, Stopped, Subject};
use serde_json::{Value, json};
use server::accounts::{OrgSettings, SignatureRule};
use wire::{KeyKind, Scopes};

fn evaluate(lab: &Lab, body: &Value) -> Answer {
    lab.send("POST", "/v1/evaluate", &lab.pk, &[], body.to_string().as_bytes())
}

/// An answer's body with its times and its made id checked and taken out.
fn settled(answer: &Answer) -> Value {
    let mut body = answer.json();
    let total = body["total_latency_ms"].take();
    assert!((0.0..60_000.0).contains(&total.as_f64().unwrap()), "{total}");
    for gate in body["gates"].as_array_mut().unwrap() {
        let latency = gate["latency_ms"].take();
        assert!((0.0..60_000.0).contains(&latency.as_f64().unwrap()), "{latency}");
    }
    body
}

fn metric(lab: &Lab, line: &str) -> bool {
    let text = String::from_utf8(lab.get("/metrics").body).unwrap();
    text.lines().any(|one| one == line)
}

#[test]
fn a_verdict_is_answered_and_recorded_without_the_payload() {
    let lab = Lab::new();
    let body = json!({
        "agent_id": "a", "tool": "mail", "latency_ms": 420.5, "evaluation_id": "e1",
        "input": { "question": "whose" }, "output": { "to": ["jane@acme.com"], "x y": "fine" },
    });
    let answer = evaluate(&lab, &body);
    assert_eq!(answer.status, 200);
    let expected = json!({
        "evaluation_id": "e1", "passed": false, "total_latency_ms": null,
        "gates": [
            { "name": "filesystem", "passed": true, "latency_ms": null },
            { "name": "pii", "passed": false, "latency_ms": null, "reason": "email address detected in output",
              "details": { "where": "/to/0" } },
            { "name": "content", "passed": true, "latency_ms": null },
        ],
        "reputation": { "score": 250, "lifecycle": "calibrating", "eval_count": 1 },
    });
    let mut told = settled(&answer);
    // 250 of it are for gates that were quicker than 100 ms together, to the microsecond.
    let score = told["reputation"]["score"].as_u64().unwrap();
    assert!((100..=250).contains(&score), "{score}");
    told["reputation"]["score"] = 250.into();
    assert_eq!(told, expected);

    let page = lab.get("/v1/events").json();
    let event = &page["events"][0];
    assert_eq!(
        (
            &event["source"],
            &event["passed"],
            &event["tool_name"],
            &event["agent_latency_ms"]
        ),
        (&json!("evaluate"), &json!(false), &json!("mail"), &json!(420.5))
    );
    assert_eq!(event["total_latency_ms"], answer.json()["total_latency_ms"]);
    assert_eq!(event["gates"][1]["reason"], "email address detected in output");
    assert_eq!(event["gates"][1]["details"], Value::Null);
    assert!(!page.to_string().contains("jane") && !page.to_string().contains("whose"));
    assert!(metric(&lab, "repute_evaluations_total{verdict=\"failed\"} 1"));
    assert!(metric(
        &lab,
        "repute_gate_results_total{gate=\"pii\",result=\"failed\",shadow=\"false\"} 1"
    ));
}

#[test]
fn an_id_that_the_server_made_can_be_found_and_ingested_again_without_counting() {
    let lab = Lab::new();
    let answer = evaluate(&lab, &json!({ "agent_id": "a", "output": "fine" })).json();
    let id = answer["evaluation_id"].as_str().unwrap();
    assert_eq!((id.len(), answer["passed"].as_bool()), (16, Some(true)));
    let found = lab
        .get(&format!("/v1/events?agent_id=a&evaluation_id={id}"))
        .json();
    assert_eq!(found["events"][0]["evaluation_id"], id);
    for timestamp in ["", r#","timestamp":"2026-01-02T03:04:05Z""#] {
        let event = format!(
            r#"{{"events":[{{"agent_id":"a","passed":false,"gates":[],"total_latency_ms":1,"evaluation_id":"{id}"{timestamp}}}]}}"#
        );
        assert_eq!(lab.ingest(event).json()["duplicates"], 1);
    }
    assert_eq!(lab.get("/v1/reputation/a").json()["evaluations"], 1);
}

#[test]
fn an_evaluation_is_newer_than_what_was_acknowledged_before_it() {
    let lab = Lab::new();
    for number in 0..100 {
        let agent = format!("a{number}");
        assert_eq!(lab.ingest(one(&agent)).status, 202);
        evaluate(&lab, &json!({ "agent_id": agent, "output": "rm -rf x" }));
        let page = lab.get(&format!("/v1/events?agent_id={agent}")).json();
        assert_eq!(page["events"][0]["source"], "evaluate", "{page}");
    }
}

#[test]
fn a_request_that_is_sent_again_is_judged_and_counted_once() {
    let lab = Lab::new();
    let body = json!({ "agent_id": "a", "output": "rm -rf x", "evaluation_id": "mine" });
    let first = settled(&evaluate(&lab, &body));
    assert_eq!(
        (first["duplicate"].as_bool(), first["passed"].as_bool()),
        (None, Some(false))
    );
    let again = settled(&evaluate(&lab, &body));
    assert_eq!(
        (again["duplicate"].as_bool(), again["passed"].as_bool()),
        (Some(true), Some(false))
    );
    assert_eq!(again["reputation"], first["reputation"]);
    for timestamp in ["", r#","timestamp":"2026-01-02T03:04:05Z""#] {
        let event = format!(
            r#"{{"events":[{{"agent_id":"a","passed":true,"gates":[],"total_latency_ms":1,"evaluation_id":"mine"{timestamp}}}]}}"#
        );
        assert_eq!(lab.ingest(event).json()["duplicates"], 1);
    }
    assert_eq!(lab.get("/v1/reputation/a").json()["evaluations"], 1);
    let other = evaluate(
        &lab,
        &json!({ "agent_id": "b", "output": "x", "evaluation_id": "mine" }),
    );
    assert_eq!(other.json()["duplicate"], Value::Null);
}

#[test]
fn outputs_of_any_shape_are_judged() {
    let lab = Lab::new();
    let deep = format!("{}\"a@b.co\"{}", "[".repeat(100), "]".repeat(100));
    for (output, passed) in [
        ("null", false),
        ("false", true),
        ("-0.5e-400", true),
        (r#""\ud800 rm -rf \udc00""#, false),
        (r#"{"a":"a@b.co","a":1}"#, false),
        (deep.as_str(), false),
        ("[]", false),
    ] {
        let body = format!(r#"{{"agent_id":"a","output":{output}}}"#);
        let answer = lab.send("POST", "/v1/evaluate", &lab.pk, &[], body.as_bytes());
        assert_eq!(
            (answer.status, answer.json()["passed"].as_bool()),
            (200, Some(passed)),
            "{output}"
        );
    }
}

#[test]
fn payloads_up_to_the_limit_are_taken_whatever_the_space_around_them() {
    let lab = Lab::with(|config| config.max_evaluate_body_bytes = 100_000);
    let of = |input: usize, output: usize| {
        let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
        format!(
            r#"{{ "agent_id":"a", "input":{}  ,"output":  {} }}"#,
            text(input),
            text(output)
        )
    };
    let status = |body: &str| {
        lab.send("POST", "/v1/evaluate", &lab.pk, &[], body.as_bytes())
            .status
    };
    assert_eq!(status(&of(50_000, 50_000)), 200);
    let too_large = (
        413,
        "body_too_large".to_owned(),
        "`input` and `output` together are larger than 100000 bytes".to_owned(),
    );
    for body in [of(50_000, 50_001), of(50_000, 5_000_000)] {
        let answer = lab.send("POST", "/v1/evaluate", &lab.pk, &[], body.as_bytes());
        assert_eq!(answer.error(), too_large);
    }
}

#[test]
fn what_is_wrong_with_a_request_is_told_and_nothing_is_recorded() {
    let lab = Lab::new();
    for (body, status, sentence) in [
        (r#"{"agent_id":"a"}"#, 400, "output: missing"),
        (r#"{"output":1}"#, 400, "agent_id: missing"),
        (
            r#"{"agent_id":"a","output":1"#,
            400,
            "not JSON: expected `,` or `}` at byte 26",
        ),
        (
            r#"{"agent_id":"a","output":1,"latency_ms":-1}"#,
            400,
            "latency_ms: not between 0 and 60000",
        ),
    ] {
        let (told, _, error) = lab
            .send("POST", "/v1/evaluate", &lab.pk, &[], body.as_bytes())
            .error();
        assert_eq!((told, error.as_str()), (status, sentence));
    }
    let scopes = Scopes::from_words("ingest").unwrap();
    let key = lab
        .key(KeyKind::Publishable, scopes, None)
        .key
        .as_str()
        .to_owned();
    let answer = lab.send(
        "POST",
        "/v1/evaluate",
        &key,
        &[],
        br#"{"agent_id":"a","output":1}"#,
    );
    assert_eq!(answer.error().1, "scope_missing");
    lab.set(OrgSettings {
        signature: SignatureRule::Required,
        ..OrgSettings::default()
    });
    let answer = evaluate(&lab, &json!({ "agent_id": "a", "output": 1 }));
    assert_eq!(answer.error().1, "hmac_missing");
    assert_eq!(lab.get("/v1/events").json()["count"], 0);
}

/// A gate that is broken.
struct Broken;

impl Gate for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn check(&self, _: &Subject<'_>) -> Result<Outcome, Stopped> {
        panic!("a gate's own fault");
    }
}

fn only(shadow: bool) -> Config {
    let gate = Box::new(Broken);
    let engine = Engine::new(vec![Listed { gate, shadow }], Settings::default()).unwrap();
    Config::of(Set::of("default", engine))
}

#[test]
fn a_broken_gate_is_our_fault_and_lowers_no_reputation() {
    let lab = Lab::new();
    lab.gates.replace(only(false));
    let answer = evaluate(
        &lab,
        &json!({ "agent_id": "a", "output": 1, "evaluation_id": "e" }),
    );
    assert_eq!(answer.error().1, "internal");
    assert_eq!(lab.get("/v1/events").json()["count"], 0);
    // A shadow gate must not stand in the way.
    lab.gates.replace(only(true));
    let answer = settled(&evaluate(
        &lab,
        &json!({ "agent_id": "a", "output": 1, "evaluation_id": "e" }),
    ));
    assert_eq!(
        (answer["passed"].as_bool(), answer["duplicate"].as_bool()),
        (Some(true), None)
    );
    assert_eq!(answer["gates"][0]["reason"], "shadow: pecta:error");
}

#[test]
fn sets_are_chosen_by_rule_and_changed_without_a_restart() {
    let lab = Lab::new();
    let file = lab.dir.path().join("gates.toml");
    let text = r#"
        [set.rtb]
        budget_ms = 60_000
        gates = ["rtb.tmax-guard", "rtb.impid-match"]
        [set.watch]
        budget_ms = 60_000
        gates = [{ gate = "pii", shadow = true }, { gate = "schema", schema = { type = "string" } }]
        [[rule]]
        organisation = "default"
        agents = "bid-*"
        set = "rtb"
        [[rule]]
        agents = "watched"
        set = "watch"
    "#;
    std::fs::write(&file, text).unwrap();
    assert!(lab.gates.reload().unwrap());

    let rtb = json!({
        "agent_id": "bid-1", "input": { "tmax": 100_000, "imp": [{ "id": "1" }] },
        "output": { "seatbid": [{ "bid": [{ "impid": "2" }] }] },
    });
    let verdict = settled(&evaluate(&lab, &rtb));
    assert_eq!(verdict["gates"][1]["reason"], "bid impid not present in request");
    assert_eq!(
        verdict["gates"][1]["details"],
        json!({ "where": "/seatbid/0/bid/0", "loss_reason": 3 })
    );
    let mut late = rtb.clone();
    late["input"]["tmax"] = 10.into();
    let verdict = settled(&evaluate(&lab, &late));
    assert_eq!(verdict["passed"], true);
    assert_eq!(verdict["gates"][1]["reason"], "pecta:deadline");

    let verdict = settled(&evaluate(
        &lab,
        &json!({ "agent_id": "watched", "output": "a@b.co" }),
    ));
    assert_eq!(verdict["passed"], true);
    assert_eq!(
        verdict["gates"][0],
        json!({ "name": "pii", "passed": false, "latency_ms": null, "skipped": true, "shadow": true,
                "reason": "shadow: email address detected in output", "details": { "where": "" } })
    );
    assert!(metric(&lab, "repute_evaluations_shadow_failing_total 1"));
    assert!(metric(
        &lab,
        "repute_gate_results_total{gate=\"pii\",result=\"failed\",shadow=\"true\"} 1"
    ));
    assert_eq!(lab.get("/v1/events?failed_gate=pii").json()["count"], 0);

    std::fs::write(&file, "[set.rtb]\ngates = 1").unwrap();
    let error = lab.gates.reload().unwrap_err().to_string();
    assert_eq!(
        error,
        format!("{}:2: set.rtb.gates: must be a list", file.display())
    );
    assert_eq!(settled(&evaluate(&lab, &rtb))["passed"], false);
}

#[test]
fn the_gates_that_apply_are_listed() {
    let lab = Lab::new();
    let file = lab.dir.path().join("gates.toml");
    std::fs::write(&file, "").unwrap();
    lab.gates.reload().unwrap();
    let plain = lab.get("/v1/gates").json();
    assert_eq!(plain["rules"], json!([{ "agents": "*", "set": "default" }]));
    let set = &plain["sets"][0];
    assert_eq!(
        (&set["budget_ms"], &set["fail_fast"]),
        (&json!(50), &json!(false))
    );
    assert_eq!(
        set["gates"][1],
        json!({ "name": "pii", "gate": "pii", "shadow": false,
                "options": { "email": true, "ssn": true, "phone": true, "card": false, "iban": false, "ip": false } })
    );
    let text = "[set.s]\ngates = [\"secrets\"]\n[[rule]]\norganisation = \"other\"\nset = \"s\"\n[[rule]]\nagents = \"a-*\"\nset = \"s\"";
    std::fs::write(&file, text).unwrap();
    lab.gates.reload().unwrap();
    let all = lab.get("/v1/gates").json();
    assert_eq!(
        all["rules"],
        json!([{ "agents": "a-*", "set": "s" }, { "agents": "*", "set": "default" }])
    );
    let one = lab.get("/v1/gates?agent_id=a-1").json();
    assert_eq!(one["rules"], json!([{ "agents": "a-*", "set": "s" }]));
    assert_eq!(one["sets"].as_array().unwrap().len(), 1);
    assert_eq!(lab.get("/v1/gates?agent=a").status, 400);
}

#[test]
fn a_tool_of_its_own_set_is_judged_by_it() {
    let lab = Lab::new();
    let file = lab.dir.path().join("gates.toml");
    let text = "[set.none]\ngates = []\n[[rule]]\ntools = \"read_*\"\nset = \"none\"\n[[rule]]\ntarget = \"input\"\nset = \"none\"";
    std::fs::write(&file, text).unwrap();
    lab.gates.reload().unwrap();
    let passed = |tool: &str| {
        let body = json!({ "agent_id": "a", "tool": tool, "output": "rm -rf /" });
        settled(&evaluate(&lab, &body))["passed"] == true
    };
    assert!(passed("read_file") && !passed("write_file"));
    let rules =
        json!([{ "agents": "*", "tools": "read_*", "set": "none" }, { "agents": "*", "set": "default" }]);
    for path in ["/v1/gates", "/v1/gates?agent_id=a"] {
        assert_eq!(lab.get(path).json()["rules"], rules, "{path}");
    }
}

#[test]
fn large_outputs_are_judged_whole() {
    let lab = Lab::with(|config| config.max_evaluate_body_bytes = 8 << 20);
    // Every byte begins a search, and the last word is an address.
    let body = format!(
        r#"{{"agent_id":"a","output":"{} a@b.co"}}"#,
        "a@1.i/".repeat(150_000)
    );
    let answer = lab.send("POST", "/v1/evaluate", &lab.pk, &[], body.as_bytes());
    assert_eq!(
        (answer.status, answer.json()["passed"].as_bool()),
        (200, Some(false))
    );
    assert_eq!(
        answer.json()["gates"][1]["reason"],
        "email address detected in output"
    );
}

#[test]
fn a_budget_that_is_spent_fails_the_rest_and_is_counted() {
    let lab = Lab::with(|config| config.max_evaluate_body_bytes = 8 << 20);
    let file = lab.dir.path().join("gates.toml");
    std::fs::write(
        &file,
        "set.default = { budget_ms = 0.001, gates = [\"pii\", \"content\"] }",
    )
    .unwrap();
    lab.gates.reload().unwrap();
    let body = format!(r#"{{"agent_id":"a","output":"{}"}}"#, "a@1.i/".repeat(100_000));
    let answer = settled(&lab.send("POST", "/v1/evaluate", &lab.pk, &[], body.as_bytes()));
    let reasons: Vec<_> = answer["gates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|gate| &gate["reason"])
        .collect();
    assert_eq!(
        (answer["passed"].as_bool(), reasons),
        (Some(false), vec![&json!("pecta:timeout"); 2])
    );
    assert!(metric(&lab, "repute_gate_timeouts_total{gate=\"pii\"} 1"));
}
