//! Records: the typed parts of a frame's payload, each with a checksum of its own so that it can be read
//! alone.

use crate::header::u32_at;

/// What precedes a record's body: kind, flags, two bytes of zero, body length, checksum.
pub const RECORD_HEADER_BYTES: usize = 12;

const MUST_UNDERSTAND: u8 = 1;
const CRC_AT: usize = 8;

/// One record of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What it is; the store's to say.
    pub kind: u8,
    /// Whether a reader that does not know the kind must refuse to go on.
    pub must_understand: bool,
    /// Where the record (its header) starts in the payload, in bytes.
    pub offset: u32,
    /// Its content.
    pub body: &'a [u8],
}

impl Record<'_> {
    /// The length of the record with its header, as [`read_record`](crate::read_record) takes it.
    pub fn record_bytes(&self) -> u32 {
        (RECORD_HEADER_BYTES + self.body.len()) as u32
    }
}

/// The records of a payload that came from [`FrameRef`](crate::FrameRef), in order.
pub fn records(payload: &[u8]) -> Records<'_> {
    Records { payload, at: 0 }
}

/// Iterator over the records of a payload. Ends where the bytes do not make a record; reading a frame checks
/// beforehand that there is no such place.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    payload: &'a [u8],
    at: usize,
}

impl Records<'_> {
    /// Whether the payload is records from its first byte to its last.
    pub(crate) fn are_whole(self) -> bool {
        let mut rest = self;
        rest.by_ref().for_each(drop);
        rest.at == rest.payload.len()
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let rest = &self.payload[self.at..];
        let body_bytes = body_bytes(rest)?;
        let body = rest.get(RECORD_HEADER_BYTES..)?.get(..body_bytes)?;
        let record = Record {
            kind: rest[0],
            must_understand: rest[1] & MUST_UNDERSTAND != 0,
            offset: self.at as u32,
            body,
        };
        self.at += RECORD_HEADER_BYTES + body_bytes;
        Some(record)
    }
}

/// Appends a record whose body `write` appends.
pub(crate) fn append(
    buffer: &mut Vec<u8>,
    kind: u8,
    must_understand: bool,
    write: impl FnOnce(&mut Vec<u8>),
) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; RECORD_HEADER_BYTES]);
    write(buffer);
    // A body past 4 GiB cannot get here as a frame: there is no room to reserve for it.
    let body_bytes = (buffer.len() - start - RECORD_HEADER_BYTES) as u32;
    buffer[start] = kind;
    buffer[start + 1] = if must_understand { MUST_UNDERSTAND } else { 0 };
    buffer[start + 4..start + 8].copy_from_slice(&body_bytes.to_le_bytes());
    let crc = checksum(&buffer[start..]);
    buffer[start + CRC_AT..start + RECORD_HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
}

/// Checks that these bytes are exactly one record; says what is wrong with them if not.
pub(crate) fn check(record: &[u8]) -> Result<(), &'static str> {
    match body_bytes(record) {
        Some(body_bytes) if RECORD_HEADER_BYTES + body_bytes == record.len() => {}
        _ => return Err("a record of another length is here"),
    }
    if checksum(record) == u32_at(record, CRC_AT) {
        Ok(())
    } else {
        Err("the record's checksum does not match")
    }
}

fn body_bytes(record: &[u8]) -> Option<usize> {
    (record.len() >= RECORD_HEADER_BYTES).then(|| u32_at(record, 4) as usize)
}

fn checksum(record: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&record[..CRC_AT]), &record[RECORD_HEADER_BYTES..])
}
