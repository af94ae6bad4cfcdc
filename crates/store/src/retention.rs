//! Letting the oldest segments go, by age or by size, without changing a score, a window or a count.
//!
//! Before a segment goes, the log takes a carry record of each agent that needs one: its counts and times as
//! of that place in the log, and its window where the window reaches back to rows that go. So the log alone
//! still tells everything, and a start without any derived file counts the same. An agent has one carry that
//! counts, the newest; it is written again only when the segment that holds it goes in turn.

use crate::agent::{AgentName, AgentNo};
use crate::index::AgentIn;
use crate::owner::{CarryItem, CarryOrder, Form, Message};
use crate::pace::Breaks;
use crate::registry::Carried;
use crate::sealing::Derived;
use crate::segments::{self, IndexedSegment, SegmentIndex};
use crate::shared::Shared;
use crate::upkeep::Step;
use crate::{Error, NotKept, OrgId, Refused, loader};
use crossbeam_channel::{Sender, bounded};
use journal::Segment;
use reputation::{Micros, WINDOW};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Bytes that one frame of carries may take, by their bounds: they take about a third of it.
const FRAME_BYTES: usize = 1 << 20;
/// Carries may take one byte for so many of events: 5 %.
const EVENT_BYTES_PER_BYTE: u64 = 20;
/// What carries may take each second beyond that, where a segment goes by its age: those must go.
const BYTES_PER_SECOND: u64 = 1 << 20;
/// The most that is saved up, in bytes; also what there is at the start.
const MAX_SAVED_BYTES: u64 = 16 << 20;

/// How long a segment that is too old may stay before its going makes no breaks.
const LATE: Duration = Duration::from_secs(60);

/// What goes, and how far that has come.
pub(crate) struct Retention {
    owner: Sender<Message>,
    pace: Pace,
    plan: Option<Plan>,
}

/// The agents that a segment's going still has to wait for.
struct Plan {
    segment: u64,
    waiting: Vec<(AgentNo, Want)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Want {
    Facts,
    Window,
}

/// Why the oldest segment goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    Age,
    Size,
}

impl Retention {
    pub(crate) fn new(owner: Sender<Message>) -> Self {
        Self {
            owner,
            pace: Pace::new(),
            plan: None,
        }
    }

    /// Takes the next step towards letting the oldest segment go, if it should.
    pub(crate) fn step(&mut self, shared: &Shared) -> Result<Step, Error> {
        let Some((oldest, newest)) = shared.published.read().segments.ends() else {
            return Ok(Step::Idle);
        };
        let IndexedSegment { segment, index, .. } = &*oldest;
        let is_newest = segment.number == newest;
        let Some(due) = due(shared, index, is_newest, Leeway::default()) else {
            self.pace.rest(shared);
            return Ok(Step::Idle);
        };
        self.pace.earn(shared, due);
        let mut plan = match self.plan.take() {
            Some(plan) if plan.segment == segment.number => plan,
            _ => Plan {
                segment: segment.number,
                waiting: shared.read(|| lacking(shared, segment, index, is_newest))?,
            },
        };
        if !plan.waiting.is_empty() {
            let carried = self.carry(shared, &mut plan);
            // Once all have been asked for, look again: some may have been left out.
            self.plan = Some(plan).filter(|plan| !plan.waiting.is_empty());
            return carried;
        }
        // What is still written, or has no index file yet, stays until that is done.
        if is_newest || matches!(index, SegmentIndex::Open(_)) {
            return Ok(Step::Idle);
        }
        if has_pending_erasure(shared, segment) {
            // Its record goes with the segment. From here on both files of the checkpoint name the erasure: were it waited
            // for, one that fails over a newer segment would keep that from going.
            shared.sealing.renew(Derived::Checkpoint)?;
            shared.sealing.renew(Derived::Checkpoint)?;
        }
        segments::remove_oldest(shared, segment)?;
        tracing::info!(
            segment = segment.number,
            events = index.events(),
            "retention let a segment go"
        );
        shared.observer.let_go(u64::from(index.events()));
        Ok(Step::More)
    }

