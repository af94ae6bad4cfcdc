//! Every vector of `gates/gates.json`.

use crate::kit::{Case, data};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct File {
    vectors: BTreeMap<String, Vec<Vector>>,
}

#[derive(Deserialize)]
struct Vector {
    #[serde(flatten)]
    context: serde_json::Map<String, serde_json::Value>,
    expect: Expected,
}

#[derive(Debug, Deserialize)]
struct Expected {
    passed: bool,
    #[serde(default)]
    skipped: bool,
    reason: Option<String>,
    reason_begins: Option<String>,
    #[serde(rename = "where")]
    place: Option<String>,
}

const LEAST_VECTORS_A_GATE: usize = 40;

#[test]
fn every_gate_says_what_its_vectors_say() {
    let text = data("gates.json");
    let file: File = serde_json::from_str(&text).unwrap();
    assert_eq!(file.vectors.len(), 12);
    let mut wrong = Vec::new();
    for (gate, vectors) in &file.vectors {
        assert!(vectors.len() >= LEAST_VECTORS_A_GATE, "{gate}: {}", vectors.len());
        for vector in vectors {
            let source = serde_json::to_string(&vector.context).unwrap();
            let case: Case = serde_json::from_str(&source).unwrap();
            let expected = &vector.expect;
            let told = case.run(gate, |result| {
                let reason = result.reason.as_deref();
                let place = result
                    .details
                    .as_ref()
                    .and_then(|details| details["where"].as_str());
                let is_reason = match &expected.reason_begins {
                    Some(beginning) => reason.is_some_and(|reason| reason.starts_with(beginning.as_str())),
                    None => reason == expected.reason.as_deref(),
                };
                let is_place = expected.place.is_none() || expected.place.as_deref() == place;
                let is_right = result.passed == expected.passed
                    && result.skipped == expected.skipped
                    && is_reason
                    && is_place;
                (!is_right).then(|| format!("{gate} {source}\n  {expected:?}\n  {result:?}"))
            });
            wrong.extend(told);
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
