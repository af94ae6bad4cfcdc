//! Rows in (recorded time, ordinal) order, in memory: cheap to append, to insert anywhere, and to copy.

use crate::span::TimeSpan;
use reputation::Micros;
use std::sync::Arc;

/// Rows in a chunk at most: an insert moves at most 8 KiB.
const CHUNK_ROWS: usize = 512;
/// Rows at most that a list keeps outside of chunks.
const NEWEST_ROWS: usize = CHUNK_ROWS + CHUNK_ROWS / 2;

/// A row's place in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowKey {
    pub(crate) recorded_at: Micros,
    pub(crate) ordinal: u32,
}

/// A row of a list: one number that sorts as its key does. From the highest bits down: recorded time, ordinal, id
/// fingerprint, verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ListRow(u128);

impl ListRow {
    pub(crate) fn new(key: RowKey, fingerprint: u16, passed: bool) -> Self {
        Self(Self::before_all(key).0 | u128::from(fingerprint) << 1 | u128::from(passed))
    }

    /// Not after any row with this key, and after all rows with smaller ones.
    fn before_all(key: RowKey) -> Self {
        let time = key.recorded_at.0.cast_unsigned() ^ 1 << 63;
        Self(u128::from(time) << 64 | u128::from(key.ordinal) << 32)
    }

    pub(crate) fn key(self) -> RowKey {
        let time = (self.0 >> 64) as u64 ^ 1 << 63;
        RowKey {
            recorded_at: Micros(time.cast_signed()),
            ordinal: (self.0 >> 32) as u32,
        }
    }

    pub(crate) fn fingerprint(self) -> u16 {
        (self.0 >> 1) as u16
    }

    pub(crate) fn passed(self) -> bool {
        self.0 & 1 != 0
    }
}

/// A sorted list. The newest rows are its own, so that an insert among them touches nothing else; a clone shares
/// all before, in chunks, and a later insert copies the chunk that it changes: a reader's clone stays as it was.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowList {
    newest: Vec<ListRow>,
    newest_passed: u32,
    /// All rows before the newest, if there were ever so many.
    older: Option<Arc<Chunks>>,
}

/// Sorted rows as runs of at most [`CHUNK_ROWS`].
#[derive(Clone, Debug, Default)]
struct Chunks {
    chunks: Vec<Chunk>,
    len: u32,
    passed: u32,
}

/// At least one row. What a search needs of it stands beside it, so that only the right one is looked into.
#[derive(Clone, Debug)]
struct Chunk {
    first: ListRow,
    len: u32,
    passed: u32,
    rows: Arc<Vec<ListRow>>,
}

impl RowList {
    pub(crate) fn len(&self) -> u32 {
        self.older().map_or(0, |older| older.len) + self.newest.len() as u32
    }

    /// Puts rows, which are sorted, in their places.
    pub(crate) fn insert(&mut self, rows: &[ListRow]) {
        let mut newer = rows;
        let all_new = matches!((rows, self.newest.as_slice()), ([first, ..], [oldest, ..]) if oldest < first);
        if !all_new
            && let Some(older) = &mut self.older
            && let Some(last) = older.last()
        {
            let (before, behind) = rows.split_at(count_before(rows, |row| *row < last));
            if !before.is_empty() {
                Arc::make_mut(older).insert(before);
            }
            newer = behind;
        }
        self.newest_passed += passed_of(newer);
        merge(&mut self.newest, newer);
        if self.newest.len() > NEWEST_ROWS {
            self.settle();
        }
    }

    /// Moves all but the newest rows to chunks, which are full: rows mostly come in order.
    fn settle(&mut self) {
        let whole = (self.newest.len() - CHUNK_ROWS / 2) / CHUNK_ROWS * CHUNK_ROWS;
        let settled = &self.newest[..whole];
        self.newest_passed -= passed_of(settled);
        Arc::make_mut(self.older.get_or_insert_default()).append(settled);
        self.newest.drain(..whole);
    }

    fn older(&self) -> Option<&Chunks> {
        self.older.as_deref()
    }

    /// How many rows come before this key, and how many of them passed.
    pub(crate) fn rank(&self, key: RowKey) -> (u32, u32) {
        let key = ListRow::before_all(key);
        let newer = self.newest.partition_point(|row| *row < key);
        match self.older() {
            Some(older) if newer == 0 => older.rank(key),
            older => {
                let (rank, passed) = older.map_or((0, 0), |older| (older.len, older.passed));
                (rank + newer as u32, passed + passed_of(&self.newest[..newer]))
            }
        }
    }

