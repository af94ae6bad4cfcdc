//! Rows in (recorded time, ordinal) order, in memory: cheap to append, to insert anywhere, and to copy.

use super::column::Column;
use crate::span::TimeSpan;
use reputation::Micros;
use std::sync::Arc;

/// Rows in a chunk at most: an insert moves at most 2 KiB.
const CHUNK_ROWS: usize = 512;
/// Rows at most that a settled list keeps outside of chunks.
const NEWEST_ROWS: usize = CHUNK_ROWS + CHUNK_ROWS / 2;
/// Rows at most that wait for their places. Clients' clocks and delays mix the newest few ten thousand rows of an
/// organisation: one by one each would move half a chunk.
const MAX_UNSETTLED: usize = 8_192;

/// A row's place in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowKey {
    pub(crate) recorded_at: Micros,
    pub(crate) ordinal: u32,
}

/// Recorded times by ordinal.
pub(crate) type Times = Column<i64>;

/// A row of a list: twice its ordinal, and one more if it passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ListRow(u32);

impl ListRow {
    pub(crate) fn new(ordinal: u32, passed: bool) -> Self {
        Self(ordinal << 1 | u32::from(passed))
    }

    pub(crate) fn ordinal(self) -> u32 {
        self.0 >> 1
    }

    pub(crate) fn passed(self) -> bool {
        self.0 & 1 != 0
    }

    /// As it stands in an index file.
    pub(super) fn number(self) -> u32 {
        self.0
    }

    /// It stands in the column, as that of every row.
    pub(super) fn recorded_at(self, times: &Times) -> Micros {
        Micros(times.get(self.ordinal()).unwrap_or_default())
    }

    pub(super) fn key(self, times: &Times) -> RowKey {
        RowKey {
            recorded_at: self.recorded_at(times),
            ordinal: self.ordinal(),
        }
    }
}

/// A row with its time: sorts as its key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Timed {
    recorded_at: Micros,
    row: ListRow,
}

impl Timed {
    fn of(row: ListRow, times: &Times) -> Self {
        Self {
            recorded_at: row.recorded_at(times),
            row,
        }
    }

    /// Not after any row with this key, and after all rows with smaller ones.
    fn before_all(key: RowKey) -> Self {
        Self {
            recorded_at: key.recorded_at,
            row: ListRow::new(key.ordinal, false),
        }
    }
}

/// A list that sorts itself when it is asked to, or once many rows wait for that. The newest rows are its own, so that an
/// insert among them touches nothing else; a clone shares all before, in chunks, and a later insert copies the chunk
/// that it changes: a reader's clone stays as it was.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowList {
    /// The newest of the settled rows, in order, then those that wait, in order of arrival.
    newest: Vec<ListRow>,
    settled: u32,
    newest_passed: u32,
    /// All settled rows before the newest, if there were ever so many.
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
    first: Timed,
    len: u32,
    passed: u32,
    rows: Arc<Vec<ListRow>>,
}

impl RowList {
    pub(crate) fn len(&self) -> u32 {
        self.older().map_or(0, |older| older.len) + self.newest.len() as u32
    }

    /// Takes in a row, to wait for its place. The column has its time already.
    pub(super) fn push(&mut self, row: ListRow, times: &Times) {
        self.newest.push(row);
        self.newest_passed += u32::from(row.passed());
        if self.waiting().len() >= MAX_UNSETTLED {
            self.settle(times);
        }
    }

    /// Whether all rows are in their places, which all questions but those for numbers ask for.
    pub(super) fn is_settled(&self) -> bool {
        self.waiting().is_empty()
    }

    /// The rows that wait for their places, in order of arrival.
    pub(super) fn waiting(&self) -> &[ListRow] {
        &self.newest[self.settled as usize..]
    }

    /// Puts the rows that wait in their places.
    pub(super) fn settle(&mut self, times: &Times) {
        if self.is_settled() {
            return;
        }
        let waiting = self.newest.drain(self.settled as usize..);
        let mut rows: Vec<Timed> = waiting.map(|row| Timed::of(row, times)).collect();
        rows.sort_unstable();
        let newer = self.insert_among_older(&rows, times);
        merge(&mut self.newest, newer, times);
        if self.newest.len() > NEWEST_ROWS {
            self.fill_chunks(times);
        }
        self.settled = self.newest.len() as u32;
    }

