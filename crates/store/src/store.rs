//! The store as its users see it: hand in submissions, ask questions.

use crate::agent::AgentName;
use crate::batch::{Batch, Draft};
use crate::books;
use crate::clock::{Clock, system_clock};
use crate::loader::{self, Errand};
use crate::owner::{self, EraseOrder, Message, Owner, Registration, Work};
use crate::recover::{self, Recovered};
use crate::sealing::Background;
use crate::shared::{Permit, Shared};
use crate::threads::{spawn, spawn_vital};
use crate::transit::Loaded;
use crate::upkeep::{self, Upkeep};
use crate::warming::Warming;
use crate::{
    Agent, AgentOrder, Booked, Error, EventPage, EventQuery, Health, KeyId, NotKept, OrgId, Provenance,
    Receipt, Refused, Stats, StoredEvent, Submission,
};
use crossbeam_channel::{Sender, bounded, unbounded};
use journal::Disk;
use parking_lot::Mutex;
use reputation::{Micros, Summary};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Called once, from a thread of the store, with what became of a submission.
pub type Reply<T> = Box<dyn FnOnce(Result<T, Refused>) + Send>;

/// Threads that read what cold agents and possible repeats need.
const LOADERS: usize = 4;

/// Settings of a store.
#[derive(Clone)]
pub struct Options {
    /// How the log is kept.
    pub journal: journal::Options,
    /// How far ahead of the server a timestamp may be; one further ahead is recorded at its receipt.
    pub max_clock_ahead: Duration,
    /// Agents whose windows are kept in memory between groups, at about 14 KB each when full.
    pub window_cache: usize,
    /// Bytes of index blocks kept in memory.
    pub cache_bytes: u64,
    /// Submissions between hand-over and answer; one more is refused.
    pub max_in_flight: usize,
    /// Age at which the open segment is sealed even if it isn't full.
    pub segment_age: Duration,
    /// How long events are kept after their receipt; `None` for ever.
    pub retention: Option<Duration>,
    /// Bytes of segments and indexes beyond which the oldest go; `None` for no limit.
    pub retention_bytes: Option<u64>,
    /// How fast stored segments are read again to find damage, in bytes a second; 0 for not at all,
    /// [`u64::MAX`] for without limit.
    pub scrub_bytes_per_second: u64,
    /// How fast segments of small commits are rewritten to take less space, in bytes read a second; 0 for not at
    /// all, [`u64::MAX`] for without limit.
    pub compaction_bytes_per_second: u64,
    /// How often it's looked whether something is to be done about stored segments; [`Duration::MAX`] for only when
    /// [`Store::settle`] asks, as tests do that must not depend on time: then full segments, too, wait for that, and a start
    /// waits for the windows that are read back, so that one thread after the other uses the disk.
    pub upkeep_every: Duration,
    /// The time of receipt.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            journal: journal::Options::default(),
            max_clock_ahead: Duration::from_secs(300),
            window_cache: 20_000,
            cache_bytes: 64 << 20,
            max_in_flight: 4_096,
            segment_age: Duration::from_secs(86_400),
            retention: None,
            retention_bytes: None,
            scrub_bytes_per_second: 4 << 20,
            compaction_bytes_per_second: 4 << 20,
            upkeep_every: Duration::from_secs(1),
            clock: system_clock(),
        }
    }
}

/// Hears what the store does, for metrics. Called from its threads: be quick.
pub trait Observer: Send + Sync {
    /// A group was written and synced in this time.
    fn committed(&self, _latency: Duration, _submissions: usize, _events: usize, _bytes: usize) {}
    /// The frame of this number is on stable storage and readers see it; these are its batches, whose senders
    /// are answered next. Frames come in order, each once.
    fn booked(&self, _frame_seq: u64, _batches: &[Booked]) {}
    /// Retention wrote so many bytes of carry records.
    fn carried(&self, _bytes: u64) {}
    /// So many bytes of stored frames were read again to find damage.
    fn scrubbed(&self, _bytes: u64) {}
    /// A segment was rewritten, and takes so many bytes less.
    fn compacted(&self, _bytes: u64) {}
    /// Retention let a segment with so many events go.
    fn let_go(&self, _events: u64) {}
}

