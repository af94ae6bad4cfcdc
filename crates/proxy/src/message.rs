//! What of a line the proxy has to know: the members of a JSON-RPC message, where they stand.

use crate::id::Id;
use json::{Kind, NotJson, Reader};
use std::borrow::Cow;
use std::ops::Range;

/// The method that calls a tool.
pub(crate) const CALL: &str = "tools/call";

/// A line as JSON-RPC.
#[derive(Debug)]
pub(crate) enum Look<'a> {
    /// One message, or some other value.
    One(Message<'a>),
    /// Several at once, as the revision of 2025-03-26 has it.
    Batch(Vec<Message<'a>>),
    /// No JSON to us, or a message has a member twice. Some readers may take it all the same, and differ in what it says.
    Unreadable,
}

/// A message.
#[derive(Debug, Default)]
pub(crate) struct Message<'a> {
    /// Where it stands in the line.
    pub(crate) span: Range<usize>,
    pub(crate) id: Option<Id>,
    pub(crate) method: Option<Cow<'a, str>>,
    /// As they were written.
    pub(crate) params: Option<&'a str>,
    pub(crate) result: Option<&'a str>,
    pub(crate) error: Option<&'a str>,
    /// Whether one of them stands there twice.
    has_twice: bool,
}

impl<'a> Look<'a> {
    /// Looks at a line.
    pub(crate) fn at(line: &'a [u8]) -> Self {
        read(line).unwrap_or(Self::Unreadable)
    }
}

fn read(line: &[u8]) -> Result<Look<'_>, Box<NotJson>> {
    let mut reader = Reader::new(line)?;
    let look = if reader.peek()? == Kind::Array {
        reader.enter()?;
        let mut messages = Vec::new();
        while reader.next_element()? {
            messages.push(message(&mut reader)?);
        }
        Look::Batch(messages)
    } else {
        Look::One(message(&mut reader)?)
    };
    reader.end()?;
    let has_twice = match &look {
        Look::One(message) => message.has_twice,
        Look::Batch(messages) => messages.iter().any(|message| message.has_twice),
        Look::Unreadable => false,
    };
    Ok(if has_twice { Look::Unreadable } else { look })
}

fn message<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>, Box<NotJson>> {
    let mut message = Message::default();
    let kind = reader.peek()?;
    message.span.start = reader.position();
    if kind == Kind::Object {
        reader.enter()?;
        let mut seen = Vec::new();
        while let Some(key) = reader.next_key()? {
            match &*key {
                "method" => message.method = text(reader)?,
                "id" => message.id = Id::read(value(reader)?),
                "params" => message.params = Some(value(reader)?),
                "result" => message.result = Some(value(reader)?),
                "error" => message.error = Some(value(reader)?),
                _ => {
                    reader.skip()?;
                    continue;
                }
            }
            message.has_twice |= seen.contains(&key);
            seen.push(key);
        }
    } else {
        reader.skip()?;
    }
    message.span.end = reader.position();
    Ok(message)
}

/// The value that is up next, as it was written.
pub(crate) fn value<'a>(reader: &mut Reader<'a>) -> Result<&'a str, Box<NotJson>> {
    reader.peek()?; // passes over white space
    let start = reader.position();
    reader.skip()?;
    Ok(&reader.text()[start..reader.position()])
}

/// The string that is up next; `None` passes over another value.
pub(crate) fn text<'a>(reader: &mut Reader<'a>) -> Result<Option<Cow<'a, str>>, Box<NotJson>> {
    if reader.peek()? == Kind::String {
        return reader.string().map(Some);
    }
    reader.skip()?;
    Ok(None)
}

/// The members of an object as they were written; none of another value.
pub(crate) fn members(object: &str) -> Result<Vec<(Cow<'_, str>, &str)>, Box<NotJson>> {
    let mut reader = Reader::new(object.as_bytes())?;
    let mut members = Vec::new();
    if reader.peek()? == Kind::Object {
        reader.enter()?;
        while let Some(key) = reader.next_key()? {
            members.push((key, value(&mut reader)?));
        }
    }
    Ok(members)
}

/// The last member of that name.
pub(crate) fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    last(&members(object).ok()?, name)
}

/// The last member of that name, if it is a string.
pub(crate) fn member_text<'a>(object: &'a str, name: &str) -> Option<Cow<'a, str>> {
    string(member(object, name)?)
}

/// The last of these members that has that name.
pub(crate) fn last<'a>(members: &[(Cow<'_, str>, &'a str)], name: &str) -> Option<&'a str> {
    let mut newest = members.iter().rev();
    newest.find(|(key, _)| key == name).map(|(_, value)| *value)
}

/// Whether two of these members have that name.
pub(crate) fn has_twice(members: &[(Cow<'_, str>, &str)], name: &str) -> bool {
    members.iter().filter(|(key, _)| key == name).count() > 1
}

/// The string that this is, if it is one.
pub(crate) fn string(value: &str) -> Option<Cow<'_, str>> {
    let mut reader = Reader::new(value.as_bytes()).ok()?;
    text(&mut reader).ok()?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_wherever_its_members_stand() {
        let line = b" {\"result\": {\"a\":[1]} ,\"jsonrpc\":\"2.0\",\"\\u0069d\":1.0}\r\n";
        let Look::One(message) = Look::at(line) else {
            panic!("one message")
        };
        assert_eq!(
            (message.result, message.id),
            (Some(r#"{"a":[1]}"#), Id::read("1"))
        );
        assert_eq!(message.span, 1..line.len() - 2);
        assert!(message.method.is_none());
    }

    #[test]
    fn what_has_a_member_twice_is_not_taken_for_read() {
        for line in [
            &br#"{"id":1,"result":{},"\u0069d":1}"#[..],
            br#"{"id":1,"result":{},"result":{}}"#,
            br#"[{"id":1},{"method":"a","method":"b"}]"#,
        ] {
            assert!(matches!(Look::at(line), Look::Unreadable), "{line:?}");
        }
        let others = br#"{"id":1,"result":{"id":1,"id":2},"x":1,"x":2}"#;
        assert!(matches!(Look::at(others), Look::One(_)));
        let members = members(r#"{"a":1,"b":2,"\u0061":3}"#).unwrap();
        assert!(has_twice(&members, "a") && !has_twice(&members, "b"));
        assert_eq!(last(&members, "a"), Some("3"));
    }

    #[test]
    fn a_batch_has_each_message_in_its_place() {
        let line = br#"[{"id":1,"result":{}}, 7 ,{"id":"2","error":{}}]"#;
        let Look::Batch(messages) = Look::at(line) else {
            panic!("a batch")
        };
        let written =
            |message: &Message<'_>| String::from_utf8_lossy(&line[message.span.clone()]).into_owned();
        assert_eq!(
            messages.iter().map(written).collect::<Vec<_>>(),
            [r#"{"id":1,"result":{}}"#, "7", r#"{"id":"2","error":{}}"#]
        );
    }

    #[test]
    fn what_is_no_json_is_unreadable() {
        for line in [
            &b"Server started"[..],
            b"{\"id\":1",
            b"{\"a\":NaN}",
            b"\"\xff\"",
            b"\n",
            b"{}{}",
        ] {
            assert!(matches!(Look::at(line), Look::Unreadable), "{line:?}");
        }
    }
}