    /// Puts those of the sorted rows into chunks that belong there; gives the others.
    fn insert_among_older<'r>(&mut self, rows: &'r [Timed], times: &Times) -> &'r [Timed] {
        let Some(older) = &mut self.older else { return rows };
        let oldest = self.newest.first().map(|row| Timed::of(*row, times));
        if oldest.is_some_and(|oldest| oldest < rows[0]) {
            return rows;
        }
        let Some(last) = older.last(times) else {
            return rows;
        };
        let (before, behind) = rows.split_at(count_before(rows, 1, |row| *row < last));
        if !before.is_empty() {
            self.newest_passed -= passed_of(before.iter().map(|timed| timed.row));
            Arc::make_mut(older).insert(before, times);
        }
        behind
    }

    /// Moves all but the newest rows to chunks, which are full: rows mostly come in order.
    fn fill_chunks(&mut self, times: &Times) {
        let whole = (self.newest.len() - CHUNK_ROWS / 2) / CHUNK_ROWS * CHUNK_ROWS;
        let full = &self.newest[..whole];
        self.newest_passed -= passed_of(full.iter().copied());
        Arc::make_mut(self.older.get_or_insert_default()).append(full, times);
        self.newest.drain(..whole);
    }

    fn older(&self) -> Option<&Chunks> {
        self.older.as_deref()
    }

    /// How many rows come before this key, and how many of them passed.
    pub(super) fn rank(&self, key: RowKey, times: &Times) -> (u32, u32) {
        let key = Timed::before_all(key);
        let newer = self.newest.partition_point(|row| Timed::of(*row, times) < key);
        match self.older() {
            Some(older) if newer == 0 => older.rank(key, times),
            older => {
                let (rank, passed) = older.map_or((0, 0), |older| (older.len, older.passed));
                let newer = &self.newest[..newer];
                (
                    rank + newer.len() as u32,
                    passed + passed_of(newer.iter().copied()),
                )
            }
        }
    }

    /// The row at this place, from the oldest.
    pub(super) fn get(&self, rank: u32) -> Option<ListRow> {
        let before = self.older().map_or(0, |older| older.len);
        match rank.checked_sub(before) {
            Some(place) => self.newest.get(place as usize).copied(),
            None => self.older()?.get(rank),
        }
    }

    /// The place of the `nth` row, from 0, among those with this verdict.
    pub(super) fn select(&self, passed: bool, nth: u32) -> Option<u32> {
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
    pub(super) fn iter(&self) -> impl Iterator<Item = ListRow> {
        self.runs().flatten().copied()
    }

    /// The same in runs: much cheaper to go through than row by row.
    pub(super) fn runs(&self) -> impl Iterator<Item = &[ListRow]> {
        let older = self.older().into_iter().flat_map(|older| &older.chunks);
        older
            .map(|chunk| chunk.rows.as_slice())
            .chain([self.newest.as_slice()])
    }

    /// The rows recorded at exactly this time, in order, also while some wait.
    pub(super) fn at(&self, time: Micros, times: &Times) -> impl Iterator<Item = ListRow> {
        let first = Timed::before_all(RowKey {
            recorded_at: time,
            ordinal: 0,
        });
        let is_at = move |row: &ListRow| row.recorded_at(times) == time;
        let settled = &self.newest[..self.settled as usize];
        let newer = settled.partition_point(|row| Timed::of(*row, times) < first);
        // None of the older ones is as late where one of the newest is earlier.
        let older = self.older().filter(|_| newer == 0);
        let older = older.into_iter().flat_map(move |older| older.from(first, times));
        let rows = older.chain(&settled[newer..]).copied().take_while(is_at);
        rows.chain(self.waiting().iter().copied().filter(is_at))
    }

    /// The newest of its rows, those that are in no chunk.
    pub(super) fn newest(&self) -> &[ListRow] {
        &self.newest
    }

    /// The latest recorded time, also while rows wait.
    pub(super) fn latest(&self, times: &Times) -> Option<Micros> {
        let time = |row: &ListRow| row.recorded_at(times);
        let settled = self.newest[..self.settled as usize].last().map(time);
        let settled = settled.or_else(|| Some(self.older()?.last(times)?.recorded_at));
        settled.max(self.waiting().iter().map(time).max())
    }

    /// The earliest and the latest recorded time, if there are rows.
    pub(super) fn span(&self, times: &Times) -> Option<TimeSpan> {
        Some(TimeSpan {
            min: self.get(0)?.recorded_at(times),
            max: self.latest(times)?,
        })
    }
}

impl Chunks {
    fn last(&self, times: &Times) -> Option<Timed> {
        let last = self.chunks.last()?.rows.last()?;
        Some(Timed::of(*last, times))
    }

    /// How many rows have this verdict.
    fn matching(&self, passed: bool) -> u32 {
        with_verdict(passed, self.len, self.passed)
    }

