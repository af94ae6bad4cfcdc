//! Which agents have rows of which times, among the rows of a segment that are older than it: most of what asks by time
//! asks for an event that came late, and most segments have no row of that time.
//!
//! A split block Bloom filter, as Apache Parquet describes it: a moment sets one bit in each of the eight words of its
//! block, so that a question reads 32 bytes. It never denies a row; of the moments without a row it admits some two in a
//! hundred, and then the list is searched.

use super::write::agent_hash;
use crate::OrgId;
use reputation::Micros;
use siphasher::sip::SipHasher13;
use std::hash::Hasher as _;

/// Bytes of a block.
pub(super) const FILTER_BLOCK_BYTES: usize = 4 * WORDS;
const WORDS: usize = 8;
/// Bits that the filter has for each row.
const ROW_BITS: usize = 10;
/// What spreads a hash over the words of its block.
const SALTS: [u32; WORDS] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// An agent at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) fn of(org: OrgId, agent_id: &str, time: Micros) -> Self {
        Self::new(agent_hash(org, agent_id), time)
    }

    /// Of the agent with this hash.
    pub(super) fn new(agent: u64, time: Micros) -> Self {
        let mut hasher = SipHasher13::new();
        hasher.write_u64(agent);
        hasher.write_i64(time.0);
        Self(hasher.finish())
    }

    /// The number of its block among so many.
    pub(super) fn block(self, blocks: u64) -> u64 {
        ((self.0 >> 32) * blocks) >> 32
    }

    /// Its bit in each word of the block.
    fn bits(self) -> [u32; WORDS] {
        SALTS.map(|salt| 1 << ((self.0 as u32).wrapping_mul(salt) >> 27))
    }

    /// Whether its block admits it.
    pub(super) fn is_in(self, block: [u8; FILTER_BLOCK_BYTES]) -> bool {
        let (words, _) = block.as_chunks::<4>();
        let mut words = words.iter().zip(self.bits());
        words.all(|(word, bit)| u32::from_le_bytes(*word) & bit != 0)
    }
}

/// A filter that is filled.
pub(super) struct Moments {
    blocks: Vec<[u32; WORDS]>,
}

impl Moments {
    /// An empty one, for so many rows.
    pub(super) fn new(rows: usize) -> Self {
        let blocks = (rows * ROW_BITS).div_ceil(8 * FILTER_BLOCK_BYTES);
        Self {
            blocks: vec![[0; WORDS]; blocks],
        }
    }

    pub(super) fn add(&mut self, moment: Moment) {
        let block = moment.block(self.blocks.len() as u64) as usize;
        for (word, bit) in self.blocks[block].iter_mut().zip(moment.bits()) {
            *word |= bit;
        }
    }

    /// Its words, block by block.
    pub(super) fn words(&self) -> impl Iterator<Item = [u8; 4]> {
        self.blocks.as_flattened().iter().map(|word| word.to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(rows: u64) -> Vec<u8> {
        let mut moments = Moments::new(rows as usize);
        (0..rows).for_each(|row| moments.add(moment(row)));
        moments.words().flatten().collect()
    }

    fn moment(row: u64) -> Moment {
        Moment::new(row % 7, Micros(row.cast_signed() * 1_000))
    }

    fn admits(filter: &[u8], moment: Moment) -> bool {
        let (blocks, _) = filter.as_chunks::<FILTER_BLOCK_BYTES>();
        moment.is_in(blocks[moment.block(blocks.len() as u64) as usize])
    }

    #[test]
    fn no_row_is_denied_and_few_others_are_admitted() {
        for rows in [1, 25, 26, 1_000, 30_000] {
            let filter = filter(rows);
            assert!((0..rows).all(|row| admits(&filter, moment(row))), "of {rows}");
            let others = (rows..rows + 20_000).filter(|row| admits(&filter, moment(*row)));
            let others = others.count();
            assert!(others < 600, "{others} of 20,000 beside {rows}");
        }
    }

    #[test]
    fn a_row_takes_ten_bits() {
        assert_eq!(
            [0, 1, 25, 26, 1_000].map(|rows| filter(rows).len()),
            [0, 32, 32, 64, 1_280]
        );
    }
}
