//! The owner: the one thread that decides what is new, counts it and says what the log records.
//!
//! It takes all that waits as one group: reserves room, counts submission by submission, and hands one
//! frame to the journal, whose commit thread publishes it. It goes on counting while a group syncs. It
//! never reads a file: what it cannot decide from memory goes back to the loaders.

mod group;
mod resent;
mod residents;
mod spare;

use crate::agent::{AgentName, AgentNo, AgentState, Answer};
use crate::batch::{Batch, Verdict};
use crate::clock::ReceiptClock;
use crate::codec::{self, EraseRecord, NameHash};
use crate::erasure;
use crate::loader::Errand;
use crate::outside::FEW;
use crate::shared::{Permit, Shared};
use crate::transit::Loaded;
use crate::{KeyId, NotKept, OrgId, Receipt, Refused, Reply, Source};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use group::Group;
use hashbrown::{HashMap, HashSet};
use journal::Journal;
use reputation::Micros;
use residents::Residents;
pub(crate) use spare::Spare;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Submissions in one group at most.
const MAX_GROUP_SUBMISSIONS: usize = 1_024;
/// Bytes of a group's frame beyond which no further submission joins it.
const MAX_GROUP_BYTES: usize = 8 << 20;
/// Bytes up to which a group waits for the disk before it is counted: more joins it meanwhile, and counting it beside the
/// sync would save less than the frame and the sync that it then shares.
const LITTLE_BYTES: usize = 16 << 10;
/// Arrivals outside of windows that all agents with more than a few remember, at some 60 bytes each; none begins to
/// remember more beyond that.
const MAX_REMEMBERED: usize = 1 << 20;
/// Vectors of rows kept for their room: those of the groups that are formed, wait and are in flight at full load.
pub(crate) const SPARE_ROWS: usize = 96;
/// Rows of most batches at most.
pub(crate) const LIKELY_ROWS: usize = 128;
/// Vectors of agents kept for their room, one a group.
pub(crate) const SPARE_UPDATES: usize = 3;
/// Agents of most groups at most.
pub(crate) const LIKELY_UPDATES: usize = 2_048;
/// How often an idle owner looks at the age of its segment.
const IDLE: Duration = Duration::from_secs(1);

/// A submission between its hand-over and its answer.
pub(crate) struct Work {
    pub(crate) batch: Batch,
    /// States of agents that were cold when somebody looked.
    pub(crate) loaded: Loaded,
    pub(crate) reply: Reply<Receipt>,
    pub(crate) permit: Permit,
}

/// An agent to be made known.
pub(crate) struct Registration {
    pub(crate) org: OrgId,
    pub(crate) key: KeyId,
    pub(crate) agent_id: String,
    pub(crate) max_agents: u64,
    pub(crate) reply: Reply<()>,
    pub(crate) permit: Permit,
}

/// Agents whose oldest rows are about to go.
pub(crate) struct CarryOrder {
    /// The segment that goes: where it is still written, it is left first.
    pub(crate) leaves: u64,
    pub(crate) agents: Vec<CarryItem>,
    pub(crate) reply: Reply<usize>,
}

/// One of them.
pub(crate) struct CarryItem {
    pub(crate) no: AgentNo,
    pub(crate) org: OrgId,
    pub(crate) agent_id: Arc<str>,
    pub(crate) form: Form,
}

/// What is to be carried of it.
pub(crate) enum Form {
    /// Its counts and times alone.
    Facts,
    /// Its window too; the state where it was cold when somebody looked.
    Window(Option<Box<AgentState>>),
}

/// An agent to be erased.
pub(crate) struct EraseOrder {
    pub(crate) org: OrgId,
    /// Who asks; `None` for the operator.
    pub(crate) key: Option<KeyId>,
    pub(crate) agent_id: String,
    pub(crate) reply: Reply<()>,
}

/// What the owner is asked to do.
pub(crate) enum Message {
    Batch(Work),
    Register(Registration),
    Carry(CarryOrder),
    Erase(EraseOrder),
    /// Agents that are cold, as far as whoever read their states knows.
    Warm(Vec<(AgentNo, AgentState)>),
    /// Drop the sender once all that was handed in before is done with.
    Settle(Sender<()>),
    /// Take no more; leave everything on disk.
    Close,
}

