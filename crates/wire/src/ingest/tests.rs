mod prediction;

use super::*;
use proptest::prelude::*;
use reputation::{GateResult, Micros};
use std::borrow::Cow;

/// An event with these fields beside the required ones, which it may give itself.
fn event(fields: &[(&str, &str)]) -> String {
    let mut all = vec![
        ("agent_id", r#""a""#),
        ("passed", "true"),
        ("gates", "[]"),
        ("total_latency_ms", "4"),
    ];
    for (name, value) in fields {
        match all.iter_mut().find(|(known, _)| known == name) {
            Some(field) => field.1 = value,
            None => all.push((name, value)),
        }
    }
    object(&all)
}

fn gate(fields: &[(&str, &str)]) -> String {
    let mut all = vec![("name", r#""g""#), ("passed", "true"), ("latency_ms", "1")];
    for (name, value) in fields {
        match all.iter_mut().find(|(known, _)| known == name) {
            Some(field) => field.1 = value,
            None => all.push((name, value)),
        }
    }
    object(&all)
}

fn object(fields: &[(&str, &str)]) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!(r#""{name}":{value}"#))
        .collect();
    format!("{{{}}}", fields.join(","))
}

fn batch(events: &[String]) -> String {
    format!(r#"{{"events":[{}]}}"#, events.join(","))
}

fn text(length: usize) -> String {
    format!(r#""{}""#, "é".repeat(length))
}

/// The only event of a batch.
fn read(event: &str) -> Result<Evaluation<'static>, String> {
    let body = batch(&[event.to_owned()]);
    let mut parsed = parse(body.as_bytes()).map_err(|fault| fault.to_string())?;
    match (parsed.evaluations.pop(), parsed.invalid.pop()) {
        (Some(evaluation), None) => Ok(owned(evaluation)),
        (None, Some(invalid)) => Err(invalid.to_string()),
        other => panic!("one event is good or bad: {other:?}"),
    }
}

fn owned(evaluation: Evaluation<'_>) -> Evaluation<'static> {
    let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
    Evaluation {
        agent_id: own(evaluation.agent_id),
        tool: evaluation.tool.map(own),
        gates: evaluation
            .gates
            .into_iter()
            .map(|gate| GateResult {
                name: own(gate.name),
                reason: gate.reason.map(own),
                ..gate
            })
            .collect(),
        evaluation_id: evaluation.evaluation_id.map(own),
        ..evaluation
    }
}

fn least() -> Evaluation<'static> {
    Evaluation {
        agent_id: "a".into(),
        tool: None,
        passed: true,
        gates: vec![],
        total_latency_us: 4_000,
        sent_at: None,
        evaluation_id: None,
        agent_latency_us: None,
    }
}

#[test]
fn the_documented_example_is_read() {
    let body = r#"{
      "events": [
        {
          "agent_id": "bid-agent-prod", "tool": "submit_bid", "passed": false,
          "gates": [
            { "name": "bid_floor", "passed": true, "latency_ms": 1.5 },
            { "name": "pii", "passed": false, "latency_ms": 2, "reason": "e-mail \u2014 \"x\"", "skipped": false }
          ],
          "total_latency_ms": 3.5, "timestamp": "2026-01-31T12:00:00.000Z", "evaluation_id": "e-1"
        }
      ]
    }"#;
    let gate = |name: &'static str, passed, latency_ms| GateResult {
        name: name.into(),
        passed,
        latency_ms,
        reason: None,
        skipped: None,
    };
    let pii = GateResult {
        reason: Some("e-mail — \"x\"".into()),
        skipped: Some(false),
        ..gate("pii", false, 2.0)
    };
    let expected = Parsed {
        evaluations: vec![Evaluation {
            agent_id: "bid-agent-prod".into(),
            tool: Some("submit_bid".into()),
            passed: false,
            gates: vec![gate("bid_floor", true, 1.5), pii],
            total_latency_us: 3_500,
            sent_at: Some(Micros(1_769_860_800_000_000)),
            evaluation_id: Some("e-1".into()),
            agent_latency_us: None,
        }],
        positions: vec![0],
        invalid: vec![],
    };
    assert_eq!(parse(body.as_bytes()), Ok(expected));
}

#[test]
fn what_reaches_a_limit_is_taken() {
    let fifty = format!("[{}]", vec![gate(&[]); 50].join(","));
    let gates = |fields: &[(&str, &str)]| format!("[{}]", gate(fields));
    for fields in [
        [("agent_id", text(1).as_str())],
        [("agent_id", &text(200))],
        [("tool", &text(200))],
        [("evaluation_id", &text(50))],
        [("gates", &fifty)],
        [("gates", &gates(&[("name", &text(200))]))],
        [("gates", &gates(&[("name", r#""""#)]))],
        [("gates", &gates(&[("reason", &text(500))]))],
        [("gates", &gates(&[("latency_ms", "0")]))],
        [("gates", &gates(&[("latency_ms", "1000000000")]))],
        [("gates", &gates(&[("latency_ms", "1e9")]))],
        [("total_latency_ms", "0")],
        [("total_latency_ms", "60000")],
        [("total_latency_ms", "6e4")],
        [("timestamp", r#""1970-01-01T00:00Z""#)],
        [("timestamp", r#""9999-12-31T23:59:59.999999999Z""#)],
    ] {
        assert!(
            read(&event(&fields)).is_ok(),
            "{fields:?}: {:?}",
            read(&event(&fields))
        );
    }
}

#[test]
fn what_passes_a_limit_is_refused_with_its_rule() {
    let fifty_one = format!("[{}]", vec![gate(&[]); 51].join(","));
    let form = "not an ISO 8601 date and time like 2026-01-31T12:00:00Z";
    for (name, value, sentence) in [
        ("agent_id", r#""""#, "agent_id: empty"),
        ("agent_id", &text(201), "agent_id: longer than 200 characters"),
        ("agent_id", "7", "agent_id: not a string"),
        ("agent_id", "null", "agent_id: not a string"),
        ("tool", &text(201), "tool: longer than 200 characters"),
        ("tool", "[{}]", "tool: not a string"),
        ("passed", r#""true""#, "passed: not a boolean"),
        ("passed", "1", "passed: not a boolean"),
        ("passed", "null", "passed: not a boolean"),
        ("gates", "{}", "gates: not an array"),
        ("gates", "null", "gates: not an array"),
        ("gates", &fifty_one, "gates: more than 50 items"),
        (
            "total_latency_ms",
            "-0.0001",
            "total_latency_ms: not between 0 and 60000",
        ),
        (
            "total_latency_ms",
            "60000.0001",
            "total_latency_ms: not between 0 and 60000",
        ),
        (
            "total_latency_ms",
            "60001",
            "total_latency_ms: not between 0 and 60000",
        ),
        (
            "total_latency_ms",
            "1e308",
            "total_latency_ms: not between 0 and 60000",
        ),
        (
            "total_latency_ms",
            "1e309",
            "total_latency_ms: beyond the range of a double",
        ),
        (
            "total_latency_ms",
            "-1e309",
            "total_latency_ms: beyond the range of a double",
        ),
        ("total_latency_ms", r#""4""#, "total_latency_ms: not a number"),
        ("total_latency_ms", "null", "total_latency_ms: not a number"),
        ("timestamp", r#""yesterday""#, &format!("timestamp: {form}")),
        (
            "timestamp",
            r#""2026-02-29T00:00Z""#,
            "timestamp: no such date or time of day",
        ),
        (
            "timestamp",
            r#""1969-12-31T23:59:59Z""#,
            "timestamp: outside the years 1970 to 9999",
        ),
        ("timestamp", "1769860800", "timestamp: not a string"),
        (
            "evaluation_id",
            &text(51),
            "evaluation_id: longer than 50 characters",
        ),
        ("evaluation_id", "true", "evaluation_id: not a string"),
    ] {
        assert_eq!(
            read(&event(&[(name, value)])),
            Err(format!("events[0].{sentence}")),
            "{value}"
        );
    }
}

#[test]
fn what_a_gate_breaks_is_told_with_its_index() {
    for (name, value, sentence) in [
        ("name", text(201).as_str(), "name: longer than 200 characters"),
        ("name", "1", "name: not a string"),
        ("name", "null", "name: not a string"),
        ("passed", "0", "passed: not a boolean"),
        ("latency_ms", "-1", "latency_ms: not between 0 and 1000000000"),
        (
            "latency_ms",
            "1000000000.1",
            "latency_ms: not between 0 and 1000000000",
        ),
        ("latency_ms", "1e309", "latency_ms: beyond the range of a double"),
        ("latency_ms", r#""1""#, "latency_ms: not a number"),
        ("reason", &text(501), "reason: longer than 500 characters"),
        ("reason", "false", "reason: not a string"),
        ("skipped", r#""no""#, "skipped: not a boolean"),
    ] {
        let gates = format!("[{},{}]", gate(&[]), gate(&[(name, value)]));
        let sentence = format!("events[0].gates[1].{sentence}");
        assert_eq!(read(&event(&[("gates", &gates)])), Err(sentence), "{value}");
    }
    assert_eq!(
        read(&event(&[("gates", "[[]]")])),
        Err("events[0].gates[0]: not an object".to_owned())
    );
}

#[test]
fn what_is_missing_is_told() {
    let whole = [
        ("agent_id", r#""a""#),
        ("passed", "true"),
        ("gates", "[]"),
        ("total_latency_ms", "4"),
    ];
    for (i, (name, _)) in whole.iter().enumerate() {
        let mut fields = whole.to_vec();
        fields.remove(i);
        assert_eq!(read(&object(&fields)), Err(format!("events[0].{name}: missing")));
    }
    let whole = [("name", r#""g""#), ("passed", "true"), ("latency_ms", "1")];
    for (i, (name, _)) in whole.iter().enumerate() {
        let mut fields = whole.to_vec();
        fields.remove(i);
        let gates = format!("[{}]", object(&fields));
        assert_eq!(
            read(&event(&[("gates", &gates)])),
            Err(format!("events[0].gates[0].{name}: missing"))
        );
    }
    for other in ["1", "null", "[]", r#""a""#] {
        assert_eq!(read(other), Err("events[0]: not an object".to_owned()));
    }
}

#[test]
fn a_known_field_may_not_be_given_twice_however_it_is_written() {
    for (name, value) in [
        ("agent_id", r#""a""#),
        ("tool", "null"),
        ("passed", "true"),
        ("gates", "[]"),
        ("total_latency_ms", "4"),
        ("timestamp", r#""""#),
        ("evaluation_id", r#""e""#),
    ] {
        let once = event(&[(name, value)]);
        let escaped = format!("\\u{:04x}{}", u32::from(name.as_bytes()[0]), &name[1..]);
        for again in [name, &escaped] {
            let twice = format!(r#"{},"{again}":{value}}}"#, &once[..once.len() - 1]);
            assert_eq!(
                read(&twice),
                Err(format!("events[0].{name}: given twice")),
                "{twice}"
            );
        }
    }
    for (name, value) in [
        ("name", r#""g""#),
        ("passed", "true"),
        ("latency_ms", "1"),
        ("reason", "null"),
        ("skipped", "true"),
    ] {
        let once = gate(&[(name, value)]);
        let gates = format!(r#"[{},"{name}":{value}}}]"#, &once[..once.len() - 1]);
        let sentence = format!("events[0].gates[0].{name}: given twice");
        assert_eq!(read(&event(&[("gates", &gates)])), Err(sentence));
    }
}

#[test]
fn null_and_empty_are_absent_where_a_field_is_optional() {
    for (name, value) in [
        ("tool", "null"),
        ("tool", r#""""#),
        ("timestamp", "null"),
        ("timestamp", r#""""#),
        ("evaluation_id", "null"),
        ("evaluation_id", r#""""#),
    ] {
        assert_eq!(read(&event(&[(name, value)])), Ok(least()));
    }
    for fields in [[("reason", "null")], [("reason", r#""""#)], [("skipped", "null")]] {
        let gates = format!("[{}]", gate(&fields));
        let read = read(&event(&[("gates", &gates)])).unwrap();
        assert_eq!(
            (read.gates[0].reason.as_ref(), read.gates[0].skipped),
            (None, None)
        );
    }
}

#[test]
fn unknown_fields_are_ignored_whatever_they_hold() {
    for value in [
        "1e999",
        r#""\ud800""#,
        "[{\"a\":[null]}]",
        r#"{"agent_id":1,"agent_id":2}"#,
        "-0.0e-0",
    ] {
        let gates = format!("[{}]", gate(&[("colour", value), ("Name", value)]));
        let sent = event(&[("colour", value), ("agentId", value), ("gates", &gates)]);
        let body = format!(r#"{{"x":{value},"x":{value},"events":[{sent}],"":{value}}}"#);
        let parsed = parse(body.as_bytes()).unwrap();
        assert_eq!(parsed.evaluations[0].agent_id, "a");
        assert_eq!((parsed.total(), parsed.invalid.len()), (1, 0));
    }
}

#[test]
fn latency_is_rounded_half_up_as_it_was_written() {
    for (written, micros) in [
        ("0", 0),
        ("-0", 0),
        ("-0.0e5", 0),
        ("1e-400", 0),
        ("-1e-400", 0),
        ("0.0004999999999999999999", 0),
        ("0.0005", 1),
        ("0.00050", 1),
        ("5e-4", 1),
        ("0.5e-3", 1),
        ("5000e-7", 1),
        ("0.00004e1", 0),
        ("1.0005", 1_001),
        ("1.00049999999999999999999", 1_000),
        ("1.0014999", 1_001),
        ("2.6755", 2_676),
        ("59999.9994999", 59_999_999),
        ("59999.9995", 60_000_000),
        ("0.6e5", 60_000_000),
        ("600000000000e-7", 60_000_000),
        ("60000.000000000000000001", 60_000_000),
        ("0e99999999999", 0),
        ("4e-99999999999999999999", 0),
    ] {
        let read = read(&event(&[("total_latency_ms", written)])).map(|event| event.total_latency_us);
        assert_eq!(read, Ok(micros), "{written}");
    }
}

#[test]
fn a_gate_keeps_its_latency_to_the_last_bit_and_minus_zero_is_zero() {
    for (written, value) in [
        ("-0", 0.0f64),
        ("0.1", 0.1),
        ("1e-400", 0.0),
        ("-1e-400", 0.0),
        ("5e-324", 5e-324),
    ] {
        let gates = format!("[{}]", gate(&[("latency_ms", written)]));
        let read = read(&event(&[("gates", &gates)])).unwrap();
        assert_eq!(read.gates[0].latency_ms.to_bits(), value.to_bits(), "{written}");
    }
}

#[test]
fn a_batch_has_1_to_100_events() {
    assert_eq!(parse(batch(&[event(&[])]).as_bytes()).unwrap().total(), 1);
    assert_eq!(
        parse(batch(&vec![event(&[]); 100]).as_bytes()).unwrap().total(),
        100
    );
    assert_eq!(
        parse(batch(&vec!["1".to_owned(); 100]).as_bytes())
            .unwrap()
            .invalid
            .len(),
        100
    );
    for (events, sentence) in [
        (vec![], "events: fewer than 1 item"),
        (vec![event(&[]); 101], "events: more than 100 items"),
        (vec!["1".to_owned(); 1_000], "events: more than 100 items"),
    ] {
        assert_eq!(
            parse(batch(&events).as_bytes()).unwrap_err().to_string(),
            sentence
        );
    }
}

#[test]
fn what_is_wrong_with_the_body_names_no_event() {
    let one = event(&[]);
    for (body, sentence) in [
        ("[]", "body: not an object"),
        ("null", "body: not an object"),
        ("{}", "events: missing"),
        (r#"{"events":null}"#, "events: not an array"),
        (r#"{"events":{}}"#, "events: not an array"),
        (
            &format!(r#"{{"events":[{one}],"events":[{one}]}}"#),
            "events: given twice",
        ),
        (
            &format!(r#"{{"events":[{one}],"\u0065vents":1}}"#),
            "events: given twice",
        ),
    ] {
        let fault = parse(body.as_bytes()).unwrap_err();
        assert_eq!(
            (fault.to_string().as_str(), fault.code()),
            (sentence, crate::Code::ValidationError)
        );
    }
}

#[test]
fn a_syntax_error_anywhere_comes_before_every_broken_rule() {
    let many = vec![event(&[]); 101].join(",");
    let bad = event(&[("agent_id", "1")]);
    for body in [
        "[1".to_owned(),
        r#"{"events":null"#.to_owned(),
        format!(r#"{{"events":[{bad},{{"agent_id":01}}]}}"#),
        format!(r#"{{"events":[{bad}]}} x"#),
        format!(r#"{{"events":[{many},tru]}}"#),
        format!(r#"{{"events":[{many}],"x":"\q"}}"#),
        format!(r#"{{"events":[],"x":{}{}}}"#, "[".repeat(128), "]".repeat(128)),
        format!("\u{feff}{}", batch(&[event(&[])])),
        String::new(),
    ] {
        assert_eq!(
            parse(body.as_bytes()).unwrap_err().code(),
            crate::Code::BadJson,
            "{body}"
        );
    }
    assert_eq!(
        parse(b"{\"events\":[{\"agent_id\":\"\xff\"}]}")
            .unwrap_err()
            .to_string(),
        "not JSON: not UTF-8 at byte 24"
    );
}

#[test]
fn every_bad_event_is_named_once_with_its_first_fault() {
    let events = [
        event(&[("passed", "1"), ("agent_id", "1")]),
        event(&[]),
        event(&[("gates", r#"[{"name":1,"passed":[{"a":"]"}]},{},7]"#)]),
        event(&[("agent_id", r#""b""#)]),
        "null".to_owned(),
        "{}".to_owned(),
    ];
    let body = batch(&events);
    let parsed = parse(body.as_bytes()).unwrap();
    let sentences: Vec<String> = parsed.invalid.iter().map(ToString::to_string).collect();
    assert_eq!(
        sentences,
        [
            "events[0].agent_id: not a string",
            "events[2].gates[0].name: not a string",
            "events[4]: not an object",
            "events[5].agent_id: missing",
        ]
    );
    assert_eq!(parsed.positions, [1, 3]);
    assert_eq!(parsed.evaluations[1].agent_id, "b");
    assert_eq!(parsed.total(), 6);
}

#[test]
fn lengths_are_counted_after_escapes_are_read() {
    let escaped = |length: usize| format!(r#""{}""#, r"\ud83e\udd80".repeat(length));
    assert_eq!(
        read(&event(&[("agent_id", &escaped(200))])).unwrap().agent_id,
        "🦀".repeat(200)
    );
    assert_eq!(
        read(&event(&[("agent_id", &escaped(201))])),
        Err("events[0].agent_id: longer than 200 characters".to_owned())
    );
    let lone = format!(r#""{}""#, r"\ud83e".repeat(200));
    assert_eq!(
        read(&event(&[("agent_id", &lone)])).unwrap().agent_id,
        "\u{fffd}".repeat(200)
    );
}

/// Whole microseconds of what was written, by long arithmetic on its digits.
fn naive_micros(whole: u32, fraction: &str) -> u128 {
    let scale = 10u128.pow(u32::try_from(fraction.len()).unwrap());
    let value = u128::from(whole) * scale + fraction.parse::<u128>().unwrap_or(0);
    (value * 1_000 * 2 + scale) / (2 * scale)
}

proptest! {
    #[test]
    fn every_written_latency_is_rounded_exactly(whole in 0u32..60_000, fraction in "[0-9]{1,20}", zeros in 0usize..4) {
        let expected = Ok(u32::try_from(naive_micros(whole, &fraction)).unwrap());
        let digits = format!("{whole}{fraction}").trim_start_matches('0').to_owned();
        let scientific = format!("{}e-{}", if digits.is_empty() { "0" } else { &digits }, fraction.len());
        for written in [format!("{whole}.{fraction}{}", "0".repeat(zeros)), scientific] {
            let read = read(&event(&[("total_latency_ms", &written)])).map(|event| event.total_latency_us);
            prop_assert_eq!(&read, &expected, "{}", written);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
        let _ = crate::registration(&bytes);
        let _ = crate::KeyRequest::parse(&bytes);
    }

    #[test]
    fn a_changed_body_is_read_or_refused_and_what_is_read_is_within_limits(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0u8..5, any::<u8>()), 1..6),
    ) {
        let gates = format!("[{},{}]", gate(&[("reason", r#""\u00e9\n""#)]), gate(&[("skipped", "false")]));
        let whole = event(&[
            ("tool", r#""t""#), ("gates", &gates), ("total_latency_ms", "12.5e0"),
            ("timestamp", r#""2026-01-31T12:00:00.5+01:00""#), ("evaluation_id", r#""e""#),
        ]);
        let mut bytes = batch(&[whole.clone(), event(&[]), whole]).into_bytes();
        for (at, change, byte) in changes {
            let at = at.index(bytes.len());
            match change {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 if bytes.len() > 1 => drop(bytes.remove(at)),
                2 => {}
                3 => bytes[at] = b"{}[]\",:\\0-e.tn"[usize::from(byte) % 14],
                _ => bytes.truncate(at.max(1)),
            }
        }
        if let Ok(parsed) = parse(&bytes) {
            prop_assert_eq!(parsed.positions.len(), parsed.evaluations.len());
            prop_assert!((1..=MAX_EVENTS).contains(&parsed.total()));
            for evaluation in &parsed.evaluations {
                prop_assert!((1..=200).contains(&evaluation.agent_id.chars().count()));
                prop_assert!(evaluation.total_latency_us <= 60_000_000);
                prop_assert!(evaluation.gates.len() <= MAX_GATES);
            }
        }
    }
}
