//! What is answered where nothing is wrong.

use crate::kit::{Lab, event, one};
use serde_json::Value;

const SEED: &str = include_str!("seed.json");

fn ids(page: &Value) -> Vec<&str> {
    page["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["id"].as_str().unwrap())
        .collect()
}

#[test]
fn the_documented_example_scores_440() {
    let lab = Lab::new();
    let answer = lab.ingest(SEED);
    let expected = r#"{"accepted":2,"reputation_updates":[{"agent_id":"bid-agent-prod","score":440,"status":"calibrating"}]}"#;
    assert_eq!(
        (answer.status, String::from_utf8(answer.body).unwrap().as_str()),
        (202, expected)
    );
    let standing = lab.get("/v1/reputation/bid-agent-prod").json();
    let expected = r#"{"agent_id":"bid-agent-prod","score":440,"evaluations":2,"passed":1,"pass_rate":0.5,"avg_latency_ms":4,"streak":0,"status":"calibrating"}"#;
    assert_eq!(standing, serde_json::from_str::<Value>(expected).unwrap());
    let page = lab.get("/v1/events").json();
    assert_eq!(ids(&page), ["2", "1"]);
    assert_eq!(
        page["events"][0]["gates"][1]["reason"],
        "bid price exceeds floor by more than 50x"
    );
    assert_eq!(page["events"][0]["created_at"], "2026-05-07T14:22:11.000Z");
    assert_eq!(lab.get("/v1/events/1").json(), page["events"][1]);
}

#[test]
fn repeats_late_and_clamped_events_are_told() {
    let lab = Lab::new();
    let body = format!(
        r#"{{"events":[{}]}}"#,
        event("a", r#","timestamp":"2026-05-07T14:22:10Z","evaluation_id":"x""#)
    );
    assert_eq!(lab.ingest(&body).json().get("duplicates"), None);
    let again = lab.ingest(&body).json();
    assert_eq!(
        (
            &again["accepted"],
            &again["duplicates"],
            &again["reputation_updates"][0]["score"]
        ),
        (&1.into(), &1.into(), &644.into()),
        "a batch of nothing but repeats tells the score as it is"
    );
    let ahead = format!(
        r#"{{"events":[{}]}}"#,
        event("a", r#","timestamp":"9000-01-01T00:00:00Z""#)
    );
    assert_eq!(lab.ingest(ahead).json()["clamped"], 1);
    let full = format!(
        r#"{{"events":[{}]}}"#,
        vec![event("b", r#","timestamp":"2026-05-07T14:22:10Z""#); 100].join(",")
    );
    (0..5).for_each(|_| assert_eq!(lab.ingest(&full).status, 202));
    let old = format!(
        r#"{{"events":[{}]}}"#,
        event("b", r#","timestamp":"1999-12-31T23:59:59Z""#)
    );
    let answer = lab.ingest(old).json();
    assert_eq!(
        (&answer["late"], &answer["reputation_updates"][0]["status"]),
        (&1.into(), &"mature".into())
    );
    let oldest = lab.get("/v1/events?agent_id=b&to=2000-01-01T00:00:00Z").json();
    assert_eq!(
        (&oldest["events"][0]["late"], &oldest["count"]),
        (&true.into(), &1.into())
    );
}

#[test]
fn one_instant_written_two_ways_is_one_event() {
    let lab = Lab::new();
    let at = |timestamp: &str| {
        let more = format!(r#","evaluation_id":"x","timestamp":"{timestamp}""#);
        lab.ingest(format!(r#"{{"events":[{}]}}"#, event("a", &more)))
            .json()["duplicates"]
            .clone()
    };
    assert_eq!(at("2026-05-07T14:22:10Z"), Value::Null);
    for again in [
        "2026-05-07 16:22:10.000+0200",
        "2026-05-07T14:22:10",
        "2026-05-07T12:52:10.0000001-01:30",
    ] {
        assert_eq!(at(again), 1, "{again}");
    }
    assert_eq!(
        at("2026-05-07T14:22:10.000001Z"),
        Value::Null,
        "another microsecond is another event"
    );
    assert_eq!(lab.get("/v1/events").json()["count"], 2);
}

#[test]
fn an_agent_never_seen_is_new_and_ids_are_percent_decoded_once() {
    let lab = Lab::new();
    let unknown = lab.get("/v1/reputation/nobody").json();
    assert_eq!(
        (&unknown["score"], &unknown["status"]),
        (&0.into(), &"new".into())
    );
    lab.ingest(one("team/a%2F"));
    let standing = lab.get("/v1/reputation/team%2Fa%252F").json();
    assert_eq!(
        (&standing["agent_id"], &standing["evaluations"]),
        (&"team/a%2F".into(), &1.into())
    );
    let both = lab
        .get("/v1/reputation?agent_id=nobody&agent_id=team%2Fa%252F")
        .json();
    assert_eq!(
        (
            &both["reputations"][0]["evaluations"],
            &both["reputations"][1]["evaluations"]
        ),
        (&0.into(), &1.into())
    );
}

#[test]
fn events_are_paged_by_cursor_and_filtered() {
    let lab = Lab::new();
    for number in 0..9 {
        let more = format!(
            r#","tool":"t{}","timestamp":"2026-05-07T14:22:1{number}Z""#,
            number % 2
        );
        assert_eq!(
            lab.ingest(format!(r#"{{"events":[{}]}}"#, event("a", &more)))
                .status,
            202
        );
    }
    let mut seen = Vec::new();
    let mut path = "/v1/events?limit=4".to_owned();
    loop {
        let page = lab.get(&path).json();
        seen.extend(ids(&page).iter().map(ToString::to_string));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/events?limit=4&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, ["9", "8", "7", "6", "5", "4", "3", "2", "1"]);
    assert_eq!(ids(&lab.get("/v1/events?offset=7").json()), ["2", "1"]);
    assert_eq!(ids(&lab.get("/v1/events?tool=t1&limit=2").json()), ["8", "6"]);
    assert_eq!(
        ids(&lab
            .get("/v1/events?from=2026-05-07T14:22:12Z&to=2026-05-07T14:22:13Z")
            .json()),
        ["4", "3"]
    );
    assert_eq!(ids(&lab.get("/v1/events?passed=false").json()), [""; 0]);
    let first = lab.get("/v1/events?limit=4").json();
    let other = format!(
        "/v1/events?limit=4&agent_id=a&cursor={}",
        first["next_cursor"].as_str().unwrap()
    );
    assert_eq!(
        lab.get(&other).error().1,
        "validation_error",
        "a cursor goes with its own filters alone"
    );
}

#[test]
fn every_field_of_an_event_is_there() {
    let lab = Lab::new();
    let more = r#","tool":"t","evaluation_id":"e","timestamp":"2026-05-07T14:22:10.123456789+02:00""#;
    lab.ingest(format!(r#"{{"events":[{}]}}"#, event("a", more)));
    let mut told = lab.get("/v1/events/1").json();
    let received = told["received_at"].take();
    assert!(received.as_str().unwrap().ends_with('Z'), "{received}");
    let expected = serde_json::json!({
        "id": "1", "evaluation_id": "e", "agent_id": "a", "tool_name": "t", "passed": true, "gates": [],
        "total_latency_ms": 4, "reputation_score": 644, "created_at": "2026-05-07T12:22:10.123Z",
        "received_at": null, "source": "ingest", "key_id": "1", "signed": false, "late": false,
        "agent_latency_ms": null,
    });
    assert_eq!(told, expected);
}

#[test]
fn the_largest_legal_batch_fits() {
    let crabs = |count: usize, end: usize| format!("{}{end:04}", "🦀".repeat(count - 4));
    let gates: Vec<String> = (0..50)
        .map(|gate| {
            let (name, reason) = (crabs(200, gate), crabs(500, gate));
            format!(r#"{{"name":"{name}","passed":false,"latency_ms":999999999.25,"reason":"{reason}","skipped":false}}"#)
        })
        .collect();
    let events: Vec<String> = (0..100)
        .map(|event| {
            let (agent, tool, id) = (crabs(200, event), crabs(200, event), crabs(50, event));
            format!(
                r#"{{"agent_id":"{agent}","tool":"{tool}","passed":false,"gates":[{}],"total_latency_ms":59999.999,"timestamp":"2026-05-07T14:22:10.123456789+02:00","evaluation_id":"{id}"}}"#,
                gates.join(",")
            )
        })
        .collect();
    let lab = Lab::new();
    let body = format!(r#"{{"events":[{}]}}"#, events.join(","));
    assert!(body.len() > 14_000_000);
    assert_eq!(lab.ingest(&body).json()["accepted"], 100);
    assert_eq!(lab.ingest(&body).json()["duplicates"], 100);
    let newest = lab.get("/v1/events?limit=1").json();
    assert_eq!(newest["events"][0]["gates"][49]["reason"], crabs(500, 49));
}

#[test]
fn agents_by_last_seen_that_had_no_event_meanwhile_are_listed_once() {
    let lab = Lab::new();
    (0..7).for_each(|agent| assert_eq!(lab.ingest(one(&format!("agent-{agent}"))).status, 202));
    let (mut seen, mut path) = (Vec::new(), "/v1/agents?limit=2".to_owned());
    loop {
        let page = lab.get(&path).json();
        let agents = page["agents"].as_array().unwrap();
        seen.extend(
            agents
                .iter()
                .map(|agent| agent["agent_id"].as_str().unwrap().to_owned()),
        );
        lab.ingest(one("agent-0")); // moves to the front, from behind this page
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/agents?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    let expected: Vec<String> = (1..7).rev().map(|agent| format!("agent-{agent}")).collect();
    assert_eq!(seen, expected);
}

#[test]
fn agents_are_registered_listed_and_paged() {
    let lab = Lab::new();
    let answer = lab.send("POST", "/v1/agents", &lab.pk, &[], br#"{"agent_id":"b"}"#);
    assert_eq!(
        (answer.status, answer.json()),
        (201, serde_json::json!({ "agent_id": "b", "registered": true }))
    );
    lab.ingest(one("a"));
    lab.ingest(one("c"));
    let page = lab
        .get("/v1/agents?order=agent_id&limit=2&include=reputation")
        .json();
    let names: Vec<&str> = page["agents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["agent_id"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(
        (&page["agents"][1]["status"], &page["agents"][1]["eval_count"]),
        (&"new".into(), &0.into())
    );
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = lab
        .get(&format!(
            "/v1/agents?order=agent_id&limit=2&include=reputation&cursor={cursor}"
        ))
        .json();
    assert_eq!(
        (&rest["agents"][0]["agent_id"], rest.get("next_cursor")),
        (&"c".into(), None)
    );
    assert_eq!(lab.get("/v1/agents").json()["agents"][0]["agent_id"], "c");
}

#[test]
fn keys_are_made_shown_once_and_listed_by_their_end() {
    let lab = Lab::new();
    let body = br#"{"kind":"publishable","name":"web","scopes":["read"]}"#;
    let made = lab.send("POST", "/v1/keys", &lab.sk, &[], body);
    assert_eq!(made.status, 201);
    let (made, list) = (made.json(), lab.send("GET", "/v1/keys", &lab.sk, &[], b"").json());
    let key = made["key"].as_str().unwrap();
    let listed = list["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["id"] == made["id"])
        .unwrap();
    assert_eq!(
        (listed["last4"].as_str(), listed.get("key")),
        (Some(&key[36..]), None)
    );
    let who = lab.send("GET", "/v1/whoami", key, &[], b"").json();
    assert_eq!(
        (&who["organisation"], &who["scopes"]),
        (&"default".into(), &serde_json::json!(["read"]))
    );
    let path = format!("/v1/keys/{}", made["id"].as_str().unwrap());
    let revoke = || lab.send("DELETE", &path, &lab.sk, &[], b"").status;
    assert_eq!((revoke(), revoke()), (204, 204));
    assert_eq!(
        lab.send("DELETE", "/v1/keys/999", &lab.sk, &[], b"").error().1,
        "not_found"
    );
    let another = || lab.send("POST", "/v1/keys", &lab.sk, &[], br#"{"kind":"secret"}"#);
    assert_eq!([0; 4].map(|_| another().status), [201; 4]);
    let sixth = another().error();
    assert_eq!(
        (sixth.0, sixth.2.as_str()),
        (
            400,
            "kind: the organisation has 5 live secret keys; revoke one first"
        )
    );
    let admin = lab.send(
        "POST",
        "/v1/keys",
        &lab.sk,
        &[],
        br#"{"kind":"publishable","scopes":["admin"]}"#,
    );
    assert_eq!(admin.error().1, "validation_error");
}

#[test]
fn browsers_may_call_from_anywhere_unless_told_otherwise() {
    let lab = Lab::new();
    let preflight = lab.raw(
        b"OPTIONS /v1/ingest HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\n\r\n",
        false,
    );
    assert_eq!(
        (preflight.status, preflight.header("access-control-allow-origin")),
        (204, Some("*"))
    );
    assert_eq!(preflight.header("access-control-allow-credentials"), None);
    let unknown = lab.raw(b"OPTIONS /v1/nope HTTP/1.1\r\nHost: x\r\n\r\n", false);
    assert_eq!(unknown.status, 204);
    let refused = lab.raw(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n", false);
    assert_eq!(
        (refused.status, refused.header("access-control-allow-origin")),
        (401, Some("*")),
        "a browser may read refusals too"
    );
    assert!(
        preflight
            .header("access-control-allow-headers")
            .unwrap()
            .contains("X-Pecta-Signature")
    );
    let answer = lab.get("/v1/events");
    let exposed = answer.header("access-control-expose-headers");
    assert_eq!(
        exposed,
        Some("Retry-After, RateLimit, RateLimit-Policy, X-Request-Id")
    );
    let narrow = Lab::with(|config| config.cors_origins = vec!["https://a.example".to_owned()]);
    let from = |origin: &str| narrow.send("GET", "/v1/events", &narrow.pk, &[("Origin", origin)], b"");
    assert_eq!(
        from("https://a.example").header("access-control-allow-origin"),
        Some("https://a.example")
    );
    assert_eq!(
        from("https://b.example").header("access-control-allow-origin"),
        None
    );
}

#[test]
fn every_answer_carries_a_request_id_and_every_get_answers_head() {
    let lab = Lab::new();
    let own = lab.send(
        "GET",
        "/v1/events",
        &lab.pk,
        &[("X-Request-Id", "my.own_id-7")],
        b"",
    );
    assert_eq!(own.header("x-request-id"), Some("my.own_id-7"));
    for strange in ["a b", "", &"x".repeat(65), "<script>"] {
        let made = lab.send("GET", "/v1/events", &lab.pk, &[("X-Request-Id", strange)], b"");
        assert_ne!(made.header("x-request-id"), Some(strange));
    }
    lab.ingest(one("a"));
    for path in [
        "/v1/events",
        "/v1/events/1",
        "/v1/agents",
        "/v1/whoami",
        "/v1/keys",
        "/v1/reputation/a",
        "/v1/reputation?agent_id=a",
        "/health",
        "/ready",
        "/metrics",
        "/openapi.json",
    ] {
        let head = lab.send("HEAD", path, &lab.sk, &[], b"");
        let length: usize = head.header("content-length").unwrap().parse().unwrap();
        assert_eq!(
            (head.status, head.body.len(), length > 2),
            (200, 0, true),
            "{path}"
        );
    }
}

#[test]
fn health_metrics_and_the_description_need_no_key_and_name_nobody() {
    let lab = Lab::new();
    lab.ingest(one("a-very-private-agent"));
    let ask = |path: &str| {
        lab.raw(
            format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes(),
            false,
        )
    };
    assert_eq!(ask("/health").json(), serde_json::json!({ "status": "ok" }));
    assert_eq!(ask("/ready").json(), serde_json::json!({ "status": "ready" }));
    assert_eq!(ask("/openapi.json").json()["openapi"], "3.1.0");
    let metrics = String::from_utf8(ask("/metrics").body).unwrap();
    for name in [
        "repute_requests_total{route=\"/v1/ingest\",method=\"POST\",code=\"202\"} 1",
        "repute_events_recorded_total 1",
        "repute_stored_events 1",
        "repute_commit_seconds_bucket",
        "repute_group_submissions_bucket",
    ] {
        assert!(metrics.contains(name), "{name} is missing in {metrics}");
    }
    for secret in ["private", "default", "pk_live"] {
        assert!(!metrics.contains(secret), "{secret} stands in {metrics}");
    }
}

#[test]
fn counters_that_are_worth_an_alarm_stand_at_zero_before_anything_happens() {
    let lab = Lab::new();
    let answer = lab.raw(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", false);
    let metrics = String::from_utf8(answer.body).unwrap();
    for series in [
        "repute_events_refused_total{reason=\"invalid\"}",
        "repute_events_refused_total{reason=\"agent_limit\"}",
        "repute_events_shed_total{reason=\"overloaded\"}",
        "repute_events_shed_total{reason=\"full\"}",
        "repute_events_shed_total{reason=\"draining\"}",
        "repute_events_shed_total{reason=\"outcome_unknown\"}",
        "repute_events_shed_total{reason=\"internal\"}",
        "repute_gate_timeouts_total{gate=\"pii\"}",
        "repute_gate_timeouts_total{gate=\"rtb.tmax-guard\"}",
        "repute_requests_total{route=\"/v1/ingest\",method=\"POST\",code=\"503\"}",
        "repute_requests_total{route=\"/v1/agents/{agent_id}\",method=\"DELETE\",code=\"503\"}",
        "repute_requests_total{route=\"/v1/events\",method=\"GET\",code=\"503\"}",
        "repute_events_late_total",
        "repute_events_clamped_total",
        "repute_gates_not_reloaded_total",
        "repute_tls_not_reloaded_total",
    ] {
        let line = format!("\n{series} 0\n");
        assert!(metrics.contains(&line), "{series} is missing in {metrics}");
    }
    for fate in ["recorded", "duplicate"] {
        assert!(!metrics.contains(&format!("reason=\"{fate}\"")), "{metrics}");
    }
}

#[test]
fn an_agent_is_erased_by_an_admin_alone_and_may_begin_anew() {
    let lab = Lab::new();
    let two = format!(r#"{{"events":[{},{}]}}"#, event("a/b", ""), event("other", ""));
    assert_eq!(lab.ingest(&two).status, 202);
    let erase = |key: &str| lab.send("DELETE", "/v1/agents/a%2Fb", key, &[], b"");
    assert_eq!(erase(&lab.pk).error().1, "scope_missing");
    let done = erase(&lab.sk);
    assert_eq!((done.status, done.body.len()), (204, 0));
    assert_eq!(ids(&lab.get("/v1/events").json()), ["2"]);
    assert_eq!(lab.get("/v1/events/1").status, 404);
    let agents = lab.get("/v1/agents").json();
    assert_eq!(agents["agents"].as_array().unwrap().len(), 1);
    assert_eq!(lab.get("/v1/reputation/a%2Fb").json()["evaluations"], 0);
    assert_eq!(erase(&lab.sk).status, 204, "gone is gone");
    assert_eq!(lab.ingest(&two).status, 202);
    assert_eq!(lab.get("/v1/reputation/a%2Fb").json()["evaluations"], 1);
    assert_eq!(ids(&lab.get("/v1/events").json()).len(), 3);
    let slash = lab.send("DELETE", "/v1/agents/a/b", &lab.sk, &[], b"").error();
    assert!(slash.2.contains("write a slash in it as %2F"), "{slash:?}");
}

#[test]
fn every_answer_tells_a_browser_to_take_it_for_data_alone() {
    let lab = Lab::new();
    let asked = [
        ("GET", "/v1/events"),
        ("OPTIONS", "/v1/events"),
        ("POST", "/v1/ingest"),
        ("GET", "/nowhere"),
        ("PUT", "/health"),
        ("GET", "/health"),
        ("GET", "/metrics"),
        ("GET", "/openapi.json"),
    ];
    let answers = asked.map(|(method, path)| lab.send(method, path, &lab.pk, &[], b""));
    for answer in answers.into_iter().chain([lab.raw(b"nonsense\r\n\r\n", false)]) {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            (
                "content-security-policy",
                "default-src 'none'; frame-ancestors 'none'",
            ),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{answer:?}");
        }
    }
}
