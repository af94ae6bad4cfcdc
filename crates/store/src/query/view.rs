//! One segment, as a snapshot has it: what it says of an organisation, or of one of its agents.

use crate::index::{Filter, ListPlace, Moment, OrgTotals, Rows, SealedIndex, Settled};
use crate::segments::{IndexedSegment, SegmentIndex};
use crate::span::TimeSpan;
use crate::{Error, OrgId};
use journal::Segment;
use reputation::Micros;
use std::cell::OnceCell;
use std::sync::Arc;

/// Rows of one time that are read outright. Of more, as where a client's clock is coarse or a backfill gives whole days,
/// only those are read whose ids may be the one that is looked for.
const FEW_ROWS: usize = 16;

/// One segment, as it was when the snapshot was taken.
pub(crate) struct View {
    entry: Arc<IndexedSegment>,
    /// The list in question, where the index is in memory.
    open: Option<Arc<Settled>>,
    /// Where it is in the index's file, once somebody looked.
    sealed: OnceCell<Option<ListPlace>>,
}

/// An agent's rows of one time that may have one id.
pub(super) struct AtTime<'q> {
    pub(super) org: OrgId,
    pub(super) agent_id: &'q str,
    pub(super) time: Micros,
    pub(super) moment: Moment,
    /// Of the id.
    pub(super) fingerprint: u16,
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

    /// The ordinals of the rows that are asked for; where many are of that time, only of those whose ids have the
    /// fingerprint.
    pub(super) fn at(&self, question: &AtTime<'_>) -> Result<Vec<u32>, Error> {
        let AtTime {
            org,
            agent_id,
            time,
            moment,
            fingerprint,
        } = *question;
        match self.index() {
            SegmentIndex::Open(_) => {
                let list = self.open.as_ref();
                Ok(list.map_or_else(Vec::new, |list| list.at(time, fingerprint)))
            }
            SegmentIndex::Sealed(index) => {
                if !index.may_have(moment, time)? {
                    return Ok(Vec::new());
                }
                let Some(list) = self.place(index, org, Some(agent_id))? else {
                    return Ok(Vec::new());
                };
                let places = index.at(list, time)?;
                if places.len() > FEW_ROWS {
                    let keys = index.with_fingerprint(list, None, places, fingerprint)?;
                    return Ok(keys.into_iter().map(|key| key.ordinal).collect());
                }
                places
                    .map(|place| Ok(index.get(list, place)?.0.ordinal))
                    .collect()
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

    pub(super) fn clamped_at(&self, org: OrgId, agent_id: &str, sent: Micros) -> Result<Vec<u32>, Error> {
        match self.index() {
            SegmentIndex::Open(index) => Ok(index.read().clamped_at(org, agent_id, sent)),
            SegmentIndex::Sealed(index) => index.clamped_at(org, agent_id, sent),
        }
    }
}
