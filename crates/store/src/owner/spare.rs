//! Vectors that the commit thread gives back, so that the owner fills memory that it filled before.
//!
//! What one thread allocates and another frees takes the allocator's slow way twice, and mostly comes from pages
//! that are not in the cache.

use parking_lot::Mutex;

/// Empty vectors that had content.
pub(crate) struct Spare<T> {
    vectors: Mutex<Vec<Vec<T>>>,
    most_vectors: usize,
    most_room: usize,
}

impl<T> Spare<T> {
    /// Keeps so many vectors at most, of those with room for at most so many items: larger ones, which are rare, go.
    pub(crate) fn new(most_vectors: usize, most_room: usize) -> Self {
        Self {
            vectors: Mutex::default(),
            most_vectors,
            most_room,
        }
    }

    /// An empty vector with room for so many items.
    pub(crate) fn take(&self, items: usize) -> Vec<T> {
        let mut vector = self.vectors.lock().pop().unwrap_or_default();
        vector.reserve_exact(items);
        vector
    }

    /// Takes back a vector, for its room.
    pub(crate) fn give(&self, mut vector: Vec<T>) {
        if vector.capacity() > self.most_room {
            return;
        }
        vector.clear();
        let mut vectors = self.vectors.lock();
        if vectors.len() < self.most_vectors {
            vectors.push(vector);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_comes_back_empty_and_within_its_bounds() {
        let spare = Spare::new(3, 128);
        let mut vector = spare.take(100);
        vector.push(7);
        let room = vector.as_ptr();
        spare.give(vector);
        let vector = spare.take(7);
        assert_eq!((vector.len(), vector.as_ptr()), (0, room));
        spare.give(spare.take(129));
        assert!(spare.vectors.lock().is_empty(), "a large vector is kept");
        (0..5).for_each(|_| spare.give(Vec::with_capacity(1)));
        assert_eq!(spare.vectors.lock().len(), 3);
    }
}
