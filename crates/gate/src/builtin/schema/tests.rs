use super::*;
use crate::text::Detectors;
use crate::{Budget, Context};
use serde_json::json;
use std::time::{Duration, Instant};

fn refused(schema: &serde_json::Value) -> String {
    Schema::new("schema", schema, &SchemaOptions::default())
        .unwrap_err()
        .to_string()
}

#[test]
fn nothing_is_ever_fetched() {
    for uri in [
        "https://example.com/x.json",
        "http://127.0.0.1:1/x",
        "file:///etc/passwd",
    ] {
        let why = refused(&json!({ "$ref": uri }));
        assert!(why.contains("Retrieval is disabled"), "{uri}: {why}");
    }
    let why = refused(&json!({ "$ref": "other.json" }));
    assert!(why.contains("not present in a registry"), "{why}");
}

#[test]
fn references_lead_to_documents_that_were_given() {
    let options = SchemaOptions {
        references: vec![("urn:price".to_owned(), json!({ "type": "number" }))],
        ..SchemaOptions::default()
    };
    let schema = Schema::new("schema", &json!({ "$ref": "urn:price" }), &options).unwrap();
    assert!(schema.validator.is_valid(&json!(1)) && !schema.validator.is_valid(&json!("1")));
}

#[test]
fn another_dialect_is_refused() {
    let draft_7 = "http://json-schema.org/draft-07/schema#";
    let why = r#"$schema: "http://json-schema.org/draft-07/schema#" is not https://json-schema.org/draft/2020-12/schema"#;
    assert_eq!(refused(&json!({ "$schema": draft_7 })), why);
    let inside = json!({ "$defs": { "a": { "$id": "urn:a", "$schema": draft_7 } } });
    assert_eq!(refused(&inside), why);
    // A property may have that name.
    let property = json!({ "properties": { "$schema": { "type": "string" } } });
    assert!(Schema::new("schema", &property, &SchemaOptions::default()).is_ok());
}

#[test]
fn patterns_with_look_around_or_back_references_are_refused() {
    for pattern in ["(?=a)", "(?!a)b", "(?<=a)b", r"(a)\1"] {
        let why = refused(&json!({ "pattern": pattern }));
        assert!(why.contains("regex"), "{pattern}: {why}");
    }
}

#[test]
fn wrong_schemas_are_refused() {
    for schema in [
        json!({ "type": "nonsense" }),
        json!({ "minimum": "1" }),
        json!({ "$ref": "#/$defs/none" }),
        json!({ "$ref": "#/allOf/1" }),
        json!({ "$ref": "#/$defs/a", "allOf": [], "$defs": { "a": true } }),
        json!(7),
    ] {
        refused(&schema);
    }
}

#[test]
fn a_schema_that_refers_to_itself_ends() {
    for schema in [
        json!({ "$ref": "#" }),
        json!({ "$defs": { "a": { "$ref": "#/$defs/a" } }, "$ref": "#/$defs/a" }),
    ] {
        if let Ok(schema) = Schema::new("schema", &schema, &SchemaOptions::default()) {
            let _ = schema.validator.is_valid(&json!([1]));
        }
    }
}

/// What a gate for this schema says of this text within so long.
fn judged(schema: &serde_json::Value, text: &str, budget: Duration) -> Result<Outcome, Stopped> {
    let schema = Schema::new("schema", schema, &SchemaOptions::default()).unwrap();
    let output = Document::parse(text.as_bytes()).unwrap();
    let clock = Instant::now;
    let context = Context::of(&output, clock());
    let budget = Budget::start(budget, &clock);
    let began = clock();
    let outcome = schema.check(&Subject::new(&context, &budget, Detectors::default()));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    outcome
}

#[test]
fn a_small_value_does_not_take_a_branching_schema_for_ever() {
    // Of each level both branches are tried, whichever it says it is.
    let branch = |operator: &str| {
        json!({
            "type": "object",
            "properties": { "args": { "items": { "$ref": "#/$defs/e" } }, "op": { "const": operator } },
        })
    };
    let expression = json!({
        "$defs": { "e": { "oneOf": [branch("and"), branch("or"), { "type": "string" }] } },
        "$ref": "#/$defs/e",
    });
    let nested = |levels: usize, leaf: &str| {
        format!(
            "{}{leaf}{}",
            r#"{"args":["#.repeat(levels),
            r#"],"op":"and"}"#.repeat(levels)
        )
    };
    let second = Duration::from_secs(1);
    assert_eq!(
        judged(&expression, &nested(3, r#""x""#), second),
        Ok(Outcome::pass())
    );
    let told = judged(&expression, &nested(3, "5"), second).unwrap();
    let reason = "schema validation failed (1 issue): (root): oneOf";
    assert_eq!(told.reason.as_deref(), Some(reason));
    assert_eq!(
        judged(&expression, &nested(60, r#""x""#), second),
        Ok(Outcome::pass())
    );
    // What is wrong for certain fails, though neither time nor room is left to say where.
    for (levels, budget) in [(60, second), (16, Duration::from_secs(60))] {
        let failed = judged(&expression, &nested(levels, "5"), budget).unwrap();
        let reason = Some("schema validation failed");
        assert_eq!(
            (failed.passed, failed.reason.as_deref()),
            (false, reason),
            "{levels}"
        );
    }
}

#[test]
fn definitions_that_double_each_other_do_not_take_for_ever() {
    let mut definitions = serde_json::Map::new();
    for number in 0..40 {
        let next = json!({ "$ref": format!("#/$defs/d{}", number + 1) });
        definitions.insert(format!("d{number}"), json!({ "anyOf": [next, next] }));
    }
    definitions.insert("d40".to_owned(), json!({ "type": "null" }));
    let schema = json!({ "$defs": definitions, "$ref": "#/$defs/d0" });
    let stopped = judged(&schema, r#""x""#, Duration::from_millis(500));
    assert!(matches!(stopped, Err(Stopped::OutOfBudget(_))), "{stopped:?}");
}

#[test]
fn a_large_value_with_many_references_is_told_as_before() {
    let schema = json!({ "items": { "$ref": "#/$defs/n" }, "$defs": { "n": { "type": "number" } } });
    let numbers = |last: &str| format!("[{}{last}]", "1,".repeat(50_000));
    let minute = Duration::from_secs(60);
    assert_eq!(judged(&schema, &numbers("1"), minute), Ok(Outcome::pass()));
    let told = judged(&schema, &numbers("\"1\""), minute).unwrap();
    let reason = "schema validation failed (1 issue): /50000: type";
    assert_eq!(told.reason.as_deref(), Some(reason));
}
