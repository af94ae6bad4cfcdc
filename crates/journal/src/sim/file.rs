//! One file: what is on the medium, what is in the page cache, and what has yet to get from there to here.

use super::rng::Rng;
use crate::SECTOR;

/// A file's content.
#[derive(Clone, Default)]
pub(super) struct Content {
    /// What readers see.
    pub(super) cache: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

impl Content {
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        let change = Change::Write {
            offset,
            bytes: bytes.to_vec(),
        };
        change.apply(&mut self.cache);
        self.unsynced.push(change);
    }

    pub(super) fn set_len(&mut self, bytes: usize) {
        let change = Change::SetLen(bytes);
        change.apply(&mut self.cache);
        self.unsynced.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// What a failed sync leaves: pages marked clean that never reached the medium.
    pub(super) fn lose(&mut self) {
        self.unsynced.clear();
    }

    pub(super) fn damage(&mut self, offset: usize, bytes: &[u8]) {
        for content in [&mut self.cache, &mut self.durable] {
            Change::Write {
                offset,
                bytes: bytes.to_vec(),
            }
            .apply(content);
        }
    }

    /// What the medium may hold after a power cut.
    pub(super) fn after_crash(&self, rng: &mut Rng) -> Content {
        let mut durable = self.durable.clone();
        for change in &self.unsynced {
            match (change, rng.below(3)) {
                (_, 0) => {}
                (_, 1) | (Change::SetLen(_), _) => change.apply(&mut durable),
                (Change::Write { offset, bytes }, _) => {
                    for (from, to) in sectors(*offset, bytes.len()) {
                        if rng.coin() {
                            write(&mut durable, offset + from, &bytes[from..to]);
                        }
                    }
                }
            }
        }
        Content {
            cache: durable.clone(),
            durable,
            unsynced: Vec::new(),
        }
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Write { offset, bytes } => write(content, *offset, bytes),
            Change::SetLen(bytes) => content.resize(*bytes, 0),
        }
    }
}

fn write(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.extend_from_slice(&vec![0; end - content.len()]);
    }
    content[offset..end].copy_from_slice(bytes);
}

/// The parts of a write of `len` bytes at `offset` that go to one sector each, as ranges of the write.
fn sectors(offset: usize, len: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let to = len.min((offset + from + 1).next_multiple_of(SECTOR) - offset);
        let part = (from < len).then_some((from, to));
        from = to;
        part
    })
}
