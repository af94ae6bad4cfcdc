//! The record of an agent's erasure, and what erasing leaves of a batch.

use super::batch::BatchReader;
use super::fields::{Malformed, Reader, put_varint};
use super::words::AgentWord;
use crate::{KeyId, OrgId};
use reputation::Micros;

/// The keyed hash that stands for an agent's name once that is gone.
pub(crate) type NameHash = [u8; 16];

/// The most that an erasure takes of a frame, in bytes, its record's header included.
pub(crate) const MAX_ERASE_BYTES: usize = 64;

/// An erasure, as recorded: all that the segments before this one have of the agent goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EraseRecord {
    pub(crate) org: OrgId,
    /// Who asked; 0 for the operator.
    pub(crate) key: KeyId,
    pub(crate) received_at: Micros,
    /// The organisation's newest sequence number, which may have been the agent's.
    pub(crate) last_seq: u64,
    pub(crate) name: NameHash,
}

/// The body of an `ERASE` record.
pub(crate) fn encode_erase(record: &EraseRecord) -> Vec<u8> {
    let mut out = Vec::with_capacity(MAX_ERASE_BYTES);
    put_varint(&mut out, u64::from(record.org.0));
    put_varint(&mut out, u64::from(record.key.0));
    out.extend_from_slice(&record.received_at.0.to_le_bytes());
    put_varint(&mut out, record.last_seq);
    out.extend_from_slice(&record.name);
    out
}

impl EraseRecord {
    pub(crate) fn read(body: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader { bytes: body };
        Ok(Self {
            org: OrgId(reader.varint32()?),
            key: KeyId(reader.varint32()?),
            received_at: Micros(i64::from_le_bytes(reader.array()?)),
            last_seq: reader.varint()?,
            name: reader.array()?,
        })
    }
}

/// A batch's body without the rows of these agents; a row of no bytes keeps the place of each.
pub(crate) fn without_rows(body: &[u8], is_gone: impl Fn(AgentWord) -> bool) -> Result<Vec<u8>, Malformed> {
    let reader = BatchReader::new(body)?;
    let mut out = reader.header_bytes(body).to_vec();
    for (bytes, row) in reader.raw_rows().zip(reader.rows()) {
        let (bytes, row) = (bytes?, row?);
        if row.is_none_or(|row| is_gone(row.agent)) {
            out.push(0);
        } else {
            put_varint(&mut out, bytes.len() as u64);
            out.extend_from_slice(bytes);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_erasure_is_read_back_and_no_part_of_it_is_one() {
        let record = EraseRecord {
            org: OrgId(u32::MAX),
            key: KeyId(u32::MAX),
            received_at: Micros(i64::MAX),
            last_seq: u64::MAX,
            name: *b"sixteen bytes ok",
        };
        let body = encode_erase(&record);
        assert_eq!(EraseRecord::read(&body), Ok(record));
        assert!(body.len() + journal::RECORD_HEADER_BYTES <= MAX_ERASE_BYTES);
        for end in 0..body.len() {
            assert!(EraseRecord::read(&body[..end]).is_err(), "{end}");
        }
    }
}
