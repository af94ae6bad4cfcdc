//! The answer to a call in place of the server's.

use crate::decision::Decision;
use crate::id::Id;
use serde_json::json;

/// The code of every such answer: that of a server's own error.
const CODE: i32 = -32_000;

/// A JSON-RPC error that names the gates and their reasons, without the end of the line.
pub(crate) fn refusal(id: &Id, decision: &Decision) -> String {
    let gates: Vec<_> = decision
        .failed()
        .map(|(name, reason)| json!({"name": name, "reason": reason}))
        .collect();
    let mut data = json!({"blocked_by": "repute", "of": decision.of, "gates": gates});
    if let Some(doubt) = decision.doubt {
        data["doubt"] = json!(doubt);
    }
    let message = format!("Blocked by Repute: {}", decision.why());
    let error = json!({"code": CODE, "message": message, "data": data});
    // As it was written: what the client compares may be its text.
    format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, id.written())
}

/// Such answers as one line.
pub(crate) fn line(answers: &[String], as_batch: bool, end: &[u8]) -> Vec<u8> {
    let joined = answers.join(",");
    let text = if as_batch { format!("[{joined}]") } else { joined };
    [text.as_bytes(), end].concat()
}

/// How a line ends.
pub(crate) fn end_of(line: &[u8]) -> &[u8] {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    &line[text.len()..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::{Doubt, Looked, Outcome};
    use repute_client::Gate;
    use std::time::{Duration, SystemTime};

    #[test]
    fn an_error_names_gates_and_reasons_with_the_id_as_it_was_written() {
        let mut decision = Decision {
            time: SystemTime::now(),
            agent_id: "a".to_owned(),
            tool: None,
            of: Looked::Result,
            decision: Outcome::Blocked,
            doubt: None,
            gates: vec![
                Gate::passed("content", Duration::ZERO),
                Gate::failed("secrets", Duration::ZERO, "npm token detected in output"),
            ],
            total_latency_ms: 0.0,
            bytes: 1,
        };
        let id = Id::read("1.0").unwrap();
        assert_eq!(
            refusal(&id, &decision),
            concat!(
                r#"{"jsonrpc":"2.0","id":1.0,"error":{"code":-32000,"message":"Blocked by Repute: secrets: npm token detected in output","#,
                r#""data":{"blocked_by":"repute","of":"result","gates":[{"name":"secrets","reason":"npm token detected in output"}]}}}"#
            )
        );
        decision.gates.clear();
        decision.doubt = Some(Doubt::TooLong);
        let text = refusal(&id, &decision);
        assert!(text.contains(r#""message":"Blocked by Repute: the message is longer than --max-message""#));
        assert!(text.contains(r#""gates":[],"doubt":"too_long""#), "{text}");
    }

    #[test]
    fn a_line_in_place_of_another_ends_as_it_did() {
        for (line, end) in [
            (&b"{}\n"[..], &b"\n"[..]),
            (b"{}\r\n", b"\r\n"),
            (b"{}", b""),
            (b"\n", b"\n"),
        ] {
            assert_eq!(end_of(line), end);
        }
    }
}
