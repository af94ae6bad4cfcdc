//! The last sector of a sealed segment: everything before it was synced before it was written.
//!
//! So a seal proves that its segment is durable, even if the seal itself is lost in a power cut; and it says
//! with one read where the segment ends, so that opening a long log does not read it.

use crate::SECTOR;
use crate::header::{Header, u32_at, u64_at};

/// How long a seal is.
pub(crate) const SEAL_BYTES: u64 = SECTOR as u64;

const MAGIC: [u8; 8] = *b"REPUTEND";
const CRC_AT: usize = SECTOR - 4;

/// Where a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    /// Offset just after the last frame, which is the offset of the seal.
    pub(crate) end: u64,
    /// The last sequence number in the segment, or before it where it holds none.
    pub(crate) last_seq: u64,
}

impl Seal {
    pub(crate) fn encode(self, header: &Header) -> [u8; SECTOR] {
        let mut sector = [0; SECTOR];
        sector[..8].copy_from_slice(&MAGIC);
        sector[8..16].copy_from_slice(&header.number.to_le_bytes());
        sector[16..20].copy_from_slice(&header.generation.to_le_bytes());
        sector[24..32].copy_from_slice(&self.end.to_le_bytes());
        sector[32..40].copy_from_slice(&self.last_seq.to_le_bytes());
        let crc = checksum(&sector, header);
        sector[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        sector
    }

    /// The seal of `header`'s segment, if this sector, found at `offset`, is it.
    pub(crate) fn decode(sector: &[u8], offset: u64, header: &Header) -> Option<Seal> {
        let ours = sector.len() == SECTOR
            && sector[..8] == MAGIC
            && u64_at(sector, 8) == header.number
            && u32_at(sector, 16) == header.generation
            && u64_at(sector, 24) == offset
            && u32_at(sector, CRC_AT) == checksum(sector, header);
        ours.then(|| Seal {
            end: offset,
            last_seq: u64_at(sector, 32),
        })
    }
}

fn checksum(sector: &[u8], header: &Header) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&sector[..CRC_AT]), &header.salt.to_le_bytes())
}
