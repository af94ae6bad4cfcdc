//! No reason and no detail holds text of a payload.

use crate::corpus::corpus;
use crate::kit::{Case, data};
use json::{Document, Kind};
use std::collections::HashSet;

/// Texts as short as these are in every sentence.
const SHORTEST: usize = 4;

/// The gates' own words, which a payload may also hold: each reason with its variable part taken out, names of
/// keywords and fields, entries of lists.
fn is_ours(word: &str, request: Option<&Document<'_>>) -> bool {
    const REASONS: &str = include_str!("../../../../docs/gates.md");
    let blocked = request.and_then(|request| request.root().get("bcat"));
    let mut blocked = blocked.into_iter().flat_map(|list| list.elements());
    REASONS.contains(word)
        || data("gates.json").contains(&format!("\"{word}\""))
        || blocked.any(|entry| entry.as_str() == Some(word))
}

/// The strings and the keys of a value, and the words of at least [`SHORTEST`] characters in them.
fn words<'d>(document: &'d Document<'_>) -> HashSet<&'d str> {
    let mut texts: Vec<&str> = document.values().filter_map(|value| value.as_str()).collect();
    let objects = document.values().filter(|value| value.kind() == Kind::Object);
    // A key that is a name may be a part of a pointer.
    let is_name = |key: &&str| {
        key.len() <= 32
            && key
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !key.starts_with(|first: char| first.is_ascii_digit())
    };
    texts.extend(
        objects
            .flat_map(|object| object.members())
            .map(|(key, _)| key)
            .filter(|key| !is_name(key)),
    );
    let pieces = texts
        .iter()
        .flat_map(|text| text.split([' ', '\n', '/', '"', '=', ',']));
    texts
        .iter()
        .copied()
        .chain(pieces)
        .filter(|word| word.len() >= SHORTEST)
        .collect()
}

fn check(gate: &str, case: &Case) {
    let output = Document::parse(case.output_text().as_bytes()).unwrap();
    let input = case
        .input_text()
        .map(|text| Document::parse(text.as_bytes()).unwrap());
    let said = case.run(gate, |result| {
        assert!(result.reason.as_deref().unwrap_or_default().chars().count() <= 500);
        let details = result.details.as_ref().map(ToString::to_string);
        format!(
            "{} {}",
            result.reason.as_deref().unwrap_or_default(),
            details.unwrap_or_default()
        )
    });
    let mut payload = words(&output);
    payload.extend(input.as_ref().map(words).unwrap_or_default());
    for word in payload {
        let is_number = word.parse::<f64>().is_ok();
        assert!(
            !said.contains(word) || is_number || is_ours(word, input.as_ref()),
            "{gate} repeats `{word}`: {said}"
        );
    }
}

#[test]
fn no_reason_or_detail_of_any_case_holds_text_of_a_payload() {
    for labelled in corpus() {
        check(&labelled.gate, &labelled.case());
    }
    let file: serde_json::Value = serde_json::from_str(&data("gates.json")).unwrap();
    for (gate, vectors) in file["vectors"].as_object().unwrap() {
        for vector in vectors.as_array().unwrap() {
            check(gate, &serde_json::from_str(&vector.to_string()).unwrap());
        }
    }
}

#[test]
fn every_reason_stands_in_the_documentation() {
    let documented = include_str!("../../../../docs/gates.md");
    let file: serde_json::Value = serde_json::from_str(&data("gates.json")).unwrap();
    for (gate, vectors) in file["vectors"].as_object().unwrap() {
        for vector in vectors.as_array().unwrap() {
            let expect = &vector["expect"];
            let Some(reason) = expect["reason"].as_str().or(expect["reason_begins"].as_str()) else {
                continue;
            };
            // Numbers and what follows a colon are particular to the case; secrets are listed by name alone.
            let reason = match gate.as_str() {
                "secrets" => reason.trim_end_matches(" detected in output"),
                _ => reason,
            };
            let fixed = reason.split([':', '(']).next().unwrap();
            let fixed = fixed
                .split(|one: char| one.is_ascii_digit())
                .next()
                .unwrap()
                .trim();
            assert!(documented.contains(fixed), "{gate}: {reason}");
        }
    }
}
