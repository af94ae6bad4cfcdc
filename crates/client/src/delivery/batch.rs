//! Events on their way.

use super::FileId;
use std::time::Duration;

/// An event in memory.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// Its JSON, the same for every try.
    pub(crate) line: Box<str>,
    /// When it was tracked, or came back from the spool.
    pub(crate) since: Duration,
    /// Counts up in the order of `since`.
    pub(crate) serial: u64,
    /// The file of the spool that it came from.
    pub(crate) file: Option<FileId>,
}

/// Events that are sent together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) events: Vec<Held>,
    /// Whether the last try failed.
    pub(super) failed: bool,
}

impl Batch {
    pub(super) fn new(events: Vec<Held>) -> Self {
        Self {
            events,
            failed: false,
        }
    }

    /// The body that carries it.
    pub(super) fn json(&self) -> Vec<u8> {
        const AROUND: usize = r#"{"events":[]}"#.len();
        let bytes: usize = self.events.iter().map(|held| held.line.len() + 1).sum();
        let mut json = Vec::with_capacity(bytes + AROUND);
        json.extend_from_slice(br#"{"events":["#);
        for (at, held) in self.events.iter().enumerate() {
            if at > 0 {
                json.push(b',');
            }
            json.extend_from_slice(held.line.as_bytes());
        }
        json.extend_from_slice(b"]}");
        json
    }

    /// Keeps the events at these places, in ascending order; gives the others.
    pub(super) fn without(&mut self, places: &[usize]) -> Vec<Held> {
        let mut at = 0;
        let others = self.events.extract_if(.., |_| {
            at += 1;
            places.binary_search(&(at - 1)).is_err()
        });
        others.collect()
    }
}

/// Events and bytes in one file of the spool, at most; the last event may go beyond the bytes.
const MAX_FILE_EVENTS: usize = 1_000;
const MAX_FILE_BYTES: usize = 1 << 20;

/// How many of these events go into each file of the spool.
pub(crate) fn file_lengths(events: &[Held]) -> Vec<usize> {
    let mut lengths = Vec::new();
    let (mut length, mut bytes) = (0, 0);
    for held in events {
        length += 1;
        bytes += held.line.len() + 1;
        if length == MAX_FILE_EVENTS || bytes >= MAX_FILE_BYTES {
            lengths.push(length);
            (length, bytes) = (0, 0);
        }
    }
    lengths.extend((length > 0).then_some(length));
    lengths
}