    /// The rows that are not before this one.
    fn from(&self, first: Timed, times: &Times) -> impl Iterator<Item = &ListRow> {
        let begin = count_before(&self.chunks, 1, |chunk| chunk.first < first).saturating_sub(1);
        let mut rest = self.chunks[begin..].iter().map(|chunk| chunk.rows.as_slice());
        let at_first = rest.next().unwrap_or_default();
        let before = at_first.partition_point(|row| Timed::of(*row, times) < first);
        at_first[before..].iter().chain(rest.flatten())
    }

    /// Puts rows behind all others.
    fn append(&mut self, rows: &[ListRow], times: &Times) {
        self.len += rows.len() as u32;
        self.passed += passed_of(rows.iter().copied());
        let chunks = rows.chunks(CHUNK_ROWS).map(|rows| Chunk::of(rows, times));
        self.chunks.extend(chunks);
    }

    /// Puts sorted rows in their places, none of them behind the last. From the newest end: there most belong, and
    /// those chunks are in the processor's cache.
    fn insert(&mut self, mut rows: &[Timed], times: &Times) {
        self.len += rows.len() as u32;
        self.passed += passed_of(rows.iter().map(|timed| timed.row));
        let mut end = self.chunks.len();
        while let Some(newest) = rows.last() {
            let begin = count_before(&self.chunks[..end], 1, |chunk| chunk.first < *newest);
            let at = begin.saturating_sub(1);
            let first = match at {
                0 => 0, // what is before all chunks goes into the first
                _ => count_before(rows, 1, |row| *row < self.chunks[at].first),
            };
            self.insert_into(at, &rows[first..], times);
            (rows, end) = (&rows[..first], at);
        }
    }

    /// Puts sorted rows into a chunk, which is split if it gets too large.
    fn insert_into(&mut self, at: usize, rows: &[Timed], times: &Times) {
        let chunk = &mut self.chunks[at];
        let all = Arc::make_mut(&mut chunk.rows);
        merge(all, rows, times);
        if all.len() > CHUNK_ROWS {
            let part = all.len().div_ceil(all.len().div_ceil(CHUNK_ROWS));
            let whole = std::mem::take(all);
            let parts = whole.chunks(part).map(|rows| Chunk::of(rows, times));
            self.chunks.splice(at..=at, parts);
        } else {
            chunk.first = Timed::of(all[0], times);
            chunk.len = all.len() as u32;
            chunk.passed += passed_of(rows.iter().map(|timed| timed.row));
        }
    }

