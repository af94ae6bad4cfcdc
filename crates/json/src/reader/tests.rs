use super::*;
use proptest::prelude::*;
use serde_json::Value;

fn check(text: impl AsRef<[u8]>) -> Result<()> {
    let mut reader = Reader::new(text.as_ref())?;
    reader.skip()?;
    reader.end()
}

fn sentence(text: impl AsRef<[u8]>) -> String {
    check(text).unwrap_err().to_string()
}

fn string_of(text: &str) -> Result<String> {
    let mut reader = Reader::new(text.as_bytes())?;
    let string = reader.string()?.into_owned();
    reader.end()?;
    Ok(string)
}

fn number_of(text: &str) -> Result<f64> {
    let mut reader = Reader::new(text.as_bytes())?;
    let value = reader.number()?.value();
    reader.end()?;
    Ok(value)
}

/// Reads a value by pulling, as a parser with a tree would.
fn tree(reader: &mut Reader<'_>) -> Result<Value> {
    Ok(match reader.peek()? {
        Kind::Object => {
            reader.enter()?;
            let mut map = serde_json::Map::new();
            while let Some(key) = reader.next_key()? {
                map.insert(key.into_owned(), tree(reader)?);
            }
            Value::Object(map)
        }
        Kind::Array => {
            reader.enter()?;
            let mut list = Vec::new();
            while reader.next_element()? {
                list.push(tree(reader)?);
            }
            Value::Array(list)
        }
        Kind::String => Value::String(reader.string()?.into_owned()),
        Kind::Number => Value::from(reader.number()?.value()),
        Kind::Boolean => Value::Bool(reader.boolean()?),
        Kind::Null => {
            reader.null()?;
            Value::Null
        }
    })
}

#[test]
fn what_is_not_json_is_told_with_its_place() {
    for (text, expected) in [
        ("", "not JSON: the text ends before a value at byte 0"),
        (" \n", "not JSON: the text ends before a value at byte 2"),
        ("\u{feff}{}", "not JSON: expected a value at byte 0"),
        ("{} {}", "not JSON: something follows the value at byte 3"),
        ("[1 2]", "not JSON: expected `,` or `]` at byte 3"),
        ("[1,]", "not JSON: expected a value at byte 3"),
        ("[,1]", "not JSON: expected a value at byte 1"),
        ("[1", "not JSON: expected `,` or `]` at byte 2"),
        ("[1}", "not JSON: expected `,` or `]` at byte 2"),
        ("{", "not JSON: expected a key at byte 1"),
        ("{,}", "not JSON: expected a key at byte 1"),
        ("{\"a\":1,}", "not JSON: expected a key at byte 7"),
        ("{1:1}", "not JSON: expected a key at byte 1"),
        ("{\"a\" 1}", "not JSON: expected `:` at byte 5"),
        ("{\"a\":}", "not JSON: expected a value at byte 5"),
        ("{\"a\":1 \"b\":2}", "not JSON: expected `,` or `}` at byte 7"),
        ("{\"a\":1]", "not JSON: expected `,` or `}` at byte 6"),
        ("tru", "not JSON: expected a value at byte 0"),
        ("True", "not JSON: expected a value at byte 0"),
        ("nulll", "not JSON: something follows the value at byte 4"),
        ("NaN", "not JSON: expected a value at byte 0"),
        ("'a'", "not JSON: expected a value at byte 0"),
        ("// a\n1", "not JSON: expected a value at byte 0"),
        ("\u{a0}1", "not JSON: expected a value at byte 0"),
        ("\0", "not JSON: expected a value at byte 0"),
        ("\"a", "not JSON: the text ends within a string at byte 2"),
        ("\"a\\", "not JSON: a bad escape at byte 2"),
        ("\"a\\x\"", "not JSON: a bad escape at byte 2"),
        ("\"a\\u12g4\"", "not JSON: a bad \\u escape at byte 2"),
        ("\"a\\u123", "not JSON: a bad \\u escape at byte 2"),
        (
            "\"a\nb\"",
            "not JSON: an unescaped control character in a string at byte 2",
        ),
        ("-", "not JSON: expected a digit at byte 1"),
        ("+1", "not JSON: expected a value at byte 0"),
        (".5", "not JSON: expected a value at byte 0"),
        ("1.", "not JSON: expected a digit at byte 2"),
        ("1.e5", "not JSON: expected a digit at byte 2"),
        ("1e", "not JSON: expected a digit at byte 2"),
        ("1e+", "not JSON: expected a digit at byte 3"),
        ("01", "not JSON: a number with a leading zero at byte 0"),
        ("-00", "not JSON: a number with a leading zero at byte 0"),
        ("0x1", "not JSON: something follows the value at byte 1"),
    ] {
        assert_eq!(sentence(text), expected, "{text}");
    }
    assert_eq!(sentence(b"\"a\xff\""), "not JSON: not UTF-8 at byte 2");
    assert_eq!(sentence(b"\"\xed\xa0\x80\""), "not JSON: not UTF-8 at byte 1");
}