    /// The row at this place, from the oldest.
    pub(crate) fn get(&self, rank: u32) -> Option<ListRow> {
        let before = self.older().map_or(0, |older| older.len);
        match rank.checked_sub(before) {
            Some(place) => self.newest.get(place as usize).copied(),
            None => self.older()?.get(rank),
        }
    }

    /// The place of the `nth` row, from 0, among those with this verdict.
    pub(crate) fn select(&self, passed: bool, nth: u32) -> Option<u32> {
        let before = self.older().map_or(0, |older| older.matching(passed));
        match nth.checked_sub(before) {
            Some(nth) => {
                let place = place_of(&self.newest, passed, nth)?;
                Some(self.older().map_or(0, |older| older.len) + place)
            }
            None => self.older()?.select(passed, nth),
        }
    }

    /// How many rows passed.
    pub(crate) fn passed(&self) -> u32 {
        self.older().map_or(0, |older| older.passed) + self.newest_passed
    }

    /// All rows, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = ListRow> {
        self.runs().flatten().copied()
    }

    /// The same in runs: much cheaper to go through than row by row.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &[ListRow]> {
        let older = self.older().into_iter().flat_map(|older| &older.chunks);
        older
            .map(|chunk| chunk.rows.as_slice())
            .chain([self.newest.as_slice()])
    }

    /// The rows recorded at exactly this time, in order.
    pub(crate) fn at(&self, time: Micros) -> impl Iterator<Item = ListRow> {
        let first = ListRow::before_all(RowKey {
            recorded_at: time,
            ordinal: 0,
        });
        let newer = self.newest.partition_point(|row| *row < first);
        // None of the older ones is as late where one of the newest is earlier.
        let older = self.older().filter(|_| newer == 0);
        let older = older.into_iter().flat_map(move |older| older.from(first));
        let rows = older.chain(&self.newest[newer..]).copied();
        rows.take_while(move |row| row.key().recorded_at == time)
    }

    /// The oldest row's key.
    pub(crate) fn first(&self) -> Option<RowKey> {
        Some(self.get(0)?.key())
    }

    /// The newest rows, those that are in no chunk.
    pub(super) fn newest(&self) -> &[ListRow] {
        &self.newest
    }

    /// The newest row's key.
    pub(crate) fn last(&self) -> Option<RowKey> {
        let last = self.newest.last().copied();
        Some(last.or_else(|| self.older()?.last())?.key())
    }

    /// The earliest and the latest recorded time, if there are rows.
    pub(crate) fn span(&self) -> Option<TimeSpan> {
        Some(TimeSpan {
            min: self.first()?.recorded_at,
            max: self.last()?.recorded_at,
        })
    }
}

impl Chunks {
    fn last(&self) -> Option<ListRow> {
        self.chunks.last()?.rows.last().copied()
    }

    /// How many rows have this verdict.
    fn matching(&self, passed: bool) -> u32 {
        with_verdict(passed, self.len, self.passed)
    }

    /// The rows that are not before this one.
    fn from(&self, first: ListRow) -> impl Iterator<Item = &ListRow> {
        let begin = count_before(&self.chunks, |chunk| chunk.first < first).saturating_sub(1);
        let mut rest = self.chunks[begin..].iter().map(|chunk| chunk.rows.as_slice());
        let at_first = rest.next().unwrap_or_default();
        let before = at_first.partition_point(|row| *row < first);
        at_first[before..].iter().chain(rest.flatten())
    }

    /// Puts rows behind all others.
    fn append(&mut self, rows: &[ListRow]) {
        self.len += rows.len() as u32;
        self.passed += passed_of(rows);
        self.chunks.extend(rows.chunks(CHUNK_ROWS).map(Chunk::of));
    }

    /// Puts sorted rows in their places, none of them behind the last. From the newest end: there most belong, and
    /// those chunks are in the processor's cache.
    fn insert(&mut self, mut rows: &[ListRow]) {
        self.len += rows.len() as u32;
        self.passed += passed_of(rows);
        let mut end = self.chunks.len();
        while let Some(newest) = rows.last() {
            let begin = count_before(&self.chunks[..end], |chunk| chunk.first < *newest);
            let at = begin.saturating_sub(1);
            let first = match at {
                0 => 0, // what is before all chunks goes into the first
                _ => count_before(rows, |row| *row < self.chunks[at].first),
            };
            self.insert_into(at, &rows[first..]);
            (rows, end) = (&rows[..first], at);
        }
    }

