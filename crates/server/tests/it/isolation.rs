//! Organisations see nothing of each other: every answer to one is the same whether or not others are there.
//!
//! Two servers get the same requests of one organisation; on one of them, two others do as they like in
//! between. Then each route's answers are compared, but for times of day, keys, cursors and request ids.

use crate::kit::{Answer, Lab, Tenant};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

/// One request: which, and two numbers that it is made of.
type Ask = (u8, u8, u8);
/// How many kinds of requests [`Client::ask`] knows.
const KINDS: u8 = 29;
/// What only other organisations send in the comparison, since its latency is the machine's.
const EVALUATE: u8 = KINDS;

/// The routes that [`Client::ask`] comes to.
const ROUTES: &[&str] = &[
    "/v1/agents",
    "/v1/agents/{agent_id}",
    "/v1/audit",
    "/v1/evaluate",
    "/v1/events",
    "/v1/events/{id}",
    "/v1/gates",
    "/v1/ingest",
    "/v1/keys",
    "/v1/keys/{id}",
    "/v1/ledger",
    "/v1/reputation",
    "/v1/reputation/{agent_id}",
    "/v1/whoami",
];

/// An organisation's client, all of whose texts carry its mark.
struct Client {
    tenant: Tenant,
    mark: &'static str,
    /// The latest cursor of each list.
    cursors: BTreeMap<String, String>,
}

impl Client {
    fn new(tenant: Tenant, mark: &'static str) -> Self {
        Self {
            tenant,
            mark,
            cursors: BTreeMap::new(),
        }
    }

    fn event(&self, a: u8, b: u8) -> String {
        let mark = self.mark;
        format!(
            r#"{{"agent_id":"{mark}-{a}","tool":"{mark}-tool-{b}","passed":{},"gates":[{{"name":"{mark}-gate","passed":{},"latency_ms":1,"reason":"{mark}-reason"}}],"total_latency_ms":{b},"timestamp":"2020-01-01T00:00:{a}{b}Z","evaluation_id":"{mark}-{b}"}}"#,
            b.is_multiple_of(2),
            b.is_multiple_of(2)
        )
    }

