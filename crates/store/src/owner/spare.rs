//! Vectors that the commit thread gives back, so that the owner fills memory that it filled before.
//!
//! What one thread allocates and another frees takes the allocator's slow way twice, and mostly comes from pages
//! that are not in the cache.

use crate::index::NewRow;
use parking_lot::Mutex;

/// Vectors kept at most: those of the groups that are formed, wait and are in flight at full load.
const MAX_VECTORS: usize = 96;
/// Rows that one of them has room for at most; those of larger batches, which are rare, are not kept.
const MAX_ROWS: usize = 128;

/// The rows of a batch on their way to the index.
pub(crate) type Rows = Vec<Option<NewRow>>;

/// Rows without content.
#[derive(Default)]
pub(crate) struct SpareRows(Mutex<Vec<Rows>>);

impl SpareRows {
    /// An empty vector with room for so many rows.
    pub(crate) fn take(&self, rows: usize) -> Rows {
        let mut spare = self.0.lock().pop().unwrap_or_default();
        spare.reserve_exact(rows);
        spare
    }

    /// Takes back a vector, for its room.
    pub(crate) fn give(&self, mut rows: Rows) {
        if rows.capacity() > MAX_ROWS {
            return;
        }
        rows.clear();
        let mut spare = self.0.lock();
        if spare.len() < MAX_VECTORS {
            spare.push(rows);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_comes_back_empty_and_within_its_bounds() {
        let spare = SpareRows::default();
        let mut rows = spare.take(100);
        rows.push(None);
        let room = rows.as_ptr();
        spare.give(rows);
        let rows = spare.take(7);
        assert_eq!((rows.len(), rows.as_ptr()), (0, room));
        spare.give(spare.take(MAX_ROWS + 1));
        assert!(spare.0.lock().is_empty(), "a large vector is kept");
        (0..2 * MAX_VECTORS).for_each(|_| spare.give(Vec::with_capacity(1)));
        assert_eq!(spare.0.lock().len(), MAX_VECTORS);
    }
}
