//! Erasing agents for good: every row, name, window and word of theirs in the segments that were there when
//! it was asked for, and in the files derived from them.
//!
//! The log records first that the agent goes, under a keyed hash of its name, in a segment of its own; all
//! that the segments before it have of the agent goes. From then on the agent is unknown, and one of the same
//! name begins anew. Then the segments are rewritten one by one, and at last the copies of windows and both files
//! of the checkpoint. A crash anywhere in between is made good by doing it again: the checkpoint keeps what is
//! pending, and what it does not cover the log still says.

use crate::agent::AgentNo;
use crate::codec::{EraseRecord, NameHash};
use crate::index::AgentIn;
use crate::sealing::Derived;
use crate::segments::{self, SegmentIndex};
use crate::shared::Shared;
use crate::upkeep::Step;
use crate::{Error, NotKept, OrgId, Refused, Reply, rewrite};

/// An agent that goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Erasure {
    pub(crate) org: OrgId,
    pub(crate) name: NameHash,
    /// The segment with the erasure's record: all before it are rid of the agent.
    pub(crate) before: u64,
}

/// Somebody who waits until an erasure is done.
pub(crate) struct Waiting {
    pub(crate) erasure: Erasure,
    pub(crate) reply: Reply<()>,
}

/// Takes the next step for the erasures that are pending.
pub(crate) fn step(shared: &Shared) -> Result<Step, Error> {
    let (erasures, segments) = {
        let published = shared.published.read();
        (published.registry.erasures.clone(), published.segments.all())
    };
    let Some(last) = erasures.iter().map(|erasure| erasure.before).max() else {
        return Ok(Step::Idle);
    };
    for entry in segments.iter().filter(|entry| entry.segment.number < last) {
        let segment = &entry.segment;
        if matches!(entry.index, SegmentIndex::Open(_)) {
            // Its index is being written, unless that fails.
            return shared.sealing.check().map(|()| Step::Idle);
        }
        let is_gone = |org: OrgId, agent_id: &str| {
            let mut of_org = erasures
                .iter()
                .filter(|erasure| erasure.org == org && segment.number < erasure.before)
                .peekable();
            of_org.peek().is_some() && {
                let name = shared.identities.of_agent(org, agent_id);
                of_org.any(|erasure| erasure.name == name)
            }
        };
        let has_any = shared.read(|| {
            let agents =
                segments::index_of(shared, segment.number).map_or(Ok(Vec::new()), |index| index.agents())?;
            Ok(agents
                .iter()
                .any(|AgentIn { org, agent_id, .. }| is_gone(*org, agent_id)))
        })?;
        if has_any {
            rewrite::without(shared, segment, &is_gone)?;
            return Ok(Step::More);
        }
    }
    remove_leftovers(shared, last)?;
    finish(shared, &erasures)
}

/// Removes what failed attempts and replaced generations of the segments before this one left behind.
fn remove_leftovers(shared: &Shared, before: u64) -> Result<(), Error> {
    let (segments, indexes) = {
        let published = shared.published.read();
        (published.segments.all(), published.segments.index_names())
    };
    for entry in segments.iter().filter(|entry| entry.segment.number < before) {
        entry.segment.remove_older()?;
    }
    let io = |source| Error::Io {
        path: shared.dir.clone(),
        source,
    };
    let number = |name: &str| name.split_once('-').and_then(|(number, _)| number.parse().ok());
    for name in shared.disk.list(&shared.dir).map_err(io)? {
        let is_stale = name.ends_with(".tmp") || (name.ends_with(".idx") && !indexes.contains(&name));
        if is_stale && number(&name).is_some_and(|number: u64| number < before) {
            shared.disk.remove(&shared.dir.join(&name)).map_err(io)?;
        }
    }
    shared.disk.sync_dir(&shared.dir).map_err(io)
}

/// All segments are rid of these agents: so are the derived files, then nothing is pending any more.
fn finish(shared: &Shared, erasures: &[Erasure]) -> Result<Step, Error> {
    let sealing = &shared.sealing;
    sealing.renew(Derived::Copies)?;
    // In both of its files. They name the erasures as pending, so that whatever fails or crashes here is done again.
    sealing.renew(Derived::Checkpoint)?;
    sealing.renew(Derived::Checkpoint)?;
    shared
        .published
        .write()
        .registry
        .erasures
        .retain(|erasure| !erasures.contains(erasure));
    // So that the next start does not do all of this again, which would do no harm.
    if let Err(error) = sealing.renew(Derived::Checkpoint) {
        tracing::debug!(%error, "that an erasure is done stands in no checkpoint yet");
    }
    for waiting in take_waiting(shared, |waiting| erasures.contains(&waiting.erasure)) {
        (waiting.reply)(Ok(()));
    }
    tracing::info!(agents = erasures.len(), "agents were erased for good");
    Ok(Step::More)
}

/// Takes note of who waits for these erasures, before anybody can see them.
pub(crate) fn expect(
    shared: &Shared,
    before: u64,
    erased: Vec<(AgentNo, EraseRecord, Reply<()>)>,
) -> Vec<(AgentNo, u64, Erasure)> {
    let mut expected = Vec::new();
    let mut waiting = shared.waiting.lock();
    for (no, record, reply) in erased {
        let erasure = Erasure {
            org: record.org,
            name: record.name,
            before,
        };
        waiting.push(Waiting { erasure, reply });
        expected.push((no, record.last_seq, erasure));
    }
    expected
}

/// Answers about an agent that is not known: once the erasure of one of that name is done, if there is one.
pub(crate) fn wait_for(shared: &Shared, org: OrgId, name: NameHash, reply: Reply<()>) {
    let mut waiting = shared.waiting.lock();
    let pending = {
        let published = shared.published.read();
        published.registry.erasures_of(org, name).next_back().copied()
    };
    match pending {
        Some(erasure) => waiting.push(Waiting { erasure, reply }),
        None => {
            drop(waiting);
            reply(Ok(()));
        }
    }
}

/// Tells those who wait that it takes longer; it goes on by itself.
pub(crate) fn put_off(shared: &Shared, why: &Error) {
    let refused = if why.is_damage() {
        Refused::Internal(why.to_string())
    } else {
        Refused::NotKept(NotKept::Full(why.to_string()))
    };
    refuse_waiting(shared, &refused);
}

/// Tells those who wait that they wait in vain; the next start goes on.
pub(crate) fn refuse_waiting(shared: &Shared, why: &Refused) {
    for waiting in take_waiting(shared, |_| true) {
        (waiting.reply)(Err(why.clone()));
    }
}

fn take_waiting(shared: &Shared, which: impl Fn(&Waiting) -> bool) -> Vec<Waiting> {
    let mut waiting = shared.waiting.lock();
    let (taken, kept) = std::mem::take(&mut *waiting).into_iter().partition(which);
    *waiting = kept;
    taken
}
