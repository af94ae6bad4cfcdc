//! What of an answer is judged: everything that a model may come to read.
//!
//! Left out are `data` of images and sounds and `blob` of resources, which are no text, and `_meta`, which is
//! for programs. An interim answer has nothing to judge: it asks the client for something, or names a task.

use crate::calls::Form;
use crate::message::{member, member_text, members, value};
use json::{Kind, NotJson, Reader};
use std::borrow::Cow;

/// What an answer brings.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Payload<'a> {
    /// JSON for gates.
    Output(Cow<'a, str>),
    /// No output yet. Where the output will be that of a task, its id.
    Interim(Option<Cow<'a, str>>),
}

/// Members that ask the client for something: no output, in an answer that says so.
const QUESTIONS: [&str; 2] = ["inputRequests", "requestState"];
/// Members that are output, whatever the answer says of itself.
const OUTPUTS: [&str; 2] = ["content", "structuredContent"];

/// What a result brings.
pub(crate) fn of_result(result: &str, form: Form) -> Result<Payload<'_>, Box<NotJson>> {
    if form == Form::Task {
        // A task that is under way has none; one that failed has an error in its place.
        return Ok(match (member(result, "result"), member(result, "error")) {
            (Some(inner), _) => of_result(inner, Form::Whole)?,
            (None, Some(error)) => Payload::Output(error.into()),
            (None, None) => Payload::Interim(None),
        });
    }
    let members = members(result)?;
    let has = |names: &[&str]| members.iter().any(|(key, _)| names.contains(&&**key));
    let kind = member_text(result, "resultType");
    let is_question = kind.as_deref() == Some("input_required");
    if !has(&OUTPUTS) {
        // The revision of 2026-07-28 says what it is, that of 2025-11-25 has a member for it.
        let task = match kind.as_deref() {
            Some("task") => Some(member_text(result, "taskId")),
            _ => member(result, "task").map(|task| member_text(task, "taskId")),
        };
        if is_question || task.is_some() {
            return Ok(Payload::Interim(task.flatten()));
        }
    }
    let leaves_out = |key: &str| key == "_meta" || (is_question && QUESTIONS.contains(&key));
    if !has(&["_meta", "content"]) && !is_question {
        return Ok(Payload::Output(result.into()));
    }
    let mut judged = String::with_capacity(result.len());
    let kept = members.iter().filter(|(key, _)| !leaves_out(key));
    write_object(&mut judged, kept, |judged, key, value| {
        if key == "content" {
            write_content(judged, value)
        } else {
            judged.push_str(value);
            Ok(())
        }
    })?;
    Ok(Payload::Output(judged.into()))
}

/// Blocks of content in their order, so that a place in it is the place in the answer.
fn write_content(judged: &mut String, content: &str) -> Result<(), Box<NotJson>> {
    let mut reader = Reader::new(content.as_bytes())?;
    if reader.peek()? != Kind::Array {
        judged.push_str(content);
        return Ok(());
    }
    reader.enter()?;
    judged.push('[');
    let mut is_first = true;
    while reader.next_element()? {
        if !std::mem::take(&mut is_first) {
            judged.push(',');
        }
        write_block(judged, value(&mut reader)?)?;
    }
    judged.push(']');
    Ok(())
}

fn write_block(judged: &mut String, block: &str) -> Result<(), Box<NotJson>> {
    let fields = members(block)?;
    if fields.is_empty() {
        judged.push_str(block);
        return Ok(());
    }
    let kind = member_text(block, "type");
    let is_media = matches!(kind.as_deref(), Some("image" | "audio"));
    let kept = fields
        .iter()
        .filter(|(key, _)| key != "_meta" && !(is_media && key == "data"));
    write_object(judged, kept, |judged, key, value| {
        if key == "resource" {
            let inside = members(value)?;
            if !inside.is_empty() {
                let kept = inside.iter().filter(|(key, _)| key != "_meta" && key != "blob");
                return write_object(judged, kept, |judged, _, value| {
                    judged.push_str(value);
                    Ok(())
                });
            }
        }
        judged.push_str(value);
        Ok(())
    })
}

