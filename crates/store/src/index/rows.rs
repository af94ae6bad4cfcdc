//! A list of rows, wherever it lies, as one of those with a verdict: what queries count and pick from.

use super::list::{ListRow, RowKey, RowList};
use super::sealed::{ListPlace, SealedIndex};
use crate::Error;
use reputation::Micros;
use std::sync::Arc;

/// Which rows of a list are meant.
pub(crate) type Filter = Option<bool>;

/// The rows of an organisation or of an agent in one segment that have the wanted verdict, oldest first.
pub(crate) struct Rows {
    source: Source,
    passed: Filter,
    len: u32,
    first: Option<RowKey>,
    last: Option<RowKey>,
}

enum Source {
    Open(RowList),
    Sealed(Arc<SealedIndex>, ListPlace),
}

impl Rows {
    /// Of a segment whose index is in memory.
    pub(crate) fn open(list: RowList, passed: Filter) -> Self {
        let len = match passed {
            None => list.len(),
            Some(true) => list.passed(),
            Some(false) => list.len() - list.passed(),
        };
        let (first, last) = (list.first(), list.last());
        Self {
            source: Source::Open(list),
            passed,
            len,
            first,
            last,
        }
    }

    /// Of a sealed segment.
    pub(crate) fn sealed(index: Arc<SealedIndex>, list: ListPlace, passed: Filter) -> Result<Self, Error> {
        let len = match passed {
            None => list.len,
            Some(true) => index.passed(list)?,
            Some(false) => list.len - index.passed(list)?,
        };
        let (first, last) = if list.len == 0 {
            (None, None)
        } else {
            (
                Some(index.get(list, 0)?.0),
                Some(index.get(list, list.len - 1)?.0),
            )
        };
        Ok(Self {
            source: Source::Sealed(index, list),
            passed,
            len,
            first,
            last,
        })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// How many come before this key.
    pub(crate) fn rank(&self, key: RowKey) -> Result<u32, Error> {
        if self.first.is_none_or(|first| key <= first) {
            return Ok(0);
        }
        if self.last.is_some_and(|last| key > last) {
            return Ok(self.len);
        }
        let (rank, passed) = match &self.source {
            Source::Open(list) => list.rank(key),
            Source::Sealed(index, list) => index.rank(*list, key)?,
        };
        Ok(match self.passed {
            None => rank,
            Some(true) => passed,
            Some(false) => rank - passed,
        })
    }

    /// How many were recorded before this time.
    pub(crate) fn before(&self, time: Micros) -> Result<u32, Error> {
        self.rank(RowKey {
            recorded_at: time,
            ordinal: 0,
        })
    }

    /// How many were recorded at this time or before.
    pub(crate) fn until(&self, time: Micros) -> Result<u32, Error> {
        self.rank(RowKey {
            recorded_at: time,
            ordinal: u32::MAX,
        })
    }

    /// The key of the `nth`, from 0, from the oldest. There must be so many.
    pub(crate) fn key(&self, nth: u32) -> Result<RowKey, Error> {
        let gone = || Error::System {
            what: "a row",
            why: "an index counts rows that it does not have".into(),
        };
        match &self.source {
            Source::Open(list) => {
                let place = match self.passed {
                    None => Some(nth),
                    Some(passed) => list.select(passed, nth),
                };
                place
                    .and_then(|place| list.get(place))
                    .map(ListRow::key)
                    .ok_or_else(gone)
            }
            Source::Sealed(index, list) => {
                let place = match self.passed {
                    None => Some(nth),
                    Some(passed) => index.select(*list, passed, nth)?,
                };
                Ok(index.get(*list, place.ok_or_else(gone)?)?.0)
            }
        }
    }

    /// The ordinals of all rows of the list, whatever their verdict, in no order.
    pub(crate) fn ordinals(&self) -> Result<Vec<u32>, Error> {
        match &self.source {
            Source::Open(list) => Ok(list.iter().map(|row| row.key().ordinal).collect()),
            Source::Sealed(index, list) => index.ordinals(*list),
        }
    }

    /// The keys of those between two ranks whose ids have this fingerprint, oldest first.
    pub(crate) fn with_fingerprint(
        &self,
        from: u32,
        to: u32,
        fingerprint: u16,
    ) -> Result<Vec<RowKey>, Error> {
        let mut found = Vec::new();
        match &self.source {
            Source::Open(list) => {
                let wanted = |passed: bool| self.passed.is_none_or(|wanted| wanted == passed);
                let rows = list.iter().filter(|row| wanted(row.passed())).skip(from as usize);
                let rows = rows
                    .take((to - from) as usize)
                    .filter(|row| row.fingerprint() == fingerprint);
                found.extend(rows.map(ListRow::key));
            }
            Source::Sealed(index, list) => {
                return index.with_fingerprint(*list, self.passed, from..to, fingerprint);
            }
        }
        Ok(found)
    }
}
