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

/// Appends the id in its shortest form.
pub(crate) fn put(out: &mut Vec<u8>, id: &str) {
    let bytes = id.as_bytes();
    let is_uuid = bytes.len() == 36 && DASHES.iter().all(|&at| bytes[at] == b'-');
    let start = out.len();
    let digits = bytes
        .iter()
        .copied()
        .enumerate()
        .filter(|(at, _)| !(is_uuid && DASHES.contains(at)));
    let packs = if is_uuid {
        out.push(UUID);
        pack(out, digits.map(|(_, digit)| digit))
    } else if !bytes.is_empty() && bytes.len().is_multiple_of(2) && bytes.len() <= 64 {
        out.push(HEX);
        out.push((bytes.len() / 2) as u8);
        pack(out, digits.map(|(_, digit)| digit))
    } else {
        false
    };
    if !packs {
        out.truncate(start);
        out.push(RAW);
        put_text(out, id);
    }
}

/// Appends hex digits two a byte; false at the first byte that is none.
fn pack(out: &mut Vec<u8>, mut digits: impl Iterator<Item = u8>) -> bool {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    while let Some(high) = digits.next() {
        let (Some(high), Some(low)) = (value(high), digits.next().and_then(value)) else {
            return false;
        };
        out.push(high << 4 | low);
    }
    true
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
        (crc32c::crc32c(bytes) >> 16).max(1) as u16
    }
}

/// The fingerprint of an id, as its rows have it.
pub(crate) fn fingerprint(id: &str) -> u16 {
    let mut packed = Vec::with_capacity(64);
    put(&mut packed, id);
    read(&mut Reader { bytes: &packed }).map_or(0, |form| form.fingerprint())
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
