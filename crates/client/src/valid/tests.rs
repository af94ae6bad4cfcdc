use super::*;
use crate::{Event, Gate};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Values that JSON can't hold, as `sdk/vectors/README.md` writes them. Numbers stay as they are.
fn expand(value: &Value) -> Value {
    match value {
        Value::Object(fields) => match fields.iter().next().map(|(name, inner)| (name.as_str(), inner)) {
            Some(("$repeat", of)) => json!(of[0].as_str().unwrap().repeat(of[1].as_u64().unwrap() as usize)),
            Some(("$join", of)) => {
                let parts = of.as_array().unwrap().iter().map(expand);
                json!(
                    parts
                        .map(|part| part.as_str().unwrap().to_owned())
                        .collect::<String>()
                )
            }
            _ => Value::Object(
                fields
                    .iter()
                    .map(|(name, inner)| (name.clone(), expand(inner)))
                    .collect(),
            ),
        },
        Value::Array(items) => Value::Array(items.iter().flat_map(items_of).collect()),
        other => other.clone(),
    }
}

fn items_of(item: &Value) -> Vec<Value> {
    match item.get("$times") {
        Some(times) => vec![expand(&times[0]); times[1].as_u64().unwrap() as usize],
        None => vec![expand(item)],
    }
}

fn number(value: &Value) -> f64 {
    match value["$number"].as_str() {
        Some(text) => text.parse().unwrap(),
        None => value.as_f64().unwrap(),
    }
}

/// The event that a case tracks. Its latencies may be numbers that JSON has none of.
fn event(track: &Value) -> Event {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let gate = |gate: &Value| Gate {
        name: text(&gate["name"]).unwrap(),
        passed: gate["passed"].as_bool().unwrap(),
        latency_ms: number(&gate["latency_ms"]),
        reason: text(&gate["reason"]),
        skipped: gate["skipped"].as_bool().unwrap_or(false),
    };
    let track = expand(track);
    Event {
        agent_id: text(&track["agent_id"]),
        tool: text(&track["tool"]),
        passed: track["passed"].as_bool().unwrap(),
        gates: track["gates"].as_array().unwrap().iter().map(gate).collect(),
        total_latency_ms: number(&track["total_latency_ms"]),
        timestamp: text(&track["timestamp"]),
        evaluation_id: text(&track["evaluation_id"]),
    }
}

/// Numbers as doubles, so that 1 and 1.0 are equal.
fn as_doubles(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64().unwrap()),
        Value::Array(items) => items.iter().map(as_doubles).collect(),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, inner)| (name.clone(), as_doubles(inner)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

fn defaults(agent_id: Option<&str>) -> Defaults<'_> {
    Defaults {
        agent_id,
        evaluation_id: &|| Some("made".to_owned()),
        now: &|| "2026-01-01T00:00:00.000Z".to_owned(),
    }
}

#[test]
fn every_event_becomes_what_was_agreed() {
    let vectors: Value = serde_json::from_str(include_str!("../../../../sdk/vectors/events.json")).unwrap();
    let mut run = 0;
    for case in vectors["cases"].as_array().unwrap() {
        let not_in = case["not_in"].as_array().map_or(&[][..], Vec::as_slice);
        if not_in.contains(&json!("rust")) {
            continue;
        }
        let name = &case["name"];
        let mut event = event(&case["track"]);
        let mut cuts = Cuts::new();
        let outcome = make_valid(
            &mut event,
            &defaults(case["settings"]["agent_id"].as_str()),
            &mut cuts,
        );
        run += 1;
        if case["dropped"] == "invalid" {
            assert_eq!(outcome, Err(Unfit), "{name}");
            continue;
        }
        outcome.unwrap();
        let mut becomes = expand(&case["becomes"]);
        for made in case["made"].as_array().unwrap_or(&Vec::new()) {
            becomes[made.as_str().unwrap()] = json!(match made.as_str() {
                Some("evaluation_id") => "made",
                _ => "2026-01-01T00:00:00.000Z",
            });
        }
        assert_eq!(as_doubles(&json!(event)), as_doubles(&becomes), "{name}");
        let expected = case.get("cut").cloned().unwrap_or_else(|| json!({}));
        assert_eq!(json!(cuts), expected, "{name}");
    }
    assert!(run >= 35, "{run}");
}

fn any_text(around: usize) -> impl Strategy<Value = String> {
    let length = prop_oneof![Just(0), Just(1), around - 1..around + 3];
    (length, any::<char>()).prop_map(|(length, character)| character.to_string().repeat(length))
}

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        -10.0..70_000.0,
        Just(-0.0),
        Just(f64::NAN),
        Just(f64::MIN_POSITIVE)
    ]
}

prop_compose! {
    fn any_gate()(name in any_text(200), passed: bool, latency_ms in any_number(),
        reason in proptest::option::of(any_text(500)), skipped: bool) -> Gate {
        Gate { name, passed, latency_ms, reason, skipped }
    }
}

prop_compose! {
    fn any_event()(agent_id in proptest::option::of(any_text(200)), tool in proptest::option::of(any_text(200)),
        passed: bool, gates in proptest::collection::vec(any_gate(), 0..60), total_latency_ms in any_number(),
        timestamp in proptest::option::of("[0-9]{4}-0[1-9]-[0-3][0-9]T[0-2][0-9]:00:00(Z|)"),
        evaluation_id in proptest::option::of(any_text(50))) -> Event {
        Event { agent_id, tool, passed, gates, total_latency_ms, timestamp, evaluation_id }
    }
}

proptest! {
    #[test]
    fn the_server_takes_whatever_was_made_valid(mut event in any_event()) {
        if make_valid(&mut event, &defaults(Some("a")), &mut Cuts::new()).is_ok() {
            let body = format!(r#"{{"events":[{}]}}"#, serde_json::to_string(&event).unwrap());
            let invalid = wire::ingest::parse(body.as_bytes()).unwrap().invalid;
            prop_assert!(invalid.is_empty(), "{invalid:?}: {body}");
        }
    }

    #[test]
    fn what_is_valid_is_not_changed(mut event in any_event()) {
        if make_valid(&mut event, &defaults(Some("a")), &mut Cuts::new()).is_ok() {
            let before = event.clone();
            let mut cuts = Cuts::new();
            prop_assert_eq!(make_valid(&mut event, &defaults(Some("a")), &mut cuts), Ok(()));
            prop_assert_eq!(event, before);
            prop_assert_eq!(cuts, Cuts::new());
        }
    }
}