fn write_object<'m, 'a: 'm>(
    judged: &mut String,
    members: impl Iterator<Item = &'m (Cow<'a, str>, &'a str)>,
    mut write_value: impl FnMut(&mut String, &str, &str) -> Result<(), Box<NotJson>>,
) -> Result<(), Box<NotJson>> {
    judged.push('{');
    for (index, (key, value)) in members.enumerate() {
        if index > 0 {
            judged.push(',');
        }
        judged.push_str(&serde_json::Value::from(&**key).to_string());
        judged.push(':');
        write_value(judged, key, value)?;
    }
    judged.push('}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(result: &str) -> String {
        match of_result(result, Form::Whole).unwrap() {
            Payload::Output(text) => text.into_owned(),
            interim => panic!("{interim:?}"),
        }
    }

    #[test]
    fn text_structured_content_links_and_errors_are_judged_and_media_and_meta_are_not() {
        let result = r#"{"_meta":{"a":"m"},"content":[{"type":"text","text":"t","_meta":{}},{"data":"aaaa","type":"image","mimeType":"p"},
            {"type":"audio","data":"bbbb"},{"type":"resource","resource":{"uri":"u","blob":"cccc","_meta":1}},{"type":"resource","resource":{"text":"r"}},
            {"type":"resource_link","uri":"l","name":"n"},{"type":"text","data":"d"},7],"structuredContent":{"_meta":"kept"},"isError":true}"#;
        assert_eq!(
            judged(result),
            concat!(
                r#"{"content":[{"type":"text","text":"t"},{"type":"image","mimeType":"p"},{"type":"audio"},"#,
                r#"{"type":"resource","resource":{"uri":"u"}},{"type":"resource","resource":{"text":"r"}},"#,
                r#"{"type":"resource_link","uri":"l","name":"n"},{"type":"text","data":"d"},7],"#,
                r#""structuredContent":{"_meta":"kept"},"isError":true}"#
            )
        );
    }

    #[test]
    fn a_result_of_another_shape_is_judged_as_it_is() {
        for result in ["null", "[1]", "\"x\"", r#"{"toolResult":"old"}"#] {
            assert_eq!(judged(result), result);
        }
        assert_eq!(judged(r#"{"content":"x"}"#), r#"{"content":"x"}"#);
        assert_eq!(judged(r#"{"a\"b":1,"_meta":1}"#), r#"{"a\"b":1}"#);
    }

    #[test]
    fn a_question_and_a_task_are_interim_unless_they_bring_content() {
        let interim = |result, form| match of_result(result, form).unwrap() {
            Payload::Interim(task) => task.map(Cow::into_owned),
            output => panic!("{output:?}"),
        };
        let question = r#"{"resultType":"input_required","inputRequests":{"a":{}},"requestState":"s"}"#;
        assert_eq!(interim(question, Form::Whole), None);
        let task = r#"{"resultType":"task","taskId":"7","status":"working"}"#;
        assert_eq!(interim(task, Form::Whole).as_deref(), Some("7"));
        let older = r#"{"task":{"taskId":"8","status":"working"}}"#;
        assert_eq!(interim(older, Form::Whole).as_deref(), Some("8"));
        assert_eq!(
            judged(r#"{"resultType":"input_required","requestState":"s","content":[]}"#),
            r#"{"resultType":"input_required","content":[]}"#
        );
        assert_eq!(
            judged(r#"{"task":{},"content":[]}"#),
            r#"{"task":{},"content":[]}"#
        );
    }

    #[test]
    fn the_output_of_a_task_is_the_result_inside() {
        let of_task = |result| of_result(result, Form::Task).unwrap();
        let done = r#"{"status":"completed","result":{"content":[{"type":"image","data":"x"}]}}"#;
        assert_eq!(
            of_task(done),
            Payload::Output(r#"{"content":[{"type":"image"}]}"#.into())
        );
        assert_eq!(
            of_task(r#"{"status":"failed","error":{"message":"m"}}"#),
            Payload::Output(r#"{"message":"m"}"#.into())
        );
        assert_eq!(of_task(r#"{"status":"working"}"#), Payload::Interim(None));
    }
}
