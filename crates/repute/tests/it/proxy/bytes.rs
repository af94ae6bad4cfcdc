//! What passes, passes as it came.

use super::kit::{Proxied, SECRET, answer, blocked};
use serde_json::json;
use std::io::{Read as _, Write as _};

/// Bytes as nobody writes them: lines of all kinds and lengths, and an end without one.
fn odd_bytes(length: usize) -> Vec<u8> {
    let mut state = 17_u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    };
    let mut bytes: Vec<u8> = (0..length).map(|_| next()).collect();
    bytes.extend_from_slice(b"\r\n\n\r\n{\"jsonrpc\":\"2.0\"}\r\n[]\n{}\n \nlast");
    bytes
}

#[test]
fn any_bytes_pass_both_ways_untouched() {
    let sent = odd_bytes(3 << 20);
    let mut proxied = std::process::Command::new(env!("CARGO_BIN_EXE_repute"))
        .args(["proxy", "--log-dir", "/nowhere", "--", "cat"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut to_server = proxied.stdin.take().unwrap();
    let writing = {
        let sent = sent.clone();
        std::thread::spawn(move || to_server.write_all(&sent).unwrap())
    };
    let mut came = Vec::new();
    proxied.stdout.take().unwrap().read_to_end(&mut came).unwrap();
    writing.join().unwrap();
    assert!(came == sent, "{} bytes of {}", came.len(), sent.len());
    assert_eq!(proxied.wait().unwrap().code(), Some(0));
}

#[test]
fn a_call_and_its_answer_keep_their_bytes() {
    let mut proxied = Proxied::obedient(&[]);
    let told = answer("1", "caf\\u00e9 \\/ fine").replace('\n', "  \r\n");
    let call = format!(
        " {{ \"params\" : {{\"arguments\":{{\"write\":{}}} , \"name\":\"t\"}}, \"id\":1,\"method\":\"tools\\/call\",\"jsonrpc\":\"2.0\"}}\r\n",
        json!(told)
    );
    proxied.send(&call);
    assert_eq!(proxied.line(), told);
    let finished = proxied.finish();
    assert_eq!(String::from_utf8(finished.received).unwrap(), call);
    assert_eq!(
        finished.log.lines().count(),
        1,
        "it was seen to be a call: {}",
        finished.log
    );
}

#[test]
fn what_is_no_tools_output_passes_whatever_it_says() {
    let mut proxied = Proxied::obedient(&["--fail-closed"]);
    let others = [
        format!("{{\"method\":\"notifications/message\",\"params\":{{\"data\":\"{SECRET}\"}}}}\n"),
        format!(
            "{{\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":1,\"message\":\"{SECRET}\"}}}}\n"
        ),
        // The server's own requests have ids of their own.
        format!("{{\"id\":1,\"method\":\"sampling/createMessage\",\"params\":{{\"text\":\"{SECRET}\"}}}}\n"),
        format!("{{\"id\":1,\"method\":\"elicitation/create\",\"params\":{{\"message\":\"{SECRET}\"}}}}\n"),
        format!("{{\"id\":99,\"result\":{{\"content\":\"{SECRET}\"}}}}\n"),
        // As text it is another request's id.
        format!("{{\"id\":\"1\",\"result\":{{\"content\":\"{SECRET}\"}}}}\n"),
        format!("{{\"id\":null,\"error\":{{\"code\":-32700,\"message\":\"{SECRET}\"}}}}\n"),
        format!("{{\"method\":\"no/such\",\"x\":\"{SECRET}\"}}\n"),
        format!("listening; {SECRET}\r\n"),
        "\n".to_owned(),
    ];
    let written = others.concat() + &answer("1", SECRET);
    for id in [json!(99), json!("1")] {
        proxied.send_json(&json!({ "id": id, "method": "resources/read" }));
    }
    proxied.call(&json!(1), "t", &written);
    for other in &others {
        assert_eq!(&proxied.line(), other);
    }
    assert_eq!(proxied.json(), blocked(&json!(1)));
    // So do answers to other requests, also with an id that was a call's.
    let other = answer("1", SECRET);
    let params = json!({ "write": other, "uri": "file:///a" });
    proxied.send_json(&json!({ "id": 1, "method": "resources/read", "params": params }));
    assert_eq!(proxied.line(), other);
    assert_eq!(proxied.finish().log.lines().count(), 1);
}

#[test]
fn a_server_that_dies_within_a_line_leaves_what_it_wrote() {
    let mut proxied = Proxied::obedient(&[]);
    let half = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[{\"ty";
    proxied.call_with(&json!(1), "t", &json!({ "write": half, "exit": 3 }));
    let finished = proxied.finish();
    assert_eq!((finished.out.as_str(), finished.status.code()), (half, Some(3)));
}

#[test]
fn standard_error_is_the_servers() {
    let mut proxied = Proxied::obedient(&[]);
    proxied.call_with(
        &json!(1),
        "t",
        &json!({ "stderr": "caf\u{e9}\tno end", "write": "x\n" }),
    );
    assert_eq!(proxied.line(), "x\n");
    assert_eq!(proxied.finish().errors, "caf\u{e9}\tno end");
}
