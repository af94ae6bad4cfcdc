//! Rows of a few numbers each, in as few bytes as they need.
//!
//! Neighbours resemble each other: a block of rows begins with the greatest number of each column, and a row tells by how
//! much it is below those. A few rows that are far below, as events are that come late, do not make all others wide: they
//! stand whole behind the blocks.

use super::blocks::BlockReader;
use super::output::{Output, Put};
use crate::Error;
use std::io;

/// Rows of a block; the last has what is left.
const BLOCK_ROWS: usize = 128;

/// Where rows of `K` numbers are, and how they are told.
pub(super) struct Packed<const K: usize> {
    start: u64,
    rows: u32,
    /// Bytes of each column in a row.
    widths: [u8; K],
    /// How many rows stand behind the blocks.
    far: u32,
}

/// Writes rows as a section of their own, calling `pause` again and again. Gives the bytes of each column in a row. The
/// rows come in runs, all but the last of which are whole blocks.
pub(super) fn put_packed<'a, const K: usize>(
    runs: impl Iterator<Item = &'a [[i64; K]]> + Clone,
    out: &mut Output<impl Put>,
    pause: &impl Fn(),
) -> io::Result<[u8; K]> {
    let blocks = runs.flat_map(|run| run.chunks(BLOCK_ROWS));
    let widths = widths_of(blocks.clone(), pause);
    let furthest: [u64; K] = std::array::from_fn(|column| ones(widths[column]) - u64::from(column == 0));
    let mut far = Vec::new();
    for (first, block) in (0u32..).step_by(BLOCK_ROWS).zip(blocks) {
        pause();
        let greatest = greatest_of(block);
        out.put_all(greatest.map(i64::to_le_bytes))?;
        for (at, row) in (first..).zip(block) {
            let below = below(&greatest, row);
            let is_far = (0..K).any(|column| below[column] > furthest[column]);
            if is_far {
                far.push((at, *row));
            }
            for (below, width) in below.into_iter().zip(widths) {
                let told = if is_far { u64::MAX } else { below };
                out.put_number(told, usize::from(width))?;
            }
        }
    }
    for (at, row) in far {
        out.put(&at.to_le_bytes())?;
        out.put_all(row.map(i64::to_le_bytes))?;
    }
    out.end_section();
    Ok(widths)
}

/// Of each column, the bytes with which all rows together take the fewest.
fn widths_of<'a, const K: usize>(blocks: impl Iterator<Item = &'a [[i64; K]]>, pause: &impl Fn()) -> [u8; K] {
    // How many rows need so many bytes; nine are more than there are.
    let mut counts = [[0; 10]; K];
    let mut rows = 0;
    for block in blocks {
        pause();
        rows += block.len();
        let greatest = greatest_of(block);
        for row in block {
            for (column, below) in below(&greatest, row).into_iter().enumerate() {
                // All ones in the first column mean another thing.
                let most = below.checked_add(u64::from(column == 0));
                counts[column][most.map_or(9, bytes_of)] += 1;
            }
        }
    }
    let best = |counts: &[usize; 10]| {
        let size = |width: &u8| {
            let far: usize = counts[usize::from(*width) + 1..].iter().sum();
            rows * usize::from(*width) + far * far_bytes::<K>()
        };
        (0..=8).min_by_key(size).unwrap_or(8)
    };
    let mut widths = counts.each_ref().map(best);
    widths[0] = widths[0].max(1); // it tells which rows are far
    widths
}

fn greatest_of<const K: usize>(block: &[[i64; K]]) -> [i64; K] {
    let greater =
        |most: [i64; K], row: &[i64; K]| std::array::from_fn(|column| most[column].max(row[column]));
    block.iter().fold([i64::MIN; K], greater)
}

/// By how much a row's numbers are below the greatest.
fn below<const K: usize>(greatest: &[i64; K], row: &[i64; K]) -> [u64; K] {
    std::array::from_fn(|column| greatest[column].wrapping_sub(row[column]).cast_unsigned())
}

