//! A query string, pair by pair.

use crate::{Fault, timestamp};
use reputation::Micros;

/// The rule that a bad encoding breaks.
pub(super) const NOT_ENCODED: &str = "not percent-encoded UTF-8";
/// More of a name than this is not repeated to whom sent it.
const MAX_SHOWN_NAME: usize = 64;

/// A parameter as it was given, decoded.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) name: String,
    pub(super) value: String,
}

impl Pair {
    /// Says that there is no parameter of this name.
    pub(super) fn unknown(&self) -> Fault {
        Fault::validation(shown(&self.name), "no such parameter here")
    }
}

/// The parameters of a query string, in order; empty ones (`&&`) are passed over.
#[derive(Debug)]
pub(super) struct Pairs<'a>(std::str::Split<'a, char>);

impl<'a> Pairs<'a> {
    pub(super) fn new(query: Option<&'a str>) -> Self {
        Self(query.unwrap_or_default().split('&'))
    }
}

impl Iterator for Pairs<'_> {
    type Item = Result<Pair, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let pair = self.0.find(|pair| !pair.is_empty())?;
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(decoded) = percent_decode(name, true) else {
            return Some(Err(Fault::validation(shown(name), NOT_ENCODED)));
        };
        Some(match percent_decode(value, true) {
            Some(value) => Ok(Pair { name: decoded, value }),
            None => Err(Fault::validation(shown(&decoded), NOT_ENCODED)),
        })
    }
}

/// A name that came from outside, cut so that no answer grows with it.
fn shown(name: &str) -> String {
    name.chars().take(MAX_SHOWN_NAME).collect()
}

/// Decodes `%hh`, and `+` as a blank where asked for; `None` if it is not so encoded or not UTF-8.
pub(super) fn percent_decode(text: &str, plus_is_blank: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex_digit(rest.next()?)? << 4 | hex_digit(rest.next()?)?,
            b'+' if plus_is_blank => b' ',
            _ => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// A parameter that may be given once.
#[derive(Debug)]
pub(super) struct Once<T> {
    name: &'static str,
    value: Option<T>,
}

impl<T> Once<T> {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, value: None }
    }

    /// Takes its value by its rule, whose error is the rule that was broken.
    pub(super) fn take(
        &mut self,
        text: String,
        rule: impl FnOnce(&'static str, String) -> Result<T, Fault>,
    ) -> Result<(), Fault> {
        if self.value.is_some() {
            return Err(Fault::validation(self.name, "given twice"));
        }
        self.value = Some(rule(self.name, text)?);
        Ok(())
    }

    pub(super) fn get(self) -> Option<T> {
        self.value
    }
}

/// A whole number in a range, written in digits alone.
pub(super) fn whole_number(name: &'static str, text: &str, from: u64, to: u64) -> Result<u64, Fault> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .filter(|number| (from..=to).contains(number))
        .ok_or_else(|| Fault::validation(name, format!("not a whole number from {from} to {to}")))
}

/// A timestamp. A blank in front of the offset is a `+` that the caller forgot to encode: nothing else can
/// stand there.
pub(super) fn instant(name: &'static str, text: &str) -> Result<Micros, Fault> {
    const DATE_AND_SEPARATOR: usize = 11;
    let repaired: String = text
        .char_indices()
        .map(|(at, character)| {
            if at >= DATE_AND_SEPARATOR && character == ' ' {
                '+'
            } else {
                character
            }
        })
        .collect();
    timestamp::parse(&repaired).map_err(|misread| Fault::validation(name, misread.rule()))
}
