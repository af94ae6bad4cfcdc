//! Rows of several segments, newest first.

use super::Found;
use super::page::Labels;
use crate::Error;
use crate::index::{RowKey, Rows};
use reputation::Micros;
use std::collections::BinaryHeap;

/// The rows of one segment that are wanted.
pub(super) struct Part {
    rows: Rows,
    /// The rank of the oldest.
    from: u32,
    /// The rank after the newest that has not come yet.
    to: u32,
    labels: Labels,
}

/// Merges segments from their newer ends. A segment is looked into once its time has come: a page of the newest rows
/// mostly needs one or two of many.
pub(super) struct Merge<F> {
    look_up: F,
    /// By view, those that were looked into.
    parts: Vec<Option<Part>>,
    /// The next row of each part that has one; of a view that was not looked into, and only there false, a place that
    /// none of its rows comes after.
    heads: BinaryHeap<(Found, bool)>,
}

impl Part {
    /// Of these rows, which have these labels, those from rank `from` up to, but not with, rank `to`.
    pub(super) fn new(rows: Rows, from: u32, to: u32, labels: Labels) -> Self {
        let from = from.min(to);
        Self {
            rows,
            from,
            to,
            labels,
        }
    }

    /// All of these rows.
    pub(super) fn all(rows: Rows) -> Self {
        let to = rows.len();
        Self::new(rows, 0, to, Labels::Any)
    }

    /// Whether what the index says of a row lets it match.
    pub(super) fn may_match(&self, ordinal: u32) -> Result<bool, Error> {
        self.labels.may_match(ordinal)
    }

    /// The keys of those whose ids have this fingerprint, oldest first.
    pub(super) fn with_fingerprint(&self, fingerprint: u16) -> Result<Vec<RowKey>, Error> {
        self.rows.with_fingerprint(self.from, self.to, fingerprint)
    }

    fn len(&self) -> u64 {
        u64::from(self.to.saturating_sub(self.from))
    }

    /// The rank, among those that are wanted, of the first row recorded at this time or later.
    fn before(&self, time: Micros) -> Result<u32, Error> {
        Ok(self.rows.before(time)?.clamp(self.from, self.to))
    }

    /// The rank, among those that are wanted, of the first row recorded later than this.
    fn until(&self, time: Micros) -> Result<u32, Error> {
        Ok(self.rows.until(time)?.clamp(self.from, self.to))
    }
}

impl<F: FnMut(usize) -> Result<Option<Part>, Error>> Merge<F> {
    /// Merges these views, each with a time after which it has no wanted row. `look_up` says which it has.
    pub(super) fn new(views: impl Iterator<Item = (usize, Micros)>, look_up: F) -> Self {
        let unseen = |(view, recorded_at)| {
            let found = Found {
                recorded_at,
                view,
                ordinal: u32::MAX,
            };
            (found, false)
        };
        Self {
            look_up,
            parts: Vec::new(),
            heads: views.map(unseen).collect(),
        }
    }

    fn look_into(&mut self, view: usize) -> Result<(), Error> {
        if self.parts.len() <= view {
            self.parts.resize_with(view + 1, || None);
        }
        self.parts[view] = (self.look_up)(view)?;
        Ok(())
    }

    fn push_head(&mut self, view: usize) -> Result<(), Error> {
        if let Some(part) = &mut self.parts[view]
            && part.to > part.from
        {
            part.to -= 1;
            let head = Found::new(view, part.rows.key(part.to)?);
            self.heads.push((head, true));
        }
        Ok(())
    }

    /// The newest row that has not come yet.
    pub(super) fn next(&mut self) -> Result<Option<Found>, Error> {
        while let Some((found, is_row)) = self.heads.pop() {
            if !is_row {
                self.look_into(found.view)?;
            }
            self.push_head(found.view)?;
            if is_row {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Whether what the index says of a row that came lets it match.
    pub(super) fn may_match(&self, found: &Found) -> Result<bool, Error> {
        let part = self.parts.get(found.view).and_then(Option::as_ref);
        part.map_or(Ok(true), |part| part.may_match(found.ordinal))
    }

    /// Leaves the newest `skip` rows out, counting by ranks and never walking; before the first one came.
    pub(super) fn skip(&mut self, skip: u64) -> Result<(), Error> {
        while let Some((unseen, _)) = self.heads.peek()
            && !self.has_newer(unseen.recorded_at, skip)?
        {
            let view = unseen.view;
            self.heads.pop();
            self.look_into(view)?;
        }
        skip_newest(&mut self.parts.iter_mut().flatten().collect::<Vec<_>>(), skip)?;
        (0..self.parts.len()).try_for_each(|view| self.push_head(view))
    }

    /// Whether the parts have so many rows that were recorded later than this.
    fn has_newer(&self, time: Micros, count: u64) -> Result<bool, Error> {
        let parts = || self.parts.iter().flatten();
        if parts().map(Part::len).sum::<u64>() < count {
            return Ok(false);
        }
        let newer = parts().map(|part| Ok(u64::from(part.to - part.until(time)?)));
        Ok(newer.sum::<Result<u64, Error>>()? >= count)
    }
}

/// Lowers the ends of the parts, which are in the order of their segments, so that the newest `skip` rows are left out.
fn skip_newest(parts: &mut [&mut Part], skip: u64) -> Result<(), Error> {
    if skip >= parts.iter().map(|part| part.len()).sum() {
        parts.iter_mut().for_each(|part| part.to = part.from);
        return Ok(());
    }
    // The latest time from which on at least `skip` rows lie.
    let mut low = Micros(i64::MAX);
    let mut high = Micros(i64::MIN);
    for part in parts.iter_mut().filter(|part| part.len() > 0) {
        low = low.min(part.rows.key(part.from)?.recorded_at);
        high = high.max(part.rows.key(part.to - 1)?.recorded_at);
    }
    while low < high {
        let middle = Micros(low.0 + (high.0 - low.0) / 2 + 1);
        let newer = parts
            .iter()
            .map(|part| Ok(u64::from(part.to - part.before(middle)?)));
        if newer.sum::<Result<u64, Error>>()? >= skip {
            low = middle;
        } else {
            high = Micros(middle.0 - 1);
        }
    }
    // All rows after that time are skipped, and of those at it the latest arrivals: the newer segments'.
    let mut left = skip;
    for part in parts.iter_mut() {
        let end = part.until(low)?;
        left -= u64::from(part.to - end);
        part.to = end;
    }
    for part in parts.iter_mut().rev() {
        let here = part.to - part.before(low)?;
        let skipped = u64::from(here).min(left);
        part.to -= skipped as u32;
        left -= skipped;
    }
    Ok(())
}
