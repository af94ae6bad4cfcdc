//! A list of rows, wherever it lies, as one of those with a verdict: what queries count and pick from.

use super::list::RowKey;
use super::sealed::{ListPlace, SealedIndex};
use super::settled::Settled;
use crate::Error;
use crate::span::TimeSpan;
use reputation::Micros;
use std::sync::Arc;

/// So many rows of a list are looked at together.
const LOOK_AT: u32 = 64;

/// Which rows of a list are meant.
pub(crate) type Filter = Option<bool>;

/// The rows of an organisation or of an agent in one segment that have the wanted verdict, oldest first.
pub(crate) struct Rows {
    source: Source,
    passed: Filter,
    len: u32,
    /// All were recorded within this time.
    span: Option<TimeSpan>,
    near: Near,
}

/// Places in a list that were looked at last, of rows that have the wanted verdict: pages ask for them from the newest on.
#[derive(Default)]
struct Near {
    /// Oldest first.
    places: Vec<u32>,
    /// The rank of the first of them.
    rank: u32,
    /// From this place on all were looked at.
    start: u32,
}

enum Source {
    Open(Arc<Settled>),
    Sealed(Arc<SealedIndex>, ListPlace),
}

impl Near {
    fn get(&self, rank: u32) -> Option<u32> {
        let at = rank.checked_sub(self.rank)?;
        self.places.get(at as usize).copied()
    }
}

impl Rows {
    /// Of a segment whose index is in memory.
    pub(crate) fn open(list: Arc<Settled>, passed: Filter) -> Self {
        let len = match passed {
            None => list.len(),
            Some(true) => list.passed(),
            Some(false) => list.len() - list.passed(),
        };
        Self {
            span: list.span(),
            source: Source::Open(list),
            passed,
            len,
            near: Near::default(),
        }
    }

    /// Of a sealed segment.
    pub(crate) fn sealed(index: Arc<SealedIndex>, list: ListPlace, passed: Filter) -> Result<Self, Error> {
        let len = match passed {
            None => list.len,
            Some(true) => index.passed(list)?,
            Some(false) => list.len - index.passed(list)?,
        };
        Ok(Self {
            span: list.span,
            source: Source::Sealed(index, list),
            passed,
            len,
            near: Near::default(),
        })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// How many come before this key.
    pub(crate) fn rank(&self, key: RowKey) -> Result<u32, Error> {
        if self.span.is_none_or(|span| key.recorded_at < span.min) {
            return Ok(0);
        }
        if self.span.is_some_and(|span| key.recorded_at > span.max) {
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
    pub(crate) fn key(&mut self, nth: u32) -> Result<RowKey, Error> {
        let place = match self.passed {
            None => Some(nth),
            Some(passed) => self.place(passed, nth)?,
        };
        let key = match (&self.source, place) {
            (_, None) => None,
            (Source::Open(list), Some(place)) => list.key(place),
            (Source::Sealed(index, list), Some(place)) => Some(index.get(*list, place)?.0),
        };
        key.ok_or_else(|| Error::System {
            what: "a row",
            why: "an index counts rows that it does not have".into(),
        })
    }

    /// The place in the list of the `nth` with this verdict.
    fn place(&mut self, passed: bool, nth: u32) -> Result<Option<u32>, Error> {
        let all = match &self.source {
            Source::Open(list) => list.len(),
            Source::Sealed(_, list) => list.len,
        };
        if nth + 1 == self.len {
            self.look_before(passed, all, self.len)?;
        } else if nth + 1 == self.near.rank {
            self.look_before(passed, self.near.start, self.near.rank)?;
        }
        if let Some(place) = self.near.get(nth) {
            return Ok(Some(place));
        }
        // It is further off: search.
        let place = match &self.source {
            Source::Open(list) => list.select(passed, nth),
            Source::Sealed(index, list) => index.select(*list, passed, nth)?,
        };
        if let Some(place) = place {
            self.look_before(passed, place + 1, nth + 1)?;
        }
        Ok(place)
    }

    /// Looks at the rows before this place, before which so many have this verdict.
    fn look_before(&mut self, passed: bool, end: u32, rank: u32) -> Result<(), Error> {
        let start = end.saturating_sub(LOOK_AT);
        let places = start..end;
        self.near.places = match &self.source {
            Source::Open(list) => list.with_verdict(passed, places),
            Source::Sealed(index, list) => {
                let verdicts = index.verdicts(*list, places.clone())?;
                let with_it = places.zip(verdicts).filter(|(_, verdict)| *verdict == passed);
                with_it.map(|(place, _)| place).collect()
            }
        };
        self.near.rank = rank.saturating_sub(self.near.places.len() as u32);
        self.near.start = start;
        Ok(())
    }

    /// The ordinals of all rows of the list, whatever their verdict, in no order.
    pub(crate) fn ordinals(&self) -> Result<Vec<u32>, Error> {
        match &self.source {
            Source::Open(list) => Ok(list.ordinals()),
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
        match &self.source {
            Source::Open(list) => Ok(list.with_fingerprint(self.passed, from..to, fingerprint)),
            Source::Sealed(index, list) => index.with_fingerprint(*list, self.passed, from..to, fingerprint),
        }
    }
}
