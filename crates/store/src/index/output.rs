//! An index file on its way out: section by section through one small buffer, each block with its checksum.

use super::blocks::BLOCK_BYTES;
use std::io;

/// How much is handed on at once: whole blocks, few enough to stay in the processor's cache.
const PIECE_BYTES: usize = 16 * BLOCK_BYTES;

/// Takes the pieces of a file, in order.
pub(super) trait Put: FnMut(&[u8]) -> io::Result<()> {}

impl<P: FnMut(&[u8]) -> io::Result<()>> Put for P {}

/// What is written so far.
pub(super) struct Output<P> {
    put: P,
    piece: Vec<u8>,
    /// Bytes before `piece`.
    handed_on: u64,
    section_start: u64,
    /// Start and length of each section that is done: u64 each.
    pub(super) places: Vec<u8>,
    /// Of each block that was handed on: u32.
    pub(super) checksums: Vec<u8>,
}

impl<P: Put> Output<P> {
    /// Hands pieces to `put`, in order.
    pub(super) fn new(put: P) -> Self {
        Self {
            put,
            piece: Vec::with_capacity(PIECE_BYTES + BLOCK_BYTES),
            handed_on: 0,
            section_start: 0,
            places: Vec::new(),
            checksums: Vec::new(),
        }
    }

    /// Appends to the section.
    pub(super) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.hand_on(self.piece.len() / BLOCK_BYTES * BLOCK_BYTES)?;
        }
        Ok(())
    }

    /// Appends the lowest bytes of a number to the section.
    pub(super) fn put_number(&mut self, number: u64, bytes: usize) -> io::Result<()> {
        // All eight and back again: a copy of a length that is known.
        let end = self.piece.len() + bytes;
        self.piece.extend_from_slice(&number.to_le_bytes());
        self.piece.truncate(end);
        self.put(&[])
    }

    /// Appends numbers to the section.
    pub(super) fn put_all<const N: usize>(
        &mut self,
        numbers: impl IntoIterator<Item = [u8; N]>,
    ) -> io::Result<()> {
        numbers.into_iter().try_for_each(|number| self.put(&number))
    }

    /// The section is whole, another begins.
    pub(super) fn end_section(&mut self) {
        let end = self.handed_on + self.piece.len() as u64;
        self.places.extend_from_slice(&self.section_start.to_le_bytes());
        self.places
            .extend_from_slice(&(end - self.section_start).to_le_bytes());
        self.section_start = end;
    }

    /// Hands on what is left of the last section.
    pub(super) fn end_sections(&mut self) -> io::Result<()> {
        self.hand_on(self.piece.len())
    }

    /// Writes what belongs to no section and is in no block, behind the last section.
    pub(super) fn put_behind(&mut self, bytes: &[u8]) -> io::Result<()> {
        (self.put)(bytes)
    }

    fn hand_on(&mut self, bytes: usize) -> io::Result<()> {
        let (whole, _) = self.piece.split_at(bytes);
        for block in whole.chunks(BLOCK_BYTES) {
            self.checksums
                .extend_from_slice(&crc32c::crc32c(block).to_le_bytes());
        }
        (self.put)(whole)?;
        self.handed_on += bytes as u64;
        self.piece.drain(..bytes);
        Ok(())
    }
}
