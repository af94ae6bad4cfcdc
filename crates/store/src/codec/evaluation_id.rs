//! An `evaluation_id` in few bytes: the usual shapes of random ids are packed, any other stands as it is.

use super::fields::{Malformed, Reader};
use super::pen::Pen;
use std::fmt::{self, Write as _};

const RAW: u8 = 0;
const HEX: u8 = 1;
const UUID: u8 = 2;
/// Where a UUID has its dashes.
const DASHES: [usize; 4] = [8, 13, 18, 23];

/// An id as it stands in a row. Packing is canonical: equal ids have equal forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdForm<'a> {
    /// Any text.
    Raw(&'a str),
    /// Lower-case hex digits, an even number of them, two a byte.
    Hex(&'a [u8]),
    /// A lower-case UUID with dashes.
    Uuid(&'a [u8]),
}

/// Writes the id in its shortest form. Gives its fingerprint.
pub(crate) fn put(pen: &mut Pen, id: &str) -> u16 {
    let bytes = id.as_bytes();
    let start = pen.len();
    let packed = if bytes.len() == 36 && DASHES.iter().all(|&at| bytes[at] == b'-') {
        pen.byte(UUID);
        let mut digits = [0; 32];
        digits[..8].copy_from_slice(&bytes[..8]);
        digits[8..12].copy_from_slice(&bytes[9..13]);
        digits[12..16].copy_from_slice(&bytes[14..18]);
        digits[16..20].copy_from_slice(&bytes[19..23]);
        digits[20..].copy_from_slice(&bytes[24..]);
        pack(pen, &digits).then_some(start + 1)
    } else if !bytes.is_empty() && bytes.len().is_multiple_of(2) && bytes.len() <= 64 {
        pen.byte(HEX);
        pen.byte((bytes.len() / 2) as u8);
        pack(pen, bytes).then_some(start + 2)
    } else {
        None
    };
    match packed {
        Some(digits) => fingerprint_of(&pen.written()[digits..]),
        None => {
            pen.truncate(start);
            pen.byte(RAW);
            pen.text(id);
            fingerprint_of(bytes)
        }
    }
}

/// Writes hex digits, an even number of them, two a byte; false where one is none.
fn pack(pen: &mut Pen, digits: &[u8]) -> bool {
    let (eights, rest) = digits.as_chunks::<8>();
    for eight in eights {
        match packed(*eight) {
            Some(bytes) => pen.word(bytes, 4),
            None => return false,
        }
    }
    if rest.is_empty() {
        return true;
    }
    let mut last = [b'0'; 8];
    last[..rest.len()].copy_from_slice(rest);
    packed(last).is_some_and(|bytes| {
        pen.word(bytes, rest.len() / 2);
        true
    })
}

/// The four bytes, little-endian, that eight lower-case hex digits stand for. All eight at once, a byte of a
/// word each.
#[inline]
fn packed(digits: [u8; 8]) -> Option<u64> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let text = u64::from_le_bytes(digits);
    let is_letter = text >> 6 & ONES;
    let values = (text & (0x0f * ONES)) + 9 * is_letter;
    // No byte overflows: 15 + 9 is the most. A digit is what its value is written as, and no other byte is.
    let is_ten_or_more = (values + 6 * ONES) >> 4 & ONES;
    let written = values + 0x30 * ONES + 0x27 * is_ten_or_more;
    if written != text || values & (0xf0 * ONES) != 0 {
        return None;
    }
    let pairs = (values << 4 | values >> 8) & 0x00ff_00ff_00ff_00ff;
    let halves = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    Some((halves | halves >> 16) & 0xffff_ffff)
}

/// Reads an id.
pub(crate) fn read<'a>(reader: &mut Reader<'a>) -> Result<IdForm<'a>, Malformed> {
    match reader.byte()? {
        RAW => Ok(IdForm::Raw(reader.text()?)),
        HEX => {
            let len = usize::from(reader.byte()?);
            Ok(IdForm::Hex(reader.take(len)?))
        }
        UUID => Ok(IdForm::Uuid(reader.take(16)?)),
        _ => Err(Malformed("an evaluation id has no known form")),
    }
}

impl IdForm<'_> {
    /// A 16-bit hash, never 0, that pre-selects rows by their id.
    pub(crate) fn fingerprint(&self) -> u16 {
        let bytes = match self {
            Self::Raw(text) => text.as_bytes(),
            Self::Hex(bytes) | Self::Uuid(bytes) => bytes,
        };
        fingerprint_of(bytes)
    }
}

/// The form of an id, in the room of a pen whatever that wrote before.
pub(crate) fn form<'p>(pen: &'p mut Pen, id: &str) -> Option<IdForm<'p>> {
    pen.clear();
    put(pen, id);
    read(&mut Reader { bytes: pen.written() }).ok()
}

/// The fingerprint of an id, as its rows have it.
pub(crate) fn fingerprint(id: &str) -> u16 {
    put(&mut Pen::default(), id)
}

fn fingerprint_of(bytes: &[u8]) -> u16 {
    (crc32c::crc32c(bytes) >> 16).max(1) as u16
}

impl fmt::Display for IdForm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw(text) => f.write_str(text),
            Self::Hex(bytes) => write_hex(f, bytes),
            Self::Uuid(bytes) => {
                let mut from = 0;
                for to in [4, 6, 8, 10] {
                    write_hex(f, &bytes[from..to])?;
                    f.write_char('-')?;
                    from = to;
                }
                write_hex(f, &bytes[from..])
            }
        }
    }
}

/// Writes two digits a byte, many at once: ids are read by the million.
fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for some in bytes.chunks(16) {
        let mut text = [0; 32];
        for (digits, byte) in text.chunks_exact_mut(2).zip(some) {
            digits[0] = DIGITS[usize::from(byte >> 4)];
            digits[1] = DIGITS[usize::from(byte & 15)];
        }
        f.write_str(std::str::from_utf8(&text[..2 * some.len()]).map_err(|_| fmt::Error)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(id: &str) -> (String, usize) {
        let mut pen = Pen::default();
        put(&mut pen, id);
        let mut reader = Reader { bytes: pen.written() };
        let form = read(&mut reader).unwrap();
        assert!(reader.is_empty());
        assert_eq!(form.fingerprint(), fingerprint(id));
        (form.to_string(), pen.len())
    }

    #[test]
    fn usual_shapes_are_packed() {
        let sizes = [
            ("9f86d081884c7d659a2feaa0", 14),
            ("123e4567-e89b-12d3-a456-426614174000", 17),
            ("123E4567-e89b-12d3-a456-426614174000", 38),
            (
                "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                34,
            ),
            ("run-1", 7),
            ("abc", 5),
        ];
        for (id, bytes) in sizes {
            assert_eq!(round_trip(id), (id.to_owned(), bytes));
        }
    }

    #[test]
    fn a_byte_is_a_hex_digit_where_it_is_one_and_nowhere_else() {
        for at in 0..8 {
            for byte in 0..=u8::MAX {
                let mut digits = *b"0f9a8b7c";
                digits[at] = byte;
                let text = std::str::from_utf8(&digits);
                let is_hex = matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                let value = text
                    .ok()
                    .filter(|_| is_hex)
                    .map(|text| u32::from_str_radix(text, 16).unwrap());
                assert_eq!(
                    packed(digits),
                    value.map(|value| u64::from(value.swap_bytes())),
                    "{byte} at {at}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn any_id_comes_back(id in "\\PC{1,50}|[0-9a-f]{1,50}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}") {
            prop_assert_eq!(round_trip(&id).0, id);
        }
    }
}
