//! Messages beyond the limit, and those that gates cannot read.

use super::kit::{Proxied, SECRET, answer};
use serde_json::{Value, json};

/// The most memory that the proxy ever had, in KiB.
#[cfg(target_os = "linux")]
fn peak_kib(proxied: &Proxied) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", proxied.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn results_of_50_mb_pass_and_memory_stays_at_the_limit() {
    let mut proxied = Proxied::obedient(&["--max-message", "1MiB"]);
    proxied.call(&json!(1), "t", &answer("1", "warm"));
    proxied.bytes();
    let before = peak_kib(&proxied);
    let size = 50 << 20;
    for id_first in [true, false] {
        proxied.call_with(&json!(1), "t", &json!({ "bytes": size, "id_first": id_first }));
        let came = proxied.bytes();
        assert!(came.len() > size && came.ends_with(b"}\n"), "{}", came.len());
    }
    // Pages of the program itself that are needed for the first time count, too.
    let grown = peak_kib(&proxied) - before;
    assert!(grown < 8 << 10, "grew by {grown} KiB, at a limit of 1 MiB");
    let finished = proxied.finish();
    let told: Vec<_> = finished
        .log
        .lines()
        .filter(|line| line.contains("\"doubt\":\"too_long\""))
        .collect();
    assert_eq!(told.len(), 2, "{}", finished.log);
    assert!(
        told.iter()
            .all(|line| line.contains("\"tool\":\"t\"") && line.contains("\"unjudged\""))
    );
}

#[test]
fn fail_closed_refuses_what_is_too_long_and_goes_on() {
    let mut proxied = Proxied::obedient(&["--max-message", "64KiB", "--fail-closed"]);
    let params = json!({ "bytes": 1 << 20 });
    for id_first in [true, false] {
        proxied.call_with(&json!(1), "t", &json!({ "bytes": 1 << 20, "id_first": id_first }));
        let told = proxied.json();
        assert_eq!(
            told["error"]["message"],
            "Blocked by Repute: the message is longer than --max-message"
        );
        assert_eq!(
            (&told["id"], &told["error"]["data"]["doubt"]),
            (&json!(1), &json!("too_long"))
        );
        // What answers no call passes, also at that length.
        proxied.send_json(&json!({ "id": 2, "method": "resources/read", "params": params }));
        assert!(proxied.bytes().len() > 1 << 20);
    }
    // While a call is open, an id that stands within the limit shows that it is none's answer.
    proxied.call_with(&json!(1), "t", &json!({}));
    let id_first = json!({ "bytes": 1 << 20, "id_first": true });
    proxied.send_json(&json!({ "id": 2, "method": "resources/read", "params": id_first }));
    assert!(proxied.bytes().len() > 1 << 20);
    // Behind the limit it cannot be known in time.
    proxied.send_json(&json!({ "id": 3, "method": "resources/read", "params": params }));
    assert_eq!(proxied.json()["id"], 3);
    proxied.send_json(&json!({ "method": "x", "params": { "write": answer("1", "fine") } }));
    assert_eq!(proxied.line(), answer("1", "fine"));
}

