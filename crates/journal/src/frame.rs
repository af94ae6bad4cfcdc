//! Frames: what is written and synced at once, whole or not at all.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::SECTOR;
use crate::header::{Header, u32_at, u64_at};
use crate::next_sector;
use crate::record::{self, Records};

/// The largest payload of a frame, in bytes; many times what a legal batch needs.
pub const MAX_PAYLOAD_BYTES: usize = 1 << 30;

/// Magic, payload length, sequence number, checksum.
pub(crate) const FRAME_HEADER_BYTES: usize = 20;

/// Frames kept for their room at most.
const MAX_SPARE_FRAMES: usize = 2;
/// The room of one of those, in bytes: several times what a group of usual batches takes, and far less than one of
/// large ones.
const MAX_SPARE_BYTES: usize = 1 << 20;

const MAGIC: u32 = u32::from_le_bytes(*b"RFRM");
const CRC_AT: usize = 16;
/// The builder leaves space for the segment header and the frame header, so that nothing is copied later.
const LEAD: usize = SECTOR + FRAME_HEADER_BYTES;

/// Builds the payload of a frame, record by record.
#[derive(Clone, Debug)]
pub struct Frame {
    buffer: Vec<u8>,
}

impl Default for Frame {
    fn default() -> Frame {
        Frame::new()
    }
}

impl Frame {
    /// A frame without records.
    pub fn new() -> Frame {
        Frame {
            buffer: vec![0; LEAD],
        }
    }

    /// Appends a record and says where it starts within the payload, in bytes.
    pub fn record(&mut self, kind: u8, must_understand: bool, body: &[u8]) -> u32 {
        self.record_with(kind, must_understand, |buffer| buffer.extend_from_slice(body))
    }

    /// Appends a record whose body `write` appends to the buffer it is given (and does nothing else to it);
    /// says where the record starts within the payload, in bytes.
    pub fn record_with(&mut self, kind: u8, must_understand: bool, write: impl FnOnce(&mut Vec<u8>)) -> u32 {
        let offset = self.len() as u32;
        record::append(&mut self.buffer, kind, must_understand, write);
        offset
    }

    /// The payload's length so far, in bytes.
    pub fn len(&self) -> usize {
        self.buffer.len() - LEAD
    }

    /// The records so far.
    pub fn payload(&self) -> &[u8] {
        &self.buffer[LEAD..]
    }

    /// Whether there is no record yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Completes the frame and gives the bytes to write: from the segment's first sector if `first`, else
    /// from the frame's own, up to the end of its last sector.
    pub(crate) fn finish(&mut self, header: &Header, seq: u64, first: bool) -> &[u8] {
        let frame_header = frame_header(header, seq, &self.buffer[LEAD..]);
        self.buffer[SECTOR..LEAD].copy_from_slice(&frame_header);
        self.buffer.resize(self.buffer.len().next_multiple_of(SECTOR), 0);
        if first {
            self.buffer[..SECTOR].copy_from_slice(&header.encode());
            &self.buffer
        } else {
            &self.buffer[SECTOR..]
        }
    }
}

/// Frames that were written, so that the next ones need no fresh memory: growing a new buffer for each costs more than
/// filling it. One is formed, one waits and one is in flight, so few are ever here.
#[derive(Clone, Default)]
pub(crate) struct SpareFrames(Arc<Mutex<Vec<Frame>>>);

impl SpareFrames {
    /// An empty frame, in used room if there is some.
    pub(crate) fn take(&self) -> Frame {
        self.0.lock().pop().unwrap_or_default()
    }

    /// Takes back the room of a frame, unless it is more than usual frames need.
    pub(crate) fn give(&self, mut frame: Frame) {
        if frame.buffer.capacity() > MAX_SPARE_BYTES {
            return;
        }
        frame.buffer.truncate(LEAD);
        let mut spare = self.0.lock();
        if spare.len() < MAX_SPARE_FRAMES {
            spare.push(frame);
        }
    }
}

