//! The first sector of a segment: which one it is and what comes before it.

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::SECTOR;

/// The format this program writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

/// Where the first frame starts.
pub(crate) const HEADER_BYTES: u64 = SECTOR as u64;

const MAGIC: [u8; 8] = *b"REPUTSEG";
const CRC_AT: usize = SECTOR - 4;
/// Bit 0 of the flags: frames were not synced one by one, so a power cut may have kept a later one without
/// an earlier one, and that is no damage.
const UNSYNCED: u32 = 1;
/// Bit 1 of the flags: frames of several commits were put together into larger ones.
const COMPACT: u32 = 2;

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) unsynced: bool,
    pub(crate) compact: bool,
    pub(crate) shard: u32,
    pub(crate) epoch: u64,
    pub(crate) number: u64,
    pub(crate) generation: u32,
    /// The last sequence number before this segment.
    pub(crate) previous_seq: u64,
    /// Goes into the checksum of each frame, so that neither blocks of a deleted file nor bytes which a
    /// client chose can pass for a frame.
    pub(crate) salt: u64,
}

/// What a first sector holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FirstSector {
    /// Zeros: prepared and never used.
    Blank,
    Header(Header),
    Newer(u32),
    Damaged(&'static str),
}

impl Header {
    /// Whether a frame may stand behind another: one by one as they were committed; a rewrite may have left
    /// some out.
    pub(crate) fn may_follow(&self, previous: u64, seq: u64) -> bool {
        if self.generation == 0 {
            previous.checked_add(1) == Some(seq)
        } else {
            seq > previous
        }
    }

    pub(crate) fn encode(&self) -> [u8; SECTOR] {
        let mut sector = [0; SECTOR];
        sector[..8].copy_from_slice(&MAGIC);
        sector[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        let flag = |is_set: bool, flag: u32| if is_set { flag } else { 0 };
        let flags = flag(self.unsynced, UNSYNCED) | flag(self.compact, COMPACT);
        sector[12..16].copy_from_slice(&flags.to_le_bytes());
        sector[16..20].copy_from_slice(&self.shard.to_le_bytes());
        sector[20..24].copy_from_slice(&self.generation.to_le_bytes());
        sector[24..32].copy_from_slice(&self.epoch.to_le_bytes());
        sector[32..40].copy_from_slice(&self.number.to_le_bytes());
        sector[40..48].copy_from_slice(&self.previous_seq.to_le_bytes());
        sector[48..56].copy_from_slice(&self.salt.to_le_bytes());
        let crc = crc32c::crc32c(&sector[..CRC_AT]);
        sector[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        sector
    }

    pub(crate) fn decode(sector: &[u8; SECTOR]) -> FirstSector {
        if sector.iter().all(|&byte| byte == 0) {
            return FirstSector::Blank;
        }
        if sector[..8] != MAGIC {
            return FirstSector::Damaged("not the first sector of a segment");
        }
        // Magic, version and checksum keep their places in every format.
        if crc32c::crc32c(&sector[..CRC_AT]) != u32_at(sector, CRC_AT) {
            return FirstSector::Damaged("the segment header's checksum does not match");
        }
        let version = u32_at(sector, 8);
        if version > FORMAT_VERSION {
            return FirstSector::Newer(version);
        }
        FirstSector::Header(Header::fields(sector))
    }

    /// The fields as they stand, unchecked.
    pub(crate) fn fields(sector: &[u8; SECTOR]) -> Header {
        Header {
            unsynced: u32_at(sector, 12) & UNSYNCED != 0,
            compact: u32_at(sector, 12) & COMPACT != 0,
            shard: u32_at(sector, 16),
            generation: u32_at(sector, 20),
            epoch: u64_at(sector, 24),
            number: u64_at(sector, 32),
            previous_seq: u64_at(sector, 40),
            salt: u64_at(sector, 48),
        }
    }
}

/// A number that nobody outside can guess, from the keys which the standard library draws for its hash maps.
pub(crate) fn fresh_salt() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// The little-endian number at `at`; the caller has checked the length.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

/// The little-endian number at `at`; the caller has checked the length.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        unsynced: true,
        compact: true,
        shard: 3,
        epoch: 9,
        number: 12,
        generation: 4,
        previous_seq: 77,
        salt: 0xdead_beef_0bad_cafe,
    };

    #[test]
    fn a_header_is_read_back() {
        assert_eq!(Header::decode(&HEADER.encode()), FirstSector::Header(HEADER));
        assert_eq!(Header::decode(&[0; SECTOR]), FirstSector::Blank);
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        for at in 0..SECTOR {
            let mut sector = HEADER.encode();
            sector[at] ^= 1;
            assert!(
                matches!(Header::decode(&sector), FirstSector::Damaged(_)),
                "byte {at}"
            );
        }
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let mut sector = HEADER.encode();
        sector[8] = 2;
        let crc = crc32c::crc32c(&sector[..CRC_AT]);
        sector[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Header::decode(&sector), FirstSector::Newer(2));
    }
}