/// Waits until the owner is done with all that was handed to it before, down to preparing the next segment.
pub(crate) fn settle(owner: &Sender<Message>) {
    let (done, settled) = bounded(0);
    if owner.send(Message::Settle(done)).is_ok() {
        let _ = settled.recv(); // ends when the sender is dropped
    }
}

impl EraseOrder {
    fn agent(&self) -> AgentName<'_> {
        AgentName {
            org: self.org,
            agent_id: &self.agent_id,
        }
    }
}

impl CarryItem {
    /// The most that it can take of a frame, in bytes.
    pub(crate) fn frame_bytes(&self) -> usize {
        codec::max_carry_bytes(&self.agent_id, matches!(self.form, Form::Window(_)))
    }
}

impl Message {
    /// Answers that it was not taken.
    pub(crate) fn refuse(self, why: &Refused) {
        match self {
            Self::Batch(work) => (work.reply)(Err(why.clone())),
            Self::Register(registration) => (registration.reply)(Err(why.clone())),
            Self::Carry(order) => (order.reply)(Err(why.clone())),
            Self::Erase(order) => (order.reply)(Err(why.clone())),
            Self::Warm(_) | Self::Settle(_) | Self::Close => {}
        }
    }

    /// The most that it can take of a frame, in bytes.
    fn frame_bytes(&self) -> usize {
        match self {
            Self::Batch(work) => group::frame_bytes(&work.batch),
            Self::Register(registration) => group::registration_bytes(&registration.agent_id),
            Self::Carry(order) => order.agents.iter().map(CarryItem::frame_bytes).sum(),
            Self::Erase(_) => codec::MAX_ERASE_BYTES,
            Self::Warm(_) | Self::Settle(_) | Self::Close => 0,
        }
    }
}

/// An organisation as counted so far.
struct OrgCount {
    agents: u64,
    last_seq: u64,
}

pub(crate) struct Owner {
    shared: Arc<Shared>,
    journal: Journal,
    clock: ReceiptClock,
    messages: Receiver<Message>,
    loaders: Sender<Errand>,
    residents: Residents,
    /// Agents that are counted but were not published when last looked: name to place.
    fresh: HashMap<OrgId, HashMap<Arc<str>, (AgentNo, u64)>>,
    fresh_agents: usize,
    next_agent: u32,
    orgs: HashMap<OrgId, OrgCount>,
    /// The number of the group that is formed next.
    group: u64,
    segment: Option<group::OpenSegment>,
    /// Agents that remember more than a few of their arrivals outside the window.
    mindful: BTreeSet<AgentNo>,
    /// Places of agents that were erased: what is on its way may still name them.
    erased: HashSet<AgentNo>,
    /// The erasures that were not published when last looked, with their groups.
    erasing: HashMap<(OrgId, NameHash), u64>,
    /// Those who wait until what was handed in before is done with.
    settling: Vec<Sender<()>>,
    closing: bool,
}

impl Owner {
    pub(crate) fn new(
        shared: Arc<Shared>,
        journal: Journal,
        messages: Receiver<Message>,
        loaders: Sender<Errand>,
    ) -> Self {
        let (next_agent, orgs) = {
            let published = shared.published.read();
            let registry = &published.registry;
            let count = |org| {
                let (agents, last_seq) = registry.totals(org);
                (org, OrgCount { agents, last_seq })
            };
            (
                u32::try_from(registry.len()).unwrap_or(u32::MAX),
                registry.orgs().map(count).collect(),
            )
        };
        Self {
            clock: ReceiptClock::new(Arc::clone(&shared.options.clock)),
            residents: Residents::new(shared.options.window_cache),
            fresh: HashMap::new(),
            fresh_agents: 0,
            group: shared.progress.published() + 1,
            segment: None,
            mindful: BTreeSet::new(),
            erased: HashSet::new(),
            erasing: HashMap::new(),
            settling: Vec::new(),
            closing: false,
            shared,
            journal,
            messages,
            loaders,
            next_agent,
            orgs,
        }
    }