/// The highest number of so many bytes.
fn ones(width: u8) -> u64 {
    u64::MAX.checked_shr(64 - 8 * u32::from(width)).unwrap_or(0)
}

/// The bytes that a number takes, none for 0.
pub(super) fn bytes_of(number: u64) -> usize {
    (u64::BITS - number.leading_zeros()).div_ceil(8) as usize
}

/// Bytes of a row that stands behind the blocks: its place and its numbers.
const fn far_bytes<const K: usize>() -> usize {
    4 + 8 * K
}

impl<const K: usize> Packed<K> {
    /// The rows of a section that begins here and has so many bytes; `None` if they cannot be.
    pub(super) fn new((start, len): (u64, u64), rows: u32, widths: [u8; K]) -> Option<Self> {
        let packed = Self {
            start,
            rows,
            widths,
            far: 0,
        };
        let behind = len.checked_sub(packed.far_start())?;
        let far = u32::try_from(behind / far_bytes::<K>() as u64).ok()?;
        let is_one = behind.is_multiple_of(far_bytes::<K>() as u64)
            && widths[0] > 0
            && widths.iter().all(|width| *width <= 8);
        is_one.then_some(Self { far, ..packed })
    }

    fn row_bytes(&self) -> usize {
        self.widths.iter().map(|width| usize::from(*width)).sum()
    }

    /// Where the rows behind the blocks begin, from the start.
    fn far_start(&self) -> u64 {
        let blocks = (self.rows as usize).div_ceil(BLOCK_ROWS) as u64;
        blocks * 8 * K as u64 + u64::from(self.rows) * self.row_bytes() as u64
    }

    /// The row at this place.
    pub(super) fn get(&self, reader: &mut BlockReader<'_>, at: u32) -> Result<[i64; K], Error> {
        if at >= self.rows {
            return Err(reader.damaged(self.start, "it has no such row"));
        }
        let (block, place) = (at as usize / BLOCK_ROWS, at as usize % BLOCK_ROWS);
        let begin = self.start + block as u64 * (8 * K + BLOCK_ROWS * self.row_bytes()) as u64;
        let mut greatest = [[0; 8]; K];
        reader.read(begin, greatest.as_flattened_mut())?;
        let mut row = [[0; 8]; K];
        let row = &mut row.as_flattened_mut()[..self.row_bytes()];
        reader.read(begin + (8 * K + place * self.row_bytes()) as u64, row)?;
        let mut numbers = greatest.map(i64::from_le_bytes);
        let mut rest = &*row;
        for (column, (number, width)) in numbers.iter_mut().zip(self.widths).enumerate() {
            let (bytes, behind) = rest.split_at(usize::from(width));
            let below = number_of(bytes);
            if column == 0 && below == ones(width) {
                return self.far(reader, at);
            }
            *number = number.wrapping_sub(below.cast_signed());
            rest = behind;
        }
        Ok(numbers)
    }

    /// The row at this place, which stands behind the blocks.
    fn far(&self, reader: &mut BlockReader<'_>, at: u32) -> Result<[i64; K], Error> {
        let begin = self.start + self.far_start();
        let place = |nth: u32| begin + u64::from(nth) * far_bytes::<K>() as u64;
        let (mut low, mut high) = (0, self.far);
        while low < high {
            let middle = low + (high - low) / 2;
            let mut found = [0; 4];
            reader.read(place(middle), &mut found)?;
            match u32::from_le_bytes(found).cmp(&at) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    let mut row = [[0; 8]; K];
                    reader.read(place(middle) + 4, row.as_flattened_mut())?;
                    return Ok(row.map(i64::from_le_bytes));
                }
            }
        }
        Err(reader.damaged(begin, "a row is not where it should be"))
    }
}

