//! What tools give is judged, in every form in which it comes.

use super::kit::{Proxied, SECRET, answer, blocked, logged};
use serde_json::{Value, json};

fn decided(of: &str, tool: &str, decision: &str) -> (String, String, String) {
    (of.to_owned(), tool.to_owned(), decision.to_owned())
}

#[test]
fn a_result_that_a_gate_blocks_is_an_error_without_its_text() {
    let mut proxied = Proxied::obedient(&[]);
    for id in [json!(7), json!("7"), json!(7.5), json!("a\"b")] {
        proxied.call(
            &id,
            "read_file",
            &answer(&id.to_string(), &format!("key {SECRET}")),
        );
        assert_eq!(proxied.json(), blocked(&id));
        proxied.call(&id, "read_file", &answer(&id.to_string(), "harmless"));
        assert_eq!(proxied.line(), answer(&id.to_string(), "harmless"));
    }
    let finished = proxied.finish();
    let pair = [
        decided("result", "read_file", "blocked"),
        decided("result", "read_file", "passed"),
    ];
    assert_eq!(finished.decisions(), [&pair[..]; 4].concat());
    assert!(!finished.log.contains(SECRET) && !finished.log.contains("harmless"));
    assert_eq!(finished.errors, "");
}

#[test]
fn an_answer_in_its_place_ends_as_the_line_did() {
    let mut proxied = Proxied::obedient(&[]);
    proxied.call(&json!(1), "t", &answer("1.0", SECRET).replace('\n', "\r\n"));
    let line = proxied.line();
    assert!(
        line.starts_with("{\"jsonrpc\":\"2.0\",\"id\":1.0,\"error\":") && line.ends_with("}\r\n"),
        "{line}"
    );
}

#[test]
fn every_form_of_output_is_judged_and_what_is_no_text_is_not() {
    let mut proxied = Proxied::obedient(&[]);
    let cases = [
        (json!({ "content": [{ "type": "text", "text": SECRET }] }), true),
        (
            json!({ "content": [], "structuredContent": { "a": [SECRET] } }),
            true,
        ),
        (
            json!({ "content": [{ "type": "text", "text": SECRET }], "isError": true }),
            true,
        ),
        (
            json!({ "content": [{ "type": "resource", "resource": { "uri": "a:b", "text": SECRET } }] }),
            true,
        ),
        (
            json!({ "content": [{ "type": "resource_link", "uri": "a:b", "description": SECRET }] }),
            true,
        ),
        (json!({ "toolResult": SECRET }), true),
        (
            json!({ "content": [{ "type": "image", "data": SECRET, "mimeType": "image/png" }] }),
            false,
        ),
        (
            json!({ "content": [{ "type": "audio", "data": SECRET, "mimeType": "audio/wav" }] }),
            false,
        ),
        (
            json!({ "content": [{ "type": "resource", "resource": { "uri": "a:b", "blob": SECRET } }] }),
            false,
        ),
        (json!({ "content": [], "_meta": { "x": SECRET } }), false),
        (json!({ "content": [] }), false),
    ];
    for (result, blocks) in cases {
        let line = json!({ "result": result, "jsonrpc": "2.0", "id": 1 }).to_string() + "\n";
        proxied.call(&json!(1), "t", &line);
        match blocks {
            true => assert_eq!(proxied.json(), blocked(&json!(1)), "{result}"),
            false => assert_eq!(proxied.line(), line),
        }
    }
    // An error of JSON-RPC is what a tool gives, too.
    let error =
        json!({ "id": 1, "error": { "code": -32603, "message": "no", "data": SECRET } }).to_string() + "\n";
    proxied.call(&json!(1), "t", &error);
    assert_eq!(proxied.json(), blocked(&json!(1)));
}

