//! A group: what one frame records, and what is published and answered once it is on stable storage.

use super::resent::RecordedBatches;
use super::residents::Residents;
use super::{CarryItem, CarryOrder, Form, Registration, Work};
use crate::agent::{AgentNo, Arrival};
use crate::batch::{Batch, BatchEvent, Verdict};
use crate::codec::{
    self, BatchEncoder, BatchHeader, CarryRecord, EraseRecord, NameHash, Pen, RegistrationRecord, RowFields,
    Words,
};
use crate::erasure;
use crate::facts::{Facts, Recorded};
use crate::identity::made_times;
use crate::index::{CarryPlace, NewBatch, NewRow};
use crate::registry::{AgentUpdate, Carried};
use crate::segments::{NewCarry, Other};
use crate::shared::{Permit, Shared};
use crate::{Booked, NotKept, OrgId, Receipt, Refused, Reply, Source, Update};
use journal::{Committed, Frame, Poisoned, Segment};
use reputation::{Micros, Placement};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Agents of most submissions at most.
const LIKELY_AGENTS: usize = 20;

/// The segment that frames go to, its dictionary so far, and what its records are written with.
pub(crate) struct OpenSegment {
    segment: Segment,
    words: Words,
    pen: Pen,
    recorded: RecordedBatches,
    since: Instant,
    /// Whether some frame went to it.
    used: bool,
}

impl OpenSegment {
    pub(crate) fn new(segment: Segment) -> Self {
        Self {
            segment,
            words: Words::new(),
            pen: Pen::default(),
            recorded: RecordedBatches::default(),
            since: Instant::now(),
            used: false,
        }
    }

    pub(crate) fn is_used(&self) -> bool {
        self.used
    }

    pub(crate) fn number(&self) -> u64 {
        self.segment.number
    }

    /// When it was begun.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }
}

/// A group while it is formed.
pub(crate) struct Group {
    number: u64,
    received_at: Micros,
    segment: OpenSegment,
    frame: Frame,
    added: Vec<(AgentNo, OrgId, Arc<str>)>,
    /// Agents whose states changed, each once.
    touched: Vec<AgentNo>,
    words: Vec<Vec<u8>>,
    /// Their offsets count from the start of the payload.
    batches: Vec<NewBatch>,
    booked: Vec<Booked>,
    carries: Vec<NewCarry>,
    erased: Vec<(AgentNo, EraseRecord, Reply<()>)>,
    answers: Vec<Answer>,
}

/// An answer that waits for the sync.
enum Answer {
    Batch(Reply<Receipt>, Receipt, Permit),
    Registration(Reply<()>, Permit),
    /// So many bytes were carried.
    Carry(Reply<usize>, usize),
    /// The agent of this name was erased, in this group or one before.
    Erased(OrgId, NameHash, Reply<()>),
}

/// What is to be done once the group's frame is on stable storage, or is known not to be.
pub(crate) struct Publication {
    number: u64,
    segment: Segment,
    added: Vec<(AgentNo, OrgId, Arc<str>)>,
    agents: Vec<AgentUpdate>,
    words: Vec<Vec<u8>>,
    /// Their offsets count from the start of the payload.
    batches: Vec<NewBatch>,
    booked: Vec<Booked>,
    other: Other,
    erased: Vec<(AgentNo, EraseRecord, Reply<()>)>,
    answers: Vec<Answer>,
    started: Instant,
}

/// The most that a batch can take of a frame, in bytes, the words that it adds included.
pub(crate) fn frame_bytes(batch: &Batch) -> usize {
    codec::max_batch_bytes(batch.events.len(), batch.gate_count(), batch.text_bytes())
}

/// The most that a registration can take of a frame, in bytes.
pub(crate) fn registration_bytes(agent_id: &str) -> usize {
    codec::max_registration_bytes(agent_id)
}