    /// Asks, and remembers the cursor that came.
    fn ask(&mut self, lab: &Lab, (kind, a, b): Ask) -> Answer {
        let mark = self.mark;
        let (event, other) = (self.event(a, b), self.event(b, a));
        let bad = r#"{"agent_id":""}"#;
        let batch = |events: &[&str]| format!(r#"{{"events":[{}]}}"#, events.join(","));
        let get = |path: String| ("GET", path, String::new());
        let post = |path: &str, body: String| ("POST", path.to_owned(), body);
        let mut headers: Vec<(&str, &str)> = Vec::new();
        let mut key = self.tenant.pk.clone();
        let (method, path, body) = match kind {
            0 | 1 => post("/v1/ingest", batch(&[&event, &other])),
            2 => post("/v1/ingest", batch(&[&event, bad])),
            3 => {
                headers.push(("Prefer", "handling=lenient"));
                post("/v1/ingest", batch(&[bad, &event]))
            }
            4 => {
                headers.push(("X-Pecta-Signature", "sha256=00"));
                post("/v1/ingest", batch(&[&event]))
            }
            5 => get("/v1/events?limit=2".to_owned()),
            6 => get(format!("/v1/events?agent_id={mark}-{a}&passed=true")),
            7 => get(format!("/v1/events?tool={mark}-tool-{b}")),
            8 => get(format!("/v1/events?failed_gate={mark}-gate&limit=1")),
            9 => get(format!("/v1/events?agent_id={mark}-{a}&evaluation_id={mark}-{b}")),
            10 => get(format!("/v1/events?offset={a}&from=2020-01-01T00:00:1{b}Z")),
            11 => get(format!("/v1/events/{}", 4 * a + b)),
            12 => get(format!("/v1/reputation/{mark}-{a}")),
            13 => get(format!("/v1/reputation?agent_id={mark}-{a}&agent_id=nobody")),
            14 => get("/v1/agents?order=agent_id&include=reputation&limit=2".to_owned()),
            15 => get("/v1/agents?limit=3".to_owned()),
            16 => post("/v1/agents", format!(r#"{{"agent_id":"{mark}-{}"}}"#, a + b)),
            17 => {
                key = self.tenant.sk.clone();
                ("DELETE", format!("/v1/agents/{mark}-{a}"), String::new())
            }
            18 => {
                key = self.tenant.sk.clone();
                get("/v1/keys".to_owned())
            }
            19 => {
                key = self.tenant.sk.clone();
                let kind = if b == 0 { "secret" } else { "publishable" };
                post("/v1/keys", format!(r#"{{"kind":"{kind}","name":"{mark}"}}"#))
            }
            20 => {
                key = self.tenant.sk.clone();
                // Not the two keys that it asks with.
                ("DELETE", format!("/v1/keys/{}", 3 + a + b), String::new())
            }
            21 => get("/v1/whoami".to_owned()),
            22 => {
                key = self.tenant.sk.clone();
                get("/v1/ledger?by=day".to_owned())
            }
            23 => {
                key = self.tenant.sk.clone();
                get("/v1/audit?limit=2".to_owned())
            }
            24 => get(format!("/v1/{mark}")),
            25 => self.go_on("/v1/events?limit=2"),
            26 => self.go_on("/v1/agents?order=agent_id&include=reputation&limit=2"),
            27 => get("/v1/gates".to_owned()),
            28 => {
                key = self.tenant.sk.clone();
                self.go_on("/v1/audit?limit=2")
            }
            _ => post(
                "/v1/evaluate",
                format!(r#"{{"agent_id":"{mark}-{a}","output":"{mark}","evaluation_id":"{mark}-{b}"}}"#),
            ),
        };
        let answer = lab.send(method, &path, &key, &headers, body.as_bytes());
        let list = path.split("&cursor=").next().unwrap_or_default();
        if answer.status == 200 && method == "GET" {
            match answer.json()["next_cursor"].as_str() {
                Some(cursor) => drop(self.cursors.insert(list.to_owned(), cursor.to_owned())),
                None => drop(self.cursors.remove(list)),
            }
        }
        answer
    }

    /// The next page of this list.
    fn go_on(&self, list: &str) -> (&'static str, String, String) {
        let cursor = self.cursors.get(list);
        let path = cursor.map_or(list.to_owned(), |cursor| format!("{list}&cursor={cursor}"));
        ("GET", path, String::new())
    }
}

/// The answer without what is different in every run.
fn comparable(answer: &Answer) -> (u16, Vec<(String, String)>, Value) {
    let by_chance = ["date", "x-request-id", "content-length"];
    let headers = answer.headers.iter();
    let headers = headers.filter(|(name, _)| !by_chance.contains(&name.as_str()));
    let mut body = if answer.body.is_empty() {
        Value::Null
    } else {
        answer.json()
    };
    blank(&mut body);
    (answer.status, headers.cloned().collect(), body)
}

fn blank(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let is_key_or_cursor = ["key", "last4", "next_cursor"].contains(&name.as_str());
                let is_time_of_day = (name.ends_with("_at") || name.ends_with("_seen") || name == "at")
                    && value.as_str().is_some_and(|time| !time.starts_with("2020-"));
                if (is_key_or_cursor || is_time_of_day) && value.is_string() {
                    *value = "…".into();
                } else {
                    blank(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(blank),
        _ => {}
    }
}

fn shows(answer: &Answer, mark: &str) -> bool {
    let all = format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body));
    all.contains(mark)
}

fn asks(kinds: u8, count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Ask>> {
    prop::collection::vec((0..kinds, 0..4u8, 0..4u8), count)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_answer_tells_anything_of_another_organisation(
        steps in prop::collection::vec(((0..KINDS, 0..4u8, 0..4u8), asks(EVALUATE + 1, 0..4)), 1..40),
    ) {
        let (alone, crowded) = (Lab::new(), Lab::new());
        let mut others = [Client::new(crowded.tenant("other"), "ymark"), Client::new(crowded.tenant("third"), "zmark")];
        let mut here = Client::new(alone.tenant("own"), "xmark");
        let mut there = Client::new(crowded.tenant("own"), "xmark");
        let mut cursors = Vec::new();
        for (ask, noise) in steps {
            for (number, theirs) in noise.into_iter().enumerate() {
                let answer = others[number % 2].ask(&crowded, theirs);
                prop_assert!(!shows(&answer, "xmark"), "{answer:?}");
                prop_assert!(!shows(&answer, ["zmark", "ymark"][number % 2]), "{answer:?}");
            }
            let (quiet, loud) = (here.ask(&alone, ask), there.ask(&crowded, ask));
            prop_assert_eq!(comparable(&quiet), comparable(&loud), "{:?}", ask);
            prop_assert!(!shows(&loud, "ymark") && !shows(&loud, "zmark"), "{loud:?}");
            cursors.extend(there.cursors.clone());
        }
        for (list, cursor) in cursors {
            let path = format!("{list}&cursor={cursor}");
            let answer = crowded.send("GET", &path, &others[0].tenant.sk, &[], b"");
            prop_assert_eq!(answer.error().1, "validation_error", "another's cursor is none");
        }
        for path in ["/health", "/ready", "/metrics", "/openapi.json"] {
            let answer = crowded.get(path);
            for secret in ["xmark", "ymark", "zmark", "_live_"] {
                prop_assert!(path == "/openapi.json" || !shows(&answer, secret), "{path}: {secret}");
            }
        }
    }
}

#[test]
fn every_route_is_asked() {
    let description: Value = serde_json::from_str(&server::openapi_json()).unwrap();
    let described = description["paths"].as_object().unwrap().keys();
    let missing: Vec<&String> = described
        .filter(|path| path.starts_with("/v1/") && !ROUTES.contains(&path.as_str()))
        .collect();
    assert!(missing.is_empty(), "ask these in `Client::ask`, too: {missing:?}");
}