#[test]
fn a_member_of_a_batch_is_replaced_and_the_others_keep_their_bytes() {
    let mut proxied = Proxied::obedient(&[]);
    let good = answer("2", "fine").trim().to_owned();
    let note = r#"{ "method" : "notifications/x" }"#;
    let bad = answer("\"1\"", SECRET).trim().to_owned();
    let told = format!(" [ {good} ,{bad},\t{note}]\r\n");
    let call = |id: Value, orders: Value| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": "t", "arguments": orders } });
    proxied.send_json(&json!([
        call(json!("1"), json!({})),
        call(json!(2), json!({ "write": told }))
    ]));
    let line = proxied.line();
    let (before, rest) = line.split_once(&good).unwrap();
    assert_eq!(before, " [ ");
    let replaced = rest.strip_prefix(" ,").unwrap();
    let replaced = replaced.strip_suffix(&format!(",\t{note}]\r\n")).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(replaced).unwrap(),
        blocked(&json!("1"))
    );
    assert_eq!(proxied.finish().log.lines().count(), 2);
}

#[test]
fn a_cancelled_call_is_still_judged_if_its_answer_comes() {
    let mut proxied = Proxied::obedient(&[]);
    proxied.call_with(&json!(1), "slow", &json!({}));
    let cancel = json!({ "requestId": 1, "reason": "no more", "write": answer("1", SECRET) });
    proxied.send_json(&json!({ "method": "notifications/cancelled", "params": cancel }));
    assert_eq!(proxied.json(), blocked(&json!(1)));
    // So is another answer.
    proxied.send_json(&json!({ "method": "x", "params": { "write": answer("1", SECRET) } }));
    assert_eq!(proxied.json(), blocked(&json!(1)));
    // The id may come again.
    proxied.call(&json!(1), "t", &answer("1", SECRET));
    assert_eq!(proxied.json(), blocked(&json!(1)));
}

#[test]
fn a_dry_run_reports_and_blocks_nothing() {
    let mut proxied = Proxied::obedient(&["--dry-run", "--fail-closed"]);
    proxied.call(&json!(1), "read", &answer("1", SECRET));
    assert_eq!(proxied.line(), answer("1", SECRET));
    let line = proxied.error_line();
    assert!(
        line.starts_with("repute: would block the result of read ("),
        "{line}"
    );
    assert!(
        line.ends_with(": secrets: AWS access key detected in output\n"),
        "{line}"
    );
    assert_eq!(
        proxied.finish().decisions(),
        [decided("result", "read", "would_block")]
    );
}

#[test]
fn each_tool_may_have_a_set_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gates.toml");
    let text = r#"
        [set.none]
        gates = []
        [set.strict]
        budget_ms = 60000
        gates = ["pii"]
        [[rule]]
        tools = "vault_*"
        set = "none"
        [[rule]]
        agents = "mailer"
        tools = "send_*"
        set = "strict"
    "#;
    std::fs::write(&file, text).unwrap();
    let mut proxied = Proxied::obedient(&["--config", file.to_str().unwrap(), "--agent-id", "mailer"]);
    let mut is_blocked = |tool: &str, text: &str| {
        proxied.call(&json!(1), tool, &answer("1", text));
        proxied.json()["error"]["code"] == -32_000
    };
    assert!(!is_blocked("vault_read", SECRET));
    assert!(is_blocked("send_mail", "to ann.smith@corp.example.org"));
    assert!(!is_blocked("send_mail", SECRET));
    assert!(
        is_blocked("other", SECRET),
        "the proxy's own set, where the file has no default"
    );
    assert!(!is_blocked("other", "to ann.smith@corp.example.org"));
}

#[test]
fn a_gate_may_look_at_what_the_tool_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gates.toml");
    let text = r#"
        [set.input]
        budget_ms = 60000
        gates = [{ gate = "schema", target = "input", schema = { required = ["path"] } }]
        [[rule]]
        set = "input"
    "#;
    std::fs::write(&file, text).unwrap();
    let mut proxied = Proxied::obedient(&["--config", file.to_str().unwrap()]);
    let mut reason = |arguments: Value| {
        proxied.call_with(&json!(1), "t", &arguments);
        proxied.json()["error"]["data"]["gates"][0]["reason"].clone()
    };
    let write = answer("1", "x");
    assert_eq!(reason(json!({ "path": "/a", "write": write })), Value::Null);
    assert_eq!(
        reason(json!({ "write": write })),
        "schema validation failed (1 issue): (root): required"
    );
}

