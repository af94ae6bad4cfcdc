//! One segment, as a snapshot has it: what it says of an organisation, or of one of its agents.

use crate::index::{Filter, ListPlace, OrgTotals, Rows, SealedIndex, Settled};
use crate::segments::{IndexedSegment, SegmentIndex};
use crate::span::TimeSpan;
use crate::{Error, OrgId};
use journal::Segment;
use std::cell::OnceCell;
use std::sync::Arc;

/// One segment, as it was when the snapshot was taken.
pub(crate) struct View {
    entry: Arc<IndexedSegment>,
    /// The list in question, where the index is in memory.
    open: Option<Arc<Settled>>,
    /// Where it is in the index's file, once somebody looked.
    sealed: OnceCell<Option<ListPlace>>,
}

impl AsRef<IndexedSegment> for View {
    fn as_ref(&self) -> &IndexedSegment {
        &self.entry
    }
}

impl View {
    pub(crate) fn new(entry: Arc<IndexedSegment>, org: OrgId, agent_id: Option<&str>) -> Self {
        let open = match &entry.index {
            SegmentIndex::Open(index) => index.list(org, agent_id).map(Arc::new),
            SegmentIndex::Sealed(_) => None,
        };
        Self {
            entry,
            open,
            sealed: OnceCell::new(),
        }
    }

    pub(super) fn segment(&self) -> &Segment {
        &self.entry.segment
    }

    pub(super) fn index(&self) -> &SegmentIndex {
        &self.entry.index
    }

    /// Where the list in question is in the segment's index file; `None` if it has none.
    fn place(
        &self,
        index: &SealedIndex,
        org: OrgId,
        agent_id: Option<&str>,
    ) -> Result<Option<ListPlace>, Error> {
        match self.sealed.get() {
            Some(place) => Ok(*place),
            None => {
                let place = index.list(org, agent_id)?;
                Ok(*self.sealed.get_or_init(|| place))
            }
        }
    }

    /// The rows in question with this verdict; `None` if the segment has none of the organisation or agent.
    pub(super) fn rows(
        &self,
        org: OrgId,
        agent_id: Option<&str>,
        passed: Filter,
    ) -> Result<Option<Rows>, Error> {
        match self.index() {
            SegmentIndex::Open(_) => Ok(self.open.clone().map(|list| Rows::open(list, passed))),
            SegmentIndex::Sealed(index) => {
                let list = self.place(index, org, agent_id)?;
                list.map(|list| Rows::sealed(Arc::clone(index), list, passed))
                    .transpose()
            }
        }
    }

    /// All rows in question were recorded within this time; `None` if there are none.
    pub(super) fn span(&self) -> Option<TimeSpan> {
        match &self.open {
            Some(open) => open.span(),
            None => self.entry.sealed_span,
        }
    }

    pub(super) fn totals(&self, org: OrgId) -> Result<Option<OrgTotals>, Error> {
        match self.index() {
            SegmentIndex::Open(index) => Ok(index.read().totals(org)),
            SegmentIndex::Sealed(index) => index.totals(org),
        }
    }

    pub(super) fn ordinal_of(&self, org: OrgId, seq: u64) -> Result<Option<u32>, Error> {
        match self.index() {
            SegmentIndex::Open(index) => Ok(index.read().ordinal_of(org, seq)),
            SegmentIndex::Sealed(index) => index.ordinal_of(org, seq),
        }
    }
}
