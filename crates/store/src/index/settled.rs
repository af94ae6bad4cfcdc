//! A list of rows in memory as it was when somebody asked for it, with what the index knows of its rows.

use super::column::Column;
use super::list::{ListRow, RowKey, RowList, Times};
use super::rows::Filter;
use crate::span::TimeSpan;
use std::ops::Range;

/// All rows are in their places.
pub(crate) struct Settled {
    list: RowList,
    times: Times,
    fingerprints: Column<u16>,
}

impl Settled {
    /// Of a list that is settled.
    pub(super) fn new(list: RowList, times: Times, fingerprints: Column<u16>) -> Self {
        debug_assert!(list.is_settled(), "its rows are looked for by their order");
        Self {
            list,
            times,
            fingerprints,
        }
    }

    pub(super) fn len(&self) -> u32 {
        self.list.len()
    }

    /// How many rows passed.
    pub(super) fn passed(&self) -> u32 {
        self.list.passed()
    }

    /// How many rows come before this key, and how many of them passed.
    pub(super) fn rank(&self, key: RowKey) -> (u32, u32) {
        self.list.rank(key, &self.times)
    }

    /// The key of the row at this place, from the oldest.
    pub(super) fn key(&self, place: u32) -> Option<RowKey> {
        Some(self.list.get(place)?.key(&self.times))
    }

    /// Those of these places whose rows have this verdict.
    pub(super) fn with_verdict(&self, passed: bool, places: Range<u32>) -> Vec<u32> {
        let has_it = |place: &u32| self.list.get(*place).is_some_and(|row| row.passed() == passed);
        places.filter(has_it).collect()
    }

    /// The place of the `nth` row, from 0, among those with this verdict.
    pub(super) fn select(&self, passed: bool, nth: u32) -> Option<u32> {
        self.list.select(passed, nth)
    }

    /// The ordinals of all rows.
    pub(super) fn ordinals(&self) -> Vec<u32> {
        self.list.iter().map(ListRow::ordinal).collect()
    }

    /// The keys of those between two ranks, among those with the wanted verdict, whose ids have this fingerprint.
    pub(super) fn with_fingerprint(
        &self,
        passed: Filter,
        ranks: Range<u32>,
        fingerprint: u16,
    ) -> Vec<RowKey> {
        let wanted = |row: &ListRow| passed.is_none_or(|passed| passed == row.passed());
        let rows = self.list.iter().filter(wanted).skip(ranks.start as usize);
        rows.take(ranks.len())
            .filter(|row| self.has(row.ordinal(), fingerprint))
            .map(|row| row.key(&self.times))
            .collect()
    }

    fn has(&self, ordinal: u32, fingerprint: u16) -> bool {
        self.fingerprints.get(ordinal) == Some(fingerprint)
    }

    /// The earliest and the latest recorded time, if there are rows.
    pub(crate) fn span(&self) -> Option<TimeSpan> {
        self.list.span(&self.times)
    }
}
