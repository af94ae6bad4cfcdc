//! The index file of a sealed segment. An input whose first byte is odd has its checksums put right first, as for frames.

use super::{Outcome, Target, about};
use store::fuzzing::{IndexReading, read_index};

pub(super) const TARGET: Target = Target {
    name: "index",
    read,
    words: &[
        "RPTINDX5",
        "\0\0\0\0",
        "\u{1}\0\0\0",
        "\u{7f}\u{7f}\u{7f}\u{7f}",
        "\0\0\0\u{40}",
        "\0\0\0\0\u{1}\0\0\0",
    ],
};

const BLOCK: usize = 16 << 10;
const HEADER: usize = 356;

fn read(bytes: &[u8]) -> Outcome {
    let Some((first, file)) = bytes.split_first() else {
        return Outcome::refused("empty");
    };
    let mut file = file.to_vec();
    if first % 2 == 1 {
        put_right(&mut file);
    }
    match read_index(&file) {
        IndexReading::NotOne => Outcome::refused("no index"),
        IndexReading::Damaged(what) => Outcome::refused(&what),
        IndexReading::Sound(rows) => Outcome::good(about(rows as usize)),
    }
}

/// Gives blocks, block checksums and header the checksums of what they hold.
fn put_right(file: &mut [u8]) {
    let Some(header) = file.len().checked_sub(HEADER) else {
        return;
    };
    let blocks = header
        .checked_sub(4)
        .map_or(0, |rest| rest.div_ceil(BLOCK + 4).max(1));
    let Some(sums) = header.checked_sub(4 * blocks) else {
        return;
    };
    for block in 0..blocks {
        let data = &file[(block * BLOCK).min(sums)..((block + 1) * BLOCK).min(sums)];
        let sum = crc32c::crc32c(data).to_le_bytes();
        file[sums + 4 * block..][..4].copy_from_slice(&sum);
    }
    let end = file.len();
    file[end - 12..end - 8].copy_from_slice(&(blocks as u32).to_le_bytes());
    let sum = crc32c::crc32c(&file[sums..header]).to_le_bytes();
    file[end - 8..end - 4].copy_from_slice(&sum);
    let sum = crc32c::crc32c(&file[header..end - 4]).to_le_bytes();
    file[end - 4..].copy_from_slice(&sum);
}
