//! Recognises texts that came before in the same batch: tools and names of gates, a few dozen of which come
//! hundreds of times.

/// How many texts are remembered. One that takes another's slot costs a copy of the other, nothing else.
const SLOTS: usize = 256;

/// A small direct-mapped cache from text to place.
pub(super) struct Terms<'e> {
    slots: Box<[Slot<'e>; SLOTS]>,
}

#[derive(Clone, Copy)]
struct Slot<'e> {
    text: &'e str,
    ends: Ends,
    /// `u32::MAX` while the slot is empty.
    place: u32,
}

impl<'e> Terms<'e> {
    pub(super) fn new() -> Self {
        let empty = Slot {
            text: "",
            ends: Ends { first: 0, last: 0 },
            place: u32::MAX,
        };
        Self {
            slots: Box::new([empty; SLOTS]),
        }
    }

    /// The place of a text; `add` gives the place of one that is not remembered.
    #[inline]
    pub(super) fn place_of(&mut self, text: &'e str, add: impl FnOnce() -> u32) -> u32 {
        let ends = Ends::of(text.as_bytes());
        let slot = &mut self.slots[ends.slot(text.len())];
        let is_it = slot.ends == ends
            && slot.text.len() == text.len()
            && (text.len() <= Ends::BYTES || slot.text == text)
            && slot.place != u32::MAX;
        if !is_it {
            *slot = Slot {
                text,
                ends,
                place: add(),
            };
        }
        slot.place
    }
}

/// The first and the last bytes of a text: all of one that is short, so that it is compared without a call.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Ends {
    first: u64,
    last: u64,
}

impl Ends {
    /// The longest text of which they are all.
    const BYTES: usize = 16;

    #[inline]
    fn of(bytes: &[u8]) -> Self {
        if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk()) {
            return Self {
                first: u64::from_le_bytes(*first),
                last: u64::from_le_bytes(*last),
            };
        }
        if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk()) {
            return Self {
                first: u64::from(u32::from_le_bytes(*first)),
                last: u64::from(u32::from_le_bytes(*last)),
            };
        }
        let first = bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        Self { first, last: 0 }
    }

    /// Where a text of this length with these ends is remembered.
    #[inline]
    fn slot(self, len: usize) -> usize {
        let mixed =
            (self.first ^ self.last.rotate_left(29) ^ (len as u64) << 57).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 56) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_one_place_and_different_texts_never_share_one() {
        let texts: Vec<String> = (0..2_000)
            .map(|i| format!("{}{}", "name-of-a-gate-".repeat(i % 3), i * 7 % 500))
            .chain(
                (0..2_000).map(|i| "gate-name-of-16b".split_at(i % 17).0.to_owned() + &(i % 3).to_string()),
            )
            .chain([String::new()])
            .collect();
        let mut terms = Terms::new();
        let mut all: Vec<&str> = Vec::new();
        for text in texts
            .iter()
            .chain(&texts)
            .chain(["pii", "pii"].map(String::from).iter().map(|_| &texts[0]))
        {
            let place = terms.place_of(text, || {
                all.push(text);
                all.len() as u32 - 1
            });
            assert_eq!(all[place as usize], text);
        }
        let added = all.len();
        let place = terms.place_of(&texts[0], || unreachable!("it was just met"));
        assert_eq!((all[place as usize], all.len()), (texts[0].as_str(), added));
    }
}