    fn rank(&self, key: Timed, times: &Times) -> (u32, u32) {
        let begin = count_before(&self.chunks, 1, |chunk| chunk.first < key);
        let Some(at) = begin.checked_sub(1) else {
            return (0, 0);
        };
        let rows = &self.chunks[at].rows;
        let inside = &rows[..rows.partition_point(|row| Timed::of(*row, times) < key)];
        let inside = (inside.len() as u32, passed_of(inside.iter().copied()));
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
    fn of(rows: &[ListRow], times: &Times) -> Self {
        let mut all = Vec::with_capacity(CHUNK_ROWS);
        all.extend_from_slice(rows);
        Self {
            first: Timed::of(rows[0], times),
            len: rows.len() as u32,
            passed: passed_of(rows.iter().copied()),
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

fn passed_of(rows: impl Iterator<Item = ListRow>) -> u32 {
    rows.map(|row| u32::from(row.passed())).sum()
}

/// The place of the `nth` row with this verdict.
fn place_of(rows: &[ListRow], passed: bool, nth: u32) -> Option<u32> {
    let matching = (0u32..).zip(rows).filter(|(_, row)| row.passed() == passed);
    matching.map(|(place, _)| place).nth(nth as usize)
}

/// Merges sorted rows into sorted rows, from the end: what lies before the first of them does not move.
fn merge(all: &mut Vec<ListRow>, rows: &[Timed], times: &Times) {
    let last = all.last().map(|last| Timed::of(*last, times));
    let mut end = all.len();
    all.extend(rows.iter().map(|timed| timed.row));
    if last.is_none_or(|last| rows.first().is_none_or(|first| last < *first)) {
        return;
    }
    // Where as many rows, spread evenly, would have the next: rows of all times, as a backfill brings, are.
    let step = (end / rows.len()).max(1);
    for (before, timed) in rows.iter().enumerate().rev() {
        let at = count_before(&all[..end], step, |other| Timed::of(*other, times) < *timed);
        all.copy_within(at..end, at + before + 1);
        all[at + before] = timed.row;
        end = at;
    }
}

/// How many come before the first that does not. Searched for from the end in steps that double: the answer is
/// mostly within the first.
fn count_before<T>(sorted: &[T], step: usize, is_before: impl Fn(&T) -> bool) -> usize {
    let (mut high, mut step) = (sorted.len(), step);
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

    /// A list, and the column with the times of its rows.
    #[derive(Default)]
    struct Timeline {
        list: RowList,
        times: Times,
    }

    impl Timeline {
        fn push(&mut self, time: i64, passed: bool) {
            let ordinal = self.list.len();
            self.times.append([time].into_iter());
            self.list.push(ListRow::new(ordinal, passed), &self.times);
        }

        fn key(&self, row: ListRow) -> RowKey {
            row.key(&self.times)
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
        fn a_list_agrees_with_a_sorted_vector(
            times in times(),
            at_once in prop_oneof![Just(1usize), 1usize..1_500],
            probe in 0i64..2_500,
        ) {
            let mut lines = Timeline::default();
            let mut naive = Vec::new();
            for (ordinal, time) in (0u32..).zip(times) {
                let passed = (time + i64::from(ordinal)) % 3 != 0;
                lines.push(time, passed);
                naive.push((RowKey { recorded_at: Micros(time), ordinal }, passed));
                prop_assert_eq!(lines.list.latest(&lines.times), naive.iter().map(|(key, _)| key.recorded_at).max());
                if naive.len() % at_once == 0 {
                    lines.list.settle(&lines.times);
                    prop_assert!(lines.list.is_settled() && lines.list.newest().len() <= NEWEST_ROWS);
                }
            }
            lines.list.settle(&lines.times);
            naive.sort_unstable();
            let Timeline { list, times } = &lines;
            let found: Vec<_> = list.iter().map(|row| (lines.key(row), row.passed())).collect();
            prop_assert_eq!(&found, &naive);
            prop_assert_eq!(list.len() as usize, naive.len());
            prop_assert_eq!(list.passed() as usize, naive.iter().filter(|(_, passed)| *passed).count());
            for time in [probe, probe % 700] {
                let at_time = naive.iter().filter(|(key, _)| key.recorded_at.0 == time).map(|(key, _)| *key);
                let found = list.at(Micros(time), times).map(|row| lines.key(row));
                prop_assert_eq!(found.collect::<Vec<_>>(), at_time.collect::<Vec<_>>());
            }
            let between = RowKey { recorded_at: Micros(probe), ordinal: 300 };
            for key in naive.iter().map(|(key, _)| *key).step_by(7).chain([between]) {
                let before: Vec<_> = naive.iter().filter(|(k, _)| *k < key).collect();
                let passed = before.iter().filter(|(_, passed)| *passed).count();
                prop_assert_eq!(list.rank(key, times), (before.len() as u32, passed as u32));
            }
            for verdict in [true, false] {
                let places: Vec<u32> =
                    (0u32..).zip(&naive).filter(|(_, (_, p))| *p == verdict).map(|(at, _)| at).collect();
                let nth = (probe as usize) % (places.len() + 1);
                prop_assert_eq!(list.select(verdict, nth as u32), places.get(nth).copied());
            }
            let at = probe as usize % naive.len();
            prop_assert_eq!(list.get(at as u32).map(|row| lines.key(row)), Some(naive[at].0));
            let [first, last] = [0, naive.len() - 1].map(|at| naive[at].0.recorded_at);
            prop_assert_eq!(list.span(times), Some(TimeSpan { min: first, max: last }));
        }
    }

    #[test]
    fn a_clone_stays_as_it_was() {
        let mut lines = Timeline::default();
        (0..1_000).for_each(|i| lines.push(2 * i, true));
        lines.list.settle(&lines.times);
        let before = lines.list.clone();
        for i in 0..1_000 {
            lines.push(2 * i + 1, false);
            lines.list.settle(&lines.times);
        }
        assert_eq!(
            (before.len(), before.passed(), before.iter().count()),
            (1_000, 1_000, 1_000)
        );
        let list = lines.list;
        assert_eq!(
            (list.len(), list.passed(), list.iter().count()),
            (2_000, 1_000, 2_000)
        );
    }

    #[test]
    fn rows_wait_until_they_are_many() {
        let mut lines = Timeline::default();
        for i in (0..3 * MAX_UNSETTLED as i64).rev() {
            lines.push(i, true);
            assert!(lines.list.waiting().len() < MAX_UNSETTLED);
        }
        lines.push(0, true);
        assert!(!lines.list.is_settled());
    }
}
