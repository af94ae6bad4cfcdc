//! What of an answer is judged: everything that a model may come to read.
//!
//! Left out are `data` of images and sounds and `blob` of resources, which are no text, and `_meta`, which is
//! for programs. An interim answer has nothing to judge: it only asks the client for something, or names a task.

use crate::calls::Form;
use crate::message::{last, member_text, members, string, value};
use json::{Kind, NotJson, Reader};
use std::borrow::Cow;

/// What an answer brings.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Payload<'a> {
    /// JSON for gates; `None` if there is no output yet.
    pub(crate) output: Option<Cow<'a, str>>,
    /// Where the output will be that of a task, its id.
    pub(crate) task: Option<Cow<'a, str>>,
}

/// Members that ask the client for something: no output, in an answer that says so.
const QUESTIONS: [&str; 2] = ["inputRequests", "requestState"];
/// What is said of a task that an answer only names.
const TASK: [&str; 9] = [
    "taskId",
    "status",
    "statusMessage",
    "createdAt",
    "lastUpdatedAt",
    "ttl",
    "ttlMs",
    "pollInterval",
    "pollIntervalMs",
];

impl<'a> Payload<'a> {
    /// An output as it is.
    pub(crate) fn of(output: impl Into<Cow<'a, str>>) -> Self {
        Self {
            output: Some(output.into()),
            task: None,
        }
    }
}

/// What a result brings.
pub(crate) fn of_result(result: &str, form: Form) -> Result<Payload<'_>, Box<NotJson>> {
    let members = members(result)?;
    if form == Form::Task {
        // A task that is under way has none; one that failed has an error in its place.
        return Ok(match (last(&members, "result"), last(&members, "error")) {
            (Some(inner), _) => of_result(inner, Form::Whole)?,
            (None, Some(error)) => Payload::of(error),
            (None, None) if members.iter().all(is_of_open_task) => Payload::default(),
            (None, None) => Payload::of(result),
        });
    }
    let kind = last(&members, "resultType").and_then(string);
    let is_question = kind.as_deref() == Some("input_required");
    // The revision of 2026-07-28 says what it is, that of 2025-11-25 has a member for it.
    let is_task = kind.as_deref() == Some("task");
    let older_task = last(&members, "task");
    let is_interim = |(key, value): &(Cow<'_, str>, &str)| match &**key {
        "_meta" | "resultType" => true,
        "task" => is_task_alone(value),
        key if QUESTIONS.contains(&key) => is_question,
        key => is_task && is_of_task(key, value),
    };
    let task = if is_task {
        last(&members, "taskId").and_then(string)
    } else {
        older_task.and_then(|task| member_text(task, "taskId"))
    };
    if (is_question || is_task || older_task.is_some()) && members.iter().all(is_interim) {
        return Ok(Payload { output: None, task });
    }
    let leaves_out = |key: &str| key == "_meta" || (is_question && QUESTIONS.contains(&key));
    if !members.iter().any(|(key, _)| leaves_out(key) || key == "content") {
        let output = Some(result.into());
        return Ok(Payload { output, task });
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
    let output = Some(judged.into());
    Ok(Payload { output, task })
}

/// Whether it says of a task what is no output.
fn is_task_alone(task: &str) -> bool {
    let is_object = task.starts_with('{');
    is_object && members(task).is_ok_and(|members| members.iter().all(|(key, value)| is_of_task(key, value)))
}

fn is_of_open_task((key, value): &(Cow<'_, str>, &str)) -> bool {
    matches!(&**key, "_meta" | "resultType") || QUESTIONS.contains(&&**key) || is_of_task(key, value)
}

fn is_of_task(key: &str, value: &str) -> bool {
    TASK.contains(&key) && !value.starts_with(['{', '['])
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
        let payload = of_result(result, Form::Whole).unwrap();
        payload.output.expect("an output").into_owned()
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
    fn a_question_and_a_task_are_interim_unless_they_bring_something_else() {
        let interim = |result, form| {
            let Payload { output, task } = of_result(result, form).unwrap();
            assert_eq!(output, None);
            task.map(Cow::into_owned)
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
        for both in [
            r#"{"task":{"taskId":"9"},"content":[]}"#,
            r#"{"task":{"taskId":"9"},"toolResult":"x"}"#,
            r#"{"task":{"taskId":"9","content":["x"]}}"#,
            r#"{"task":{"taskId":"9","status":{"content":"x"}}}"#,
            r#"{"resultType":"task","taskId":"9","status":["x"]}"#,
            r#"{"resultType":"task","taskId":"9","text":"x"}"#,
            r#"{"resultType":"task","taskId":"9","task":{},"requestState":"x"}"#,
        ] {
            assert_eq!(judged(both), both);
            let task = of_result(both, Form::Whole).unwrap().task;
            assert_eq!(task.as_deref(), Some("9"), "it begins all the same");
        }
    }

    #[test]
    fn the_output_of_a_task_is_the_result_inside() {
        let of_task = |result| of_result(result, Form::Task).unwrap();
        let done = r#"{"status":"completed","result":{"content":[{"type":"image","data":"x"}]}}"#;
        assert_eq!(of_task(done), Payload::of(r#"{"content":[{"type":"image"}]}"#));
        assert_eq!(
            of_task(r#"{"status":"failed","error":{"message":"m"}}"#),
            Payload::of(r#"{"message":"m"}"#)
        );
        for open in [
            r#"{"status":"working","taskId":"1","ttl":1,"_meta":{}}"#,
            r#"{"status":"input_required","inputRequests":{"a":{}}}"#,
        ] {
            assert_eq!(of_task(open), Payload::default());
        }
        let odd = r#"{"status":"completed","content":[]}"#;
        assert_eq!(of_task(odd), Payload::of(odd));
    }
}
