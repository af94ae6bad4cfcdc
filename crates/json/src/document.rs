//! A whole value, kept flat: its nodes in document order in one list, its texts where they stand in the source.
//!
//! A flat list can be walked without recursion, keeps every occurrence of a repeated key, and costs 12 bytes a
//! node and no allocation a string, unless the string was written with an escape.

mod value;

pub use value::{Elements, Members, Value};

use crate::reader::{Kind, NotJson, Reader, Result};
use std::borrow::Cow;

/// A value that was read whole.
#[derive(Debug)]
pub struct Document<'a> {
    text: &'a str,
    /// Where the value begins and ends in the text, in bytes.
    span: (usize, usize),
    /// Strings that were written with escapes, as they are meant, one after another.
    unescaped: String,
    nodes: Vec<Node>,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    Object,
    Array,
    /// A key; its value's node follows.
    Key,
    String,
    Number,
    True,
    False,
    Null,
}

/// A value, or a key of an object.
///
/// Of a key, string or number `start..end` is its text. Of an object or array `end` is the index of the node
/// that follows all that it holds.
#[derive(Clone, Copy, Debug)]
struct Node {
    tag: Tag,
    /// Whether its text is in `unescaped`, not in the source.
    escaped: bool,
    start: u32,
    end: u32,
}

/// A step of the way from a document's root to a value in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'d> {
    /// Into an object, to the value under this key.
    Key(&'d str),
    /// Into an array, to the element of this index.
    Index(usize),
}

impl<'a> Document<'a> {
    /// Reads a text that is one value.
    ///
    /// # Errors
    /// Where it is not JSON.
    pub fn parse(text: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(text)?;
        let document = Self::read(&mut reader)?;
        reader.end()?;
        Ok(document)
    }

    /// Reads the value that is up next.
    ///
    /// # Errors
    /// Where it is not JSON, or stands in a text of 4 GiB or more.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self> {
        if u32::try_from(reader.text().len()).is_err() {
            return Err(NotJson::at(0, "a text of 4 GiB or more"));
        }
        reader.peek()?; // passes over white space
        let start = reader.position();
        let mut document = Self {
            text: reader.text(),
            span: (start, start),
            unescaped: String::new(),
            nodes: Vec::new(),
        };
        document.fill(reader)?;
        document.span.1 = reader.position();
        Ok(document)
    }

    /// The value.
    #[must_use]
    pub fn root(&self) -> Value<'_> {
        Value::at(self, 0)
    }

    /// The value as it was written.
    #[must_use]
    pub fn source(&self) -> &'a str {
        &self.text[self.span.0..self.span.1]
    }

    /// Every value, the root first, in document order.
    pub fn values(&self) -> impl Iterator<Item = Value<'_>> {
        let indexes = 0..self.nodes.len();
        indexes
            .filter(|&index| self.nodes[index].tag != Tag::Key)
            .map(|index| Value::at(self, index))
    }

    /// The way to a value of this document.
    #[must_use]
    pub fn way_to(&self, value: Value<'_>) -> Vec<Step<'_>> {
        let target = value.index();
        let mut way = Vec::new();
        let mut here = self.root();
        while here.index() < target {
            let Some((step, next)) = here.child_holding(target) else {
                break;
            };
            way.push(step);
            here = next;
        }
        way
    }

    fn fill(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        let mut open: Vec<usize> = Vec::new(); // at most MAX_DEPTH: the reader refuses more
        loop {
            match reader.peek()? {
                kind @ (Kind::Object | Kind::Array) => {
                    reader.enter()?;
                    open.push(self.nodes.len());
                    let tag = if kind == Kind::Object {
                        Tag::Object
                    } else {
                        Tag::Array
                    };
                    self.push(tag, 0, 0);
                }
                Kind::String => self.push_string(Tag::String, reader)?,
                Kind::Number => {
                    let number = reader.number()?;
                    let end = reader.position();
                    self.push(Tag::Number, end - number.text().len(), end);
                }
                Kind::Boolean => {
                    let tag = if reader.boolean()? { Tag::True } else { Tag::False };
                    self.push(tag, 0, 0);
                }
                Kind::Null => {
                    reader.null()?;
                    self.push(Tag::Null, 0, 0);
                }
            }
            // To the next value, out of all containers that end here.
            loop {
                let Some(&container) = open.last() else {
                    return Ok(());
                };
                let more = if self.nodes[container].tag == Tag::Object {
                    self.next_key(reader)?
                } else {
                    reader.next_element()?
                };
                if more {
                    break;
                }
                self.nodes[container].end = place(self.nodes.len());
                open.pop();
            }
        }
    }

    fn next_key(&mut self, reader: &mut Reader<'a>) -> Result<bool> {
        let more = reader.next_member()?;
        if more {
            self.push_string(Tag::Key, reader)?;
            reader.colon()?;
        }
        Ok(more)
    }

    fn push_string(&mut self, tag: Tag, reader: &mut Reader<'a>) -> Result<()> {
        match reader.string()? {
            Cow::Borrowed(text) => {
                let end = reader.position() - 1; // before the quote
                self.push(tag, end - text.len(), end);
            }
            Cow::Owned(text) => {
                let start = self.unescaped.len();
                self.unescaped.push_str(&text);
                self.push(tag, start, self.unescaped.len());
                if let Some(node) = self.nodes.last_mut() {
                    node.escaped = true;
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, tag: Tag, start: usize, end: usize) {
        self.nodes.push(Node {
            tag,
            escaped: false,
            start: place(start),
            end: place(end),
        });
    }

    /// The text of a key, string or number.
    fn text_of(&self, node: Node) -> &str {
        let text = if node.escaped { &self.unescaped } else { self.text };
        &text[node.start as usize..node.end as usize]
    }
}

/// An offset into a text, or an index of a node. Texts are shorter than 4 GiB, decoded strings are not longer
/// than written ones, and a node takes at least a byte.
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