impl Group {
    /// A group of so many submissions at most.
    pub(crate) fn new(
        number: u64,
        received_at: Micros,
        segment: OpenSegment,
        frame: Frame,
        submissions: usize,
    ) -> Self {
        Self {
            number,
            received_at,
            segment,
            frame,
            added: Vec::new(),
            touched: Vec::with_capacity(LIKELY_AGENTS * submissions),
            words: Vec::new(),
            batches: Vec::with_capacity(submissions),
            booked: Vec::with_capacity(submissions),
            carries: Vec::new(),
            erased: Vec::new(),
            answers: Vec::with_capacity(submissions),
        }
    }

    /// Whether nothing was taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.answers.is_empty() && self.erased.is_empty()
    }

    /// The segment and the frame, unused.
    pub(crate) fn into_unused(self) -> (OpenSegment, Frame) {
        (self.segment, self.frame)
    }

    /// The segment that it goes to.
    pub(crate) fn segment_number(&self) -> u64 {
        self.segment.number()
    }

    /// Records that an agent goes.
    pub(crate) fn erase(&mut self, no: AgentNo, record: EraseRecord, reply: Reply<()>) {
        self.frame
            .record(codec::ERASE, true, &codec::encode_erase(&record));
        self.erased.push((no, record, reply));
    }

    /// Answers about an agent whose erasure is counted, but may not be on stable storage yet.
    pub(crate) fn answer_erased(&mut self, org: OrgId, name: NameHash, reply: Reply<()>) {
        self.answers.push(Answer::Erased(org, name, reply));
    }

    /// The time of receipt of all that the group takes.
    pub(crate) fn received_at(&self) -> Micros {
        self.received_at
    }

    /// A new agent, resident from now on.
    pub(crate) fn add_agent(
        &mut self,
        no: AgentNo,
        org: OrgId,
        agent_id: Arc<str>,
        residents: &mut Residents,
    ) {
        residents.touch(no, self.number);
        self.touched.push(no);
        self.added.push((no, org, agent_id));
    }

    /// Records that an agent is known from now on.
    pub(crate) fn register(&mut self, no: AgentNo, registration: &Registration) {
        let Registration {
            org, key, agent_id, ..
        } = registration;
        let record = RegistrationRecord {
            org: *org,
            key: *key,
            received_at: self.received_at,
            agent_id,
        };
        // Its word lets the segment's index name the agent.
        self.segment.words.agent(no, *org, agent_id);
        self.put_words();
        let body = codec::encode_registration(&record);
        self.frame.record(codec::REGISTRATION, true, &body);
    }

    /// Answers a registration with the group.
    pub(crate) fn answer(&mut self, reply: Reply<()>, permit: Permit) {
        self.answers.push(Answer::Registration(reply, permit));
    }

    /// Records what stays of agents when their oldest rows go: as they are counted at this moment, rows and
    /// registrations of this very group included. Those whose state nobody has are left out.
    pub(crate) fn carry(&mut self, order: CarryOrder, residents: &Residents, shared: &Shared) {
        if self.segment.number() <= order.leaves {
            let why = "the next segment is not prepared".to_owned();
            return (order.reply)(Err(Refused::NotKept(NotKept::Full(why))));
        }
        let mut bytes = 0;
        for CarryItem {
            no,
            org,
            agent_id,
            form,
        } in &order.agents
        {
            let state = residents.get(*no).or(match form {
                // Nobody has counted anything since, or it would be resident.
                Form::Window(Some(state)) if shared.facts(*no) == state.facts => Some(&**state),
                _ => None,
            });
            let (facts, window) = match (form, state) {
                (Form::Facts, Some(state)) => (state.facts, None),
                (Form::Facts, None) => (shared.facts(*no), None),
                (Form::Window(_), Some(state)) => (state.facts, Some(state.carried())),
                (Form::Window(_), None) => continue,
            };
            let record = CarryRecord {
                agent: self.segment.words.agent(*no, *org, agent_id),
                carried_at: self.received_at,
                facts,
                window,
            };
            self.put_words();
            let body = codec::encode_carry(&record);
            let offset = self.frame.record(codec::CARRY, true, &body);
            let place = CarryPlace {
                offset: u64::from(offset),
                bytes: count(body.len() + journal::RECORD_HEADER_BYTES),
            };
            bytes += place.bytes as usize;
            self.carries.push(NewCarry {
                no: *no,
                agent: record.agent,
                place,
                has_window: record.window.is_some(),
            });
        }
        self.answers.push(Answer::Carry(order.reply, bytes));
    }

    /// Puts what is new in the dictionary before what needs it.
    fn put_words(&mut self) {
        if let Some(words) = self.segment.words.take_new() {
            self.frame.record(codec::WORDS, true, &words);
            self.words.push(words);
        }
    }

    /// Finds the events that were recorded moments ago, where the whole batch is sent again.
    pub(crate) fn know_again(
        &self,
        batch: &mut Batch,
        agents: &[Option<AgentNo>],
        residents: &Residents,
        shared: &Shared,
    ) {
        if batch.source != Source::Ingest {
            return;
        }
        let OpenSegment { words, recorded, .. } = &self.segment;
        let timed = |(event, one): (usize, &BatchEvent)| {
            let (question, Verdict::NotAmong(_)) = (batch.question(one)?, one.verdict) else {
                return None;
            };
            Some((event, agents[one.agent]?, question, question.sent_at?))
        };
        let mut events = batch.events.iter().enumerate().filter_map(timed).peekable();
        let Some((_, no, question, sent)) = events.peek().copied() else {
            return;
        };
        // The usual batch begins with an event that is later than all of its agent.
        if residents.get(no).is_none_or(|state| state.is_news(sent)) {
            return;
        }
        let Some(word) = words.known_agent(no) else { return };
        let first = (word, shared.identities.of(question.evaluation_id, Some(sent)));
        let events =
            events.filter_map(|(event, no, question, _)| Some((event, words.known_agent(no)?, question)));
        for event in recorded.again(first, events) {
            let BatchEvent { agent, verdict, .. } = &mut batch.events[event];
            *verdict = Verdict::Recorded;
            batch.agents[*agent].looked_up = agents[*agent];
        }
    }

    /// Counts a batch whose agents are all in memory (`None` = left out) and whose doubts are settled.
    pub(crate) fn record(
        &mut self,
        work: Work,
        agents: &[Option<AgentNo>],
        last_seq: &mut u64,
        residents: &mut Residents,
        shared: &Shared,
    ) {
        let Work {
            batch, reply, permit, ..
        } = work;
        let is_taken = |event: &&BatchEvent| agents[event.agent].is_some();
        let accepted = batch.events.iter().filter(is_taken);
        let duplicates = count(accepted.clone().filter(|event| event.verdict.is_repeat()).count());
        let mut receipt = Receipt {
            accepted: count(accepted.count()),
            duplicates,
            ..Receipt::default()
        };
        let provenance = batch.provenance.as_ref();
        if let Some(first) = provenance.and_then(|provenance| provenance.first_seq) {
            *last_seq = first.saturating_sub(1).max(*last_seq);
        }
        let header = BatchHeader {
            org: batch.org,
            key: batch.key,
            signed: batch.signed,
            source: batch.source,
            received_at: provenance.map_or(self.received_at, |provenance| provenance.received_at),
            imported_at: provenance.map(|_| self.received_at),
            first_seq: *last_seq + 1,
            duplicates,
        };
        let OpenSegment { words, pen, .. } = &mut self.segment;
        let mut encoder = BatchEncoder::new(&header, pen);
        let mut terms = None;
        let mut begins_with = None;
        let mut rows = shared.spare_rows.take(batch.events.len());
        for (index, event) in (0u32..).zip(&batch.events) {
            let Some(no) = agents[event.agent] else {
                receipt.rejected.push(index);
                continue;
            };
            if event.verdict.is_repeat() {
                continue;
            }
            let Some((state, first)) = residents.touch(no, self.number) else {
                continue;
            };
            if first {
                self.touched.push(no);
            }
            let recorded = provenance.and_then(|provenance| provenance.recorded_at.get(index as usize));
            let (recorded_at, clamped) = match recorded {
                Some(recorded_at) => (*recorded_at, false),
                None => recorded_at_of(&batch, event, self.received_at, shared),
            };
            *last_seq += 1;
            let evaluation_id = batch.evaluation_id(event);
            let arrival = Arrival {
                evaluation_id,
                event: Recorded {
                    seq: *last_seq,
                    recorded_at,
                    sent_at: event.sent_at,
                    source: batch.source,
                    named: evaluation_id.is_some(),
                },
                latency_us: event.total_latency_us,
                passed: event.passed,
            };
            let late = state.count(&arrival, &shared.identities) == Placement::Late;
            receipt.late += u32::from(late);
            receipt.clamped += u32::from(clamped);
            let fields = RowFields {
                recorded_at,
                late,
                score: state.window.summary().score(),
            };
            let agent = words.agent(no, batch.org, batch.agent_id(event.agent));
            let terms = terms.get_or_insert_with(|| batch.terms_in(words));
            let view = batch.view(event, agent, terms);
            if let (None, Some(id), Some(sent)) = (begins_with, view.evaluation_id, view.sent_at) {
                begins_with = Some((agent, shared.identities.of(id, Some(sent))));
            }
            let gates = batch.gates(event, terms);
            let written = encoder.push(&view, gates, &fields, words);
            rows.push(Some(NewRow::written(&view, recorded_at, written)));
        }
        receipt.updates.reserve_exact(agents.len());
        receipt
            .updates
            .extend(agents.iter().enumerate().filter_map(|(agent, no)| {
                let state = residents.get((*no)?)?;
                Some(Update {
                    agent_id: batch.agent_id(agent).to_owned(),
                    summary: state.window.summary(),
                })
            }));
        self.put_words();
        let body = self.segment.pen.written();
        let offset = self.frame.record(codec::BATCH, true, body);
        if let Some(first) = begins_with {
            self.segment.recorded.keep(first, body);
        }
        let written = NewBatch {
            org: header.org,
            first_seq: header.first_seq,
            received_at: header.kept_since(),
            offset: u64::from(offset),
            bytes: count(body.len() + journal::RECORD_HEADER_BYTES),
            rows,
        };
        debug_assert_eq!(
            read_back(body, &written),
            Ok(written.clone()),
            "a recovery would index it differently"
        );
        self.batches.push(written);
        // What is imported is in the books of where it came from.
        if batch.provenance.is_none() {
            self.booked.push(Booked {
                org: batch.org,
                key: batch.key,
                received_at: self.received_at,
                recorded: receipt.accepted - duplicates,
                duplicates,
                late: receipt.late,
                clamped: receipt.clamped,
            });
        }
        self.answers.push(Answer::Batch(reply, receipt, permit));
    }

    /// The frame, what follows its sync, and the segment for the next group.
    pub(crate) fn finish(
        mut self,
        residents: &Residents,
        shared: &Shared,
    ) -> (Frame, Publication, OpenSegment) {
        let touched = self.touched.iter();
        let update = |no: &AgentNo| Some(AgentUpdate::of(*no, residents.get(*no)?));
        let mut agents = shared.spare_updates.take(self.touched.len());
        agents.extend(touched.filter_map(update));
        self.segment.used = true;
        let publication = Publication {
            number: self.number,
            segment: self.segment.segment.clone(),
            added: self.added,
            agents,
            words: self.words,
            batches: self.batches,
            booked: self.booked,
            other: Other {
                received_at: self.received_at,
                carries: self.carries,
            },
            erased: self.erased,
            answers: self.answers,
            started: Instant::now(),
        };
        (self.frame, publication, self.segment)
    }
}