    /// Puts sorted rows into a chunk, which is split if it gets too large.
    fn insert_into(&mut self, at: usize, rows: &[ListRow]) {
        let chunk = &mut self.chunks[at];
        let all = Arc::make_mut(&mut chunk.rows);
        merge(all, rows);
        if all.len() > CHUNK_ROWS {
            let part = all.len().div_ceil(all.len().div_ceil(CHUNK_ROWS));
            let whole = std::mem::take(all);
            self.chunks.splice(at..=at, whole.chunks(part).map(Chunk::of));
        } else {
            chunk.first = all[0];
            chunk.len = all.len() as u32;
            chunk.passed += passed_of(rows);
        }
    }

    fn rank(&self, key: ListRow) -> (u32, u32) {
        let begin = count_before(&self.chunks, |chunk| chunk.first < key);
        let Some(at) = begin.checked_sub(1) else {
            return (0, 0);
        };
        let inside = self.chunks[at].rows.partition_point(|row| *row < key);
        let inside = (inside as u32, passed_of(&self.chunks[at].rows[..inside]));
        let add = |(rows, passed), chunk: &Chunk| (rows + chunk.len, passed + chunk.passed);
        self.chunks[..at].iter().fold(inside, add)
    }

    fn get(&self, rank: u32) -> Option<ListRow> {
        // Mostly the newest rows are asked for: look from the nearer end.
        if rank >= self.len / 2 {
            let mut behind = self.len.checked_sub(rank)?; // the row and all after it
            for chunk in self.chunks.iter().rev() {
                match chunk.len.checked_sub(behind) {
                    Some(place) => return chunk.rows.get(place as usize).copied(),
                    None => behind -= chunk.len,
                }
            }
            return None;
        }
        let mut place = rank;
        for chunk in &self.chunks {
            if place < chunk.len {
                return chunk.rows.get(place as usize).copied();
            }
            place -= chunk.len;
        }
        None
    }

    fn select(&self, passed: bool, nth: u32) -> Option<u32> {
        let all = self.matching(passed);
        if nth >= all / 2 {
            let mut behind = all.checked_sub(nth)?; // the row and all matching ones after it
            let mut after = self.len;
            for chunk in self.chunks.iter().rev() {
                after -= chunk.len;
                let matching = chunk.matching(passed);
                match matching.checked_sub(behind) {
                    Some(nth) => return place_of(&chunk.rows, passed, nth).map(|place| after + place),
                    None => behind -= matching,
                }
            }
            return None;
        }
        let (mut nth, mut before) = (nth, 0);
        for chunk in &self.chunks {
            let matching = chunk.matching(passed);
            if nth < matching {
                return place_of(&chunk.rows, passed, nth).map(|place| before + place);
            }
            nth -= matching;
            before += chunk.len;
        }
        None
    }
}

impl Chunk {
    /// With room for as many as a chunk holds.
    fn of(rows: &[ListRow]) -> Self {
        let mut all = Vec::with_capacity(CHUNK_ROWS);
        all.extend_from_slice(rows);
        Self {
            first: rows[0],
            len: rows.len() as u32,
            passed: passed_of(rows),
            rows: Arc::new(all),
        }
    }

    fn matching(&self, passed: bool) -> u32 {
        with_verdict(passed, self.len, self.passed)
    }
}

/// How many of so many rows, of which so many passed, have this verdict.
fn with_verdict(passed: bool, rows: u32, rows_passed: u32) -> u32 {
    if passed { rows_passed } else { rows - rows_passed }
}

fn passed_of(rows: &[ListRow]) -> u32 {
    rows.iter().map(|row| u32::from(row.passed())).sum()
}

/// The place of the `nth` row with this verdict.
fn place_of(rows: &[ListRow], passed: bool, nth: u32) -> Option<u32> {
    let matching = (0u32..).zip(rows).filter(|(_, row)| row.passed() == passed);
    matching.map(|(place, _)| place).nth(nth as usize)
}

/// Merges sorted rows into sorted rows, from the end: what lies before the first of them does not move.
fn merge(all: &mut Vec<ListRow>, rows: &[ListRow]) {
    let mut end = all.len();
    let is_behind = all
        .last()
        .is_none_or(|last| rows.first().is_none_or(|first| last < first));
    all.extend_from_slice(rows);
    if is_behind {
        return;
    }
    for (before, row) in rows.iter().enumerate().rev() {
        let at = count_before(&all[..end], |other| other < row);
        all.copy_within(at..end, at + before + 1);
        all[at + before] = *row;
        end = at;
    }
}