    /// Has the log take one frame of carries, if the pace allows it.
    fn carry(&mut self, shared: &Shared, plan: &mut Plan) -> Result<Step, Error> {
        if !self.pace.allows() {
            return Ok(Step::Idle);
        }
        let mut agents = Vec::new();
        let mut bytes = 0;
        while let Some((no, want)) = plan.waiting.pop() {
            let item = item(shared, no, want)?;
            bytes += item.frame_bytes();
            agents.push(item);
            if bytes >= FRAME_BYTES {
                break;
            }
        }
        let (answer, answers) = bounded(1);
        let order = CarryOrder {
            leaves: plan.segment,
            agents,
            reply: Box::new(move |outcome| drop(answer.send(outcome))),
        };
        if self.owner.send(Message::Carry(order)).is_err() {
            return Ok(Step::Idle); // closing
        }
        match answers.recv() {
            Ok(Ok(bytes)) => {
                self.pace.spend(bytes as u64);
                shared.observer.carried(bytes as u64);
                Ok(Step::More)
            }
            // Closing: the next start tries again.
            Ok(Err(Refused::NotKept(NotKept::Draining))) | Err(_) => Ok(Step::Idle),
            Ok(Err(refused)) => Err(Error::System {
                what: "a carry record",
                why: refused.to_string(),
            }),
        }
    }
}

/// Whether the segment has the record of an erasure that is not done.
fn has_pending_erasure(shared: &Shared, segment: &Segment) -> bool {
    let published = shared.published.read();
    let mut pending = published.registry.erasures.iter();
    pending.any(|erasure| erasure.before == segment.number)
}

/// How far beyond its limits something is.
#[derive(Clone, Copy, Default)]
struct Leeway {
    time: Duration,
    bytes: u64,
}

/// Whether the oldest segment should go, or should even with this leeway. The newest goes by age alone, after another
/// has been begun.
fn due(shared: &Shared, index: &SegmentIndex, is_newest: bool, leeway: Leeway) -> Option<Due> {
    let options = &shared.options;
    if let Some(age) = options.retention {
        let age = i64::try_from(age.saturating_add(leeway.time).as_micros()).unwrap_or(i64::MAX);
        let now = (options.clock)().0;
        if index
            .newest_receipt()
            .is_none_or(|at| at.0.saturating_add(age) < now)
        {
            return Some(Due::Age).filter(|_| !is_newest || index.events() > 0);
        }
    }
    let is_over = |limit: u64| {
        !is_newest && shared.published.read().segments.stats().bytes > limit.saturating_add(leeway.bytes)
    };
    options.retention_bytes.is_some_and(is_over).then_some(Due::Size)
}

/// The agents that need a carry before this segment, the oldest, may go, and of what kind.
fn lacking(
    shared: &Shared,
    segment: &Segment,
    index: &SegmentIndex,
    is_newest: bool,
) -> Result<Vec<(AgentNo, Want)>, Error> {
    let mut waiting = Vec::new();
    // Where the next one is due, too, segments come faster than they go.
    let behind = Leeway {
        time: LATE,
        bytes: segment.end(),
    };
    let is_behind = || due(shared, index, is_newest, behind).is_some();
    let breaks = Breaks::new(|| shared.is_in_a_hurry() || is_behind());
    for AgentIn {
        org,
        agent_id,
        latest,
    } in index.agents()?
    {
        breaks.pause();
        let found = shared.find(AgentName {
            org,
            agent_id: &agent_id,
        });
        if let Some((no, _)) = found
            && let Some(want) = want(shared, no, segment.number, org, &agent_id, latest)?
        {
            waiting.push((no, want));
        }
    }
    // Agents without an event are in no dictionary: where they were registered doesn't matter.
    let published = shared.published.read();
    for (no, entry) in (0..).map(AgentNo).zip(published.registry.entries_from(0)) {
        let is_carried = entry
            .carried
            .is_some_and(|carried| carried.segment > segment.number);
        if entry.facts().count == 0 && !is_carried && !entry.is_erased() {
            waiting.push((no, Want::Facts));
        }
    }
    waiting.sort_unstable_by_key(|(no, _)| *no);
    waiting.dedup_by_key(|(no, _)| *no);
    Ok(waiting)
}