impl Publication {
    /// On the commit thread, in order: shows the group to readers and answers, or says that its outcome is
    /// not known.
    pub(crate) fn settle(self, shared: &Shared, outcome: Result<Committed, Poisoned>) {
        match outcome {
            Ok(committed) => self.publish(shared, &committed),
            Err(poisoned) => {
                shared.progress.end();
                let why = Refused::OutcomeUnknown(poisoned.to_string());
                for answer in self.answers {
                    answer.refuse(&why);
                }
                for (_, _, reply) in self.erased {
                    reply(Err(why.clone()));
                }
            }
        }
    }

    fn publish(self, shared: &Shared, committed: &Committed) {
        let Self {
            number,
            segment,
            added,
            agents,
            words,
            mut batches,
            booked,
            mut other,
            erased,
            answers,
            started,
        } = self;
        batches
            .iter_mut()
            .for_each(|batch| batch.offset += committed.offset);
        for carry in &mut other.carries {
            carry.place.offset += committed.offset;
        }
        let events = batches.iter().map(|batch| batch.rows.len()).sum();
        let bytes = batches.iter().map(|batch| batch.bytes as usize).sum();
        let erased = erasure::expect(shared, segment.number, erased);
        let full = {
            let mut published = shared.published.write();
            for (no, last_seq, erasure) in erased {
                published.registry.erase(no);
                published.registry.raise_last_seq(erasure.org, last_seq);
                published.registry.erasures.push(erasure);
            }
            for (no, org, agent_id) in added {
                let place = published.registry.add(org, agent_id, Facts::new(Micros(0)));
                debug_assert_eq!(
                    place, no,
                    "agents are published in the order in which they were counted"
                );
                published.registry.entry(no).set_resident(true);
            }
            for update in &agents {
                published.registry.update(update);
            }
            for carry in &other.carries {
                published.registry.entry_mut(carry.no).carried = Some(Carried {
                    segment: segment.number,
                    has_window: carry.has_window,
                });
            }
            published.frame_seq = committed.seq;
            published.segments.publish(&segment, &words, &batches, &other)
        };
        for batch in batches {
            shared.spare_rows.give(batch.rows);
        }
        shared.spare_updates.give(agents);
        shared.event_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        shared.progress.publish(number);
        match full {
            Ok(Some(full)) => shared.sealing.seal(full),
            Ok(None) => {}
            Err(what) => {
                tracing::error!(%what, "a group's index is not as it should be; a restart rebuilds it");
            }
        }
        shared
            .observer
            .committed(started.elapsed(), answers.len(), events, bytes);
        shared.observer.booked(committed.seq, &booked);
        for answer in answers {
            answer.give(shared);
        }
    }
}

