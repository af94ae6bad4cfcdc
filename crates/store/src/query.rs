//! Answers from the stored rows: pages of events, newest first, and the look-ups that counting needs.

mod fetch;
mod merge;
mod page;
mod past;
mod view;

use crate::codec::{CarryRecord, Malformed};
use crate::index::{Filter, RowKey, Rows};
use crate::segments::{IndexedSegment, SegmentIndex};
use crate::{Error, OrgId, StoredEvent};
pub(crate) use fetch::Counted;
use fetch::Fetcher;
use merge::{Merge, Part};
pub(crate) use past::{Past, Search, Whose};
use reputation::Micros;
use std::ops::ControlFlow;
pub(crate) use view::View;

/// The rows of an organisation, or of one of its agents, at one moment.
pub(crate) struct Snapshot {
    org: OrgId,
    agent_id: Option<Box<str>>,
    /// Oldest first.
    views: Vec<View>,
}

/// A row and the segment that holds it, by its place among the views.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    recorded_at: Micros,
    view: usize,
    ordinal: u32,
}

impl Found {
    fn new(view: usize, key: RowKey) -> Self {
        Self {
            recorded_at: key.recorded_at,
            view,
            ordinal: key.ordinal,
        }
    }
}

impl Snapshot {
    pub(crate) fn new(org: OrgId, agent_id: Option<&str>, views: Vec<View>) -> Self {
        Self {
            org,
            agent_id: agent_id.map(Into::into),
            views,
        }
    }

    fn rows(&self, view: &View, passed: Filter) -> Result<Option<Rows>, Error> {
        view.rows(self.org, self.agent_id.as_deref(), passed)
    }

    fn fetcher(&self) -> Fetcher<'_, View> {
        Fetcher::new(&self.views)
    }

    /// The organisation's event with this sequence number.
    pub(crate) fn event(&self, seq: u64) -> Result<Option<StoredEvent>, Error> {
        for (at, view) in self.views.iter().enumerate() {
            if let Some(ordinal) = view.ordinal_of(self.org, seq)? {
                return self.fetcher().event_or_none(at, ordinal);
            }
        }
        Ok(None)
    }

    /// The agent's carry record in this segment, which has one.
    pub(crate) fn carry(&self, segment: u64) -> Result<CarryRecord, Error> {
        let agent_id = self.agent_id.as_deref().unwrap_or_default();
        carry(&self.views, self.org, agent_id, segment)
    }

    /// How many rows there are in segments behind this one; counts no further than `enough`.
    pub(crate) fn rows_after(&self, segment: u64, enough: usize) -> Result<usize, Error> {
        let mut rows = 0;
        for view in self
            .views
            .iter()
            .rev()
            .take_while(|view| view.segment().number > segment)
        {
            rows += self.rows(view, None)?.map_or(0, |rows| rows.len() as usize);
            if rows >= enough {
                break;
            }
        }
        Ok(rows)
    }

    /// The newest `count` rows by recorded time, newest first.
    pub(crate) fn newest(&self, count: usize) -> Result<Vec<Counted>, Error> {
        let all = |view: usize| Ok(self.rows(&self.views[view], None)?.map(Part::all));
        let mut merge = Merge::new(self.within(Micros(i64::MIN), Micros(i64::MAX)), all);
        let mut fetcher = self.fetcher();
        let mut rows = Vec::new();
        while rows.len() < count {
            let Some(found) = merge.next()? else { break };
            rows.push(fetcher.counted(found.view, found.ordinal)?);
        }
        Ok(rows)
    }

    /// The newest `count` rows by arrival, oldest first.
    pub(crate) fn newest_arrivals(&self, count: usize) -> Result<Vec<Counted>, Error> {
        let mut found: Vec<(usize, u32)> = Vec::new();
        for (at, view) in self.views.iter().enumerate().rev() {
            let Some(rows) = self.rows(view, None)? else {
                continue;
            };
            let mut ordinals = rows.ordinals()?;
            ordinals.sort_unstable_by(|a, b| b.cmp(a));
            found.extend(
                ordinals
                    .into_iter()
                    .take(count - found.len())
                    .map(|ordinal| (at, ordinal)),
            );
            if found.len() == count {
                break;
            }
        }
        let mut fetcher = self.fetcher();
        found
            .iter()
            .rev()
            .map(|(at, ordinal)| fetcher.counted(*at, *ordinal))
            .collect()
    }

    /// Hands each row with a number above `seq` to `each`, in order of arrival, until that breaks off.
    pub(crate) fn arrivals_after(
        &self,
        seq: u64,
        mut each: impl FnMut(StoredEvent) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        let mut fetcher = self.fetcher();
        for (at, view) in self.views.iter().enumerate() {
            let is_behind = view.totals(self.org)?.is_some_and(|totals| totals.last_seq > seq);
            let Some(rows) = self.rows(view, None)?.filter(|_| is_behind) else {
                continue;
            };
            let mut ordinals = rows.ordinals()?;
            ordinals.sort_unstable();
            for ordinal in ordinals {
                let event = fetcher.event(at, ordinal)?;
                if event.seq > seq && each(event).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The views that may have rows in question of this time, each with a time after which it has none of them.
    fn within(&self, from: Micros, to: Micros) -> impl Iterator<Item = (usize, Micros)> {
        let spans = self.views.iter().enumerate();
        let spans = spans.filter_map(|(at, view)| Some((at, view.span()?)));
        spans
            .filter(move |(_, span)| span.min <= to && from <= span.max)
            .map(move |(at, span)| (at, span.max.min(to)))
    }
}

/// An agent's carry record in the segment with this number, which has one.
fn carry(
    segments: &[impl AsRef<IndexedSegment>],
    org: OrgId,
    agent_id: &str,
    number: u64,
) -> Result<CarryRecord, Error> {
    let mut segments = segments.iter().map(AsRef::as_ref);
    let Some(IndexedSegment { segment, index, .. }) =
        segments.find(|segment| segment.segment.number == number)
    else {
        return Err(Error::System {
            what: "an agent's carried window",
            why: format!("segment {number}, which has it, is gone"),
        });
    };
    let place = match index {
        SegmentIndex::Open(index) => index.read().carry(org, agent_id),
        SegmentIndex::Sealed(index) => index.carry(org, agent_id)?,
    };
    let damaged = |offset, Malformed(what)| Error::Damaged {
        file: segment.path.to_path_buf(),
        offset,
        what: what.to_owned(),
    };
    let place = place.ok_or_else(|| damaged(0, Malformed("its index lacks a carry record")))?;
    let mut buffer = Vec::new();
    let body = journal::read_record(segment, place.offset, place.bytes, &mut buffer)?;
    CarryRecord::read(body).map_err(|what| damaged(place.offset, what))
}
