//! Known fields of a JSON object: read at most once each, each by its rule.

use crate::Fault;
use crate::code_points::longer_than;
use json::{Kind, NotJson, Number, Reader};
use std::borrow::Cow;

/// Why reading a value stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The text is not JSON: nothing more can be read.
    NotJson(Box<NotJson>),
    /// The value breaks a rule. The reader stands behind what broke it and can go on. Boxed, since it is
    /// rare and every read would carry its size.
    Broken(Box<Broken>),
}

/// A field and the rule that it breaks.
#[derive(Debug)]
pub(crate) struct Broken {
    /// A path, empty for the value itself.
    pub(crate) field: String,
    /// The rule.
    pub(crate) rule: Cow<'static, str>,
}

impl From<Box<NotJson>> for Stop {
    fn from(fault: Box<NotJson>) -> Self {
        Self::NotJson(fault)
    }
}

impl Stop {
    #[cold]
    pub(crate) fn broken(field: &str, rule: impl Into<Cow<'static, str>>) -> Self {
        Self::Broken(Box::new(Broken {
            field: field.to_owned(),
            rule: rule.into(),
        }))
    }

    /// The same, within the value that this path leads to.
    #[cold]
    pub(crate) fn within(self, path: &str) -> Self {
        match self {
            Self::NotJson(_) => self,
            Self::Broken(broken) => {
                let dot = if broken.field.is_empty() { "" } else { "." };
                Self::broken(&format!("{path}{dot}{}", broken.field), broken.rule)
            }
        }
    }
}

/// Passes over the value here and says that it breaks a rule.
#[cold]
pub(crate) fn refuse<T>(reader: &mut Reader<'_>, field: &str, rule: &'static str) -> Result<T, Stop> {
    reader.skip()?;
    Err(Stop::broken(field, rule))
}

/// Enters the object here.
pub(crate) fn enter_object(reader: &mut Reader<'_>) -> Result<(), Stop> {
    if reader.peek()? != Kind::Object {
        return refuse(reader, "", "not an object");
    }
    Ok(reader.enter()?)
}

/// Reads a body that is one object: `read` gets the reader at the beginning and leaves it behind the object.
///
/// That the whole body is JSON is found out first: a broken rule is only told of a body without a syntax
/// error.
pub(crate) fn body<'a, T>(
    body: &'a [u8],
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, Stop>,
) -> Result<T, Fault> {
    let outcome = read_whole(body, read).map_err(|not_json| Fault::from(*not_json))?;
    outcome.map_err(|broken| {
        let field = if broken.field.is_empty() {
            "body".to_owned()
        } else {
            broken.field
        };
        Fault::validation(field, broken.rule)
    })
}

fn read_whole<'a, T>(
    body: &'a [u8],
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, Stop>,
) -> Result<Result<T, Box<Broken>>, Box<NotJson>> {
    let mut reader = Reader::new(body)?;
    let outcome = match read(&mut reader) {
        Err(Stop::NotJson(not_json)) => return Err(not_json),
        Err(Stop::Broken(broken)) => Err(broken),
        Ok(value) => Ok(value),
    };
    reader.leave_to(0)?;
    reader.end()?;
    Ok(outcome)
}

/// A known field of the object that is being read.
#[derive(Debug)]
pub(crate) struct Field<T> {
    name: &'static str,
    value: Option<T>,
}

impl<T> Field<T> {
    /// A field that has not been met yet.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, value: None }
    }

    /// Reads its value, which is up next, by its rule. A second time is a fault.
    pub(crate) fn read<'a>(
        &mut self,
        reader: &mut Reader<'a>,
        rule: impl FnOnce(&mut Reader<'a>, &'static str) -> Result<T, Stop>,
    ) -> Result<(), Stop> {
        if self.value.is_some() {
            return refuse(reader, self.name, "given twice");
        }
        self.value = Some(rule(reader, self.name)?);
        Ok(())
    }

    /// The value; a fault if the field was not there.
    pub(crate) fn required(self) -> Result<T, Stop> {
        self.value.ok_or_else(|| Stop::broken(self.name, "missing"))
    }
}

impl<T> Field<T> {
    /// The value, if the field was there.
    pub(crate) fn given(self) -> Option<T> {
        self.value
    }
}

impl<T> Field<Option<T>> {
    /// The value, if the field was there with one.
    pub(crate) fn optional(self) -> Option<T> {
        self.value.flatten()
    }
}

/// A string of at most that many code points.
pub(crate) fn text<'a>(
    reader: &mut Reader<'a>,
    name: &'static str,
    limit: usize,
) -> Result<Cow<'a, str>, Stop> {
    if reader.peek()? != Kind::String {
        return refuse(reader, name, "not a string");
    }
    let text = reader.string()?;
    if longer_than(&text, limit) {
        return Err(Stop::broken(name, format!("longer than {limit} characters")));
    }
    Ok(text)
}

/// A string of 1 to that many code points.
pub(crate) fn filled_text<'a>(
    reader: &mut Reader<'a>,
    name: &'static str,
    limit: usize,
) -> Result<Cow<'a, str>, Stop> {
    let text = text(reader, name, limit)?;
    if text.is_empty() {
        Err(Stop::broken(name, "empty"))
    } else {
        Ok(text)
    }
}

/// A string of at most that many code points; null and `""` are absent.
pub(crate) fn optional_text<'a>(
    reader: &mut Reader<'a>,
    name: &'static str,
    limit: usize,
) -> Result<Option<Cow<'a, str>>, Stop> {
    if is_null(reader)? {
        return Ok(None);
    }
    Ok(Some(text(reader, name, limit)?).filter(|text| !text.is_empty()))
}

/// A boolean.
pub(crate) fn boolean(reader: &mut Reader<'_>, name: &'static str) -> Result<bool, Stop> {
    if reader.peek()? != Kind::Boolean {
        return refuse(reader, name, "not a boolean");
    }
    Ok(reader.boolean()?)
}

/// A boolean; null is absent.
pub(crate) fn optional_boolean(reader: &mut Reader<'_>, name: &'static str) -> Result<Option<bool>, Stop> {
    if is_null(reader)? {
        return Ok(None);
    }
    boolean(reader, name).map(Some)
}

/// A number that a double can hold.
pub(crate) fn number<'a>(reader: &mut Reader<'a>, name: &'static str) -> Result<Number<'a>, Stop> {
    if reader.peek()? != Kind::Number {
        return refuse(reader, name, "not a number");
    }
    let number = reader.number()?;
    if number.value().is_infinite() {
        return Err(Stop::broken(name, "beyond the range of a double"));
    }
    Ok(number)
}

/// Whether the value here is null, which then is passed over.
pub(crate) fn is_null(reader: &mut Reader<'_>) -> Result<bool, Stop> {
    let null = reader.peek()? == Kind::Null;
    if null {
        reader.null()?;
    }
    Ok(null)
}