/// What an agent of the oldest segment needs before that goes. `latest` is the newest recorded time of its
/// rows there.
fn want(
    shared: &Shared,
    no: AgentNo,
    segment: u64,
    org: OrgId,
    agent_id: &str,
    latest: Option<Micros>,
) -> Result<Option<Want>, Error> {
    // Only a crash leaves the totals of a window unknown.
    shared.summary(org, agent_id)?;
    let (facts, floor, carried, reader) = {
        let published = shared.published.read();
        let entry = published.registry.entry(no);
        let reader = published.snapshot(&shared.identities, org, Some(agent_id));
        (entry.facts(), entry.floor(), entry.carried, reader)
    };
    let latest = match carried {
        Some(Carried {
            segment: at,
            has_window,
        }) if at > segment => {
            if has_window || latest.is_none() {
                return Ok(None);
            }
            latest
        }
        Some(Carried {
            segment: at,
            has_window: true,
        }) => {
            let newest_slot = reader
                .carry(at)?
                .window
                .and_then(|window| window.slots.last().copied());
            latest.max(newest_slot.map(|slot| slot.recorded_at))
        }
        _ => latest,
    };
    let window_stays = facts.count == 0 || floor > latest;
    let aside_stays =
        facts.last_aside + WINDOW as u64 <= facts.count || reader.rows_after(segment, WINDOW)? >= WINDOW;
    let has_facts = carried.is_some_and(|carried| carried.segment > segment);
    Ok(match (window_stays && aside_stays, has_facts) {
        (true, true) => None,
        (true, false) => Some(Want::Facts),
        (false, _) => Some(Want::Window),
    })
}

/// What the owner needs to carry an agent.
fn item(shared: &Shared, no: AgentNo, want: Want) -> Result<CarryItem, Error> {
    let (org, agent_id, is_resident) = {
        let published = shared.published.read();
        let entry = published.registry.entry(no);
        (entry.org, Arc::clone(&entry.agent_id), entry.is_resident())
    };
    let form = match want {
        Want::Facts => Form::Facts,
        Want::Window if is_resident => Form::Window(None),
        Want::Window => {
            let state = shared.read(|| loader::load(shared, no, org, &agent_id))?;
            Form::Window(Some(Box::new(state)))
        }
    };
    Ok(CarryItem {
        no,
        org,
        agent_id,
        form,
    })
}

/// How fast carries may be written.
struct Pace {
    /// Bytes that may be written now; below 0 after a frame that took more.
    saved: i64,
    /// Bytes of events in the log when last looked.
    event_bytes: u64,
    looked_at: Instant,
}

impl Pace {
    fn new() -> Self {
        Self {
            saved: MAX_SAVED_BYTES.cast_signed(),
            event_bytes: 0,
            looked_at: Instant::now(),
        }
    }

    fn allows(&self) -> bool {
        self.saved > 0
    }

    fn spend(&mut self, bytes: u64) {
        self.saved -= bytes.cast_signed();
    }

    /// While nothing is due, only what events bring is saved up.
    fn rest(&mut self, shared: &Shared) {
        self.earn(shared, Due::Size);
    }

    fn earn(&mut self, shared: &Shared, due: Due) {
        let (now, event_bytes) = (Instant::now(), shared.event_bytes.load(Ordering::Relaxed));
        let mut earned = (event_bytes - self.event_bytes) / EVENT_BYTES_PER_BYTE;
        if due == Due::Age {
            let millis = now.duration_since(self.looked_at).as_millis();
            earned += u64::try_from(millis)
                .unwrap_or(u64::MAX)
                .saturating_mul(BYTES_PER_SECOND)
                / 1_000;
        }
        if earned == 0 {
            return; // whole bytes only: what is too little now counts next time
        }
        let saved = self
            .saved
            .saturating_add(earned.min(MAX_SAVED_BYTES).cast_signed());
        self.saved = saved.min(MAX_SAVED_BYTES.cast_signed());
        (self.event_bytes, self.looked_at) = (event_bytes, now);
    }
}
