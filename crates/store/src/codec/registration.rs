//! The record of an agent that was made known before its first event.

use super::fields::{Malformed, Reader, put_text, put_varint};
use crate::{KeyId, OrgId};
use reputation::Micros;

/// A registration, as recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RegistrationRecord<'a> {
    pub(crate) org: OrgId,
    pub(crate) key: KeyId,
    pub(crate) received_at: Micros,
    pub(crate) agent_id: &'a str,
}

/// The body of a `REGISTRATION` record.
pub(crate) fn encode_registration(record: &RegistrationRecord<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(max_registration_bytes(record.agent_id));
    put_varint(&mut out, u64::from(record.org.0));
    put_varint(&mut out, u64::from(record.key.0));
    out.extend_from_slice(&record.received_at.0.to_le_bytes());
    put_text(&mut out, record.agent_id);
    out
}

/// The most that a registration takes of a frame, in bytes, its record's header and its agent's word included.
pub(crate) fn max_registration_bytes(agent_id: &str) -> usize {
    128 + 2 * agent_id.len()
}

impl<'a> RegistrationRecord<'a> {
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader { bytes: body };
        Ok(Self {
            org: OrgId(reader.varint32()?),
            key: KeyId(reader.varint32()?),
            received_at: Micros(i64::from_le_bytes(reader.array()?)),
            agent_id: reader.text()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_comes_back() {
        let record = RegistrationRecord {
            org: OrgId(300),
            key: KeyId(7),
            received_at: Micros(-5),
            agent_id: "später",
        };
        let body = encode_registration(&record);
        assert_eq!(RegistrationRecord::read(&body), Ok(record));
        assert!(RegistrationRecord::read(&body[..body.len() - 1]).is_err());
    }
}