/// A frame as it was read, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameRef {
    /// Its place in the log's order; the next frame has the next number.
    pub seq: u64,
    /// Where the payload starts in the file, in bytes.
    pub payload_offset: u64,
    /// The records, for [`records`](crate::records).
    pub payload: Vec<u8>,
}

impl FrameRef {
    /// The records of the payload, in order.
    pub fn records(&self) -> Records<'_> {
        record::records(&self.payload)
    }

    /// Where the frame starts in the file.
    pub(crate) fn offset(&self) -> u64 {
        self.payload_offset - FRAME_HEADER_BYTES as u64
    }

    /// Where the next frame would start.
    pub(crate) fn end(&self) -> u64 {
        frame_end(self.offset(), self.payload.len())
    }
}

/// What a frame says of itself, not yet checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameHeader {
    pub(crate) payload_bytes: usize,
    pub(crate) seq: u64,
    crc: u32,
}

impl FrameHeader {
    /// The header at the start of these bytes, if they look like one.
    pub(crate) fn decode(bytes: &[u8]) -> Option<FrameHeader> {
        if bytes.len() < FRAME_HEADER_BYTES || u32_at(bytes, 0) != MAGIC {
            return None;
        }
        let payload_bytes = u32_at(bytes, 4) as usize;
        (payload_bytes <= MAX_PAYLOAD_BYTES).then(|| FrameHeader {
            payload_bytes,
            seq: u64_at(bytes, 8),
            crc: u32_at(bytes, CRC_AT),
        })
    }

    /// Whether this frame, header included, is what was written in `segment`.
    pub(crate) fn matches(&self, segment: &Header, frame: &[u8]) -> bool {
        self.crc == checksum(segment, &frame[..CRC_AT], &frame[FRAME_HEADER_BYTES..])
    }
}

/// The header of a frame with this payload.
pub(crate) fn frame_header(segment: &Header, seq: u64, payload: &[u8]) -> [u8; FRAME_HEADER_BYTES] {
    let mut header = [0; FRAME_HEADER_BYTES];
    header[..4].copy_from_slice(&MAGIC.to_le_bytes());
    // `reserve` refuses what does not fit; see MAX_PAYLOAD_BYTES.
    header[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    header[8..16].copy_from_slice(&seq.to_le_bytes());
    let crc = checksum(segment, &header[..CRC_AT], payload);
    header[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Where a frame that starts at `offset` ends: on a sector.
pub(crate) fn frame_end(offset: u64, payload_bytes: usize) -> u64 {
    next_sector(offset + (FRAME_HEADER_BYTES + payload_bytes) as u64)
}

fn checksum(segment: &Header, fields: &[u8], payload: &[u8]) -> u32 {
    let crc = crc32c::crc32c(fields);
    let crc = crc32c::crc32c_append(crc, &segment.number.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &segment.salt.to_le_bytes());
    crc32c::crc32c_append(crc, payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(body_bytes: usize) -> Frame {
        let mut frame = Frame::new();
        frame.record(1, true, &vec![7; body_bytes]);
        frame
    }

    #[test]
    fn a_frame_comes_back_without_its_records_and_its_room_is_used_again() {
        let spare = SpareFrames::default();
        let written = frame(5_000);
        let room = written.buffer.as_ptr();
        spare.give(written);
        let again = spare.take();
        assert_eq!((again.is_empty(), again.buffer.as_ptr()), (true, room));
    }

    #[test]
    fn few_frames_are_kept_and_no_large_one() {
        let spare = SpareFrames::default();
        spare.give(frame(MAX_SPARE_BYTES));
        assert!(spare.0.lock().is_empty(), "a large one is kept");
        (0..5).for_each(|_| spare.give(frame(10)));
        assert_eq!(spare.0.lock().len(), MAX_SPARE_FRAMES);
    }
}
