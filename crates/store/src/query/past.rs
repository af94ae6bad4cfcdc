//! Whether events were recorded before: what a look-up asks of all segments at once, for some agents and times.

use super::fetch::{Counted, Fetcher};
use super::{Snapshot, View};
use crate::codec::{CarryRecord, fingerprint};
use crate::index::Moment;
use crate::segments::{IndexedSegment, SegmentIndex};
use crate::{Error, OrgId};
use reputation::Micros;
use std::sync::Arc;

/// Rows of one time that are read outright. Of more, as where a client's clock is coarse or a backfill gives whole days,
/// only those are read whose ids may be the one that is looked for.
const FEW_ROWS: usize = 16;

/// The segments at one moment. Unlike a [`Snapshot`] it holds no lists, so that taking it costs next to
/// nothing: what came since to one of them is found as well, and was recorded, too.
pub(crate) struct Past {
    org: OrgId,
    segments: Vec<Arc<IndexedSegment>>,
}

/// An agent of whom the rows in question are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whose<'a> {
    pub(crate) agent_id: &'a str,
    /// What is in segments before this one is of another, who had the same name and was erased.
    pub(crate) from_segment: u64,
}

/// An agent's rows of one time that may have one id.
struct AtTime<'q> {
    org: OrgId,
    agent_id: &'q str,
    time: Micros,
    moment: Moment,
    /// Of the id.
    fingerprint: u16,
}

impl Past {
    pub(crate) fn new(org: OrgId, segments: Vec<Arc<IndexedSegment>>) -> Self {
        Self { org, segments }
    }

    /// The agent's carry record in this segment, which has one.
    pub(crate) fn carry(&self, agent_id: &str, segment: u64) -> Result<CarryRecord, Error> {
        super::carry(&self.segments, self.org, agent_id, segment)
    }

    /// The agent's newest rows by arrival.
    pub(crate) fn newest_arrivals(&self, whose: Whose<'_>, count: usize) -> Result<Vec<Counted>, Error> {
        let agent_id = Some(whose.agent_id);
        let its = |entry: &&Arc<IndexedSegment>| entry.segment.number >= whose.from_segment;
        let views = self.segments.iter().filter(its);
        let views = views.map(|entry| View::new(Arc::clone(entry), self.org, agent_id));
        Snapshot::new(self.org, agent_id, views.collect()).newest_arrivals(count)
    }

    /// Looks for rows, one question after the other.
    pub(crate) fn search(&self) -> Search<'_> {
        Search {
            past: self,
            fetcher: Fetcher::new(&self.segments),
        }
    }
}

/// Looks for rows, and has what it read last at hand: neighbours often share a record.
pub(crate) struct Search<'p> {
    past: &'p Past,
    fetcher: Fetcher<'p, Arc<IndexedSegment>>,
}

impl Search<'_> {
    /// The agent's rows recorded at exactly this time that may have this id: all that have it are among them.
    pub(crate) fn at_time(
        &mut self,
        whose: Whose<'_>,
        time: Micros,
        evaluation_id: &str,
    ) -> Result<Vec<Counted>, Error> {
        let Whose { agent_id, .. } = whose;
        let org = self.past.org;
        let question = AtTime {
            org,
            agent_id,
            time,
            moment: Moment::of(org, agent_id, time),
            fingerprint: fingerprint(evaluation_id),
        };
        self.rows(whose, |index| question.ordinals(index))
    }

    /// The agent's rows that were sent with this timestamp but recorded at another.
    pub(crate) fn clamped_at(&mut self, whose: Whose<'_>, sent: Micros) -> Result<Vec<Counted>, Error> {
        let (org, agent_id) = (self.past.org, whose.agent_id);
        self.rows(whose, |index| match index {
            SegmentIndex::Open(index) => Ok(index.read().clamped_at(org, agent_id, sent)),
            SegmentIndex::Sealed(index) => index.clamped_at(org, agent_id, sent),
        })
    }

    /// The rows at these ordinals of each segment.
    fn rows(
        &mut self,
        whose: Whose<'_>,
        ordinals: impl Fn(&SegmentIndex) -> Result<Vec<u32>, Error>,
    ) -> Result<Vec<Counted>, Error> {
        let mut found = Vec::new();
        for (at, segment) in self.past.segments.iter().enumerate() {
            if segment.segment.number < whose.from_segment {
                continue;
            }
            for ordinal in ordinals(&segment.index)? {
                found.push(self.fetcher.counted(at, ordinal)?);
            }
        }
        Ok(found)
    }
}

impl AtTime<'_> {
    /// The ordinals of the rows that are asked for; where many are of that time, only of those whose ids have the
    /// fingerprint.
    fn ordinals(&self, index: &SegmentIndex) -> Result<Vec<u32>, Error> {
        let Self { org, agent_id, .. } = *self;
        match index {
            SegmentIndex::Open(index) => Ok(index.at(org, agent_id, self.time, self.fingerprint)),
            SegmentIndex::Sealed(index) => {
                if !index.may_have(self.moment, self.time)? {
                    return Ok(Vec::new());
                }
                let Some(list) = index.list(org, Some(agent_id))? else {
                    return Ok(Vec::new());
                };
                let places = index.at(list, self.time)?;
                if places.len() > FEW_ROWS {
                    let keys = index.with_fingerprint(list, None, places, self.fingerprint)?;
                    return Ok(keys.into_iter().map(|key| key.ordinal).collect());
                }
                places
                    .map(|place| Ok(index.get(list, place)?.0.ordinal))
                    .collect()
            }
        }
    }
}
