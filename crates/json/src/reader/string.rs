//! Strings: borrowed as they stand, owned only where an escape was written.

use super::scan::plain_end;
use super::{NotJson, Reader, Result};
use std::borrow::Cow;

/// The string here.
#[inline]
pub(super) fn read<'a>(reader: &mut Reader<'a>) -> Result<Cow<'a, str>> {
    open(reader)?;
    let plain = plain(reader);
    if reader.byte() == Some(b'"') {
        reader.at += 1;
        return Ok(Cow::Borrowed(plain));
    }
    read_escaped(reader, plain).map(Cow::Owned)
}

/// Goes on with a string after its first plain part.
fn read_escaped(reader: &mut Reader<'_>, plain: &str) -> Result<String> {
    let mut text = plain.to_owned();
    while more(reader)? {
        text.push(escape(reader)?);
        text.push_str(self::plain(reader));
    }
    Ok(text)
}

/// Passes over the string here.
pub(super) fn skip(reader: &mut Reader<'_>) -> Result<()> {
    open(reader)?;
    plain(reader);
    while more(reader)? {
        escape(reader)?;
        plain(reader);
    }
    Ok(())
}

#[inline]
fn open(reader: &mut Reader<'_>) -> Result<()> {
    if reader.token() != Some(b'"') {
        return Err(reader.bad("expected a string"));
    }
    reader.at += 1;
    Ok(())
}

/// Passes over what needs no decoding. It ends before an ASCII byte or the end: a boundary of characters.
#[inline]
fn plain<'a>(reader: &mut Reader<'a>) -> &'a str {
    let start = reader.at;
    reader.at = plain_end(reader.bytes, start);
    &reader.text[start..reader.at]
}

/// After a plain part: whether an escape is up next; `false` passes over the closing quote.
fn more(reader: &mut Reader<'_>) -> Result<bool> {
    match reader.byte() {
        Some(b'"') => {
            reader.at += 1;
            Ok(false)
        }
        Some(b'\\') => Ok(true),
        Some(_) => Err(reader.bad("an unescaped control character in a string")),
        None => Err(reader.bad("the text ends within a string")),
    }
}

/// The character that the escape here stands for. A surrogate without its other half is U+FFFD.
fn escape(reader: &mut Reader<'_>) -> Result<char> {
    let start = reader.at;
    reader.at += 2;
    Ok(match reader.bytes.get(start + 1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            let unit = hex(reader, reader.at).ok_or_else(|| NotJson::at(start, "a bad \\u escape"))?;
            reader.at += 4;
            match unit {
                0xd800..=0xdbff => joined(reader, unit),
                _ => char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER),
            }
        }
        _ => {
            return Err(NotJson::at(start, "a bad escape"));
        }
    })
}

/// The character of this high surrogate and the low one that should follow, which is passed over if it does.
fn joined(reader: &mut Reader<'_>, high: u32) -> char {
    let follows = reader.bytes[reader.at..].starts_with(b"\\u");
    match hex(reader, reader.at + 2).filter(|_| follows) {
        Some(low @ 0xdc00..=0xdfff) => {
            reader.at += 6;
            char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))
                .unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        _ => char::REPLACEMENT_CHARACTER,
    }
}

/// The value of the four hexadecimal digits at that index.
fn hex(reader: &Reader<'_>, at: usize) -> Option<u32> {
    let digits = reader.bytes.get(at..at + 4)?;
    digits.iter().try_fold(0, |value, &digit| {
        Some(value << 4 | char::from(digit).to_digit(16)?)
    })
}