impl Answer {
    fn give(self, shared: &Shared) {
        match self {
            Self::Batch(reply, receipt, permit) => {
                drop(permit);
                reply(Ok(receipt));
            }
            Self::Registration(reply, permit) => {
                drop(permit);
                reply(Ok(()));
            }
            Self::Carry(reply, bytes) => reply(Ok(bytes)),
            Self::Erased(org, name, reply) => erasure::wait_for(shared, org, name, reply),
        }
    }

    fn refuse(self, why: &Refused) {
        match self {
            Self::Batch(reply, _, _) => reply(Err(why.clone())),
            Self::Registration(reply, _) | Self::Erased(_, _, reply) => reply(Err(why.clone())),
            Self::Carry(reply, _) => reply(Err(why.clone())),
        }
    }
}

/// The time by which an event is ordered, and whether it differs from the one sent.
fn recorded_at_of(batch: &Batch, event: &BatchEvent, received_at: Micros, shared: &Shared) -> (Micros, bool) {
    let ahead = i64::try_from(shared.options.max_clock_ahead.as_micros()).unwrap_or(i64::MAX);
    match event.sent_at {
        Some(sent) if sent.0 <= received_at.0.saturating_add(ahead) => (sent, false),
        Some(_) => (received_at, true),
        None if batch.source == Source::EvaluateMadeId => (
            batch
                .evaluation_id(event)
                .and_then(|id| made_times(id).next())
                .unwrap_or(received_at),
            false,
        ),
        None => (received_at, false),
    }
}

/// What a recovery would index of a record.
fn read_back(body: &[u8], written: &NewBatch) -> Result<NewBatch, codec::Malformed> {
    NewBatch::of(&codec::BatchReader::new(body)?, written.offset, written.bytes)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