#[test]
fn in_the_stateless_era_questions_pass_and_the_answer_names_the_server() {
    let mut proxied = Proxied::obedient(&[]);
    let question = json!({
        "jsonrpc": "2.0", "id": 1,
        "result": { "resultType": "input_required", "requestState": SECRET,
                    "inputRequests": { "a": { "method": "elicitation/create", "params": { "message": SECRET } } } },
    });
    let question = format!("{question}\n");
    proxied.call(&json!(1), "login", &question);
    assert_eq!(proxied.line(), question);
    // Clients of an older era would read the content all the same.
    let mut bad = json!({
        "jsonrpc": "2.0", "id": 2,
        "result": { "resultType": "input_required", "requestState": "s", "content": [{ "type": "text", "text": SECRET }] },
    });
    proxied.call(&json!(2), "login", &format!("{bad}\n"));
    assert_eq!(proxied.json(), blocked(&json!(2)));
    bad["result"] = json!({
        "resultType": "complete", "content": [{ "type": "text", "text": "done" }],
        "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "Weather", "version": "1" } },
    });
    proxied.call(&json!(2), "login", &format!("{bad}\n"));
    assert_eq!(proxied.json(), bad);
    let finished = proxied.finish();
    let agents: Vec<Value> = finished
        .log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["agent_id"].take())
        .collect();
    assert_eq!(agents, ["python3", "Weather"]);
}

#[test]
fn the_output_of_a_task_is_judged_when_it_is_fetched() {
    let mut proxied = Proxied::obedient(&[]);
    let result = json!({ "content": [{ "type": "text", "text": SECRET }] });
    let begun = [
        json!({ "id": 1, "result": { "resultType": "task", "taskId": "t1", "status": "working" } }),
        json!({ "id": 1, "result": { "task": { "taskId": "t2", "status": "working" } } }),
    ];
    for line in begun {
        proxied.call(&json!(1), "build", &format!("{line}\n"));
        assert_eq!(proxied.json(), line);
    }
    let mut ask = |method: &str, task: &str, result: &Value| {
        let line = json!({ "id": 2, "result": result });
        let params = json!({ "taskId": task, "write": format!("{line}\n") });
        proxied.send_json(&json!({ "id": 2, "method": method, "params": params }));
        (proxied.json(), line)
    };
    let (came, written) = ask("tasks/get", "t1", &json!({ "taskId": "t1", "status": "working" }));
    assert_eq!(came, written);
    let (came, _) = ask(
        "tasks/get",
        "t1",
        &json!({ "taskId": "t1", "status": "completed", "result": result }),
    );
    assert_eq!(came, blocked(&json!(2)));
    let (came, _) = ask("tasks/result", "t2", &result);
    assert_eq!(came, blocked(&json!(2)));
    let blocked_build = decided("result", "build", "blocked");
    assert_eq!(
        proxied.finish().decisions(),
        [blocked_build.clone(), blocked_build]
    );
}

#[test]
fn an_answer_is_judged_under_whatever_id_a_client_takes_it() {
    // The official clients make numbers of ids, and pass over answers that are none.
    let firsts = [
        "",
        "{\"id\":7,\"result\":{}}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":7.0,\"result\":5}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":\"7\",\"result\":{\"content\":[]}}\n",
    ];
    for (flags, first) in [&[][..], &["--fail-closed"]]
        .into_iter()
        .flat_map(|flags| firsts.map(|first| (flags, first)))
    {
        for id in ["7", "7.0", "\"7\"", "\" 7\\n\""] {
            let mut proxied = Proxied::obedient(flags);
            proxied.call(&json!(7), "t", &(first.to_owned() + &answer(id, SECRET)));
            if !first.is_empty() {
                assert_eq!(proxied.line(), first);
            }
            let id: Value = serde_json::from_str(id).unwrap();
            assert_eq!(proxied.json(), blocked(&id), "{flags:?} {first}");
            let decisions = proxied.finish().decisions();
            assert_eq!(decisions.last(), Some(&decided("result", "t", "blocked")));
        }
    }
}

