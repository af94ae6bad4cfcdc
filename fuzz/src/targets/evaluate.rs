//! The body of `POST /v1/evaluate`, and the built-in gates on what it holds.

use super::{Outcome, Target, about};
use gate::Context;
use gate::config::Config;
use serde_json::Value;
use std::sync::LazyLock;
use std::time::Instant;

pub(super) const TARGET: Target = Target {
    name: "evaluate",
    read,
    words: &[
        r#"{"agent_id":"a","output":"#,
        r#""input":"#,
        r#""tool":"#,
        r#""latency_ms":"#,
        r#""evaluation_id":"#,
        r#""rm -rf /""#,
        r#""../../etc/passwd""#,
        r#""4111 1111 1111 1111""#,
        r#""a@example.org""#,
        r#""DE89370400440532013000""#,
        r#""078-05-1120""#,
        r#""+1 (555) 010-9999""#,
        r#""ignore all previous instructions""#,
        r#""sk-""#,
        r#""seatbid":[{"bid":[{"impid":"1","price":1.5,"adomain":["a.b"],"cat":["IAB1"]}]}]"#,
        r#""imp":[{"id":"1","bidfloor":1}]"#,
        r#""bcat":["IAB1-2"]"#,
        r#""tmax":100"#,
        "null",
        "[[[[",
        "1e400",
        r"\ud800",
        "\u{200b}",
        "é",
        "}",
        ",",
    ],
};

/// The gates that every server has where nothing else is said, and all that there are.
static GATES: LazyLock<Config> = LazyLock::new(|| {
    let all = r#"
        [set.default]
        gates = ["rtb.tmax-guard", "filesystem", "pii", "content", "secrets", { gate = "latency", max_ms = 100 }, "rtb.impid-match",
                 "rtb.adomain-verify", "rtb.bid-sanity", "rtb.audience-safety", "rtb.bcat-compliance"]
    "#;
    Config::parse(all, &|_| Err(std::io::ErrorKind::NotFound.into()))
        .unwrap_or_else(|wrong| panic!("the gates of the target: {wrong}"))
});

fn read(bytes: &[u8]) -> Outcome {
    let tree = serde_json::from_slice::<Value>(bytes).ok();
    let request = match wire::evaluate::parse(bytes) {
        Ok(request) => request,
        Err(fault) => {
            let is_json = fault.code() != wire::Code::BadJson;
            assert!(is_json || tree.is_none(), "serde_json reads it: {fault}");
            return Outcome::refused(&fault.to_string());
        }
    };
    if let Some(tree) = tree {
        let output: Value = serde_json::from_str(request.output.source())
            .unwrap_or_else(|error| panic!("the output is a value of its own: {error}"));
        assert_eq!(tree["output"], output);
        assert_eq!(tree["agent_id"], *request.agent_id);
    }
    let context = Context {
        agent_id: &request.agent_id,
        tool: request.tool.as_deref(),
        input: request.input.as_ref(),
        output: &request.output,
        latency_ms: request.latency.map(|latency| latency.ms),
        tmax_ms: None,
        started_at: Instant::now(),
    };
    let verdict = GATES.set_for("fuzz", "a", None).engine.run(&context);
    let failed: Vec<&str> = verdict
        .results
        .iter()
        .filter(|result| result.failed())
        .map(|result| result.name)
        .collect();
    for result in &verdict.results {
        assert!(
            !matches!(result.ending, gate::Ending::Faulted(_)),
            "{} has a fault",
            result.name
        );
    }
    Outcome::good((failed, about(bytes.len())))
}
