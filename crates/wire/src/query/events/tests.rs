use super::*;

fn nothing_asked() -> EventsParams {
    EventsParams {
        limit: 50,
        offset: 0,
        agent_id: None,
        passed: None,
        from: None,
        to: None,
        tool: None,
        failed_gate: None,
        evaluation_id: None,
        cursor: None,
    }
}

fn parse(query: &str) -> EventsParams {
    EventsParams::parse(Some(query)).unwrap()
}

#[test]
fn what_is_not_given_has_its_default() {
    assert_eq!(EventsParams::parse(None), Ok(nothing_asked()));
    assert_eq!(parse(""), nothing_asked());
}

#[test]
fn everything_can_be_given() {
    let asked = EventsParams {
        limit: 100,
        agent_id: Some("a b".to_owned()),
        passed: Some(false),
        from: Some(Micros(0)),
        to: Some(Micros(999)),
        tool: Some("t&".to_owned()),
        failed_gate: Some("pii".to_owned()),
        evaluation_id: Some("é".to_owned()),
        cursor: Some("AAA".to_owned()),
        ..nothing_asked()
    };
    let query = "limit=100&agent%5Fid=a+b&passed=false&from=1970-01-01T00:00&to=1970-01-01T00:00&tool=t%26\
                 &failed_gate=pii&evaluation_id=%c3%a9&cursor=AAA";
    assert_eq!(parse(query), asked);
    assert_eq!(
        parse("limit=1&offset=100000"),
        EventsParams {
            limit: 1,
            offset: 100_000,
            ..nothing_asked()
        }
    );
}

#[test]
fn everything_else_is_refused_with_its_rule() {
    let long = |name: &str, length| format!("agent_id=a&{name}={}", "é".repeat(length));
    let name = "x".repeat(100);
    let form = "not an ISO 8601 date and time like 2026-01-31T12:00:00Z";
    for (query, sentence) in [
        ("limit=0", "limit: not a whole number from 1 to 100"),
        ("limit=101", "limit: not a whole number from 1 to 100"),
        ("limit=+1", "limit: not a whole number from 1 to 100"),
        ("limit=1.0", "limit: not a whole number from 1 to 100"),
        ("limit=", "limit: not a whole number from 1 to 100"),
        (
            "limit=99999999999999999999",
            "limit: not a whole number from 1 to 100",
        ),
        ("offset=-1", "offset: not a whole number from 0 to 100000"),
        ("offset=100001", "offset: not a whole number from 0 to 100000"),
        ("passed=True", "passed: neither `true` nor `false`"),
        ("passed=1", "passed: neither `true` nor `false`"),
        ("passed", "passed: neither `true` nor `false`"),
        ("agent_id=", "agent_id: empty"),
        ("tool=", "tool: empty"),
        ("failed_gate=", "failed_gate: empty"),
        ("agent_id=a&evaluation_id=", "evaluation_id: empty"),
        ("cursor=", "cursor: empty"),
        ("evaluation_id=x", "evaluation_id: needs `agent_id` beside it"),
        ("offset=0&cursor=A", "offset: not possible beside `cursor`"),
        (
            "tool=t&offset=0",
            "offset: not possible beside `tool`: follow `next_cursor`",
        ),
        (
            "offset=1&failed_gate=g",
            "offset: not possible beside `failed_gate`: follow `next_cursor`",
        ),
        ("from=2026-02-29T00:00:00Z", "from: no such date or time of day"),
        ("to=1969-12-31T23:59:59Z", "to: outside the years 1970 to 9999"),
        ("from=2026-01-01", &format!("from: {form}")),
        ("to=", &format!("to: {form}")),
        ("limit=5&limit=5", "limit: given twice"),
        ("colour=red", "colour: no such parameter here"),
        ("tool=%F", "tool: not percent-encoded UTF-8"),
        ("%80=1", "%80: not percent-encoded UTF-8"),
        (&name, &format!("{}: no such parameter here", "x".repeat(64))),
        (
            &format!("agent_id={}", "é".repeat(201)),
            "agent_id: longer than 200 characters",
        ),
        (&long("tool", 201), "tool: longer than 200 characters"),
        (
            &long("failed_gate", 201),
            "failed_gate: longer than 200 characters",
        ),
        (
            &long("evaluation_id", 51),
            "evaluation_id: longer than 50 characters",
        ),
    ] {
        assert_eq!(
            EventsParams::parse(Some(query)).unwrap_err().to_string(),
            sentence,
            "{query}"
        );
    }
}

#[test]
fn bounds_are_compared_as_milliseconds_are_shown() {
    let bounds = |from: &str, to: &str| {
        let params = parse(&format!("from=1970-01-01T00:00:{from}&to=1970-01-01T00:00:{to}"));
        (params.from.unwrap().0, params.to.unwrap().0)
    };
    assert_eq!(bounds("01.002", "01.002"), (1_002_000, 1_002_999));
    assert_eq!(bounds("01.002001", "01.002001"), (1_003_000, 1_002_999));
    assert_eq!(bounds("01.002999", "01.002999"), (1_003_000, 1_002_999));
}

#[test]
fn a_plus_that_was_not_encoded_is_still_an_offset() {
    let expected = parse("from=2026-01-01T12:00:00%2B02:00").from;
    assert_eq!(parse("from=2026-01-01T12:00:00+02:00").from, expected);
    assert_eq!(parse("from=2026-01-01+12:00:00+0200").from, expected);
    assert_eq!(parse("from=2026-01-01T10:00:00Z").from, expected);
}

#[test]
fn filters_are_everything_but_limit_and_place() {
    let filters = |query: &str| parse(query).filters();
    assert_eq!(filters("limit=1&cursor=AAA"), filters("offset=7"));
    let all = [
        "",
        "agent_id=a",
        "tool=a",
        "failed_gate=a",
        "passed=true",
        "passed=false",
        "from=1970-01-01T00:00",
        "to=1970-01-01T00:00",
        "agent_id=a&evaluation_id=a",
    ];
    for (i, a) in all.iter().enumerate() {
        for b in &all[i + 1..] {
            assert_ne!(filters(a), filters(b), "{a} {b}");
        }
    }
}
