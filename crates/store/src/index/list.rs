//! Rows in (recorded time, ordinal) order, in memory: cheap to append, to insert anywhere, and to copy.

use reputation::Micros;
use std::sync::Arc;

/// Rows in a chunk at most: an insert moves at most 8 KiB.
const CHUNK_ROWS: usize = 512;

/// A row's place in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowKey {
    pub(crate) recorded_at: Micros,
    pub(crate) ordinal: u32,
}

/// A row of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListRow {
    pub(crate) key: RowKey,
    pub(crate) fingerprint: u16,
    pub(crate) passed: bool,
}

/// A sorted list as runs of at most [`CHUNK_ROWS`]. A clone shares the chunks; a later insert copies the one
/// that it changes, so a reader's clone stays as it was.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowList {
    chunks: Vec<Arc<Chunk>>,
    len: u32,
    passed: u32,
}

#[derive(Clone, Debug, Default)]
struct Chunk {
    rows: Vec<ListRow>,
    passed: u32,
}

impl RowList {
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// Puts a row in its place.
    pub(crate) fn insert(&mut self, row: ListRow) {
        self.len += 1;
        self.passed += u32::from(row.passed);
        let after = self.chunks_before(row.key);
        let Some(at) = after
            .checked_sub(1)
            .or(if self.chunks.is_empty() { None } else { Some(0) })
        else {
            return self.chunks.push(Arc::new(Chunk::of(vec![row])));
        };
        let is_last = at + 1 == self.chunks.len();
        let chunk = Arc::make_mut(&mut self.chunks[at]);
        let place = match chunk.rows.last() {
            Some(newest) if newest.key < row.key => chunk.rows.len(),
            _ => chunk.rows.partition_point(|other| other.key < row.key),
        };
        if chunk.rows.len() < CHUNK_ROWS {
            chunk.passed += u32::from(row.passed);
            chunk.rows.insert(place, row);
        } else if is_last && place == chunk.rows.len() {
            // Rows mostly come in order: full chunks stay full.
            self.chunks.push(Arc::new(Chunk::of(vec![row])));
        } else {
            let upper = chunk.rows.split_off(CHUNK_ROWS / 2);
            let mut halves = [Chunk::of(std::mem::take(&mut chunk.rows)), Chunk::of(upper)];
            let (half, place) = if place <= CHUNK_ROWS / 2 {
                (0, place)
            } else {
                (1, place - CHUNK_ROWS / 2)
            };
            halves[half].passed += u32::from(row.passed);
            halves[half].rows.insert(place, row);
            let [lower, upper] = halves;
            *chunk = lower;
            self.chunks.insert(at + 1, Arc::new(upper));
        }
    }

    /// How many chunks begin before this key. Searched for from the newest in steps that double: most rows are
    /// among the newest, and those chunks are in the processor's cache.
    fn chunks_before(&self, key: RowKey) -> usize {
        let begins_before = |chunk: &Arc<Chunk>| chunk.rows[0].key < key;
        let (mut high, mut step) = (self.chunks.len(), 1);
        let low = loop {
            match high.checked_sub(step) {
                Some(probe) if begins_before(&self.chunks[probe]) => break probe + 1,
                Some(probe) => (high, step) = (probe, 2 * step),
                None => break 0,
            }
        };
        low + self.chunks[low..high].partition_point(begins_before)
    }

    /// How many rows come before this key, and how many of them passed.
    pub(crate) fn rank(&self, key: RowKey) -> (u32, u32) {
        let whole = self
            .chunks
            .partition_point(|chunk| chunk.rows.last().is_some_and(|row| row.key < key));
        let (mut rank, mut passed) = (0, 0);
        for chunk in &self.chunks[..whole] {
            rank += chunk.len();
            passed += chunk.passed;
        }
        if let Some(chunk) = self.chunks.get(whole) {
            let inside = chunk.rows.partition_point(|row| row.key < key);
            rank += inside as u32;
            passed += chunk.rows[..inside]
                .iter()
                .map(|row| u32::from(row.passed))
                .sum::<u32>();
        }
        (rank, passed)
    }

    /// The row at this place, from the oldest.
    pub(crate) fn get(&self, rank: u32) -> Option<ListRow> {
        // Mostly the newest rows are asked for: look from the nearer end.
        if rank >= self.len / 2 {
            let mut behind = self.len.checked_sub(rank)?; // the row and all after it
            for chunk in self.chunks.iter().rev() {
                match chunk.len().checked_sub(behind) {
                    Some(place) => return chunk.rows.get(place as usize).copied(),
                    None => behind -= chunk.len(),
                }
            }
            return None;
        }
        let mut place = rank;
        for chunk in &self.chunks {
            if place < chunk.len() {
                return chunk.rows.get(place as usize).copied();
            }
            place -= chunk.len();
        }
        None
    }

