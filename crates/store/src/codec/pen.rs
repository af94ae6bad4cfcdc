//! Writes the fields of a record one after another into bytes that are there already.
//!
//! A `Vec` asks for room at every byte that is pushed. Here a field is one store of eight bytes, of which
//! those behind the field are overwritten by the next; what was written is known by the pen's place alone.

use super::fields::zigzag;

/// Room made beyond what is asked for, so that this is seldom done.
const SPARE_BYTES: usize = 4 << 10;

/// The bytes of a record so far.
#[derive(Debug, Default)]
pub(crate) struct Pen {
    /// Those up to `at` are written; what lies behind means nothing.
    bytes: Vec<u8>,
    at: usize,
}

impl Pen {
    /// Starts over. The room stays.
    pub(crate) fn clear(&mut self) {
        self.at = 0;
    }

    /// What was written.
    pub(crate) fn written(&self) -> &[u8] {
        &self.bytes[..self.at]
    }

    /// How many bytes were written.
    pub(super) fn len(&self) -> usize {
        self.at
    }

    /// Takes back all behind the first so many bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        self.at = self.at.min(len);
    }

    /// The next bytes to write, at least this many.
    #[inline]
    fn room(&mut self, most: usize) -> &mut [u8] {
        if self.bytes.len() - self.at < most {
            self.grow(most);
        }
        &mut self.bytes[self.at..]
    }

    #[cold]
    fn grow(&mut self, most: usize) {
        self.bytes.resize(self.at + most + SPARE_BYTES, 0);
    }

    /// Writes the first `len` bytes, at most 8, of a little-endian word.
    #[inline]
    pub(super) fn word(&mut self, word: u64, len: usize) {
        self.room(8)[..8].copy_from_slice(&word.to_le_bytes());
        self.at += len;
    }

    #[inline]
    pub(super) fn byte(&mut self, byte: u8) {
        self.word(u64::from(byte), 1);
    }

    /// An unsigned integer as [`super::fields::put_varint`] writes it.
    #[inline]
    pub(super) fn varint(&mut self, value: u64) {
        match varint(value) {
            Some((bytes, len)) => self.word(bytes, len),
            None => self.long_varint(value),
        }
    }

    #[cold]
    fn long_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    /// A signed integer as [`super::fields::put_signed`] writes it.
    #[inline]
    pub(super) fn signed(&mut self, value: i64) {
        self.varint(zigzag(value));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    /// A text with its length before it.
    pub(super) fn text(&mut self, text: &str) {
        self.varint(text.len() as u64);
        self.bytes(text.as_bytes());
    }

    /// Puts the length of all that was written from here on before it.
    pub(super) fn measured<T>(&mut self, write: impl FnOnce(&mut Self) -> T) -> T {
        let start = self.at;
        self.byte(0);
        let result = write(self);
        let body = start + 1;
        let len = self.at - body;
        if len < 0x80 {
            self.bytes[start] = len as u8;
            return result;
        }
        // A longer length pushes the body back.
        self.varint(len as u64);
        let prefix = self.at - body - len;
        self.bytes[start..self.at].rotate_right(prefix);
        self.bytes
            .copy_within(start + prefix + 1..self.at, start + prefix);
        self.at -= 1;
        result
    }
}

/// The bytes of an integer of at most 28 bits, 7 a byte, low bits first, and how many they are. Whether they are one or
/// two, or three or four, no processor foresees, so that is no branch.
#[inline]
pub(super) fn varint(value: u64) -> Option<(u64, usize)> {
    let low = value & 0x7f | (value & 0x3f80) << 1;
    if value < 0x4000 {
        let more = u64::from(value >= 0x80);
        return Some((low | more << 7, 1 + more as usize));
    }
    let spread = low | (value & 0x1f_c000) << 2 | (value & 0xfe0_0000) << 3 | 0x8080;
    let more = u64::from(value >= 0x20_0000);
    (value < 0x1000_0000).then_some((spread | more << 23, 3 + more as usize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::fields::{put_signed, put_text, put_varint};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_writes_what_a_vector_is_given(
            fields in prop::collection::vec((0u32..64, any::<u64>(), ".{0,200}"), 0..60),
        ) {
            let (mut pen, mut out) = (Pen::default(), Vec::new());
            for (shift, number, text) in &fields {
                let number = number >> shift;
                pen.varint(number);
                put_varint(&mut out, number);
                pen.signed(number.cast_signed().wrapping_neg());
                put_signed(&mut out, number.cast_signed().wrapping_neg());
                let mut inner = Vec::new();
                put_text(&mut inner, text);
                pen.measured(|pen| pen.text(text));
                put_varint(&mut out, inner.len() as u64);
                out.extend_from_slice(&inner);
            }
            prop_assert_eq!(pen.written(), &out[..]);
            pen.truncate(out.len() / 2);
            prop_assert_eq!(pen.written(), &out[..out.len() / 2]);
        }
    }
}
