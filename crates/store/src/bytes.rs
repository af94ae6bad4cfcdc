//! Plain little-endian fields for the derived files: checkpoint and window copies.
//!
//! A reader that runs out of bytes answers `None`; whoever reads treats the file as absent, since all of it
//! can be rebuilt.

use crate::facts::Facts;
use crate::span::TimeSpan;
use reputation::Micros;

/// Reads fields off the front of a slice.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn micros(&mut self) -> Option<Micros> {
        self.array().map(i64::from_le_bytes).map(Micros)
    }

    /// A text with its length before it.
    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let len = self.u32()? as usize;
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        std::str::from_utf8(head).ok()
    }

    pub(crate) fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.u8()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }

    pub(crate) fn facts(&mut self) -> Option<Facts> {
        let span = |fields: &mut Self| {
            Some(TimeSpan {
                min: fields.micros()?,
                max: fields.micros()?,
            })
        };
        Some(Facts {
            count: self.u64()?,
            first_seen: self.micros()?,
            last_seen: self.micros()?,
            last_seq: self.u64()?,
            newest_sent: self.option(Self::micros)?,
            clamped: self.option(span)?,
            made: self.option(span)?,
            last_aside: self.u64()?,
        })
    }
}

/// Writes fields to the end of a buffer.
pub(crate) trait PutFields {
    fn put_u8(&mut self, value: u8);
    fn put_u32(&mut self, value: u32);
    fn put_u64(&mut self, value: u64);
    fn put_micros(&mut self, value: Micros);
    fn put_text(&mut self, value: &str);
    fn put_option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T));
    fn put_facts(&mut self, facts: &Facts);
}

impl PutFields for Vec<u8> {
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }

    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_micros(&mut self, value: Micros) {
        self.extend_from_slice(&value.0.to_le_bytes());
    }

    fn put_text(&mut self, value: &str) {
        self.put_u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
        self.extend_from_slice(value.as_bytes());
    }

    fn put_option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        self.put_u8(u8::from(value.is_some()));
        if let Some(value) = value {
            put(self, value);
        }
    }

    fn put_facts(&mut self, facts: &Facts) {
        let span = |out: &mut Self, span: TimeSpan| {
            out.put_micros(span.min);
            out.put_micros(span.max);
        };
        self.put_u64(facts.count);
        self.put_micros(facts.first_seen);
        self.put_micros(facts.last_seen);
        self.put_u64(facts.last_seq);
        self.put_option(facts.newest_sent, Self::put_micros);
        self.put_option(facts.clamped, span);
        self.put_option(facts.made, span);
        self.put_u64(facts.last_aside);
    }
}