    /// Runs until it is told to close; gives back what is in memory, to be put aside.
    pub(crate) fn run(mut self) -> Vec<(AgentNo, AgentState)> {
        let mut waiting = Vec::new();
        while !self.closing {
            match self.messages.recv_timeout(IDLE) {
                Ok(message) => {
                    self.gather(message, &mut waiting);
                    self.take(&mut waiting);
                    self.settling.clear();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.roll_old_segment();
        }
        self.journal.close();
        self.shared.progress.end();
        for message in self.messages.try_iter() {
            message.refuse(&Refused::NotKept(NotKept::Draining));
        }
        let published = self.shared.progress.published();
        let mut residents: Vec<_> = self.residents.into_published(published).collect();
        residents.sort_unstable_by_key(|(no, _)| *no); // a run can be repeated
        residents
    }

    /// All that waits, up to a group's bounds; where that is little, all that waits once the disk is free.
    fn gather(&mut self, first: Message, waiting: &mut Vec<Message>) {
        let bytes = self.gather_from(Some(first), waiting);
        if (1..LITTLE_BYTES).contains(&bytes) && !self.closing {
            self.journal.wait_until_idle();
            self.gather_from(None, waiting);
        }
    }

    /// The message, if any, and those behind it, up to a group's bounds; gives their bytes.
    fn gather_from(&mut self, first: Option<Message>, waiting: &mut Vec<Message>) -> usize {
        let mut bytes = 0;
        let mut next = first;
        while waiting.len() < MAX_GROUP_SUBMISSIONS && bytes < MAX_GROUP_BYTES && !self.closing {
            let Some(message) = next.take().or_else(|| self.messages.try_recv().ok()) else {
                break;
            };
            match message {
                Message::Close => self.closing = true,
                Message::Settle(done) => self.settling.push(done),
                Message::Warm(states) => {
                    self.warm(states);
                    self.evict();
                }
                message => {
                    bytes += message.frame_bytes();
                    waiting.push(message);
                }
            }
        }
        bytes
    }

    /// Takes what waits as one group: room, count, commit.
    fn take(&mut self, waiting: &mut Vec<Message>) {
        if waiting.is_empty() {
            return;
        }
        let left = self.leave_segment_for(waiting);
        // First of all, so that nothing of those agents stands in the segment of its erasure's record.
        waiting.sort_by_key(|message| !matches!(message, Message::Erase(_)));
        let mut group = match self.begin_group(waiting) {
            Ok(group) => group,
            Err(why) => return waiting.drain(..).for_each(|message| message.refuse(&why)),
        };
        for message in waiting.drain(..) {
            match message {
                Message::Erase(order) => self.take_erasure(order, left, &mut group),
                Message::Batch(work) => self.take_batch(work, &mut group),
                Message::Register(registration) => self.take_registration(registration, &mut group),
                Message::Carry(mut order) => {
                    // Who gave the order may not have seen the erasure, and the name must not come back behind it.
                    order.agents.retain(|item| !self.erased.contains(&item.no));
                    group.carry(order, &self.residents, &self.shared);
                }
                Message::Warm(_) | Message::Settle(_) | Message::Close => {}
            }
        }
        if group.is_empty() {
            let (segment, frame) = group.into_unused();
            self.segment = Some(segment);
            self.journal.give_back(frame);
        } else {
            self.commit(group);
        }
        self.evict();
    }

    /// Lets the next frame begin a segment if something that waits needs that; says which one is left.
    fn leave_segment_for(&mut self, waiting: &[Message]) -> Option<u64> {
        let open = self.segment.as_ref().filter(|open| open.is_used())?.number();
        let leaves = |message: &Message| match message {
            Message::Carry(order) => order.leaves == open,
            Message::Erase(order) => self.find(order.agent()).is_some(),
            _ => false,
        };
        if waiting.iter().any(leaves) {
            self.journal.roll();
        }
        Some(open)
    }

    /// Records that an agent goes; whoever asks waits until it is gone.
    fn take_erasure(&mut self, order: EraseOrder, left: Option<u64>, group: &mut Group) {
        let EraseOrder {
            org,
            key,
            agent_id,
            reply,
        } = order;
        let name = self.shared.identities.of_agent(org, &agent_id);
        let found = self.find(AgentName {
            org,
            agent_id: &agent_id,
        });
        self.forget_published_erasures();
        let Some(no) = found else {
            return if self.erasing.contains_key(&(org, name)) {
                group.answer_erased(org, name, reply);
            } else {
                erasure::wait_for(&self.shared, org, name, reply);
            };
        };
        if left.is_some_and(|left| group.segment_number() <= left) {
            let why = "the next segment is not prepared".to_owned();
            return reply(Err(Refused::NotKept(NotKept::Full(why))));
        }
        let last_seq = self.orgs.get_mut(&org).map_or(0, |count| {
            count.agents -= 1;
            count.last_seq
        });
        self.residents.remove(no);
        if let Some(agents) = self.fresh.get_mut(&org)
            && agents.remove(agent_id.as_str()).is_some()
        {
            self.fresh_agents -= 1;
        }
        self.erased.insert(no);
        self.erasing.insert((org, name), self.group);
        let record = EraseRecord {
            org,
            key: key.unwrap_or(KeyId(0)),
            received_at: group.received_at(),
            last_seq,
            name,
        };
        group.erase(no, record, reply);
    }

    /// Reserves room before anything is counted, so that a full disk refuses whole groups.
    fn begin_group(&mut self, waiting: &[Message]) -> Result<Group, Refused> {
        let frame_bytes = waiting.iter().map(Message::frame_bytes).sum();
        self.shared
            .sealing
            .wait_for_room()
            .map_err(|why| Refused::NotKept(NotKept::Full(why)))?;
        let room = self
            .journal
            .reserve(frame_bytes)
            .map_err(|refused| match refused {
                journal::Refused::Full(why) => Refused::NotKept(NotKept::Full(why)),
                journal::Refused::Poisoned(why) => Refused::OutcomeUnknown(why),
                too_large @ journal::Refused::TooLarge { .. } => Refused::Internal(too_large.to_string()),
            })?;
        let segment = match self.segment.take() {
            Some(open) if open.number() == room.segment.number => open,
            _ => group::OpenSegment::new(room.segment),
        };
        let frame = self.journal.frame();
        Ok(Group::new(
            self.group,
            self.clock.now(),
            segment,
            frame,
            waiting.len(),
        ))
    }

    fn take_batch(&mut self, mut work: Work, group: &mut Group) {
        let mut agents = match self.resolve(&mut work) {
            Ok(agents) => agents,
            Err(Cold) => return self.send_back(work, Vec::new(), group),
        };
        self.residents.fetch(&agents);
        let rejected = match self.check_limit(&work.batch, &agents) {
            Ok(rejected) => rejected,
            Err(refused) => return (work.reply)(Err(refused)),
        };
        group.know_again(&mut work.batch, &agents, &self.residents, &self.shared);
        let doubts = self.doubts(&work.batch, &agents);
        if !doubts.is_empty() {
            self.remember_more(&work.batch, &agents, &doubts, group.received_at());
            return self.send_back(work, doubts, group);
        }
        for (agent, no) in agents.iter_mut().enumerate() {
            if no.is_none() && !rejected.contains(&agent) {
                *no = Some(self.add_agent(work.batch.org, work.batch.agent_id(agent), group));
            }
        }
        let org = self.orgs.entry(work.batch.org).or_insert(OrgCount {
            agents: 0,
            last_seq: 0,
        });
        group.record(
            work,
            &agents,
            &mut org.last_seq,
            &mut self.residents,
            &self.shared,
        );
    }

    fn take_registration(&mut self, registration: Registration, group: &mut Group) {
        let name = AgentName {
            org: registration.org,
            agent_id: &registration.agent_id,
        };
        if self.find(name).is_none() {
            let limit = registration.max_agents;
            if self.orgs.get(&registration.org).map_or(0, |count| count.agents) >= limit {
                return (registration.reply)(Err(Refused::AgentLimit {
                    limit,
                    events: Vec::new(),
                }));
            }
            let no = self.add_agent(registration.org, &registration.agent_id, group);
            group.register(no, &registration);
        }
        group.answer(registration.reply, registration.permit);
    }

    /// The places of the batch's agents, all of whose states are then in memory; `None` for a new agent.
    fn resolve(&mut self, work: &mut Work) -> Result<Vec<Option<AgentNo>>, Cold> {
        let org = work.batch.org;
        self.forget_erased(&mut work.batch);
        self.warm(work.loaded.take());
        (0..work.batch.agents.len())
            .map(|agent| {
                let known = work.batch.agents[agent].no;
                let no = known.or_else(|| {
                    self.find(AgentName {
                        org,
                        agent_id: work.batch.agent_id(agent),
                    })
                });
                match no {
                    Some(no) if !self.residents.contains(no) => Err(Cold),
                    _ => Ok(no),
                }
            })
            .collect()
    }

    /// Takes over states that were read, of agents that are still cold and as they were.
    fn warm(&mut self, states: impl IntoIterator<Item = (AgentNo, AgentState)>) {
        for (no, state) in states {
            if !self.residents.contains(no)
                && !self.erased.contains(&no)
                && self.shared.facts(no).count == state.facts.count
            {
                self.shared.set_resident(no, true);
                self.residents.insert(no, state);
            }
        }
    }

    /// Takes back what was found out of agents that were erased since.
    fn forget_erased(&self, batch: &mut Batch) {
        if self.erased.is_empty() {
            return;
        }
        let is_erased = |no: &mut AgentNo| self.erased.contains(no);
        for agent in 0..batch.agents.len() {
            let named = &mut batch.agents[agent];
            named.no.take_if(is_erased);
            if named.looked_up.take_if(is_erased).is_some() {
                batch.forget_verdicts(agent);
            }
        }
    }

    fn find(&self, name: AgentName<'_>) -> Option<AgentNo> {
        let fresh = self
            .fresh
            .get(&name.org)
            .and_then(|agents| agents.get(name.agent_id));
        fresh
            .map(|(no, _)| *no)
            .or_else(|| self.shared.find(name).map(|(no, _)| no))
            .filter(|no| !self.erased.contains(no))
    }

    /// Which new agents of the batch would pass the organisation's limit: refused, or in lenient mode left
    /// out. Indexes of the batch's agents.
    fn check_limit(&self, batch: &Batch, agents: &[Option<AgentNo>]) -> Result<HashSet<usize>, Refused> {
        let known = self.orgs.get(&batch.org).map_or(0, |count| count.agents);
        let room = usize::try_from(batch.max_agents.saturating_sub(known)).unwrap_or(usize::MAX);
        let new = agents
            .iter()
            .enumerate()
            .filter(|(_, no)| no.is_none())
            .map(|(agent, _)| agent);
        let beyond: HashSet<usize> = new.skip(room).collect();
        if beyond.is_empty() || batch.lenient {
            return Ok(beyond);
        }
        let events = (0u32..)
            .zip(&batch.events)
            .filter(|(_, event)| beyond.contains(&event.agent));
        Err(Refused::AgentLimit {
            limit: batch.max_agents,
            events: events.map(|(index, _)| index).collect(),
        })
    }

    /// The events of which memory cannot say whether they are repeats.
    fn doubts(&self, batch: &Batch, agents: &[Option<AgentNo>]) -> Vec<usize> {
        if batch.source == Source::EvaluateMadeId && batch.provenance.is_none() {
            return Vec::new();
        }
        let is_doubtful = |index: &usize| {
            let event = &batch.events[*index];
            let (Some(question), Verdict::NotAmong(known)) = (batch.question(event), event.verdict) else {
                return false;
            };
            let state = agents[event.agent].and_then(|no| self.residents.get(no));
            state.is_some_and(|state| state.ask(&question, known, &self.shared.identities) == Answer::Ask)
        };
        (0..batch.events.len()).filter(is_doubtful).collect()
    }

    /// Lets those agents remember more of what leaves their windows for whom that would have settled a doubt: what
    /// they forgot was young, or a look-up was overtaken by so many arrivals that it was of no use. Those that have
    /// become slow give their room back.
    fn remember_more(&mut self, batch: &Batch, agents: &[Option<AgentNo>], doubts: &[usize], now: Micros) {
        let forgetful = doubts.iter().filter_map(|doubt| {
            let event = &batch.events[*doubt];
            let no = agents[event.agent]?;
            let question = batch.question(event)?;
            let was_looked_up = event.verdict != Verdict::NotAmong(0);
            let state = self.residents.get(no)?;
            (was_looked_up || state.forgets_too_soon(&question)).then_some(no)
        });
        let forgetful: BTreeSet<AgentNo> = forgetful.collect(); // in order: a run can be repeated
        if forgetful.is_empty() {
            return;
        }
        let mut all = 0;
        self.mindful.retain(|no| {
            let Some(state) = self.residents.get_mut(*no) else {
                return false;
            };
            if state.is_slow(now) {
                state.remember_less();
            }
            all += state.remembers();
            state.remembers() > FEW
        });
        for no in forgetful {
            if let Some(state) = self.residents.get_mut(no) {
                if all >= MAX_REMEMBERED {
                    return;
                }
                let before = state.remembers();
                state.remember_more();
                all += state.remembers() - before;
                self.mindful.insert(no);
            }
        }
    }

    fn add_agent(&mut self, org: OrgId, agent_id: &str, group: &mut Group) -> AgentNo {
        let no = AgentNo(self.next_agent);
        self.next_agent += 1;
        let agent_id: Arc<str> = agent_id.into();
        self.fresh
            .entry(org)
            .or_default()
            .insert(Arc::clone(&agent_id), (no, self.group));
        self.fresh_agents += 1;
        self.orgs
            .entry(org)
            .or_insert(OrgCount {
                agents: 0,
                last_seq: 0,
            })
            .agents += 1;
        self.residents.insert(no, AgentState::new(group.received_at()));
        group.add_agent(no, org, agent_id, &mut self.residents);
        no
    }

    /// Back to the loaders, to look at what will be published with this group.
    fn send_back(&self, work: Work, doubts: Vec<usize>, group: &Group) {
        let after_group = if group.is_empty() {
            self.group - 1
        } else {
            self.group
        };
        if let Err(back) = self.loaders.send(Errand {
            work,
            doubts,
            after_group,
        }) {
            (back.0.work.reply)(Err(Refused::NotKept(NotKept::Draining)));
        }
    }

    fn commit(&mut self, group: Group) {
        self.group += 1;
        let (frame, publication, segment) = group.finish(&self.residents, &self.shared);
        self.segment = Some(segment);
        let shared = Arc::clone(&self.shared);
        self.journal.commit(
            frame,
            Box::new(move |outcome| publication.settle(&shared, outcome)),
        );
        self.forget_published();
    }

    /// Agents that are published are found in the registry.
    fn forget_published(&mut self) {
        if self.fresh_agents == 0 {
            return;
        }
        let published = self.shared.progress.published();
        self.fresh.retain(|_, agents| {
            agents.retain(|_, (_, group)| *group > published);
            !agents.is_empty()
        });
        self.fresh_agents = self.fresh.values().map(HashMap::len).sum();
    }

    /// Erasures that are published are found in the registry.
    fn forget_published_erasures(&mut self) {
        let published = self.shared.progress.published();
        self.erasing.retain(|_, group| *group > published);
    }

    /// Lets go of the windows that were not used for longest, once they are published.
    fn evict(&mut self) {
        if self.residents.over_limit() > 0 {
            let published = self.shared.progress.published();
            while let Some((no, state)) = self.residents.evict(published) {
                self.shared.set_resident(no, false);
                self.shared.sealing.put_aside(no, state);
            }
        }
        self.shared
            .resident_windows
            .store(self.residents.len(), Ordering::Relaxed);
    }

    /// Begins a new segment when the open one is old, so that quiet data too is sealed and kept compact. The
    /// journal may stay in the old one for want of room, so its dictionary stays with us until it is left.
    fn roll_old_segment(&mut self) {
        let age = self.shared.options.segment_age;
        if self
            .segment
            .as_ref()
            .is_some_and(|open| open.since().elapsed() >= age)
        {
            self.journal.roll();
        }
    }
}

/// An agent whose state must be loaded first.
struct Cold;
