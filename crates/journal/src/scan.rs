//! Reading frames from a file, without trust in what it holds.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::SECTOR;
use crate::disk::File;
use crate::frame::{FRAME_HEADER_BYTES, FrameHeader, FrameRef};
use crate::header::{HEADER_BYTES, Header};
use crate::seal::{SEAL_BYTES, Seal};

/// How much is read at once, where frames are small.
const READ_AHEAD_BYTES: usize = 256 << 10;

/// A window on a file that moves forward with what is asked for.
pub(crate) struct Reader {
    file: Arc<dyn File>,
    buffer: Vec<u8>,
    /// What part of the file is at the front of the buffer.
    held: Range<u64>,
}

impl Reader {
    pub(crate) fn new(file: Arc<dyn File>) -> Reader {
        Reader {
            file,
            buffer: Vec::new(),
            held: 0..0,
        }
    }

    /// The bytes at `offset`; fewer than `len` only at the end of the file.
    fn bytes(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        if offset < self.held.start || offset + len as u64 > self.held.end {
            if self.buffer.len() < len.max(READ_AHEAD_BYTES) {
                self.buffer = vec![0; len.max(READ_AHEAD_BYTES)];
            }
            self.held = 0..0;
            let filled = self.file.read_full_at(&mut self.buffer, offset)?;
            self.held = offset..offset + filled as u64;
        }
        let from = (offset - self.held.start) as usize;
        let to = ((self.held.end - self.held.start) as usize).min(from + len);
        Ok(&self.buffer[from..to])
    }

    /// The frame that starts at `offset` and ends by `limit`, if a whole one does.
    pub(crate) fn frame(
        &mut self,
        segment: &Header,
        offset: u64,
        limit: u64,
    ) -> io::Result<Option<FrameRef>> {
        let Some(header) = self.frame_header(offset)? else {
            return Ok(None);
        };
        let frame_bytes = FRAME_HEADER_BYTES + header.payload_bytes;
        // Checked before reading, so that a length made of garbage asks for no memory.
        if offset + frame_bytes as u64 > limit {
            return Ok(None);
        }
        let frame = self.bytes(offset, frame_bytes)?;
        if frame.len() < frame_bytes || !header.matches(segment, frame) {
            return Ok(None);
        }
        Ok(Some(FrameRef {
            seq: header.seq,
            payload_offset: offset + FRAME_HEADER_BYTES as u64,
            payload: frame[FRAME_HEADER_BYTES..].to_vec(),
        }))
    }

    /// What looks like a frame's header at `offset`.
    pub(crate) fn frame_header(&mut self, offset: u64) -> io::Result<Option<FrameHeader>> {
        Ok(FrameHeader::decode(self.bytes(offset, FRAME_HEADER_BYTES)?))
    }

    /// The first whole frame that starts in `from..limit` on a sector, with a sequence number above `seq`.
    pub(crate) fn next_frame(
        &mut self,
        segment: &Header,
        from: u64,
        limit: u64,
        seq: u64,
    ) -> io::Result<Option<FrameRef>> {
        let mut offset = from;
        while offset < limit {
            match self.frame(segment, offset, limit)? {
                Some(frame) if frame.seq > seq => return Ok(Some(frame)),
                _ => offset += SECTOR as u64,
            }
        }
        Ok(None)
    }
}

/// What the frames of an unsealed segment come to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scan {
    /// Frames in sequence up to `end`; after it nothing, or a write that was cut short.
    Ends { end: u64, last_seq: u64 },
    /// Something that cannot be the end of a log.
    Damaged { offset: u64, what: String },
}

/// Reads the frames of a segment from its first to its last.
pub(crate) fn scan(file: &Arc<dyn File>, segment: &Header) -> io::Result<Scan> {
    let limit = file.len()?;
    let mut reader = Reader::new(Arc::clone(file));
    let (mut end, mut last_seq) = (HEADER_BYTES, segment.previous_seq);
    while let Some(frame) = reader.frame(segment, end, limit)? {
        if !segment.may_follow(last_seq, frame.seq) {
            let what = format!("frame {} after frame {last_seq}", frame.seq);
            return Ok(Scan::Damaged { offset: end, what });
        }
        (end, last_seq) = (frame.end(), frame.seq);
    }
    // Only one write is in flight, so a whole frame beyond the first bad one was written after that one had
    // been synced: then this is no torn end.
    if !segment.unsynced
        && let Some(later) = reader.next_frame(segment, end + SECTOR as u64, limit, last_seq)?
    {
        let what = format!(
            "the frame after frame {last_seq} does not check, but frame {} behind it does",
            later.seq
        );
        return Ok(Scan::Damaged { offset: end, what });
    }
    Ok(Scan::Ends { end, last_seq })
}

/// The seal in the file's last sector, if it is there.
pub(crate) fn seal_at_end(file: &dyn File, segment: &Header) -> io::Result<Option<Seal>> {
    match file.len()?.checked_sub(SEAL_BYTES) {
        Some(offset) if offset >= HEADER_BYTES => seal_at(file, segment, offset),
        _ => Ok(None),
    }
}

/// The seal at `offset`, if it is there.
pub(crate) fn seal_at(file: &dyn File, segment: &Header, offset: u64) -> io::Result<Option<Seal>> {
    let mut sector = [0; SECTOR];
    let read = file.read_full_at(&mut sector, offset)?;
    Ok(Seal::decode(&sector[..read], offset, segment))
}

/// Whether two frames in sequence follow a blank first sector. A crash cannot leave that: the
/// header is written with the first frame, and synced before the second.
pub(crate) fn lost_its_header(file: &Arc<dyn File>) -> io::Result<bool> {
    let mut reader = Reader::new(Arc::clone(file));
    let Some(first) = reader.frame_header(HEADER_BYTES)? else {
        return Ok(false);
    };
    let second = reader.frame_header(crate::frame::frame_end(HEADER_BYTES, first.payload_bytes))?;
    Ok(second.is_some_and(|second| second.seq.checked_sub(1) == Some(first.seq)))
}

/// Whether nothing was ever written behind the first sector.
pub(crate) fn is_blank_behind_header(file: &Arc<dyn File>) -> io::Result<bool> {
    let mut reader = Reader::new(Arc::clone(file));
    let (mut offset, len) = (HEADER_BYTES, file.len()?);
    while offset < len {
        let bytes = reader.bytes(offset, READ_AHEAD_BYTES)?;
        if bytes.is_empty() || bytes.iter().any(|&byte| byte != 0) {
            return Ok(bytes.is_empty());
        }
        offset += bytes.len() as u64;
    }
    Ok(true)
}
