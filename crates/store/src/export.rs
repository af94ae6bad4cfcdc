//! An organisation's events in order of arrival, read from the files beside whoever writes them.

use crate::index::{BlockCache, OpenIndex, SealedIndex, SegmentExtent};
use crate::query::{Snapshot, View};
use crate::recover::{self, SHARD_DIR};
use crate::segments::{self, IndexedSegment, SegmentIndex};
use crate::{Error, EventQuery, OrgId, StoredEvent};
use journal::{Disk, Segment, Survey};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

/// Bytes of index blocks in memory.
const CACHE_BYTES: u64 = 16 << 20;

/// Hands each event of the organisation that has a number above `after` and passes the query's filters to `each`,
/// by number, until that breaks off. All that was acknowledged before the call is among them. Where the query
/// starts and its limit play no part. Memory is bounded by one segment's index.
///
/// # Errors
/// Where the log is damaged, or cannot be read.
pub fn export(
    disk: &Arc<dyn Disk>,
    data_dir: &Path,
    org: OrgId,
    query: &EventQuery,
    after: u64,
    mut each: impl FnMut(StoredEvent) -> ControlFlow<()>,
) -> Result<(), Error> {
    let dir = data_dir.join(SHARD_DIR);
    let blocks = Arc::new(BlockCache::new(CACHE_BYTES));
    let survey = Survey::take(disk, &dir, 0)?;
    for place in &survey.places {
        if let Some(damage) = place.damage.first() {
            return Err(Error::from_damage(damage.clone()));
        }
        let Some(segment) = &place.segment else { continue };
        let mut last = after;
        let mut look = |index: SegmentIndex| {
            let agent_id = query.agent_id.as_deref();
            let view = View::new(
                Arc::new(IndexedSegment::new(segment.clone(), index)),
                org,
                agent_id,
            );
            Snapshot::new(org, agent_id, vec![view]).arrivals_after(last, |event| {
                last = event.seq;
                if query.admits(&event) {
                    each(event)
                } else {
                    ControlFlow::Continue(())
                }
            })
        };
        let index = sealed(&**disk, &dir, segment, &blocks).map_or_else(|| built(&**disk, segment), Ok)?;
        let flow = match look(index) {
            // It is derived, and here nothing may be written.
            Err(Error::Index { .. }) => look(built(&**disk, segment)?)?,
            looked => looked?,
        };
        if flow.is_break() {
            break;
        }
    }
    Ok(())
}

/// The segment's index from its file, if that is of use.
fn sealed(disk: &dyn Disk, dir: &Path, segment: &Segment, blocks: &Arc<BlockCache>) -> Option<SegmentIndex> {
    let extent = SegmentExtent::of(segment);
    let path = segments::index_path(dir, &extent);
    let sealed = SealedIndex::open(disk, &path, &extent, blocks)?;
    Some(SegmentIndex::Sealed(Arc::new(sealed)))
}

/// The segment's index, built in memory.
fn built(disk: &dyn Disk, segment: &Segment) -> Result<SegmentIndex, Error> {
    let open = OpenIndex::default();
    for frame in segment.frames() {
        let frame = frame.map_err(Error::from_damage_beside(disk))?;
        recover::index_frame(segment, &frame, &open)?;
    }
    Ok(SegmentIndex::Open(Arc::new(open)))
}