    /// The place of the `nth` row, from 0, among those with this verdict.
    pub(crate) fn select(&self, passed: bool, nth: u32) -> Option<u32> {
        let matching = |chunk: &Chunk| {
            if passed {
                chunk.passed
            } else {
                chunk.len() - chunk.passed
            }
        };
        let within = |chunk: &Chunk, nth: u32| {
            let rows = (0u32..).zip(&chunk.rows).filter(|(_, row)| row.passed == passed);
            rows.map(|(place, _)| place).nth(nth as usize)
        };
        let all = if passed {
            self.passed
        } else {
            self.len - self.passed
        };
        if nth >= all / 2 {
            let mut behind = all.checked_sub(nth)?; // the row and all matching ones after it
            let mut after = self.len;
            for chunk in self.chunks.iter().rev() {
                after -= chunk.len();
                match matching(chunk).checked_sub(behind) {
                    Some(nth) => return within(chunk, nth).map(|place| after + place),
                    None => behind -= matching(chunk),
                }
            }
            return None;
        }
        let (mut nth, mut before) = (nth, 0);
        for chunk in &self.chunks {
            if nth < matching(chunk) {
                return within(chunk, nth).map(|place| before + place);
            }
            nth -= matching(chunk);
            before += chunk.len();
        }
        None
    }

    /// How many rows passed.
    pub(crate) fn passed(&self) -> u32 {
        self.passed
    }

    /// All rows, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &ListRow> {
        self.chunks.iter().flat_map(|chunk| &chunk.rows)
    }

    /// The oldest row's key.
    pub(crate) fn first(&self) -> Option<RowKey> {
        Some(self.chunks.first()?.rows.first()?.key)
    }

    /// The newest row's key.
    pub(crate) fn last(&self) -> Option<RowKey> {
        Some(self.chunks.last()?.rows.last()?.key)
    }
}

impl Chunk {
    fn of(rows: Vec<ListRow>) -> Self {
        let passed = rows.iter().map(|row| u32::from(row.passed)).sum();
        Self { rows, passed }
    }

    fn len(&self) -> u32 {
        self.rows.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(time: i64, ordinal: u32, passed: bool) -> ListRow {
        ListRow {
            key: RowKey {
                recorded_at: Micros(time),
                ordinal,
            },
            fingerprint: 1,
            passed,
        }
    }

    /// Times in order, descending, or random: the orders that clients send.
    fn times() -> impl Strategy<Value = Vec<i64>> {
        prop_oneof![
            (1..2_500i64).prop_map(|n| (0..n).collect()),
            (1..2_500i64).prop_map(|n| (0..n).rev().collect()),
            prop::collection::vec(0i64..700, 1..2_500),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_list_agrees_with_a_sorted_vector(times in times(), probe in 0i64..2_500) {
            let mut list = RowList::default();
            let mut naive = Vec::new();
            for (ordinal, time) in (0u32..).zip(times) {
                let new = row(time, ordinal, (time + i64::from(ordinal)) % 3 != 0);
                list.insert(new);
                naive.push((new.key, new.passed));
            }
            naive.sort_unstable();
            prop_assert_eq!(list.iter().map(|r| (r.key, r.passed)).collect::<Vec<_>>(), naive.clone());
            let key = RowKey { recorded_at: Micros(probe), ordinal: 300 };
            let before: Vec<_> = naive.iter().filter(|(k, _)| *k < key).collect();
            let passed = before.iter().filter(|(_, passed)| *passed).count();
            prop_assert_eq!(list.rank(key), (before.len() as u32, passed as u32));
            for verdict in [true, false] {
                let places: Vec<u32> =
                    (0u32..).zip(&naive).filter(|(_, (_, p))| *p == verdict).map(|(at, _)| at).collect();
                let nth = (probe as usize) % (places.len() + 1);
                prop_assert_eq!(list.select(verdict, nth as u32), places.get(nth).copied());
            }
            let at = probe as usize % naive.len();
            prop_assert_eq!(list.get(at as u32).map(|r| r.key), Some(naive[at].0));
            prop_assert_eq!((list.first(), list.last()), (Some(naive[0].0), naive.last().map(|r| r.0)));
        }
    }

    #[test]
    fn a_clone_stays_as_it_was() {
        let mut list = RowList::default();
        (0..1_000).for_each(|i| list.insert(row(i64::from(i) * 2, i, true)));
        let before = list.clone();
        (0..1_000).for_each(|i| list.insert(row(i64::from(i) * 2 + 1, 1_000 + i, false)));
        assert_eq!(
            (before.len(), before.passed(), before.iter().count()),
            (1_000, 1_000, 1_000)
        );
        assert_eq!(
            (list.len(), list.passed(), list.iter().count()),
            (2_000, 1_000, 2_000)
        );
    }
}
