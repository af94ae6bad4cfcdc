//! A segment's file, against a reader written from `docs/on-disk.md`.
//!
//! Random changes hardly ever keep a checksum, so an input whose first byte is odd has its checksums put right first:
//! what is behind them is then read, as after a fault of the writer.

use super::{Outcome, Target, about};
use journal::fuzzing::{Reading, read_segment};

pub(super) const TARGET: Target = Target {
    name: "frames",
    read,
    words: &[
        "RFRM",
        "REPUTSEG",
        "REPUTEND",
        "\0\0\0\0\0\0\0\0",
        "\u{1}\0\0\0\0\0\0\0",
        "\0\u{2}\0\0",
        "\0\0\0\u{40}",
    ],
};

const SECTOR: usize = 512;
const FRAME_HEADER: usize = 20;
const MAX_PAYLOAD: usize = 1 << 30;

fn read(bytes: &[u8]) -> Outcome {
    let Some((first, file)) = bytes.split_first() else {
        return Outcome::refused("empty");
    };
    let mut file = file.to_vec();
    if first % 2 == 1 {
        put_right(&mut file);
    }
    let Some(reading) = read_segment(&file) else {
        return Outcome::refused("no header");
    };
    let plain = Plain::of(&file);
    let end = plain.frames.last().map_or(SECTOR, |frame| frame.end) as u64;
    let last_seq = plain.frames.last().map_or(plain.previous_seq, |frame| frame.seq);
    match reading.scanned {
        Ok(scanned) => assert_eq!(scanned, (end, last_seq), "the log ends elsewhere"),
        Err(offset) => assert!(
            plain.is_damaged && offset == end,
            "damage at {offset}, and none is there"
        ),
    }
    assert!(
        reading.scanned.is_err() || !plain.is_damaged,
        "damage is not seen"
    );
    compare(&reading, &plain);
    let damaged = reading.frames.iter().filter(|frame| frame.is_err()).count();
    let kind = (
        about(plain.frames.len()),
        about(damaged),
        reading.scanned.is_ok(),
        reading.seal.is_some(),
    );
    if reading.scanned.is_ok() && damaged == 0 {
        Outcome::good(kind)
    } else {
        Outcome::refused(&format!(
            "{:?}",
            reading.frames.iter().find_map(|frame| frame.as_ref().err())
        ))
    }
}

/// The frames up to the end, as they were handed out, are those that the plain reader has; one that is not made of
/// records is damage.
fn compare(reading: &Reading, plain: &Plain) {
    for (nth, frame) in plain.frames.iter().enumerate() {
        match (&reading.frames[nth], frame.is_whole) {
            (Ok(read), true) => {
                assert_eq!((read.seq, &read.payload), (frame.seq, &frame.payload));
                let bytes: usize = read.records().map(|record| record.record_bytes() as usize).sum();
                assert_eq!(bytes, frame.payload.len(), "records do not fill their frame");
            }
            (Err(_), false) => {}
            (read, is_whole) => panic!("frame {} is read as {read:?}, whole: {is_whole}", frame.seq),
        }
    }
}

/// What the documentation says is in a file.
struct Plain {
    previous_seq: u64,
    frames: Vec<PlainFrame>,
    /// Whether a frame that checks stands behind one that does not.
    is_damaged: bool,
}

struct PlainFrame {
    seq: u64,
    payload: Vec<u8>,
    end: usize,
    is_whole: bool,
}

impl Plain {
    fn of(file: &[u8]) -> Self {
        let previous_seq = u64_at(file, 40);
        let (is_synced, is_rewritten) = (file[12] & 1 == 0, u32_at(file, 20) > 0);
        let mut plain = Self {
            previous_seq,
            frames: Vec::new(),
            is_damaged: false,
        };
        let (mut at, mut seq) = (SECTOR, previous_seq);
        while let Some(frame) = frame_at(file, at) {
            let follows = if is_rewritten {
                frame.seq > seq
            } else {
                Some(frame.seq) == seq.checked_add(1)
            };
            if !follows {
                plain.is_damaged = true;
                return plain;
            }
            (at, seq) = (frame.end, frame.seq);
            plain.frames.push(frame);
        }
        let behind = (at + SECTOR..file.len()).step_by(SECTOR);
        plain.is_damaged = is_synced
            && behind
                .filter_map(|at| frame_at(file, at))
                .any(|frame| frame.seq > seq);
        plain
    }
}

/// The frame there, if it checks.
fn frame_at(file: &[u8], at: usize) -> Option<PlainFrame> {
    let header = file.get(at..at + FRAME_HEADER)?;
    let len = u32_at(header, 4) as usize;
    let payload = file
        .get(at + FRAME_HEADER..)?
        .get(..len)
        .filter(|_| len <= MAX_PAYLOAD)?;
    let checks = header.starts_with(b"RFRM") && u32_at(header, 16) == frame_checksum(file, header, payload);
    checks.then(|| PlainFrame {
        seq: u64_at(header, 8),
        payload: payload.to_vec(),
        end: (at + FRAME_HEADER + len).next_multiple_of(SECTOR),
        is_whole: are_records(payload),
    })
}

fn are_records(mut payload: &[u8]) -> bool {
    while !payload.is_empty() {
        let Some(header) = payload.get(..12) else {
            return false;
        };
        match payload.get(12 + u32_at(header, 4) as usize..) {
            Some(rest) => payload = rest,
            None => return false,
        }
    }
    true
}

fn frame_checksum(file: &[u8], header: &[u8], payload: &[u8]) -> u32 {
    let fields = [&header[..16], &file[32..40], &file[48..56]].concat();
    crc32c::crc32c_append(crc32c::crc32c(&fields), payload)
}

/// Gives the header, every frame and the seal the checksums of what they hold.
fn put_right(file: &mut [u8]) {
    if file.len() < SECTOR {
        return;
    }
    let sum = crc32c::crc32c(&file[..508]);
    file[508..512].copy_from_slice(&sum.to_le_bytes());
    for at in (SECTOR..file.len()).step_by(SECTOR) {
        let Some(header) = file.get(at..at + FRAME_HEADER) else {
            break;
        };
        let len = u32_at(header, 4) as usize;
        if let Some(payload) = file.get(at + FRAME_HEADER..).and_then(|rest| rest.get(..len)) {
            let sum = frame_checksum(file, header, payload);
            if file[at..].starts_with(b"RFRM") {
                file[at + 16..at + 20].copy_from_slice(&sum.to_le_bytes());
            }
        }
        if file[at..].starts_with(b"REPUTEND") && file.len() >= at + SECTOR {
            let sum = crc32c::crc32c_append(crc32c::crc32c(&file[at..at + 508]), &file[48..56]);
            file[at + 508..at + 512].copy_from_slice(&sum.to_le_bytes());
        }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
