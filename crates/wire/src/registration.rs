//! The body of `POST /v1/agents`: `{"agent_id": …}`.

use crate::field::{Field, body, enter_object, filled_text};
use crate::{Fault, MAX_AGENT_ID};
use std::borrow::Cow;

/// Reads the agent to register: 1–200 code points.
pub fn registration(bytes: &[u8]) -> Result<Cow<'_, str>, Fault> {
    body(bytes, |reader| {
        enter_object(reader)?;
        let mut agent_id = Field::new("agent_id");
        while let Some(key) = reader.next_key()? {
            match key.as_ref() {
                "agent_id" => {
                    agent_id.read(reader, |reader, name| filled_text(reader, name, MAX_AGENT_ID))?;
                }
                _ => reader.skip()?,
            }
        }
        agent_id.required()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_named_by_1_to_200_code_points() {
        let longest = "é".repeat(200);
        for id in ["a", "a/b c", &longest] {
            let bytes = format!(r#"{{"x":[{{}}],"agent_id":"{id}"}}"#);
            assert_eq!(registration(bytes.as_bytes()).unwrap(), id);
        }
    }

    #[test]
    fn everything_else_is_refused_with_its_rule() {
        let long = format!(r#"{{"agent_id":"{}"}}"#, "é".repeat(201));
        for (bytes, sentence) in [
            ("", "not JSON: the text ends before a value at byte 0"),
            ("[1,[]]", "body: not an object"),
            ("{}", "agent_id: missing"),
            (r#"{"agent_id":""}"#, "agent_id: empty"),
            (r#"{"agent_id":null}"#, "agent_id: not a string"),
            (r#"{"agent_id":7}"#, "agent_id: not a string"),
            (r#"{"agent_id":"a","agent_id":"a"}"#, "agent_id: given twice"),
            (&long, "agent_id: longer than 200 characters"),
            (r#"{"agent_id":7"#, "not JSON: expected `,` or `}` at byte 13"),
            (
                r#"{"agent_id":"a"} x"#,
                "not JSON: something follows the value at byte 17",
            ),
        ] {
            assert_eq!(
                registration(bytes.as_bytes()).unwrap_err().to_string(),
                sentence,
                "{bytes}"
            );
        }
    }
}
