//! Rows of several lists, newest first.

use super::Found;
use crate::Error;
use crate::index::Rows;
use reputation::Micros;
use std::collections::BinaryHeap;

/// Merges lists from their newer ends.
pub(super) struct Merge<'a> {
    lists: &'a [(usize, Rows)],
    /// Per list: the rank of the oldest row that may come.
    from: Vec<u32>,
    /// Per list: the rank after the next row.
    next: Vec<u32>,
    /// The next row of each list that has one, and the list.
    heads: BinaryHeap<(Found, usize)>,
}

impl<'a> Merge<'a> {
    /// Merges, of each list, the rows from rank `from` up to, but not with, rank `to`.
    pub(super) fn new(lists: &'a [(usize, Rows)], from: &[u32], to: &[u32]) -> Result<Self, Error> {
        let mut merge = Self {
            lists,
            from: from.to_vec(),
            next: to.to_vec(),
            heads: BinaryHeap::new(),
        };
        for list in 0..lists.len() {
            merge.push_head(list)?;
        }
        Ok(merge)
    }

    fn push_head(&mut self, list: usize) -> Result<(), Error> {
        if self.next[list] > self.from[list] {
            self.next[list] -= 1;
            let (view, rows) = &self.lists[list];
            self.heads
                .push((Found::new(*view, rows.key(self.next[list])?), list));
        }
        Ok(())
    }

    /// The newest row that has not come yet.
    pub(super) fn next(&mut self) -> Result<Option<Found>, Error> {
        let Some((found, list)) = self.heads.pop() else {
            return Ok(None);
        };
        self.push_head(list)?;
        Ok(Some(found))
    }
}

/// Lowers the ends `to` of the lists so that the newest `skip` rows between `from` and `to` are left out,
/// counting by ranks and never walking.
pub(super) fn skip_newest(
    lists: &[(usize, Rows)],
    from: &[u32],
    to: &mut [u32],
    skip: u64,
) -> Result<(), Error> {
    let total: u64 = to
        .iter()
        .zip(from)
        .map(|(to, from)| u64::from(to.saturating_sub(*from)))
        .sum();
    if skip == 0 {
        return Ok(());
    }
    if skip >= total {
        to.copy_from_slice(from);
        return Ok(());
    }
    let clamp = |list: usize, rank: u32| rank.clamp(from[list], to[list]);
    // The latest time from which on at least `skip` rows lie.
    let mut low = Micros(i64::MAX);
    let mut high = Micros(i64::MIN);
    for (list, (_, rows)) in lists
        .iter()
        .enumerate()
        .filter(|(list, _)| from[*list] < to[*list])
    {
        low = low.min(rows.key(from[list])?.recorded_at);
        high = high.max(rows.key(to[list] - 1)?.recorded_at);
    }
    let newer = |time: Micros| -> Result<u64, Error> {
        let mut count = 0;
        for (list, (_, rows)) in lists.iter().enumerate() {
            count += u64::from(to[list] - clamp(list, rows.before(time)?));
        }
        Ok(count)
    };
    while low < high {
        let middle = Micros(low.0 + (high.0 - low.0) / 2 + 1);
        if newer(middle)? >= skip {
            low = middle;
        } else {
            high = Micros(middle.0 - 1);
        }
    }
    // All rows after that time are skipped, and of those at it the latest arrivals: the newer segments'.
    let mut left = skip;
    let mut ends = to.to_vec();
    for (list, (_, rows)) in lists.iter().enumerate() {
        ends[list] = clamp(list, rows.until(low)?);
        left -= u64::from(to[list] - ends[list]);
    }
    for (list, (_, rows)) in lists.iter().enumerate().rev() {
        let here = ends[list] - clamp(list, rows.before(low)?);
        let skipped = u64::from(here).min(left);
        ends[list] -= skipped as u32;
        left -= skipped;
    }
    to.copy_from_slice(&ends);
    Ok(())
}
