//! The body of `POST /v1/evaluate`: one output to be judged.

use crate::field::{Field, Stop, body, enter_object, filled_text, is_null, number, optional_text};
use crate::number::{micros_within, within};
use crate::{Fault, MAX_AGENT_ID, MAX_EVALUATION_ID, MAX_TOOL};
use json::{Document, Reader, Value};
use std::borrow::Cow;

/// The greatest `latency_ms`.
pub const MAX_LATENCY_MS: u32 = 60_000;

/// An output, and what is known of how it came to be.
#[derive(Debug)]
pub struct Request<'a> {
    /// Who is judged: 1–200 code points.
    pub agent_id: Cow<'a, str>,
    /// The tool or function that the agent called.
    pub tool: Option<Cow<'a, str>>,
    /// What the agent was given.
    pub input: Option<Document<'a>>,
    /// What it put out.
    pub output: Document<'a>,
    /// The agent's own latency.
    pub latency: Option<Latency>,
    /// The client's own name for this evaluation.
    pub evaluation_id: Option<Cow<'a, str>>,
}

/// A latency as gates see it, and as it is recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    /// In milliseconds, exactly the double that was sent: 0–60000.
    pub ms: f64,
    /// In whole microseconds, half up.
    pub us: u32,
}

impl Request<'_> {
    /// The bytes of `input` and `output` as they were written.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        let input = self.input.as_ref().map_or(0, |input| input.source().len());
        input + self.output.source().len()
    }
}

/// Reads an evaluation request.
pub fn parse(bytes: &[u8]) -> Result<Request<'_>, Fault> {
    body(bytes, read)
}

fn read<'a>(reader: &mut Reader<'a>) -> Result<Request<'a>, Stop> {
    enter_object(reader)?;
    let mut agent_id = Field::new("agent_id");
    let mut tool = Field::new("tool");
    let mut input = Field::new("input");
    let mut output = Field::new("output");
    let mut latency = Field::new("latency_ms");
    let mut evaluation_id = Field::new("evaluation_id");
    while let Some(key) = reader.next_key()? {
        match key.as_ref() {
            "agent_id" => agent_id.read(reader, |reader, name| filled_text(reader, name, MAX_AGENT_ID))?,
            "tool" => tool.read(reader, |reader, name| optional_text(reader, name, MAX_TOOL))?,
            "input" => input.read(reader, payload)?,
            "output" => output.read(reader, payload)?,
            "latency_ms" => latency.read(reader, read_latency)?,
            "evaluation_id" => {
                evaluation_id.read(reader, |reader, name| {
                    optional_text(reader, name, MAX_EVALUATION_ID)
                })?;
            }
            _ => reader.skip()?,
        }
    }
    Ok(Request {
        agent_id: agent_id.required()?,
        output: output.required()?,
        tool: tool.optional(),
        input: input
            .given()
            .filter(|input: &Document<'_>| !input.root().is_null()),
        latency: latency.optional(),
        evaluation_id: evaluation_id.optional(),
    })
}

/// Any value whose numbers are within the range of doubles, as they must be anywhere in a request.
fn payload<'a>(reader: &mut Reader<'a>, name: &'static str) -> Result<Document<'a>, Stop> {
    let document = Document::read(reader)?;
    let may_be_beyond = |number: &str| number.len() > f64::MAX_10_EXP as usize || number.contains(['e', 'E']);
    let is_beyond = |value: Value<'_>| {
        value.as_number().is_some_and(may_be_beyond) && value.as_f64().is_some_and(f64::is_infinite)
    };
    if document.values().any(is_beyond) {
        return Err(Stop::broken(name, "a number beyond the range of a double"));
    }
    Ok(document)
}

/// A latency; null is absent.
fn read_latency(reader: &mut Reader<'_>, name: &'static str) -> Result<Option<Latency>, Stop> {
    if is_null(reader)? {
        return Ok(None);
    }
    let number = number(reader, name)?;
    let both = within(&number, MAX_LATENCY_MS).zip(micros_within(&number, MAX_LATENCY_MS));
    let (ms, us) = both.ok_or_else(|| Stop::broken(name, "not between 0 and 60000"))?;
    Ok(Some(Latency { ms, us }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_request_is_read_whole() {
        let text = r#"{"agent_id":"a","tool":"t","x":[{}],"input":{"tmax":100},"output":["é",1.50],"latency_ms":1.0005,"evaluation_id":"e"}"#;
        let request = parse(text.as_bytes()).unwrap();
        assert_eq!((&*request.agent_id, request.tool.as_deref()), ("a", Some("t")));
        assert_eq!(request.input.as_ref().unwrap().source(), r#"{"tmax":100}"#);
        assert_eq!(request.output.source(), r#"["é",1.50]"#);
        assert_eq!(
            request.latency,
            Some(Latency {
                ms: 1.0005,
                us: 1_001
            })
        );
        assert_eq!(request.evaluation_id.as_deref(), Some("e"));
        assert_eq!(request.payload_bytes(), 12 + 11);
    }

    #[test]
    fn null_is_an_output_and_no_input() {
        let text = br#"{"agent_id":"a","output":null,"input":null,"tool":null,"latency_ms":null,"evaluation_id":""}"#;
        let request = parse(text).unwrap();
        assert!(request.output.root().is_null() && request.input.is_none());
        assert_eq!(
            (request.tool, request.latency, request.evaluation_id),
            (None, None, None)
        );
    }

    #[test]
    fn what_breaks_a_rule_is_named() {
        let long = format!(
            r#"{{"agent_id":"a","output":1,"evaluation_id":"{}"}}"#,
            "x".repeat(51)
        );
        for (text, expected) in [
            ("[]", "body: not an object"),
            (r#"{"output":1}"#, "agent_id: missing"),
            (r#"{"agent_id":"","output":1}"#, "agent_id: empty"),
            (r#"{"agent_id":"a"}"#, "output: missing"),
            (r#"{"agent_id":"a","output":1,"output":2}"#, "output: given twice"),
            (
                r#"{"agent_id":"a","output":1,"input":1,"input":1}"#,
                "input: given twice",
            ),
            (r#"{"agent_id":"a","output":1,"tool":1}"#, "tool: not a string"),
            (
                r#"{"agent_id":"a","output":1,"latency_ms":"1"}"#,
                "latency_ms: not a number",
            ),
            (
                r#"{"agent_id":"a","output":1,"latency_ms":60001}"#,
                "latency_ms: not between 0 and 60000",
            ),
            (
                r#"{"agent_id":"a","output":1,"latency_ms":-1}"#,
                "latency_ms: not between 0 and 60000",
            ),
            (&long, "evaluation_id: longer than 50 characters"),
            (
                r#"{"agent_id":"a","output":{"x":[1,-1e309]}}"#,
                "output: a number beyond the range of a double",
            ),
            (
                r#"{"agent_id":"a","output":1e308,"input":1E999}"#,
                "input: a number beyond the range of a double",
            ),
            (
                &format!(r#"{{"agent_id":"a","output":{}}}"#, "9".repeat(309)),
                "output: a number beyond the range of a double",
            ),
            (
                r#"{"agent_id":"a","output":[1,]}"#,
                "not JSON: expected a value at byte 28",
            ),
        ] {
            assert_eq!(sentence(text), expected, "{text}");
        }
        let deep = format!(
            r#"{{"agent_id":"a","output":{}1{}}}"#,
            "[".repeat(128),
            "]".repeat(128)
        );
        assert!(sentence(&deep).starts_with("not JSON: nested deeper than 128"));
    }
}