#[test]
fn containers_nest_128_deep_and_no_deeper() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}"), (r#"[{"a":"#, "}]")] {
        let levels = 128 / (1 + usize::from(open.starts_with("[{")));
        let nested = |levels: usize| format!("{}1{}", open.repeat(levels), close.repeat(levels));
        assert_eq!(check(nested(levels)), Ok(()), "{open}");
        let what = "nested deeper than 128";
        assert_eq!(
            check(nested(levels + 1)),
            Err(NotJson::at(open.len() * levels, what)),
            "{open}"
        );
    }
    assert!(sentence("[".repeat(1_000_000)).starts_with("not JSON: nested deeper than 128"));
}

#[test]
fn a_surrogate_without_its_other_half_is_the_replacement_character() {
    for (text, string) in [
        (r#""\ud83e\udd80""#, "🦀"),
        (r#""\uD83E\uDD80!""#, "🦀!"),
        (r#""\ud83e""#, "\u{fffd}"),
        (r#""\udd80""#, "\u{fffd}"),
        (r#""a\ud83eb""#, "a\u{fffd}b"),
        (r#""\ud83e\n""#, "\u{fffd}\n"),
        (r#""\ud83e\u0041""#, "\u{fffd}A"),
        (r#""\ud83e\ud83e\udd80""#, "\u{fffd}🦀"),
        (r#""\udd80\ud83e""#, "\u{fffd}\u{fffd}"),
        (r#""\ud83e\\udd80""#, "\u{fffd}\\udd80"),
        (r#""\ud83e--dd80""#, "\u{fffd}--dd80"),
    ] {
        assert_eq!(string_of(text).unwrap(), string, "{text}");
        assert_eq!(check(text), Ok(()));
    }
    assert_eq!(sentence(r#""\ud83e\u""#), "not JSON: a bad \\u escape at byte 7");
}

#[test]
fn a_string_is_borrowed_unless_it_was_escaped() {
    let mut reader = Reader::new(br#"["plain \u00e9"#).unwrap();
    reader.enter().unwrap();
    assert!(reader.next_element().unwrap());
    assert!(reader.string().is_err());

    let mut reader = Reader::new("[\"plain é\",\"\\n\"]".as_bytes()).unwrap();
    reader.enter().unwrap();
    assert!(reader.next_element().unwrap());
    assert!(matches!(reader.string().unwrap(), Cow::Borrowed("plain é")));
    assert!(reader.next_element().unwrap());
    assert!(matches!(reader.string().unwrap(), Cow::Owned(text) if text == "\n"));
}

#[test]
fn numbers_are_the_nearest_double() {
    for (text, value) in [
        ("0", 0.0),
        ("-0", -0.0),
        ("1e308", 1e308),
        ("1e309", f64::INFINITY),
        ("-1e309", f64::NEG_INFINITY),
        ("1e-400", 0.0),
        ("123456789012345678901234567890", 1.234_567_890_123_456_8e29),
        ("9007199254740993", 9_007_199_254_740_992.0),
        ("0.1", 0.1),
        ("1.7976931348623157e308", f64::MAX),
        ("4.9406564584124654e-324", 5e-324),
        ("1E+2", 100.0),
        ("1e99999999999999999999", f64::INFINITY),
        ("1e-99999999999999999999", 0.0),
        ("0e99999999999999999999", 0.0),
    ] {
        assert_eq!(number_of(text).unwrap().to_bits(), value.to_bits(), "{text}");
    }
}

#[test]
fn from_anywhere_inside_the_rest_can_be_passed_over() {
    let text = r#"{"a":[1,{"b":[2,3],"c":"]}"},{}],"d":[]}"#;
    let mut reader = Reader::new(text.as_bytes()).unwrap();
    reader.enter().unwrap();
    reader.next_key().unwrap();
    reader.enter().unwrap();
    assert!(reader.next_element().unwrap());
    reader.skip().unwrap();
    assert!(reader.next_element().unwrap());
    reader.enter().unwrap();
    reader.next_key().unwrap();
    reader.enter().unwrap();
    assert!(reader.next_element().unwrap());
    reader.skip().unwrap();
    assert_eq!(reader.depth(), 4);
    reader.leave_to(1).unwrap();
    assert_eq!(reader.next_key().unwrap().unwrap(), "d");
    reader.skip().unwrap();
    assert_eq!(reader.next_key().unwrap(), None);
    assert_eq!(reader.end(), Ok(()));
}

/// Texts that are often JSON, or nearly.
fn soup() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        4 => prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"a\":", "\"b\"", "true", "false", "null", " ", "\n", "\t", "[]",
            "{}", ",\"c\":", "\"", "\\", "\\u", "\\n", "d83e", "\\ud83e", "\"\\u0041\"", "é", "\u{0}",
        ]).prop_map(str::to_owned),
        1 => "-?(0|[1-9][0-9]{0,3})?(\\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?",
        1 => "\"[a-z\\\\\"/]{0,3}\"",
    ];
    prop::collection::vec(token, 0..12).prop_map(|tokens| tokens.concat())
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(Value::from),
        (-1_000_000i32..1_000_000).prop_map(|number| Value::from(f64::from(number) / 1_000.0)),
        any::<String>().prop_map(Value::from),
        "[a-z\"\\\\\n\u{1}]{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(".{0,6}", inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_json_to_us_if_it_is_to_serde_json(text in soup()) {
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text);
        prop_assert_eq!(check(&text).is_ok(), theirs.is_ok(), "{} {:?}", text, theirs);
        // A reader that decodes agrees with one that passes over.
        let mut reader = Reader::new(text.as_bytes()).unwrap();
        let pulled = tree(&mut reader).and_then(|_| reader.end());
        prop_assert_eq!(pulled, check(&text));
    }

    #[test]
    fn any_cut_or_changed_json_is_json_to_us_if_it_is_to_serde_json(
        value in json(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut bytes = serde_json::to_vec(&value).unwrap();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        let theirs = std::str::from_utf8(&bytes)
            .is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
        prop_assert_eq!(check(&bytes).is_ok(), theirs, "{}", String::from_utf8_lossy(&bytes));
    }
}

proptest! {
    #[test]
    fn what_serde_json_writes_is_read_as_it_was(value in json()) {
        for text in [serde_json::to_string(&value).unwrap(), serde_json::to_string_pretty(&value).unwrap()] {
            let mut reader = Reader::new(text.as_bytes()).unwrap();
            prop_assert_eq!(&tree(&mut reader).unwrap(), &value);
            prop_assert_eq!(reader.end(), Ok(()));
            prop_assert_eq!(check(&text), Ok(()));
        }
    }

    #[test]
    fn a_string_is_the_same_however_it_is_escaped(
        characters in prop::collection::vec((any::<char>(), any::<bool>()), 0..40),
    ) {
        let mut written = String::from("\"");
        for (character, escaped) in &characters {
            if *escaped || *character < ' ' || matches!(character, '"' | '\\') {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    written.push_str(&format!("\\u{unit:04X}"));
                }
            } else {
                written.push(*character);
            }
        }
        written.push('"');
        let string: String = characters.iter().map(|(character, _)| *character).collect();
        prop_assert_eq!(string_of(&written).unwrap(), string);
    }

    #[test]
    fn every_number_is_the_double_that_the_standard_library_reads(
        text in "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?",
        short in "-?(0|[1-9][0-9]{0,8})(\\.[0-9]{1,8})?",
    ) {
        for text in [text, short] {
            let expected: f64 = text.parse().unwrap();
            prop_assert_eq!(number_of(&text).unwrap().to_bits(), expected.to_bits(), "{}", text);
        }
    }
}
