//! Recognises texts that came before in the same batch: agents, tools and names of gates, a few dozen of which
//! come hundreds of times.

/// How many texts are remembered. One that takes another's slot costs the other a slower way, nothing else.
const SLOTS: usize = 128;

/// A small direct-mapped cache from a text's mark to its place.
pub(super) struct Recent {
    slots: Vec<Slot>,
}

/// All zeros while it is empty, so that a cache is made by clearing memory.
#[derive(Clone, Copy)]
struct Slot {
    mark: Mark,
    place: u32,
}

impl Recent {
    pub(super) fn new() -> Self {
        let empty = Slot {
            mark: Mark {
                first: 0,
                last: 0,
                len: 0,
            },
            place: 0,
        };
        Self {
            slots: vec![empty; SLOTS],
        }
    }

    /// The place of the last text remembered that has this mark.
    #[inline]
    pub(super) fn find(&self, mark: Mark) -> Option<u32> {
        let slot = &self.slots[mark.slot()];
        (slot.mark == mark).then_some(slot.place)
    }

    pub(super) fn remember(&mut self, mark: Mark, place: u32) {
        self.slots[mark.slot()] = Slot { mark, place };
    }
}

/// The length, the first and the last bytes of a text: all of one that is short, so that it is compared without a
/// call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    first: u64,
    last: u64,
    /// One more than the length, so that no text's mark is all zeros.
    len: u32,
}

impl Mark {
    /// The longest text of which it holds all.
    const WHOLE: u32 = 16;

    #[inline]
    pub(super) fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let (first, last) = if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
            (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
        } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
            let [first, last] = [first, last].map(|four| u64::from(u32::from_le_bytes(*four)));
            (first, last)
        } else {
            let first = bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            (first, 0)
        };
        let len = super::place(bytes.len()).saturating_add(1);
        Self { first, last, len }
    }

    /// Whether no other text has the same.
    #[inline]
    pub(super) fn is_whole(self) -> bool {
        self.len <= Self::WHOLE + 1
    }

    #[inline]
    fn slot(self) -> usize {
        let mixed = (self.first ^ self.last.rotate_left(29) ^ u64::from(self.len) << 57)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 57) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn whole_marks_tell_texts_apart_and_the_last_text_is_remembered() {
        let texts: Vec<String> = (0..2_000)
            .map(|i| format!("{}{}", "name-of-a-gate-".repeat(i % 3), i * 7 % 500))
            .chain(
                (0..2_000).map(|i| "gate-name-of-16b".split_at(i % 17).0.to_owned() + &(i % 3).to_string()),
            )
            .chain(["", "\0", "\0\0", "\0\0\0\0", "a", "a\0"].map(String::from))
            .collect();
        let mut recent = Recent::new();
        let mut whole: HashMap<[u64; 3], &str> = HashMap::new();
        assert_eq!(recent.find(Mark::of("")), None);
        for (place, text) in (0..).zip(&texts) {
            let mark = Mark::of(text);
            assert_eq!(mark.is_whole(), text.len() <= 16);
            if mark.is_whole() {
                let other = *whole
                    .entry([mark.first, mark.last, mark.len.into()])
                    .or_insert(text);
                assert_eq!(other, text);
            }
            recent.remember(mark, place);
            assert_eq!(recent.find(mark), Some(place));
        }
    }
}
