use super::*;
use proptest::prelude::*;
use serde_json::json;

fn tree(value: Value<'_>) -> serde_json::Value {
    match value.kind() {
        Kind::Object => value
            .members()
            .map(|(key, value)| (key.to_owned(), tree(value)))
            .collect(),
        Kind::Array => value.elements().map(tree).collect(),
        Kind::String => value.as_str().into(),
        Kind::Number => value.as_f64().into(),
        Kind::Boolean => value.as_bool().into(),
        Kind::Null => serde_json::Value::Null,
    }
}

fn read(text: &str) -> Document<'_> {
    Document::parse(text.as_bytes()).unwrap()
}

fn strings<'d>(document: &'d Document<'_>) -> Vec<&'d str> {
    document.values().filter_map(|value| value.as_str()).collect()
}

#[test]
fn strings_are_walked_in_document_order_without_keys_and_with_every_occurrence_of_a_repeated_key() {
    let document = read(r#"{"a":["x",{"b":"y\n","b":"z"}],"a":"w","é":1}"#);
    assert_eq!(strings(&document), ["x", "y\n", "z", "w"]);
    assert_eq!(document.root().get("a").unwrap().as_str(), Some("w"));
    assert_eq!(document.root().get("b").map(tree), None);
}

#[test]
fn the_way_to_a_value_leads_through_keys_and_indexes() {
    let document = read(r#"{"a":[1,[],{"b":"x","b":{"c\/d":"y"}}]}"#);
    let y = document
        .values()
        .find(|value| value.as_str() == Some("y"))
        .unwrap();
    let way = [Step::Key("a"), Step::Index(2), Step::Key("b"), Step::Key("c/d")];
    assert_eq!(document.way_to(y), way);
    assert_eq!(document.way_to(document.root()), []);
}

#[test]
fn a_value_inside_a_larger_text_is_read_and_the_reader_stands_behind_it() {
    let mut reader = Reader::new(br#"{"output" : {"n": [1e2, -0.50]} , "b": "x"}"#).unwrap();
    reader.enter().unwrap();
    assert_eq!(reader.next_key().unwrap().as_deref(), Some("output"));
    let document = Document::read(&mut reader).unwrap();
    assert_eq!(document.source(), r#"{"n": [1e2, -0.50]}"#);
    let numbers: Vec<_> = document.values().filter_map(|value| value.as_number()).collect();
    assert_eq!(numbers, ["1e2", "-0.50"]);
    assert_eq!(reader.next_key().unwrap().as_deref(), Some("b"));
}

#[test]
fn half_a_surrogate_is_read_as_a_replacement_character() {
    assert_eq!(
        strings(&read(r#"["a\ud800","\udc00b"]"#)),
        ["a\u{fffd}", "\u{fffd}b"]
    );
}

#[test]
fn a_hundred_levels_are_read_and_129_are_not() {
    let nested = |depth: usize| format!("{}\"x\"{}", "[".repeat(depth), "]".repeat(depth));
    let text = nested(100);
    let document = read(&text);
    let x = document.values().last().unwrap();
    assert_eq!(document.way_to(x), [Step::Index(0); 100]);
    assert_eq!(
        Document::parse(nested(129).as_bytes()).unwrap_err().to_string(),
        "not JSON: nested deeper than 128 at byte 128"
    );
}

#[test]
fn empty_containers_are_told_from_others() {
    let is_empty = |text: &str| read(text).root().is_empty_container();
    assert!(is_empty(" [ ]") && is_empty("{}"));
    assert!(!is_empty("[[]]") && !is_empty("\"\"") && !is_empty("null"));
}

#[test]
fn a_node_takes_twelve_bytes() {
    assert_eq!(size_of::<Node>(), 12);
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<f64>().prop_map(|value| json!(value)),
        ".*".prop_map(|value| json!(value)),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|list| json!(list)),
            prop::collection::btree_map(".*", inner, 0..6).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn a_document_holds_what_was_written(value in any_json()) {
        let text = serde_json::to_string_pretty(&value).unwrap();
        let document = read(&text);
        prop_assert_eq!(tree(document.root()), value);
        prop_assert_eq!(document.source(), text.as_str());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Document::parse(&bytes);
    }
}
