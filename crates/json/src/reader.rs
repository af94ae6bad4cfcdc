//! A pull parser over bytes: the caller asks for what it expects, nothing is built that nobody asked for.

mod number;
mod scan;
mod string;

pub use number::Number;
pub use scan::plain_end;

use std::borrow::Cow;

/// What is wrong with a text that is not JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON: {what} at byte {at}")]
pub struct NotJson {
    /// The offset in bytes.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl NotJson {
    #[cold]
    pub(crate) fn at(at: usize, what: &'static str) -> Box<Self> {
        Box::new(Self { at, what })
    }
}

/// Boxed, since every read of every token returns one and almost none is an error.
pub(crate) type Result<T> = std::result::Result<T, Box<NotJson>>;

/// How deep arrays and objects may be nested, the outermost counted as 1. One bit of a `u128` each.
pub const MAX_DEPTH: u32 = 128;

/// What a value is, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{`
    Object,
    /// `[`
    Array,
    /// `"`
    String,
    /// `-` or a digit
    Number,
    /// `true` or `false`
    Boolean,
    /// `null`
    Null,
}

/// A place in a JSON text.
///
/// After any `Err` the place is undefined and reading must stop: the text is not JSON.
#[derive(Debug)]
pub struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: u32,
    /// The containers around this place, innermost in the lowest bit: 1 is an object, 0 an array.
    objects: u128,
    /// Whether a container was just opened, so that no comma is due.
    fresh: bool,
}

impl<'a> Reader<'a> {
    /// At the beginning of that text, which must be UTF-8.
    pub fn new(body: &'a [u8]) -> Result<Self> {
        // The fast check does not say where it failed; the slow one does, and runs for bad bodies only.
        let text = simdutf8::basic::from_utf8(body).map_err(|_| {
            NotJson::at(
                std::str::from_utf8(body)
                    .err()
                    .map_or(0, |error| error.valid_up_to()),
                "not UTF-8",
            )
        })?;
        Ok(Self {
            text,
            bytes: body,
            at: 0,
            depth: 0,
            objects: 0,
            fresh: false,
        })
    }

    /// The whole text that is read.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The offset of this place in bytes: just after what was read last.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// Passes over the value here, which somebody else read and found to end at this offset.
    pub fn pass_to(&mut self, end: usize) {
        debug_assert!(end >= self.at && self.text.is_char_boundary(end));
        self.at = end;
        self.fresh = false;
    }

    /// How many containers are open around this place.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// What the value here is.
    #[inline]
    pub fn peek(&mut self) -> Result<Kind> {
        match self.token() {
            Some(b'"') => Ok(Kind::String),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b't' | b'f') => Ok(Kind::Boolean),
            Some(b'n') => Ok(Kind::Null),
            Some(_) => Err(self.bad("expected a value")),
            None => Err(self.bad("the text ends before a value")),
        }
    }

    /// Enters the object or array here.
    pub fn enter(&mut self) -> Result<()> {
        let object = match self.token() {
            Some(b'{') => 1,
            Some(b'[') => 0,
            _ => return Err(self.bad("expected an object or array")),
        };
        if self.depth == MAX_DEPTH {
            return Err(self.bad("nested deeper than 128"));
        }
        self.at += 1;
        self.depth += 1;
        self.objects = self.objects << 1 | object;
        self.fresh = true;
        Ok(())
    }

    /// The next key of the object around this place, with its value up next; `None` leaves the object.
    #[inline]
    pub fn next_key(&mut self) -> Result<Option<Cow<'a, str>>> {
        if !self.next_member()? {
            return Ok(None);
        }
        let key = self.string()?;
        self.colon()?;
        Ok(Some(key))
    }

    /// Whether the array around this place has another value, which then is up next; `false` leaves it.
    #[inline]
    pub fn next_element(&mut self) -> Result<bool> {
        let fresh = std::mem::take(&mut self.fresh);
        match self.token() {
            Some(b']') => {
                self.leave();
                Ok(false)
            }
            Some(_) if fresh => Ok(true),
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            _ => Err(self.bad("expected `,` or `]`")),
        }
    }

    /// The string here.
    #[inline]
    pub fn string(&mut self) -> Result<Cow<'a, str>> {
        string::read(self)
    }

    /// The number here.
    pub fn number(&mut self) -> Result<Number<'a>> {
        number::read(self)
    }

    /// The boolean here.
    pub fn boolean(&mut self) -> Result<bool> {
        let value = self.token() == Some(b't');
        self.literal(if value { b"true" } else { b"false" })?;
        Ok(value)
    }

    /// The null here.
    pub fn null(&mut self) -> Result<()> {
        self.token();
        self.literal(b"null")
    }

    /// Passes over the value here, whatever it is, and checks that it is JSON.
    pub fn skip(&mut self) -> Result<()> {
        let depth = self.depth;
        self.skip_or_enter()?;
        self.leave_to(depth)
    }

    /// From after a value, leaves containers until that many are open, and checks that what is passed over is
    /// JSON.
    pub fn leave_to(&mut self, depth: u32) -> Result<()> {
        while self.depth > depth {
            let more = if self.objects & 1 == 1 {
                self.skip_key()?
            } else {
                self.next_element()?
            };
            if more {
                self.skip_or_enter()?;
            }
        }
        Ok(())
    }

    /// After the outermost value: nothing but white space may follow.
    pub fn end(&mut self) -> Result<()> {
        match self.token() {
            None => Ok(()),
            Some(_) => Err(self.bad("something follows the value")),
        }
    }

    fn skip_or_enter(&mut self) -> Result<()> {
        match self.peek()? {
            Kind::Object | Kind::Array => self.enter(),
            Kind::String => string::skip(self),
            Kind::Number => self.number().map(drop),
            Kind::Boolean => self.boolean().map(drop),
            Kind::Null => self.null(),
        }
    }

    fn skip_key(&mut self) -> Result<bool> {
        if !self.next_member()? {
            return Ok(false);
        }
        string::skip(self)?;
        self.colon()?;
        Ok(true)
    }

    /// Whether the object around this place has another key, which then is up next; `false` leaves it.
    #[inline]
    pub(crate) fn next_member(&mut self) -> Result<bool> {
        let fresh = std::mem::take(&mut self.fresh);
        match self.token() {
            Some(b'}') => {
                self.leave();
                return Ok(false);
            }
            Some(b',') if !fresh => self.at += 1,
            _ if fresh => {}
            _ => return Err(self.bad("expected `,` or `}`")),
        }
        if self.token() == Some(b'"') {
            Ok(true)
        } else {
            Err(self.bad("expected a key"))
        }
    }

    #[inline]
    pub(crate) fn colon(&mut self) -> Result<()> {
        if self.token() != Some(b':') {
            return Err(self.bad("expected `:`"));
        }
        self.at += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.at += 1;
        self.depth -= 1;
        self.objects >>= 1;
    }

    fn literal(&mut self, word: &[u8]) -> Result<()> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.bad("expected a value"));
        }
        self.at += word.len();
        Ok(())
    }

    /// Passes over white space; the byte that follows it, which stays up next.
    #[inline]
    fn token(&mut self) -> Option<u8> {
        while let Some(&byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[cold]
    fn bad(&self, what: &'static str) -> Box<NotJson> {
        NotJson::at(self.at, what)
    }
}

#[cfg(test)]
mod tests;
