//! Cuts a stream into lines, which are messages, without holding more than the limit of one.

use memchr::memchr;
use std::io::{self, Read};

/// What is read at once, and the smallest limit.
pub(crate) const CHUNK_BYTES: usize = 64 << 10;
/// A buffer that grew beyond this is given back after its line.
const KEPT_BYTES: usize = 1 << 20;

/// A line, or a part of one that is longer than the limit. The parts and lines together are the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// A whole line with its end, or the last of the stream, which may have none.
    Line(&'a [u8]),
    /// The beginning, or more, of a line beyond the limit.
    Part(&'a [u8]),
    /// The rest of such a line, with its end if it has one. May be empty.
    Rest(&'a [u8]),
}

/// A stream that is being cut.
pub(crate) struct Lines<R> {
    source: R,
    buffer: Vec<u8>,
    /// What was read and not handed out: `buffer[start..filled]`.
    start: usize,
    filled: usize,
    /// Up to here no end of a line was found.
    searched: usize,
    max_bytes: usize,
    /// Whether the beginning of the line here was handed out as a part.
    within_long: bool,
}

impl<R: Read> Lines<R> {
    /// Cuts that stream; no line above `max_bytes`, its end included, is held.
    pub(crate) fn new(source: R, max_bytes: usize) -> Self {
        Self {
            source,
            buffer: vec![0; CHUNK_BYTES],
            start: 0,
            filled: 0,
            searched: 0,
            max_bytes: max_bytes.max(CHUNK_BYTES),
            within_long: false,
        }
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// Where the stream cannot be read.
    pub(crate) fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        loop {
            if let Some(at) = memchr(b'\n', &self.buffer[self.searched..self.filled]) {
                return Ok(Some(self.take_line(self.searched + at + 1)));
            }
            self.searched = self.filled;
            let held = self.filled - self.start;
            if held == self.max_bytes || (self.within_long && held > 0) {
                self.within_long = true;
                return Ok(Some(Piece::Part(self.take(self.filled))));
            }
            if self.fill()? == 0 {
                return Ok(match (self.within_long, held) {
                    (false, 0) => None,
                    _ => Some(self.take_line(self.filled)),
                });
            }
        }
    }

    fn take_line(&mut self, end: usize) -> Piece<'_> {
        match std::mem::take(&mut self.within_long) {
            true => Piece::Rest(self.take(end)),
            false => Piece::Line(self.take(end)),
        }
    }

    fn take(&mut self, end: usize) -> &[u8] {
        let taken = self.start..end;
        self.start = end;
        self.searched = end;
        &self.buffer[taken]
    }

    /// Reads more behind what is held.
    fn fill(&mut self) -> io::Result<usize> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.filled, 0);
            self.filled -= self.start;
            self.searched -= self.start;
            self.start = 0;
        }
        if self.filled == 0 && self.buffer.len() > KEPT_BYTES {
            self.buffer = vec![0; CHUNK_BYTES];
        }
        if self.filled == self.buffer.len() {
            let wanted = (self.buffer.len() * 2).min(self.max_bytes);
            self.buffer.reserve_exact(wanted - self.buffer.len());
            self.buffer.resize(wanted, 0);
        }
        let read = self.source.read(&mut self.buffer[self.filled..])?;
        self.filled += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives what it has in pieces of that size.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let end = self.1.min(self.0.len()).min(buffer.len());
            let (now, later) = self.0.split_at(end);
            buffer[..end].copy_from_slice(now);
            self.0 = later;
            Ok(end)
        }
    }

    /// The pieces of a stream: what each is, and its bytes.
    fn pieces(stream: &[u8], read: usize, max_bytes: usize) -> Vec<(char, Vec<u8>)> {
        let mut lines = Lines::new(Slow(stream, read), max_bytes);
        let mut all = Vec::new();
        while let Some(piece) = lines.next().unwrap() {
            all.push(match piece {
                Piece::Line(bytes) => ('l', bytes.to_vec()),
                Piece::Part(bytes) => ('p', bytes.to_vec()),
                Piece::Rest(bytes) => ('r', bytes.to_vec()),
            });
            assert!(lines.buffer.len() <= max_bytes.max(CHUNK_BYTES));
        }
        all
    }

    #[test]
    fn every_line_comes_with_its_end_and_the_last_may_have_none() {
        let lines: Vec<_> = pieces(b"a\n\r\n\nb\r\nc", 3, CHUNK_BYTES);
        let expected: [&[u8]; 5] = [b"a\n", b"\r\n", b"\n", b"b\r\n", b"c"];
        assert_eq!(lines, expected.map(|line| ('l', line.to_vec())));
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_whole_and_a_longer_one_comes_in_parts() {
        let line = |length: usize| [vec![b'x'; length - 1], vec![b'\n']].concat();
        let whole = pieces(&[line(CHUNK_BYTES), line(5)].concat(), 1_000, CHUNK_BYTES);
        assert_eq!(whole.iter().map(|piece| piece.0).collect::<String>(), "ll");
        let longer = pieces(&[line(CHUNK_BYTES + 1), line(5)].concat(), 1 << 20, CHUNK_BYTES);
        assert_eq!(longer.iter().map(|piece| piece.0).collect::<String>(), "prl");
        assert_eq!(longer[1].1, b"\n");
        let without_end = pieces(&[b'x'; CHUNK_BYTES + 7], 1 << 20, CHUNK_BYTES);
        assert_eq!(without_end.iter().map(|piece| piece.0).collect::<String>(), "ppr");
    }

    #[test]
    fn a_buffer_that_grew_is_given_back() {
        let stream = [vec![b'x'; 3 << 20], b"\na\nb\n".to_vec()].concat();
        let mut lines = Lines::new(Slow(&stream, 1 << 19), 8 << 20);
        assert!(matches!(lines.next().unwrap(), Some(Piece::Line(line)) if line.len() == (3 << 20) + 1));
        assert!(lines.buffer.len() > KEPT_BYTES);
        while lines.next().unwrap().is_some() {}
        assert_eq!(lines.buffer.len(), CHUNK_BYTES);
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_stream_however_it_comes(
            lengths in prop::collection::vec(0..3 * CHUNK_BYTES, 0..6), read in 1..2 * CHUNK_BYTES, last in any::<bool>(),
        ) {
            let mut stream: Vec<u8> = lengths.iter().flat_map(|&length| [vec![b'y'; length], vec![b'\n']].concat()).collect();
            if last { stream.pop(); }
            let pieces = pieces(&stream, read, CHUNK_BYTES + CHUNK_BYTES / 2);
            let joined: Vec<u8> = pieces.iter().flat_map(|piece| piece.1.clone()).collect();
            prop_assert_eq!(joined, stream);
            // Each line ends once.
            let ends = pieces.iter().filter(|piece| piece.0 != 'p').count();
            let expected = if last && lengths.last().is_some_and(|&length| length == 0) { lengths.len().saturating_sub(1) } else { lengths.len() };
            prop_assert_eq!(ends, expected);
        }
    }
}