/// The number of these few bytes, the lowest first.
pub(super) fn number_of(bytes: &[u8]) -> u64 {
    let add = |number, byte: &u8| number << 8 | u64::from(*byte);
    bytes.iter().rev().fold(0, add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::BlockCache;
    use crate::index::blocks::{BLOCK_BYTES, BlockFile};
    use journal::{Disk as _, SimDisk};
    use proptest::prelude::*;
    use std::path::Path;
    use std::sync::Arc;

    /// The bytes of the section, its widths, and the rows as they read back.
    fn round_trip<const K: usize>(rows: &[[i64; K]]) -> (usize, [u8; K], Vec<[i64; K]>) {
        let mut bytes = Vec::new();
        let mut out = Output::new(|piece: &[u8]| {
            bytes.extend_from_slice(piece);
            Ok(())
        });
        let widths = put_packed([rows].into_iter(), &mut out, &|| ()).expect("it goes to memory");
        out.end_sections().expect("it goes to memory");
        let checksums = bytes.chunks(BLOCK_BYTES).map(crc32c::crc32c).collect();
        let (disk, path) = (SimDisk::new(0), Path::new("file"));
        disk.create_dir_all(Path::new("."))
            .and_then(|()| disk.create_new(path))
            .and_then(|file| file.write_all_at(&bytes, 0))
            .expect("a file");
        let cache = Arc::new(BlockCache::new(1 << 20));
        let len = bytes.len() as u64;
        let file = BlockFile::new(disk.open(path).expect("a file"), path, len, checksums, &cache);
        let packed = Packed::new((0, len), rows.len() as u32, widths).expect("it fits");
        assert!(
            packed.get(&mut file.reader(), rows.len() as u32).is_err(),
            "a row too many"
        );
        let read = (0..rows.len() as u32).map(|at| packed.get(&mut file.reader(), at).expect("a row"));
        let read = read.collect();
        (bytes.len(), widths, read)
    }

    /// Numbers that are near each other, but for some.
    fn numbers() -> impl Strategy<Value = i64> {
        prop_oneof![
            20 => 1_000_000i64..1_000_200,
            10 => 900_000i64..1_000_000,
            1 => any::<i64>(),
            1 => prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(0)],
        ]
    }

    proptest! {
        #[test]
        fn rows_read_back_as_they_were(
            ones in prop::collection::vec(numbers().prop_map(|number| [number]), 0..700),
            threes in prop::collection::vec((numbers(), numbers()).prop_map(|(a, b)| [a, 7, b]), 0..300),
        ) {
            prop_assert_eq!(&round_trip(&ones).2, &ones);
            prop_assert_eq!(&round_trip(&threes).2, &threes);
        }
    }

    #[test]
    fn they_take_as_many_bytes_as_they_need() {
        // Neighbours are less than 65,535 apart.
        let rows: Vec<[i64; 1]> = (0..1_000).map(|at| [at * 300 - at * 37 % 10 * 2_000]).collect();
        assert_eq!((round_trip(&rows).0, round_trip(&rows).1), (8 * 8 + 2_000, [2]));
        // Some come late.
        let mut late = rows;
        (0..20).for_each(|at| late[at * 50][0] -= 1 << 40);
        let (bytes, widths, read) = round_trip(&late);
        assert_eq!((bytes, widths), (8 * 8 + 2_000 + 20 * 12, [2]));
        assert_eq!(read, late);
        // A column of the same number takes nothing but in the first, which tells what is far.
        let same = vec![[5, 9]; 256];
        assert_eq!((round_trip(&same).0, round_trip(&same).1), (2 * 16 + 256, [1, 0]));
    }

    #[test]
    fn a_section_of_another_length_is_none() {
        let rows = |len, width| Packed::<1>::new((0, len), 100, [width]).map(|packed| packed.far);
        assert_eq!(
            [
                rows(208, 2),
                rows(220, 2),
                rows(207, 2),
                rows(209, 2),
                rows(208, 9),
                rows(8, 0)
            ],
            [Some(0), Some(1), None, None, None, None]
        );
    }
}
