//! Bounds what a validation may take. Through references a small schema can ask for work without end of a small value: with
//! two branches that refer back, twice as much with each level. Without references it is as large as the schema times the value.
//!
//! So each reference that is followed is a step: a keyword of ours stands before it. Where the time is up, or the steps are
//! used up, that keyword unwinds out of the validator, which has no other way to be stopped.

use jsonschema::{Keyword, ValidationError};
use serde_json::{Map, Value, json};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

/// Counts a step. No schema has a keyword of that name.
pub(super) const STEP: &str = "!step";

/// Keywords whose members are schemas, whatever they are called.
const MAPS: [&str; 5] = [
    "$defs",
    "definitions",
    "dependentSchemas",
    "patternProperties",
    "properties",
];
/// Keywords that hold values, not schemas.
const VALUES: [&str; 3] = ["const", "dependentRequired", "enum"];
/// Keywords that lead elsewhere.
const REFERENCES: [&str; 2] = ["$ref", "$dynamicRef"];

/// What is left to a validation.
#[derive(Clone, Copy)]
struct Allowance {
    until: Option<Instant>,
    steps: u32,
}

thread_local! {
    static LEFT: Cell<Option<Allowance>> = const { Cell::new(None) };
}

/// What unwinds where it is used up.
struct UsedUp;

/// The keyword.
pub(super) struct CountsStep;

impl<'i> Keyword<'i> for CountsStep {
    fn validate(&self, _: &'i Value) -> Result<(), ValidationError<'i>> {
        step();
        Ok(())
    }

    fn is_valid(&self, _: &'i Value) -> bool {
        step();
        true
    }
}

fn step() {
    let Some(Allowance { until, steps }) = LEFT.get() else {
        return;
    };
    if steps == 0 || until.is_some_and(|until| Instant::now() >= until) {
        resume_unwind(Box::new(UsedUp)); // no panic, and nothing is told on standard error
    }
    let steps = steps - 1;
    LEFT.set(Some(Allowance { until, steps }));
}

/// Runs a validation up to this instant, with at most so many steps; `None` if that was not enough.
pub(super) fn within<T>(until: Option<Instant>, steps: u32, validate: impl FnOnce() -> T) -> Option<T> {
    LEFT.set(Some(Allowance { until, steps }));
    // A validator changes nothing while it validates.
    let result = catch_unwind(AssertUnwindSafe(validate));
    LEFT.set(None);
    match result {
        Ok(result) => Some(result),
        Err(cause) if cause.is::<UsedUp>() => None,
        Err(cause) => resume_unwind(cause),
    }
}

/// The same schema with a step before each reference: `{"$ref": r}` becomes `{"allOf": [{"!step": true}, {"$ref": r}]}`.
pub(super) fn counted(schema: &Value) -> Value {
    match schema {
        Value::Object(keywords) => Value::Object(counted_keywords(keywords)),
        Value::Array(schemas) => schemas.iter().map(counted).collect(),
        other => other.clone(),
    }
}

fn counted_keywords(keywords: &Map<String, Value>) -> Map<String, Value> {
    let keyword = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::Object(schemas) if MAPS.contains(&name.as_str()) => schemas
                .iter()
                .map(|(name, schema)| (name.clone(), counted(schema)))
                .collect(),
            _ if VALUES.contains(&name.as_str()) => value.clone(),
            _ => counted(value),
        };
        (name.clone(), value)
    };
    let mut result: Map<String, Value> = keywords.iter().map(keyword).collect();
    for name in REFERENCES {
        if !result.get(name).is_some_and(Value::is_string) {
            continue;
        }
        let all = result.entry("allOf").or_insert_with(|| json!([]));
        if all.is_array()
            && let Some(reference) = result.remove(name)
            && let Some(Value::Array(all)) = result.get_mut("allOf")
        {
            // At the end, so that what refers to one of them by its number still does.
            all.extend([json!({ STEP: true }), json!({ name: reference })]);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_stands_before_each_reference_and_nowhere_else() {
        let schema = json!({
            "$ref": "#/$defs/a",
            "$defs": { "a": { "allOf": [{ "type": "object" }], "$dynamicRef": "#b" }, "$ref": { "type": "null" } },
            "properties": { "const": { "items": { "$ref": "c" } }, "d": true },
            "enum": [{ "$ref": "e" }],
            "anyOf": [{ "not": { "$ref": "f" } }],
        });
        let before = |name: &str, to: &str| json!([{ STEP: true }, { name: to }]);
        let expected = json!({
            "allOf": before("$ref", "#/$defs/a"),
            "$defs": {
                "a": { "allOf": [{ "type": "object" }, { STEP: true }, { "$dynamicRef": "#b" }] },
                "$ref": { "type": "null" },
            },
            "properties": { "const": { "items": { "allOf": before("$ref", "c") } }, "d": true },
            "enum": [{ "$ref": "e" }],
            "anyOf": [{ "not": { "allOf": before("$ref", "f") } }],
        });
        assert_eq!(counted(&schema), expected);
        // What is wrong stays wrong.
        for wrong in [
            json!({ "$ref": 1 }),
            json!({ "$ref": "a", "allOf": {} }),
            json!(7),
        ] {
            assert_eq!(counted(&wrong), wrong);
        }
    }

    #[test]
    fn what_unwinds_for_another_reason_goes_on() {
        let caught = catch_unwind(|| within(None, 9, || resume_unwind(Box::new("other"))));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"other"));
        let steps = |steps| within(None, steps, || (0..3).for_each(|_| step()));
        assert_eq!((steps(3), steps(2)), (Some(()), None));
        assert_eq!(within(Some(Instant::now()), 9, step), None);
        step(); // outside of all it counts nothing
    }
}