#[test]
fn what_turns_out_to_answer_a_call_at_its_end_is_no_message_without_that() {
    let pad = "x".repeat(100 << 10);
    for beginning in [
        // The id of another request that is open, then the call's.
        format!(r#"{{"id":2,"x":"{pad}","id":1"#),
        // No id within the limit, while nothing but others is open; then that of a call that was answered.
        format!(r#"{{"x":"{pad}","id":7"#),
        // A request, as it seems.
        format!(r#"{{"method":"x","x":"{pad}","method":null,"id":1"#),
    ] {
        let mut proxied = Proxied::obedient(&["--max-message", "64KiB", "--fail-closed"]);
        proxied.call(&json!(7), "t", &answer("7", "fine"));
        assert_eq!(proxied.line(), answer("7", "fine"));
        proxied.send_json(&json!({ "id": 2, "method": "resources/read", "params": {} }));
        if !beginning.ends_with('7') {
            proxied.call_with(&json!(1), "t", &json!({}));
        }
        let blanks = " ".repeat(10 << 10);
        let line = format!("{beginning},\"result\":{{\"content\":[\"{SECRET}\"]}}}}{blanks}\n");
        proxied.send_json(&json!({ "method": "x", "params": { "write": line } }));
        let finished = proxied.finish();
        let messages = finished
            .out
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let blocked: Vec<Value> = messages
            .filter(|message| message["error"]["data"]["doubt"] == "too_long")
            .collect();
        assert_eq!(blocked.len(), 1, "{}", &beginning[..40]);
        let all: Vec<&str> = finished
            .out
            .lines()
            .filter(|line| line.contains(SECRET))
            .collect();
        assert!(
            all.iter()
                .all(|line| serde_json::from_str::<Value>(line).is_err())
        );
        assert!(finished.log.lines().last().unwrap().contains("\"blocked\""));
    }
}

#[test]
fn a_long_request_of_the_server_passes_whatever_its_id() {
    let mut proxied = Proxied::obedient(&["--max-message", "64KiB", "--fail-closed"]);
    let text = "x".repeat(100 << 10);
    let request = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sampling/createMessage\",\"params\":\"{text}\"}} \n"
    );
    proxied.call(&json!(1), "t", &request);
    assert_eq!(proxied.line(), request);
}

#[test]
fn a_call_too_long_to_judge_passes_or_is_refused() {
    let long = format!("/etc/passwd {}", "x".repeat(1 << 20));
    let call = |orders: &str| {
        format!(
            "{{\"method\":\"tools/call\",\"params\":{{\"name\":\"t\",\"arguments\":{{\"text\":\"{long}\",{orders}}}}},\"jsonrpc\":\"2.0\",\"id\":5}}\n"
        )
    };
    let limit = ["--max-message", "64KiB", "--gate-arguments"];
    let mut open = Proxied::obedient(&limit);
    // It is known to be a call, and its answer is judged.
    open.send(call(&format!("\"write\":{}", json!(answer("5", SECRET)))));
    assert_eq!(open.json()["error"]["data"]["of"], "result");
    let mut closed = Proxied::obedient(&[&limit[..], &["--fail-closed"]].concat());
    closed.send(call("\"write\":\"arrived\""));
    let told = closed.json();
    assert_eq!(
        (&told["id"], &told["error"]["data"]["of"]),
        (&json!(5), &json!("arguments"))
    );
    let other =
        format!("{{\"method\":\"other\",\"params\":{{\"text\":\"{long}\",\"write\":\"arrived\\n\"}}}}\n");
    closed.send(&other);
    assert_eq!(closed.line(), "arrived\n");
    assert_eq!(closed.finish().received.len(), other.len());
}

#[test]
fn what_is_no_json_to_us_passes_or_is_refused_if_it_answers_a_call() {
    // Some readers take it.
    let odd = format!("{{\"id\":1,\"result\":{{\"a\":NaN,\"content\":\"{SECRET}\"}}}}\n");
    let mut open = Proxied::obedient(&["--fail-open"]);
    open.call(&json!(1), "t", &odd);
    assert_eq!(open.line(), odd);
    let finished = open.finish();
    assert!(
        finished
            .log
            .contains("\"decision\":\"unjudged\",\"doubt\":\"not_json\""),
        "{}",
        finished.log
    );
    let mut closed = Proxied::obedient(&["--fail-closed"]);
    closed.call(&json!(1), "t", &odd);
    assert_eq!(closed.json()["error"]["data"]["doubt"], "not_json");
    let deep = format!(
        "{{\"id\":1,\"result\":{}1{}}}\n",
        "[".repeat(300),
        "]".repeat(300)
    );
    closed.call(&json!(1), "t", &deep);
    assert_eq!(closed.json()["error"]["data"]["doubt"], "not_json");
    closed.call(
        &json!(1),
        "t",
        &format!("debug: {SECRET}\n{}", answer("1", "fine")),
    );
    assert_eq!(closed.line(), format!("debug: {SECRET}\n"));
    assert_eq!(closed.line(), answer("1", "fine"));
}

#[test]
fn neither_side_waits_for_the_other_for_ever() {
    // The server writes more than any pipe holds while the client writes more than any pipe holds.
    let mut proxied = Proxied::obedient(&["--max-message", "64KiB"]);
    let call = json!({ "id": 1, "method": "tools/call", "params": { "name": "t", "arguments": { "bytes": 1 << 20, "pad": "x".repeat(1 << 20) } } });
    let calls = format!("{call}\n").repeat(20);
    proxied.send(&calls);
    for _ in 0..20 {
        assert!(proxied.bytes().len() > 1 << 20);
    }
    assert_eq!(proxied.finish().received.len(), calls.len());
}