/// Hears nothing.
pub struct Unobserved;
impl Observer for Unobserved {}

/// Durable events, their index, and the agents' standing.
pub struct Store {
    shared: Arc<Shared>,
    journal_state: journal::StateHandle,
    owner: Sender<Message>,
    loaders: Mutex<Option<Sender<Errand>>>,
    draining: Arc<AtomicBool>,
    upkeep: Sender<upkeep::Job>,
    cursor_key: [u8; 32],
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    owner: JoinHandle<Vec<(crate::agent::AgentNo, crate::agent::AgentState)>>,
    loaders: Vec<JoinHandle<()>>,
    warming: Option<JoinHandle<()>>,
    background: JoinHandle<Background>,
    upkeep: JoinHandle<()>,
}

impl Store {
    /// Opens the store in `dir`, recovering what a crash left. The caller makes sure that no other process
    /// has it open.
    ///
    /// # Errors
    /// Where the log is damaged before its end, of a newer format, or cannot be read or written.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: Options,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, Error> {
        let Recovered {
            shared,
            journal,
            covered,
            secret,
        } = recover::open(disk, dir, options, observer)?;
        let shared = Arc::new(shared);
        let warming = Warming::of(&shared);
        let journal_state = journal.state();
        let (owner_inbox, messages) = unbounded(); // bounded by the permits in flight
        let (loader_inbox, errands) = unbounded(); // likewise
        let loaders = loader::spawn(&shared, &errands, &owner_inbox, LOADERS)?;
        let owner = Owner::new(Arc::clone(&shared), journal, messages, loader_inbox.clone());
        let owner = spawn_vital("repute-owner", &shared, &journal_state, move |_| owner.run())?;
        for number in shared.published.read().segments.unsealed() {
            shared.sealing.seal(number);
        }
        let background = Background::new(covered);
        let background = spawn_vital("repute-seal", &shared, &journal_state, move |shared| {
            background.run(shared)
        })?;
        let draining = Arc::new(AtomicBool::new(false));
        let warming = warming.map(|warming| {
            let (shared, owner, closing) = (Arc::clone(&shared), owner_inbox.clone(), Arc::clone(&draining));
            spawn("repute-warm", move || warming.run(&shared, &owner, &closing))
        });
        let mut warming = warming.transpose()?;
        if shared.options.upkeep_every == Duration::MAX {
            warming.take().map(JoinHandle::join); // so that one thread after the other uses the disk
        }
        let (upkeep_inbox, jobs) = unbounded(); // bounded by those who wait
        let (upkeep, closing) = (Upkeep::new(owner_inbox.clone()), Arc::clone(&draining));
        let upkeep = spawn_vital("repute-upkeep", &shared, &journal_state, move |shared| {
            upkeep.run(shared, &jobs, &closing);
        })?;
        Ok(Self {
            shared,
            journal_state,
            owner: owner_inbox,
            loaders: Mutex::new(Some(loader_inbox)),
            draining,
            upkeep: upkeep_inbox,
            cursor_key: secret,
            threads: Mutex::new(Some(Threads {
                owner,
                loaders,
                warming,
                background,
                upkeep,
            })),
        })
    }

    /// Hands in a batch. Never waits for the disk; `reply` hears what became of it.
    pub fn submit(&self, submission: &Submission<'_>, reply: Reply<Receipt>) {
        self.hand_in(Draft::new(submission, 0), reply);
    }

    /// The same with a batch that was put together event by event.
    pub fn hand_in(&self, draft: Draft, reply: Reply<Receipt>) {
        self.take_in(draft.finish(), reply);
    }

    /// Hands in a batch that was taken in before, elsewhere: it keeps its times and where it came from as data, is
    /// counted as it comes, and is kept by the time of this import. Repeats are dropped as everywhere.
    pub fn import(&self, submission: &Submission<'_>, provenance: Provenance, reply: Reply<Receipt>) {
        let mut batch = Draft::new(submission, 0).finish();
        batch.provenance = Some(provenance);
        self.take_in(batch, reply);
    }

    fn take_in(&self, batch: Batch, reply: Reply<Receipt>) {
        let permit = match self.admit() {
            Ok(permit) => permit,
            Err(why) => return reply(Err(why)),
        };
        let mut work = Work {
            batch,
            loaded: Loaded::default(),
            reply,
            permit,
        };
        match loader::triage(&self.shared, &mut work) {
            None => self.hand_over(Message::Batch(work)),
            Some(doubts) => {
                let errand = Errand {
                    work,
                    doubts,
                    after_group: 0,
                };
                let refused = match &*self.loaders.lock() {
                    Some(loaders) => loaders.send(errand).err().map(|back| back.0.work),
                    None => Some(errand.work),
                };
                if let Some(work) = refused {
                    Message::Batch(work).refuse(&Refused::NotKept(NotKept::Draining));
                }
            }
        }
    }

    /// Makes an agent known before its first event.
    pub fn register(&self, org: OrgId, key: KeyId, agent_id: &str, max_agents: u64, reply: Reply<()>) {
        match self.admit() {
            Ok(permit) => {
                let agent_id = agent_id.to_owned();
                let registration = Registration {
                    org,
                    key,
                    agent_id,
                    max_agents,
                    reply,
                    permit,
                };
                self.hand_over(Message::Register(registration));
            }
            Err(why) => reply(Err(why)),
        }
    }

    /// Erases an agent: its events, its window and its name are gone for good when `reply` hears `Ok`, which may take
    /// long where there is much to rewrite. An agent that isn't known is gone already. If it is put off, for want of
    /// room or because the store closes, it goes on by itself. `key` is who asks, `None` for the operator.
    pub fn erase(&self, org: OrgId, key: Option<KeyId>, agent_id: &str, reply: Reply<()>) {
        if self.draining.load(Ordering::Acquire) {
            return reply(Err(Refused::NotKept(NotKept::Draining)));
        }
        let agent_id = agent_id.to_owned();
        self.hand_over(Message::Erase(EraseOrder {
            org,
            key,
            agent_id,
            reply,
        }));
    }

    /// Whether there is such an agent, or one of this name whose erasure is not done yet.
    #[must_use]
    pub fn knows(&self, org: OrgId, agent_id: &str) -> bool {
        let published = self.shared.published.read();
        let registry = &published.registry;
        registry.find(AgentName { org, agent_id }).is_some() || {
            let name = self.shared.identities.of_agent(org, agent_id);
            registry.erasures_of(org, name).next().is_some()
        }
    }

    fn admit(&self) -> Result<Permit, Refused> {
        if self.draining.load(Ordering::Acquire) {
            return Err(Refused::NotKept(NotKept::Draining));
        }
        Permit::take(&self.shared.in_flight, self.shared.options.max_in_flight)
            .ok_or(Refused::NotKept(NotKept::Overloaded))
    }

    fn hand_over(&self, message: Message) {
        if let Err(back) = self.owner.send(message) {
            back.0.refuse(&Refused::NotKept(NotKept::Draining));
        }
    }

    /// The standing of each of these agents; an unknown one has an empty window. May read the disk.
    ///
    /// # Errors
    /// Where stored events that it needs cannot be read.
    pub fn reputations(&self, org: OrgId, agent_ids: &[&str]) -> Result<Vec<Summary>, Error> {
        self.shared.read(|| {
            agent_ids
                .iter()
                .map(|agent_id| self.shared.summary(org, agent_id))
                .collect()
        })
    }

    /// The standing of an agent if memory knows it, or knows that there is no such agent.
    #[must_use]
    pub fn warm_summary(&self, org: OrgId, agent_id: &str) -> Option<Summary> {
        let published = self.shared.published.read();
        match published.registry.find(AgentName { org, agent_id }) {
            Some(no) => published.registry.entry(no).summary(),
            None => Some(Summary::default()),
        }
    }

    /// A page of events. Reads the disk.
    ///
    /// # Errors
    /// Where stored events that it needs cannot be read.
    pub fn events(&self, org: OrgId, query: &EventQuery) -> Result<EventPage, Error> {
        self.shared
            .read(|| self.shared.reader(org, query.agent_id.as_deref()).page(query))
    }

    /// One event. Reads the disk.
    ///
    /// # Errors
    /// Where it is stored but cannot be read.
    pub fn event(&self, org: OrgId, seq: u64) -> Result<Option<StoredEvent>, Error> {
        self.shared.read(|| self.shared.reader(org, None).event(seq))
    }

    /// The first `limit` agents in this order. Reads the disk for windows that only a crash left unknown.
    ///
    /// # Errors
    /// Where stored events that it needs cannot be read.
    pub fn agents(&self, org: OrgId, order: &AgentOrder, limit: usize) -> Result<Vec<Agent>, Error> {
        let mut unknown = Vec::new();
        let mut agents: Vec<Agent> = {
            let published = self.shared.published.read();
            let registry = &published.registry;
            let numbers: Vec<_> = match order {
                AgentOrder::LastSeen(after) => {
                    let after = after.as_ref().map(|(seen, agent_id)| (*seen, agent_id.as_str()));
                    registry.by_last_seen(org, after).take(limit).collect()
                }
                AgentOrder::AgentId(after) => {
                    registry.by_agent_id(org, after.as_deref()).take(limit).collect()
                }
            };
            let agent = |(index, no): (usize, _)| {
                let entry = registry.entry(no);
                let facts = entry.facts();
                if entry.summary().is_none() {
                    unknown.push(index);
                }
                Agent {
                    agent_id: entry.agent_id.to_string(),
                    first_seen: facts.first_seen,
                    last_seen: facts.last_seen,
                    eval_count: facts.count,
                    summary: entry.summary().unwrap_or_default(),
                }
            };
            numbers.into_iter().enumerate().map(agent).collect()
        };
        for index in unknown {
            agents[index].summary = self
                .shared
                .read(|| self.shared.summary(org, &agents[index].agent_id))?;
        }
        Ok(agents)
    }

    /// Hands over what the log says of each batch in the frames after this one, in order, as
    /// [`Observer::booked`] would have. Reads the disk; gives the newest frame's number.
    pub fn books_after(&self, frame_seq: u64, visit: impl FnMut(u64, &[Booked])) -> u64 {
        let newest = self.shared.published.read().frame_seq;
        books::after(&self.shared, frame_seq, visit);
        newest
    }

    /// When the oldest batch that is kept was received. Reads the disk.
    #[must_use]
    pub fn oldest_receipt(&self) -> Option<Micros> {
        books::oldest_receipt(&self.shared)
    }

    /// The number of the newest frame, 0 of an empty log.
    #[must_use]
    pub fn newest_frame(&self) -> u64 {
        self.shared.published.read().frame_seq
    }

    /// The number of the organisation's newest event, 0 if it never had one.
    #[must_use]
    pub fn last_seq(&self, org: OrgId) -> u64 {
        self.shared.published.read().registry.totals(org).1
    }

    /// Whether it takes events.
    #[must_use]
    pub fn health(&self) -> Health {
        match self.journal_state.get() {
            journal::State::Writable => self
                .shared
                .sealing
                .trouble()
                .map_or(Health::Writable, Health::Full),
            journal::State::Full(why) => Health::Full(why),
            journal::State::Poisoned(why) => Health::Poisoned(why),
        }
    }

    /// Whether one more submission may be in flight now.
    #[must_use]
    pub fn has_place(&self) -> bool {
        self.shared.in_flight.load(Ordering::Relaxed) < self.shared.options.max_in_flight
    }

    /// Figures of this moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let published = self.shared.published.read();
        let mut stats = published.segments.stats();
        stats.agents = published.registry.known() as u64;
        stats.erasures = published.registry.erasures.len() as u64;
        stats.in_flight = self.shared.in_flight.load(Ordering::Relaxed) as u64;
        stats.resident_windows = self.shared.resident_windows.load(Ordering::Relaxed) as u64;
        stats.windows_in_transit = self.shared.transit.windows() as u64;
        stats.damage = self.shared.damage.list();
        stats
    }

    /// Waits until full segments have their indexes, and erasures, retention and the search for damage have done what they can do now.
    pub fn settle(&self) {
        owner::settle(&self.owner);
        self.shared.sealing.wait_until_idle();
        let (done, settled) = bounded(0);
        if self.upkeep.send(upkeep::Job::Settle(done)).is_ok() {
            let _ = settled.recv(); // ends when the sender is dropped
        }
        owner::settle(&self.owner);
        self.shared.sealing.wait_until_idle();
    }

    /// The key under which cursors are authenticated.
    #[must_use]
    pub fn cursor_key(&self) -> [u8; 32] {
        self.cursor_key
    }

    /// Takes no more, finishes what was handed in, and leaves everything on disk. A second call does
    /// nothing.
    pub fn close(&self) {
        self.draining.store(true, Ordering::Release);
        let Some(threads) = self.threads.lock().take() else {
            return;
        };
        // The loaders end when nobody can send them errands: this store and the owner.
        while self.shared.in_flight.load(Ordering::Acquire) > 0 && !threads.owner.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.loaders.lock().take();
        let _ = self.owner.send(Message::Close);
        let Ok(residents) = threads.owner.join() else {
            tracing::error!("the owner thread ended by a panic; the next start recovers the log");
            return;
        };
        for loader in threads.loaders {
            let _ = loader.join();
        }
        if let Some(warming) = threads.warming {
            let _ = warming.join();
        }
        let _ = self.upkeep.send(upkeep::Job::Close);
        let _ = threads.upkeep.join();
        self.shared.sealing.close();
        if let Ok(mut background) = threads.background.join() {
            background.finish(&self.shared, &residents);
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;
    use crate::batch::Verdict;
    use crate::codec;
    use crate::owner::{CarryItem, CarryOrder, Form, Work};
    use journal::SimDisk;
    use reputation::Evaluation;

    const ORG: OrgId = OrgId(1);

    #[test]
    fn an_agent_that_was_erased_is_not_carried_by_an_order_from_before() {
        let disk = Arc::new(SimDisk::new(1));
        let store = Store::open(disk, Path::new("/data"), Options::default(), Arc::new(Unobserved));
        let store = store.expect("it opens");
        let (answer, answers) = bounded(1);
        let reply = Box::new(move |outcome| drop(answer.send(outcome)));
        store.register(ORG, KeyId(7), "a", 10, reply);
        answers.recv().expect("answered").expect("registered");
        let name = AgentName {
            org: ORG,
            agent_id: "a",
        };
        let (no, _) = store.shared.find(name).expect("it is known");
        let carry = |agent_id: &str| {
            let (answer, answers) = bounded(1);
            let order = CarryOrder {
                leaves: 0,
                agents: vec![CarryItem {
                    no,
                    org: ORG,
                    agent_id: agent_id.into(),
                    form: Form::Facts,
                }],
                reply: Box::new(move |outcome| drop(answer.send(outcome))),
            };
            assert!(store.owner.send(Message::Carry(order)).is_ok());
            answers.recv().expect("answered").expect("taken")
        };
        assert!(carry("a") > 0);
        store.erase(ORG, None, "a", Box::new(drop));
        assert_eq!(carry("a"), 0, "its name would be back in the log");
        assert_eq!(carry(""), 0, "as its empty place reads by then");
        store.close();
    }

    #[test]
    fn what_was_found_out_of_an_agent_that_was_erased_is_not_held_of_its_successor() {
        let disk = Arc::new(SimDisk::new(1));
        let store = Store::open(disk, Path::new("/data"), Options::default(), Arc::new(Unobserved));
        let store = store.expect("it opens");
        let event = Evaluation {
            agent_id: "a".into(),
            tool: None,
            passed: true,
            gates: Vec::new(),
            total_latency_us: 1,
            sent_at: Some(Micros(5)),
            evaluation_id: Some("e".into()),
            agent_latency_us: None,
        };
        let submission = Submission {
            org: ORG,
            key: KeyId(7),
            signed: false,
            source: Source::Ingest,
            max_agents: 10,
            lenient: false,
            evaluations: &[event],
        };
        let find = || {
            let name = AgentName {
                org: ORG,
                agent_id: "a",
            };
            store.shared.find(name).expect("it is known")
        };
        // As if the look-up had been before, and the batch came back from it only now.
        let send = |verdict, looked_up, no| {
            let mut batch = Draft::new(&submission, 0).finish();
            batch.events[0].verdict = verdict;
            batch.agents[0].looked_up = looked_up;
            batch.agents[0].no = no;
            let (answer, answers) = bounded(1);
            let work = Work {
                batch,
                loaded: Loaded::default(),
                reply: Box::new(move |outcome| drop(answer.send(outcome))),
                permit: store.admit().expect("there is room"),
            };
            assert!(store.owner.send(Message::Batch(work)).is_ok());
            answers.recv().expect("answered").expect("taken").duplicates
        };
        let nobody = Verdict::NotAmong(0);
        assert_eq!(send(nobody, None, None), 0);
        let (old, _) = find();
        store.erase(ORG, None, "a", Box::new(drop));
        assert_eq!(
            send(Verdict::Recorded, Some(old), Some(old)),
            0,
            "its row is gone"
        );
        let (new, count) = find();
        assert_eq!(count, 1);
        // The name's new agent was found in between.
        assert_eq!(send(Verdict::NotAmong(1_000), Some(old), Some(new)), 1);
        assert_eq!(find(), (new, 1));
        store.close();
    }

    #[test]
    fn a_carry_without_a_name_of_an_agent_that_was_erased_is_passed_over() {
        let disk = Arc::new(SimDisk::new(1));
        let open = || {
            let disk = Arc::clone(&disk) as Arc<dyn Disk>;
            Store::open(disk, Path::new("/data"), Options::default(), Arc::new(Unobserved)).expect("it opens")
        };
        open().close();
        write_nameless_carry(&disk, 0);
        open().close();
        let report = crate::verify(&(Arc::clone(&disk) as Arc<dyn Disk>), Path::new("/data"));
        let report = report.expect("it can be read");
        assert!(report.is_sound(), "{:?}", report.findings);
    }

    #[test]
    fn a_carry_of_an_agent_that_no_word_names_is_damage_that_a_repair_sets_aside() {
        let disk = Arc::new(SimDisk::new(1));
        let any_disk = Arc::clone(&disk) as Arc<dyn Disk>;
        let dir = Path::new("/data");
        let open = || {
            Store::open(
                Arc::clone(&any_disk),
                dir,
                Options::default(),
                Arc::new(Unobserved),
            )
        };
        open().expect("it opens").close();
        write_nameless_carry(&disk, 7);
        assert!(open().is_err());
        let plan = crate::Plan::make(&any_disk, dir).expect("it can be read");
        assert_eq!(plan.lost_frames.len(), 1, "{plan:?}");
        plan.carry_out(&any_disk, dir).expect("it is carried out");
        open().expect("it opens again").close();
    }

    /// A frame as a version before this one wrote it of an agent that was erased meanwhile: its only word, which
    /// has no name, and a carry of the agent of this number.
    fn write_nameless_carry(disk: &Arc<SimDisk>, agent: u32) {
        let dir = Path::new("/data").join(recover::SHARD_DIR);
        let mut journal = journal::Journal::open(
            Arc::clone(disk) as Arc<dyn Disk>,
            &dir,
            Options::default().journal,
        )
        .expect("it opens")
        .journal;
        let mut frame = journal.frame();
        let mut word = Vec::new();
        codec::put_word(&mut word, codec::Word::Agent(ORG, ""));
        frame.record(codec::WORDS, true, &word);
        let carry = codec::CarryRecord {
            agent: codec::AgentWord(agent),
            carried_at: Micros(10),
            facts: crate::facts::Facts::new(Micros(10)),
            window: None,
        };
        frame.record(codec::CARRY, true, &codec::encode_carry(&carry));
        journal.reserve(frame.len()).expect("there is room");
        let (answer, answers) = bounded(1);
        journal.commit(
            frame,
            Box::new(move |outcome| answer.send(outcome.is_ok()).expect("awaited")),
        );
        assert_eq!(answers.recv(), Ok(true));
        journal.close();
    }
}
