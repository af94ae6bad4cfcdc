use super::*;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

fn description() -> Value {
    serde_json::from_str(include_str!("../../../../../docs/openapi.json")).unwrap()
}

/// Any value of that schema; of an object, with all of its fields or with those alone that are always there.
fn example(description: &Value, schema: &Value, whole: bool) -> Value {
    if let Some(name) = schema["$ref"].as_str() {
        let pointer = name.strip_prefix('#').unwrap();
        return example(description, description.pointer(pointer).unwrap(), whole);
    }
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => kind.as_str().into_iter().collect(),
    };
    if kinds.contains(&"null") && !whole {
        return Value::Null;
    }
    match kinds.first() {
        Some(&"string") => json!("text"),
        Some(&"integer") => json!(1),
        Some(&"number") => json!(1.5),
        Some(&"boolean") => json!(true),
        Some(&"array") => json!([example(description, &schema["items"], whole)]),
        Some(&"object") => {
            let required = schema["required"].as_array().into_iter().flatten();
            let required: Vec<_> = required.filter_map(Value::as_str).collect();
            let fields = schema["properties"].as_object().into_iter().flatten();
            let wanted = fields.filter(|(name, _)| whole || required.contains(&name.as_str()));
            let examples = wanted.map(|(name, schema)| (name.clone(), example(description, schema, whole)));
            Value::Object(examples.collect::<Map<_, _>>())
        }
        _ => panic!("{schema}"),
    }
}

/// The type reads the least and the most that the server may answer, and knows every field of it.
fn check<T: Serialize + DeserializeOwned>(schema: &str, ignored: &[&str]) {
    let description = description();
    let schema_value = &description["components"]["schemas"][schema];
    assert!(schema_value.is_object(), "no such schema: {schema}");
    let least = example(&description, schema_value, false);
    serde_json::from_value::<T>(least.clone()).unwrap_or_else(|error| panic!("{schema}: {error}: {least}"));
    let mut most = example(&description, schema_value, true);
    let read: T =
        serde_json::from_value(most.clone()).unwrap_or_else(|error| panic!("{schema}: {error}: {most}"));
    for field in ignored {
        most.as_object_mut().unwrap().remove(*field).unwrap();
    }
    assert_eq!(serde_json::to_value(read).unwrap(), most, "{schema}");
}

#[test]
fn every_answer_is_read_as_the_server_describes_it() {
    check::<Reputation>("Reputation", &[]);
    check::<Reputations>("Reputations", &[]);
    check::<IngestAnswer>("IngestAnswer", &[]);
    check::<EventsPage>("EventsPage", &["limit", "offset", "count"]);
    check::<AgentsPage>("AgentsPage", &[]);
    check::<Registration>("Registration", &[]);
    check::<Whoami>("Whoami", &[]);
    check::<crate::Evaluation>("EvaluateAnswer", &[]);
    check::<Detail>("Invalid", &[]);
    check::<crate::Gate>("IngestGate", &[]);
    check::<crate::Event>("IngestEvent", &[]);
}

#[test]
fn a_stage_of_life_that_is_not_known_is_no_error() {
    assert_eq!(
        serde_json::from_value::<Status>(json!("retired")).unwrap(),
        Status::Unknown
    );
}
