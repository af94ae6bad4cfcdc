//! A growing column of values that readers can copy cheaply.

use std::sync::Arc;

/// Values in a chunk. A multiple of every block of packed rows, so that a column is written run by run.
pub(super) const CHUNK: usize = 4_096;

/// Values by ordinal. A clone shares all of them; what is appended afterwards copies the last chunk once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Column<T> {
    full: Arc<Vec<Arc<Vec<T>>>>,
    last: Arc<Vec<T>>,
}

impl<T: Copy> Column<T> {
    /// Appends values, a chunk's worth at a time.
    pub(crate) fn append(&mut self, values: impl ExactSizeIterator<Item = T>) {
        let mut values = values;
        while values.len() > 0 {
            let last = Arc::make_mut(&mut self.last);
            last.reserve_exact(CHUNK - last.len());
            last.extend(values.by_ref().take(CHUNK - last.len()));
            if last.len() == CHUNK {
                Arc::make_mut(&mut self.full).push(std::mem::take(&mut self.last));
            }
        }
    }

    pub(crate) fn get(&self, ordinal: u32) -> Option<T> {
        let at = ordinal as usize;
        let value = match self.full.get(at / CHUNK) {
            Some(chunk) => chunk.get(at % CHUNK),
            None => self.last.get(at - self.full.len() * CHUNK),
        };
        value.copied()
    }

    /// The values in order, in runs of [`CHUNK`] but for the last.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &[T]> + Clone {
        let full = self.full.iter().map(|chunk| chunk.as_slice());
        full.chain(Some(self.last.as_slice()).filter(|last| !last.is_empty()))
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
            let all = |column: &Column<u16>| column.runs().flatten().copied().collect::<Vec<u16>>();
            prop_assert_eq!(all(&column), naive.clone());
            let (before, length) = before.expect("one place was chosen");
            prop_assert_eq!(all(&before), &naive[..length]);
            for at in (0..naive.len()).step_by(977) {
                prop_assert_eq!(column.get(at as u32), Some(naive[at]));
            }
            prop_assert_eq!(column.get(naive.len() as u32), None);
            prop_assert_eq!(column.get(u32::MAX), None);
        }
    }
}