/// How many come before the first that does not. Searched for from the end in steps that double: the answer is
/// mostly near it.
fn count_before<T>(sorted: &[T], is_before: impl Fn(&T) -> bool) -> usize {
    let (mut high, mut step) = (sorted.len(), 1);
    let low = loop {
        match high.checked_sub(step) {
            Some(probe) if is_before(&sorted[probe]) => break probe + 1,
            Some(probe) => (high, step) = (probe, 2 * step),
            None => break 0,
        }
    };
    low + sorted[low..high].partition_point(is_before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(time: i64, ordinal: u32, passed: bool) -> ListRow {
        let key = RowKey {
            recorded_at: Micros(time),
            ordinal,
        };
        ListRow::new(key, ordinal as u16, passed)
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
        fn a_list_agrees_with_a_sorted_vector(
            times in times(),
            at_once in prop_oneof![Just(1usize), 1usize..1_500],
            probe in 0i64..2_500,
        ) {
            let mut list = RowList::default();
            let mut rows: Vec<ListRow> = (0u32..)
                .zip(times)
                .map(|(ordinal, time)| row(time, ordinal, (time + i64::from(ordinal)) % 3 != 0))
                .collect();
            for group in rows.chunks_mut(at_once) {
                group.sort_unstable();
                list.insert(group);
            }
            let mut naive: Vec<_> = rows.iter().map(|row| (row.key(), row.passed())).collect();
            naive.sort_unstable();
            prop_assert_eq!(list.iter().map(|r| (r.key(), r.passed())).collect::<Vec<_>>(), naive.clone());
            prop_assert_eq!(list.len() as usize, naive.len());
            prop_assert_eq!(list.passed() as usize, naive.iter().filter(|(_, passed)| *passed).count());
            for time in [probe, probe % 700] {
                let at_time = naive.iter().filter(|(key, _)| key.recorded_at.0 == time).map(|(key, _)| *key);
                let found = list.at(Micros(time)).map(ListRow::key);
                prop_assert_eq!(found.collect::<Vec<_>>(), at_time.collect::<Vec<_>>());
            }
            let between = RowKey { recorded_at: Micros(probe), ordinal: 300 };
            for key in naive.iter().map(|(key, _)| *key).step_by(7).chain([between]) {
                let before: Vec<_> = naive.iter().filter(|(k, _)| *k < key).collect();
                let passed = before.iter().filter(|(_, passed)| *passed).count();
                prop_assert_eq!(list.rank(key), (before.len() as u32, passed as u32));
            }
            for verdict in [true, false] {
                let places: Vec<u32> =
                    (0u32..).zip(&naive).filter(|(_, (_, p))| *p == verdict).map(|(at, _)| at).collect();
                let nth = (probe as usize) % (places.len() + 1);
                prop_assert_eq!(list.select(verdict, nth as u32), places.get(nth).copied());
            }
            let at = probe as usize % naive.len();
            prop_assert_eq!(list.get(at as u32).map(ListRow::key), Some(naive[at].0));
            prop_assert_eq!((list.first(), list.last()), (Some(naive[0].0), naive.last().map(|r| r.0)));
        }
    }

    #[test]
    fn a_clone_stays_as_it_was() {
        let mut list = RowList::default();
        (0..1_000).for_each(|i| list.insert(&[row(i64::from(i) * 2, i, true)]));
        let before = list.clone();
        (0..1_000).for_each(|i| list.insert(&[row(i64::from(i) * 2 + 1, 1_000 + i, false)]));
        assert_eq!(
            (before.len(), before.passed(), before.iter().count()),
            (1_000, 1_000, 1_000)
        );
        assert_eq!(
            (list.len(), list.passed(), list.iter().count()),
            (2_000, 1_000, 2_000)
        );
    }

    #[test]
    fn a_row_says_what_was_put_into_it_and_sorts_as_its_key_does() {
        for time in [i64::MIN, -1, 0, 1, i64::MAX] {
            let row = row(time, u32::MAX, true);
            let key = RowKey {
                recorded_at: Micros(time),
                ordinal: u32::MAX,
            };
            assert_eq!(
                (row.key(), row.fingerprint(), row.passed()),
                (key, u16::MAX, true)
            );
        }
        assert!(row(-1, 5, true) < row(0, 0, false));
        assert!(row(7, 1, true) < row(7, 2, false));
    }
}
