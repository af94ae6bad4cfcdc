//! `repute export`: what `/v1/events` lists, as lines in order of arrival.

use crate::kit::{Server, run, said};
use serde_json::Value;

fn export(server: &Server, arguments: &[&str]) -> Vec<Value> {
    let dir = server.path().to_str().unwrap();
    let output = run(&[&["export", "default", "--data-dir", dir], arguments].concat());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn fill(server: &Server, batches: u32) {
    let mut client = server.client();
    for batch in 0..batches {
        let events: Vec<String> = (0..20)
            .map(|n| {
                let passed = n % 4 != 0;
                format!(
                    r#"{{"agent_id":"agent-{}","tool":"tool-{}","passed":{passed},"gates":[{{"name":"pii","passed":{passed},"latency_ms":0.25}}],"total_latency_ms":3.125,"evaluation_id":"{batch}-{n}","timestamp":"2026-05-07T14:{:02}:{:02}.123456Z"}}"#,
                    n % 3,
                    n % 2,
                    59 - batch,
                    n
                )
            })
            .collect();
        let body = format!(r#"{{"events":[{}]}}"#, events.join(","));
        assert_eq!(client.post("/v1/ingest", body.as_bytes()).unwrap().0, 202);
    }
    let without = r#"{"events":[{"agent_id":"agent-9","passed":true,"gates":[],"total_latency_ms":1}]}"#;
    assert_eq!(client.post("/v1/ingest", without.as_bytes()).unwrap().0, 202);
}

/// What the API lists, oldest arrival first.
fn listed(server: &Server, filter: &str) -> Vec<Value> {
    let mut client = server.client();
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) = client
            .get(&format!("/v1/events?limit=100&{filter}{cursor}"))
            .unwrap();
        assert_eq!(status, 200, "{page}");
        all.extend(page["events"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    all.sort_by_key(|event| event["id"].as_str().unwrap().parse::<u64>().unwrap());
    all
}

/// A line, cut to what the API lists.
fn cut(mut line: Value) -> Value {
    let event = line.as_object_mut().unwrap();
    event.remove("timestamp");
    event.remove("made_id");
    for name in ["created_at", "received_at"] {
        let time = event[name].as_str().unwrap().to_owned();
        event[name] = format!("{}Z", &time[..23]).into();
    }
    line
}

#[test]
fn an_export_is_what_the_api_lists_with_the_same_filters_running_and_stopped() {
    let mut server = Server::start(&["--max-segment", "64KiB"]);
    fill(&server, 60);
    let filters = [
        "",
        "agent_id=agent-1",
        "passed=false",
        "from=2026-05-07T14:30:00Z&to=2026-05-07T14:40:05.123Z",
        "tool=tool-1&failed_gate=pii",
        "agent_id=agent-2&evaluation_id=7-2",
    ];
    let expected: Vec<Vec<Value>> = filters.iter().map(|filter| listed(&server, filter)).collect();
    assert_eq!((expected[0].len(), expected[5].len()), (1_201, 1));
    let check = |server: &Server| {
        for (filter, expected) in filters.iter().zip(&expected) {
            let lines = export(server, &["--filter", filter]);
            let cut: Vec<Value> = lines.into_iter().map(cut).collect();
            assert!(cut == *expected, "{filter}");
        }
    };
    check(&server);
    assert_eq!(server.stop(), Some(0));
    check(&server);
    let first = &export(&server, &[])[0];
    assert_eq!(first["timestamp"], "2026-05-07T14:59:00.123456Z");
    assert_eq!(
        (&first["created_at"], &first["made_id"]),
        (&first["timestamp"], &Value::Bool(false))
    );
    assert_eq!(export(&server, &[])[1_200]["timestamp"], Value::Null);
}

#[test]
fn an_export_goes_on_behind_the_last_line_of_one_that_was_cut_short() {
    let server = Server::start(&["--max-segment", "64KiB"]);
    fill(&server, 30);
    let all = export(&server, &[]);
    let (have, rest) = all.split_at(222);
    let last = have.last().unwrap()["id"].as_str().unwrap();
    assert_eq!(export(&server, &["--after", last]), rest);
    assert!(export(&server, &["--after", "601"]).is_empty());
}

#[test]
fn what_cannot_be_exported_is_told() {
    let server = Server::start(&[]);
    let dir = server.path().to_str().unwrap();
    for (arguments, what, code) in [
        (&["nobody"][..], "there is no organisation `nobody`", 1),
        (&["default", "--filter", "colour=red"], "colour", 2),
        (&["default", "--filter", "offset=3"], "use --after", 2),
    ] {
        let output = run(&[&["export", "--data-dir", dir], arguments].concat());
        assert!(said(&output).contains(what), "{}", said(&output));
        assert_eq!(output.status.code(), Some(code));
    }
}

#[test]
fn an_export_needs_no_index_that_is_whole() {
    let mut server = Server::start(&["--max-segment", "64KiB"]);
    fill(&server, 60);
    assert_eq!(server.stop(), Some(0));
    let expected = export(&server, &[]);
    let mut damaged = 0;
    for file in std::fs::read_dir(server.path().join("log/0")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "idx") {
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[..64].fill(0x55);
            std::fs::write(&path, bytes).unwrap();
            damaged += 1;
        }
    }
    assert!(damaged > 1, "{damaged}");
    assert!(export(&server, &[]) == expected);
}
