//! A growing column of 16-bit values that readers can copy cheaply.

use std::sync::Arc;

const CHUNK: usize = 4_096;

/// Values by ordinal. A clone shares all chunks; appending copies the last one if it is shared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Column {
    chunks: Vec<Arc<Vec<u16>>>,
}

impl Column {
    /// Appends values, a chunk's worth at a time.
    pub(crate) fn append(&mut self, values: impl ExactSizeIterator<Item = u16>) {
        let mut values = values;
        while values.len() > 0 {
            match self.chunks.last_mut() {
                Some(last) if last.len() < CHUNK => {
                    let room = CHUNK - last.len();
                    Arc::make_mut(last).extend(values.by_ref().take(room));
                }
                _ => self.chunks.push(Arc::new(Vec::with_capacity(CHUNK))),
            }
        }
    }

    pub(crate) fn get(&self, ordinal: u32) -> Option<u16> {
        let at = ordinal as usize;
        self.chunks.get(at / CHUNK)?.get(at % CHUNK).copied()
    }

    /// The values in order, in runs.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &[u16]> {
        self.chunks.iter().map(|chunk| chunk.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_appended_is_found_by_ordinal_and_a_clone_stays_as_it_was(
            lengths in prop::collection::vec(0usize..3 * CHUNK, 1..6),
            cloned in any::<prop::sample::Index>(),
        ) {
            let (mut column, mut naive) = (Column::default(), Vec::new());
            let mut before = None;
            for (at, length) in lengths.iter().enumerate() {
                if at == cloned.index(lengths.len()) {
                    before = Some((column.clone(), naive.len()));
                }
                let values = (0..*length).map(|value| (7 * at + value) as u16);
                naive.extend(values.clone());
                column.append(values);
            }
            let all = |column: &Column| column.runs().flatten().copied().collect::<Vec<u16>>();
            prop_assert_eq!(all(&column), naive.clone());
            let (before, length) = before.expect("one place was chosen");
            prop_assert_eq!(all(&before), &naive[..length]);
            for at in (0..naive.len()).step_by(977) {
                prop_assert_eq!(column.get(at as u32), Some(naive[at]));
            }
            prop_assert_eq!(column.get(naive.len() as u32), None);
        }
    }
}
