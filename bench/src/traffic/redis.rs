//! Redis: each body an entry of a stream.

use super::find;
use super::wrapped::Protocol;
use crate::body::Body;
use anyhow::Result;
use std::io::Write as _;

/// Entries that the stream keeps, about: Redis holds them in memory.
const KEPT: usize = 2_000;

pub(crate) struct Redis;

impl Protocol for Redis {
    fn request(&self, body: &Body, out: &mut Vec<u8>) -> Result<()> {
        let kept = KEPT.to_string();
        let words = [
            b"XADD",
            &b"events"[..],
            b"MAXLEN",
            b"~",
            kept.as_bytes(),
            b"*",
            b"body",
            &body.bytes,
        ];
        write!(out, "*{}\r\n", words.len())?;
        for word in words {
            write!(out, "${}\r\n", word.len())?;
            out.extend_from_slice(word);
            out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    fn answer_end(&self, received: &[u8]) -> Option<usize> {
        let first = find(received, b"\r\n")? + 2;
        if received[0] != b'$' {
            return Some(first);
        }
        Some(first + find(&received[first..], b"\r\n")? + 2)
    }

    fn is_taken(&self, answer: &[u8]) -> bool {
        answer.starts_with(b"$") // the id of the entry
    }
}
