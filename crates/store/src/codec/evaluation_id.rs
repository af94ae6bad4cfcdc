//! An `evaluation_id` in few bytes: the usual shapes of random ids are packed, any other stands as it is.

use super::fields::{Malformed, Reader, put_text};

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

/// Appends the id in its shortest form. Gives its fingerprint.
pub(crate) fn put(out: &mut Vec<u8>, id: &str) -> u16 {
    let bytes = id.as_bytes();
    let start = out.len();
    let packed = if bytes.len() == 36 && DASHES.iter().all(|&at| bytes[at] == b'-') {
        out.push(UUID);
        let parts = [
            &bytes[..8],
            &bytes[9..13],
            &bytes[14..18],
            &bytes[19..23],
            &bytes[24..],
        ];
        parts.iter().all(|part| pack(out, part)).then_some(start + 1)
    } else if !bytes.is_empty() && bytes.len().is_multiple_of(2) && bytes.len() <= 64 {
        out.push(HEX);
        out.push((bytes.len() / 2) as u8);
        pack(out, bytes).then_some(start + 2)
    } else {
        None
    };
    match packed {
        Some(digits) => fingerprint_of(&out[digits..]),
        None => {
            out.truncate(start);
            out.push(RAW);
            put_text(out, id);
            fingerprint_of(bytes)
        }
    }
}

/// Appends hex digits, an even number of them, two a byte; false where one is none.
fn pack(out: &mut Vec<u8>, digits: &[u8]) -> bool {
    let mut is_hex = true;
    out.extend(digits.chunks_exact(2).map(|pair| {
        let (high, low) = (DIGITS[pair[0] as usize], DIGITS[pair[1] as usize]);
        is_hex &= (high | low) < 16;
        high << 4 | low
    }));
    is_hex
}

/// The value of each lower-case hex digit; of any other byte, one beyond all of them.
const DIGITS: [u8; 256] = {
    let mut values = [0xf0; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value] as usize] = value as u8;
        value += 1;
    }
    values
};

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

/// The fingerprint of an id, as its rows have it.
pub(crate) fn fingerprint(id: &str) -> u16 {
    put(&mut Vec::with_capacity(64), id)
}

fn fingerprint_of(bytes: &[u8]) -> u16 {
    (crc32c::crc32c(bytes) >> 16).max(1) as u16
}

impl std::fmt::Display for IdForm<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Raw(text) => f.write_str(text),
            Self::Hex(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            Self::Uuid(bytes) => bytes.iter().enumerate().try_for_each(|(at, byte)| {
                let dash = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
                write!(f, "{dash}{byte:02x}")
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(id: &str) -> (String, usize) {
        let mut out = Vec::new();
        put(&mut out, id);
        let mut reader = Reader { bytes: &out };
        let form = read(&mut reader).unwrap();
        assert!(reader.is_empty());
        assert_eq!(form.fingerprint(), fingerprint(id));
        (form.to_string(), out.len())
    }

    #[test]
    fn usual_shapes_are_packed() {
        let sizes = [
            ("9f86d081884c7d659a2feaa0", 14),
            ("123e4567-e89b-12d3-a456-426614174000", 17),
            ("123E4567-e89b-12d3-a456-426614174000", 38),
            ("run-1", 7),
            ("abc", 5),
        ];
        for (id, bytes) in sizes {
            assert_eq!(round_trip(id), (id.to_owned(), bytes));
        }
    }

    proptest! {
        #[test]
        fn any_id_comes_back(id in "\\PC{1,50}|[0-9a-f]{1,50}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}") {
            prop_assert_eq!(round_trip(&id).0, id);
        }
    }
}
