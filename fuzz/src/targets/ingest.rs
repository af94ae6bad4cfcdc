//! The body of `POST /v1/ingest`: the parser with its fast path against the general one, and both against `serde_json`.

use super::{Outcome, Target, about};
use reputation::{Evaluation, GateResult};
use serde_json::Value;
use wire::ingest::{Parsed, parse, parse_generally};

pub(super) const TARGET: Target = Target {
    name: "ingest",
    read,
    words: &[
        r#"{"events":["#,
        r#""agent_id":"#,
        r#""tool":"#,
        r#""passed":"#,
        r#""gates":["#,
        r#""name":"#,
        r#""latency_ms":"#,
        r#""reason":"#,
        r#""skipped":"#,
        r#""total_latency_ms":"#,
        r#""timestamp":"2026-05-07T14:22:10.123Z""#,
        r#""evaluation_id":"#,
        "true",
        "false",
        "null",
        r#""""#,
        "0.0004999",
        "60000.0000000001",
        "1e3",
        "-0",
        r"\ud800",
        r"\u00e9",
        "é",
        "[]",
        "{}",
        ", ",
        ": ",
        "]}",
    ],
};

fn read(bytes: &[u8]) -> Outcome {
    let parsed = parse(bytes);
    assert_eq!(
        parsed,
        parse_generally(bytes),
        "the fast path gives another outcome"
    );
    let tree = serde_json::from_slice::<Value>(bytes).ok();
    match parsed {
        Ok(parsed) => {
            if let Some(tree) = tree {
                compare(&parsed, &tree);
            }
            let rules = parsed.invalid.first();
            match rules {
                None => Outcome::good(about(parsed.total())),
                Some(invalid) => Outcome::refused(&format!("{} {}", invalid.field, invalid.rule)),
            }
        }
        Err(fault) => {
            let is_json = fault.code() != wire::Code::BadJson;
            assert!(is_json || tree.is_none(), "serde_json reads it: {fault}");
            Outcome::refused(&fault.to_string())
        }
    }
}

/// What was taken is what `serde_json` sees there.
fn compare(parsed: &Parsed<'_>, tree: &Value) {
    let events = tree["events"].as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(parsed.total(), events.len(), "events are missing");
    for (event, &position) in parsed.evaluations.iter().zip(&parsed.positions) {
        compare_event(event, &events[position]);
    }
}

fn compare_event(event: &Evaluation<'_>, seen: &Value) {
    let text = |name: &str| seen[name].as_str().filter(|text| !text.is_empty());
    assert_eq!(text("agent_id"), Some(&*event.agent_id));
    assert_eq!(text("tool"), event.tool.as_deref());
    assert_eq!(text("evaluation_id"), event.evaluation_id.as_deref());
    assert_eq!(seen["passed"], event.passed);
    assert_eq!(text("timestamp").is_some(), event.sent_at.is_some());
    let total_ms = seen["total_latency_ms"].as_f64().unwrap_or(f64::NAN);
    let difference_us = (total_ms * 1e3 - f64::from(event.total_latency_us)).abs();
    assert!(
        difference_us <= 0.500_001,
        "{total_ms} ms is not {} µs",
        event.total_latency_us
    );
    let gates = seen["gates"].as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(gates.len(), event.gates.len());
    for (gate, seen) in event.gates.iter().zip(gates) {
        compare_gate(gate, seen);
    }
}

fn compare_gate(gate: &GateResult<'_>, seen: &Value) {
    assert_eq!(seen["name"], *gate.name);
    assert_eq!(seen["passed"], gate.passed);
    assert_eq!(seen["skipped"].as_bool(), gate.skipped);
    let reason = seen["reason"].as_str().filter(|reason| !reason.is_empty());
    assert_eq!(reason, gate.reason.as_deref());
    let seen_ms = seen["latency_ms"].as_f64().unwrap_or(f64::NAN);
    assert!(
        (seen_ms - gate.latency_ms).abs() <= seen_ms.abs() * 1e-15,
        "{seen_ms} is not {}",
        gate.latency_ms
    );
}