#[test]
fn what_answers_nothing_that_was_asked_is_a_doubt() {
    for (flags, passes) in [(&[][..], true), (&["--fail-closed"], false)] {
        let mut proxied = Proxied::obedient(flags);
        let stray = answer("\"0x7\"", SECRET);
        let expect = |proxied: &mut Proxied| match passes {
            true => assert_eq!(proxied.line(), stray),
            false => assert_eq!(proxied.json()["error"]["data"]["doubt"], "not_asked"),
        };
        // A client may be about to ask for it.
        proxied.send_json(&json!({ "method": "x", "params": { "write": stray } }));
        expect(&mut proxied);
        proxied.call(&json!(7), "t", &stray);
        expect(&mut proxied);
        // What is asked besides passes, and what says that something could not be read.
        let list = answer("\"list\"", SECRET);
        proxied.send_json(&json!({ "id": "list", "method": "resources/read", "params": { "write": list } }));
        assert_eq!(proxied.line(), list);
        let unread = "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"?\"}}\n";
        proxied.send_json(&json!({ "method": "x", "params": { "write": unread } }));
        assert_eq!(proxied.line(), unread);
        let decision = if passes { "unjudged" } else { "blocked" };
        let strays = [decided("result", "", decision), decided("result", "", decision)];
        assert_eq!(proxied.finish().decisions(), strays);
    }
}

#[test]
fn a_server_that_gives_ids_back_as_text_is_understood() {
    let mut proxied = Proxied::obedient(&["--fail-closed"]);
    proxied.call_with(&json!(1), "t", &json!({}));
    let list = answer("\"2\"", SECRET);
    proxied.send_json(&json!({ "id": 2, "method": "tools/list", "params": { "write": list } }));
    assert_eq!(proxied.line(), list);
}

#[test]
fn an_answer_whose_id_is_not_certain_does_not_pass() {
    let blanks = " ".repeat(5_000);
    for ids in [
        format!(r#""id":"{blanks}1","result":{{}}"#),
        format!(r#""id":1.{},"result":{{}}"#, "0".repeat(5_000)),
        r#""id":1,"id":2"#.to_owned(),
    ] {
        let mut proxied = Proxied::obedient(&["--fail-closed"]);
        proxied.send_json(&json!({ "id": 2, "method": "resources/read", "params": {} }));
        let line = format!("{{{ids},\"result\":{{\"content\":[\"{SECRET}\"]}}}}\n");
        proxied.call(&json!(1), "t", &line);
        let finished = proxied.finish();
        assert!(!finished.out.contains(SECRET), "{ids:.40}");
        assert_eq!(finished.decisions(), [decided("result", "", "blocked")]);
    }
    // What only has a long name for something is read.
    let mut proxied = Proxied::obedient(&["--fail-closed"]);
    let line = format!("{{\"id\":1,\"{blanks}\":2,\"result\":NaN}}\n");
    proxied.call(&json!(1), "t", &line);
    assert_eq!(proxied.json()["id"], 1);
}

#[test]
fn a_member_that_stands_twice_is_a_doubt() {
    for id in ["\"id\":1", "\"id\":1,\"id\":2", "\"id\":2,\"id\":1"] {
        let mut proxied = Proxied::obedient(&["--fail-closed"]);
        let hidden = format!("{{{id},\"result\":{{\"content\":[\"{SECRET}\"]}},\"result\":{{}}}}\n");
        proxied.call(&json!(1), "t", &hidden);
        assert_eq!(proxied.json()["error"]["data"]["doubt"], "not_json");
    }
}

#[test]
fn a_decision_is_in_the_log_before_the_answer_is_with_the_client() {
    let mut proxied = Proxied::obedient(&[]);
    for number in 1..=50 {
        let text = if number % 2 == 0 { SECRET } else { "fine" };
        proxied.call(&json!(number), "t", &answer(&number.to_string(), text));
        proxied.line();
        assert_eq!(logged(proxied.home.path()).lines().count(), number);
    }
}
