//! Recognises texts that came before in the same batch: tools and names of gates, a few dozen of which come
//! hundreds of times.

/// How many texts are remembered. One that takes another's slot costs a copy of the other, nothing else.
const SLOTS: usize = 256;

/// A small direct-mapped cache from text to place.
pub(super) struct Terms<'e> {
    slots: Box<[(&'e str, u32); SLOTS]>,
}

impl<'e> Terms<'e> {
    pub(super) fn new() -> Self {
        Self {
            slots: Box::new([("", u32::MAX); SLOTS]),
        }
    }

    /// The place of a text; `add` gives the place of one that is not remembered.
    pub(super) fn place_of(&mut self, text: &'e str, add: impl FnOnce() -> u32) -> u32 {
        let (known, place) = &mut self.slots[slot(text)];
        if *known != text || *place == u32::MAX {
            (*known, *place) = (text, add());
        }
        *place
    }
}

/// Where a text is remembered, by its length, first and last bytes.
fn slot(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (first, last) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)), 0),
    };
    let mixed =
        (first ^ last.rotate_left(29) ^ (bytes.len() as u64) << 57).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_one_place_and_different_texts_never_share_one() {
        let texts: Vec<String> = (0..2_000)
            .map(|i| format!("{}{}", "name-of-a-gate-".repeat(i % 3), i * 7 % 500))
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
