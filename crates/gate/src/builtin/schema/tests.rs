use super::*;
use serde_json::json;

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
