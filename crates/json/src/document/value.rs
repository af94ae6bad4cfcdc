//! A value of a document, as its readers see it.

use super::{Document, Node, Step, Tag};
use crate::Kind;

/// A value of a document: a place in it.
#[derive(Clone, Copy, Debug)]
pub struct Value<'d> {
    document: &'d Document<'d>,
    index: usize,
}

impl<'d> Value<'d> {
    pub(super) fn at(document: &'d Document<'_>, index: usize) -> Self {
        Self { document, index }
    }

    /// Its number among the document's values and keys, in document order.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.node().tag {
            Tag::Object => Kind::Object,
            Tag::Array => Kind::Array,
            Tag::Key | Tag::String => Kind::String,
            Tag::Number => Kind::Number,
            Tag::True | Tag::False => Kind::Boolean,
            Tag::Null => Kind::Null,
        }
    }

    /// The string, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&'d str> {
        (self.node().tag == Tag::String).then(|| self.document.text_of(self.node()))
    }

    /// The number as it was written, if it is one.
    #[must_use]
    pub fn as_number(&self) -> Option<&'d str> {
        (self.node().tag == Tag::Number).then(|| self.document.text_of(self.node()))
    }

    /// The double nearest to the number, if it is one; infinite if it is beyond all doubles.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        self.as_number()?.parse().ok()
    }

    /// The boolean, if it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self.node().tag {
            Tag::True => Some(true),
            Tag::False => Some(false),
            _ => None,
        }
    }

    /// Whether it is null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.node().tag == Tag::Null
    }

    /// Whether it is an object or array that holds nothing.
    #[must_use]
    pub fn is_empty_container(&self) -> bool {
        matches!(self.node().tag, Tag::Object | Tag::Array) && self.behind() == self.index + 1
    }

    /// Its elements; none if it is no array.
    #[must_use]
    pub fn elements(&self) -> Elements<'d> {
        Elements(self.inside(Tag::Array))
    }

    /// Its keys with their values, every occurrence of a repeated key; none if it is no object.
    #[must_use]
    pub fn members(&self) -> Members<'d> {
        Members(self.inside(Tag::Object))
    }

    /// The value under that key, if it is an object; of a repeated key the last, as most readers have it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value<'d>> {
        let with_key = self.members().filter(|(name, _)| *name == key);
        with_key.last().map(|(_, value)| value)
    }

    /// The child that is or holds the node of that index, and the step to it.
    pub(super) fn child_holding(&self, target: usize) -> Option<(Step<'d>, Value<'d>)> {
        let holds = |child: &Value<'_>| child.index <= target && target < child.behind();
        let in_array = self.elements().enumerate().find(|(_, child)| holds(child));
        let in_object = || self.members().find(|(_, child)| holds(child));
        match in_array {
            Some((index, child)) => Some((Step::Index(index), child)),
            None => in_object().map(|(key, child)| (Step::Key(key), child)),
        }
    }

    fn node(&self) -> Node {
        self.document.nodes[self.index]
    }

    /// The index of the node that follows it and all that it holds.
    fn behind(&self) -> usize {
        match self.node().tag {
            Tag::Object | Tag::Array => self.node().end as usize,
            _ => self.index + 1,
        }
    }

    fn inside(&self, container: Tag) -> Inside<'d> {
        let next = self.index + 1;
        let end = if self.node().tag == container {
            self.behind()
        } else {
            next
        };
        Inside {
            document: self.document,
            next,
            end,
        }
    }
}

/// What is left of a container.
#[derive(Clone, Debug)]
struct Inside<'d> {
    document: &'d Document<'d>,
    next: usize,
    end: usize,
}

impl<'d> Inside<'d> {
    fn value(&mut self) -> Option<Value<'d>> {
        if self.next >= self.end {
            return None;
        }
        let value = Value::at(self.document, self.next);
        self.next = value.behind();
        Some(value)
    }
}

/// The elements of an array.
#[derive(Clone, Debug)]
pub struct Elements<'d>(Inside<'d>);

impl<'d> Iterator for Elements<'d> {
    type Item = Value<'d>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.value()
    }
}

/// The keys and values of an object.
#[derive(Clone, Debug)]
pub struct Members<'d>(Inside<'d>);

impl<'d> Iterator for Members<'d> {
    type Item = (&'d str, Value<'d>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.0.value()?;
        let name = key.document.text_of(key.node());
        Some((name, self.0.value()?))
    }
}
