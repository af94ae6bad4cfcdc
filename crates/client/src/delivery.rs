//! The delivery machine: what to do next with the events that wait. Values in, values out: it reads no
//! clock, draws no random numbers, and sends and writes nothing itself. Times are since some start.
//!
//! Invariants:
//! - Every event that was tracked is in exactly one place: delivered, refused, dropped, in the buffer, on its
//!   way, being moved to the spool, or in the spool.
//! - One batch is on its way at a time.
//! - The buffer is in order of `since` and `serial`.

mod batch;
mod flushes;
mod ledger;

use crate::answer::Outcome;
use crate::backoff;
use crate::books::{Books, DropReason, State};
use crate::valid::Cuts;
use batch::Batch;
pub(crate) use batch::{Held, file_lengths};
use flushes::Flushes;
pub(crate) use flushes::Ticket;
use ledger::Ledger;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// Failures in a row that open the circuit.
pub(crate) const OPEN_AFTER: u32 = 5;
/// How long a client with a bad key, or address, waits until it asks again.
pub(crate) const PAUSE: Duration = Duration::from_secs(60);
/// Events in a batch, at most: the server takes no more.
pub(crate) const MAX_BATCH: usize = 100;

/// A file of the spool.
pub(crate) type FileId = u64;

/// What the machine is set to.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) flush_interval: Duration,
    pub(crate) flush_at: usize,
    pub(crate) max_buffer: usize,
    pub(crate) drop_oldest: bool,
    pub(crate) retry_base: Duration,
    pub(crate) retry_max: Duration,
    pub(crate) max_age: Duration,
    pub(crate) spools: bool,
}

/// What is to be done next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Send this body; then say how it went.
    Send(Body),
    /// Write these to the spool; then say how it went.
    Spool(Vec<Held>),
    /// Read the oldest file of the spool.
    Unspool,
    /// Nothing before that time, or before something happens.
    Wait(Option<Duration>),
    /// Nothing any more.
    Ended,
}

/// A request to make.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub(crate) json: Vec<u8>,
    pub(crate) events: usize,
    /// Not to be packed, since the server did not understand it when it was.
    pub(crate) plain: bool,
}

/// What users are told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Notice {
    Delivered(u64),
    Refused(Vec<Box<str>>, String),
    Dropped(Vec<Box<str>>, DropReason),
    Warning(String),
}

/// What came of tracking.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It waits now; `wake` if the thread that delivers may sleep too long. The oldest may have made room.
    Taken {
        wake: bool,
        instead_of: Option<Box<str>>,
    },
    /// There is no room.
    NoRoom(Box<str>),
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Delivery {
    rules: Rules,
    buffer: VecDeque<Held>,
    /// Batches that were sent before, and halves of such; they go first.
    again: VecDeque<Batch>,
    flight: Option<Batch>,
    /// Being written to the spool.
    moving: u64,
    /// In the spool and not in memory.
    spooled: u64,
    /// Files of the spool of which events are in memory, and how many.
    files: HashMap<FileId, usize>,
    finished: Vec<FileId>,
    next_serial: u64,
    /// What was tracked before this serial is sent at once.
    hurry: u64,
    failures: u32,
    paused: Option<String>,
    plain: bool,
    not_before: Duration,
    closing: Option<Duration>,
    ended: bool,
    flushes: Flushes,
    ledger: Ledger,
}

impl Delivery {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            buffer: VecDeque::new(),
            again: VecDeque::new(),
            flight: None,
            moving: 0,
            spooled: 0,
            files: HashMap::new(),
            finished: Vec::new(),
            next_serial: 0,
            hurry: 0,
            failures: 0,
            paused: None,
            plain: false,
            not_before: Duration::ZERO,
            closing: None,
            ended: false,
            flushes: Flushes::default(),
            ledger: Ledger::default(),
        }
    }

    // ── Tracking ────────────────────────────────────────────────────────────────────────────────────────

    /// Takes an event into the buffer, if there is room or room can be made.
    pub(crate) fn admit(&mut self, line: Box<str>, now: Duration) -> Admission {
        let mut instead_of = None;
        if self.held() >= self.rules.max_buffer {
            let Some(oldest) = self.rules.drop_oldest.then(|| self.oldest_at_rest()).flatten() else {
                return Admission::NoRoom(line);
            };
            self.leave(std::slice::from_ref(&oldest), false);
            self.ledger.dropped(1, DropReason::Full);
            instead_of = Some(oldest.line);
        }
        self.ledger.books.tracked += 1;
        let first = self.held() == 0;
        self.push(line, now, None);
        Admission::Taken {
            wake: first || self.buffer.len() == self.rules.flush_at,
            instead_of,
        }
    }

    /// Counts an event that is not taken.
    pub(crate) fn turn_away(&mut self, reason: DropReason) {
        self.ledger.books.tracked += 1;
        self.ledger.dropped(1, reason);
    }

    pub(crate) fn count_cuts(&mut self, cuts: &Cuts) {
        for (&field, count) in cuts {
            *self.ledger.books.cut.entry(field).or_default() += count;
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closing.is_some() || self.ended
    }

    fn push(&mut self, line: Box<str>, since: Duration, file: Option<FileId>) {
        let serial = self.next_serial;
        self.next_serial += 1;
        self.buffer.push_back(Held {
            line,
            since,
            serial,
            file,
        });
    }

    /// The oldest event in memory that is not on its way.
    fn oldest_at_rest(&mut self) -> Option<Held> {
        while let Some(batch) = self.again.front_mut() {
            if !batch.events.is_empty() {
                return Some(batch.events.remove(0));
            }
            self.again.pop_front();
        }
        self.buffer.pop_front()
    }

    // ── What next ───────────────────────────────────────────────────────────────────────────────────────

    /// What to do now. While a batch is on its way, nothing.
    pub(crate) fn next(&mut self, now: Duration) -> Step {
        if self.ended {
            return Step::Ended;
        }
        if self.flight.is_some() {
            return Step::Wait(None);
        }
        if let Some(step) = self.expire(now) {
            return step;
        }
        if let Some(deadline) = self.closing
            && (self.held() == 0 || now >= deadline || self.not_before > deadline)
        {
            return Step::Ended;
        }
        if now < self.not_before {
            let times = self.next_expiry().into_iter().chain(self.closing);
            return Step::Wait(times.chain([self.not_before]).min());
        }
        if let Some(batch) = self.again.pop_front() {
            return self.send(batch);
        }
        if self.is_due(now) {
            let count = self.buffer.len().min(MAX_BATCH);
            let events = self.buffer.drain(..count).collect();
            return self.send(Batch::new(events));
        }
        if self.spooled > 0 && self.closing.is_none() {
            return Step::Unspool;
        }
        let oldest = self
            .buffer
            .front()
            .map(|held| held.since + self.rules.flush_interval);
        Step::Wait(oldest.into_iter().chain(self.next_expiry()).min())
    }

    fn is_due(&self, now: Duration) -> bool {
        let Some(oldest) = self.buffer.front() else {
            return false;
        };
        self.buffer.len() >= self.rules.flush_at
            || now >= oldest.since + self.rules.flush_interval
            || oldest.serial < self.hurry
            || self.closing.is_some()
    }

    fn send(&mut self, batch: Batch) -> Step {
        self.ledger.books.requests += 1;
        self.ledger.books.retries += u64::from(batch.failed);
        let body = Body {
            json: batch.json(),
            events: batch.events.len(),
            plain: self.plain,
        };
        self.flight = Some(batch);
        Step::Send(body)
    }

    /// Takes out what is too old: to the spool if there is one.
    fn expire(&mut self, now: Duration) -> Option<Step> {
        let max_age = self.rules.max_age;
        let old = |held: &Held| now >= held.since + max_age;
        let mut expired: Vec<Held> = Vec::new();
        for batch in &mut self.again {
            expired.extend(batch.events.extract_if(.., |held| old(held)));
        }
        self.again.retain(|batch| !batch.events.is_empty());
        let count = self.buffer.partition_point(old);
        expired.extend(self.buffer.drain(..count));
        if expired.is_empty() {
            return None;
        }
        if !self.rules.spools {
            self.drop_held(expired, DropReason::TooOld);
            return None;
        }
        self.moving += expired.len() as u64;
        Some(Step::Spool(expired))
    }

    fn next_expiry(&self) -> Option<Duration> {
        let waiting = self.again.iter().flat_map(|batch| &batch.events);
        let oldest = waiting.chain(self.buffer.front()).map(|held| held.since).min();
        oldest.map(|since| since + self.rules.max_age)
    }

    // ── Answers ─────────────────────────────────────────────────────────────────────────────────────────

    /// Says how the batch on its way went. `random` is 0 to 1. Whether the circuit opened just now.
    pub(crate) fn settle(&mut self, outcome: Outcome, now: Duration, random: f64) -> bool {
        // Gone if `abandon` took it meanwhile.
        let Some(mut batch) = self.flight.take() else {
            return false;
        };
        if !matches!(outcome, Outcome::Failed { .. }) {
            self.failures = 0;
            self.not_before = now;
        }
        if !matches!(
            outcome,
            Outcome::Failed { .. } | Outcome::Paused { .. } | Outcome::Elsewhere { .. }
        ) {
            self.paused = None;
        }
        match outcome {
            Outcome::Delivered(told) => {
                self.ledger.delivered(batch.events.len() as u64, told);
                self.leave(&batch.events, true);
            }
            Outcome::Named { events, code } => {
                let rest = batch.without(&events);
                self.refuse(batch.events, code);
                if !rest.is_empty() {
                    self.again.push_front(Batch::new(rest));
                }
            }
            Outcome::Refused { code } => {
                if code.starts_with("http_3") {
                    self.ledger
                        .warn_once("url", "the url is wrong: its server answers with a redirect");
                }
                self.refuse(batch.events, code);
            }
            Outcome::Paused { code } => {
                let why = if code == "hmac_missing" {
                    "the organisation requires signatures: set secret_key, and sign_time if it requires their time"
                } else {
                    "the server does not take the key"
                };
                self.pause(batch, now, &format!("{why} ({code})"));
            }
            Outcome::Elsewhere { status } => {
                self.pause(batch, now, &format!("it is no Repute at that url: HTTP {status}"));
            }
            Outcome::TooLarge { code } => {
                if batch.events.len() > 1 {
                    let half = batch.events.split_off(batch.events.len().div_ceil(2));
                    self.again.push_front(Batch::new(half));
                    self.again.push_front(Batch::new(batch.events));
                } else {
                    self.refuse(batch.events, code);
                }
            }
            Outcome::Packed => {
                self.plain = true;
                self.ledger.warn_once(
                    "gzip",
                    "the server does not read gzip: bodies go plain from now on",
                );
                self.again.push_front(batch);
            }
            Outcome::Failed { retry_after } => {
                self.failures = self.failures.saturating_add(1);
                let Rules {
                    retry_base,
                    retry_max,
                    ..
                } = self.rules;
                let wait = retry_after
                    .unwrap_or_else(|| backoff::wait(retry_base, retry_max, self.failures, random));
                self.not_before = now + wait;
                batch.failed = true;
                self.again.push_front(batch);
                return self.failures == OPEN_AFTER;
            }
        }
        false
    }

    fn pause(&mut self, batch: Batch, now: Duration, why: &str) {
        if self.paused.as_deref() != Some(why) {
            self.ledger.warn(format!(
                "paused, for {why}; events wait while this process lives, and it is tried again each minute"
            ));
        }
        self.paused = Some(why.to_owned());
        self.not_before = now + PAUSE;
        self.again.push_front(batch);
    }

    fn refuse(&mut self, events: Vec<Held>, code: String) {
        self.leave(&events, false);
        self.ledger.refused(lines(events), code);
    }

    fn drop_held(&mut self, events: Vec<Held>, reason: DropReason) {
        self.leave(&events, false);
        self.ledger.dropped_told(lines(events), reason);
    }

    /// These have left memory.
    fn leave(&mut self, events: &[Held], delivered: bool) {
        for held in events {
            if !delivered {
                self.flushes.missed(held.serial);
            }
            if let Some(file) = held.file
                && let Some(left) = self.files.get_mut(&file)
            {
                *left -= 1;
                if *left == 0 {
                    self.files.remove(&file);
                    self.finished.push(file);
                }
            }
        }
    }

    /// Another key came: whoever is paused tries at once.
    pub(crate) fn resume(&mut self, now: Duration) {
        if self.paused.is_some() {
            self.paused = None;
            self.not_before = now;
        }
    }

    // ── Flush and end ───────────────────────────────────────────────────────────────────────────────────

    /// Sends all that waits in memory now as soon as the server lets it.
    pub(crate) fn hurry(&mut self) {
        self.hurry = self.next_serial;
    }

    /// The same, and keeps in mind who asked.
    pub(crate) fn flush(&mut self) -> Ticket {
        self.hurry();
        self.flushes.open(self.next_serial)
    }

    /// Whether all that waited then was delivered, once that is known. It is known not to be soon while the
    /// client is paused.
    pub(crate) fn flushed(&mut self, ticket: Ticket) -> Option<bool> {
        let waiting = self
            .again
            .iter()
            .chain(&self.flight)
            .flat_map(|batch| &batch.events);
        let oldest = waiting.chain(self.buffer.front()).map(|held| held.serial).min();
        self.flushes
            .outcome(ticket, oldest.filter(|_| !self.ended), self.paused.is_some())
    }

    pub(crate) fn give_up_flush(&mut self, ticket: Ticket) {
        self.flushes.close(ticket);
    }

    /// Takes nothing more, and ends at that time at the latest.
    pub(crate) fn close(&mut self, deadline: Duration) {
        self.closing.get_or_insert(deadline);
    }

    /// Ends now: gives all that is in memory, which must be spooled or dropped. Nothing the second time.
    pub(crate) fn abandon(&mut self) -> Vec<Held> {
        self.ended = true;
        let batches = self.flight.take().into_iter().chain(self.again.drain(..));
        let mut events: Vec<Held> = batches.flat_map(|batch| batch.events).collect();
        events.extend(self.buffer.drain(..));
        self.moving += events.len() as u64;
        events
    }

    // ── The spool ───────────────────────────────────────────────────────────────────────────────────────

    /// What another process left in the spool.
    pub(crate) fn recovered(&mut self, events: u64) {
        self.ledger.books.tracked += events;
        self.ledger.books.recovered += events;
        self.spooled += events;
    }

    /// These are in the spool now.
    pub(crate) fn spooled(&mut self, events: &[Held]) {
        self.moving -= events.len() as u64;
        self.spooled += events.len() as u64;
        self.leave(events, false);
    }

    /// These could not be spooled.
    pub(crate) fn not_spooled(&mut self, events: Vec<Held>, reason: DropReason) {
        self.moving -= events.len() as u64;
        self.drop_held(events, reason);
    }

    /// These had to leave the spool for newer ones, or could not be read again.
    pub(crate) fn lost_from_spool(&mut self, events: Vec<Box<str>>, count: u64, reason: DropReason) {
        self.spooled -= count;
        self.ledger.dropped(count, reason);
        if !events.is_empty() {
            self.ledger.notices.push(Notice::Dropped(events, reason));
        }
    }

    /// These came back from the spool. They are as good as new, and go at once.
    pub(crate) fn unspooled(&mut self, file: FileId, events: Vec<Box<str>>, now: Duration) {
        self.spooled -= events.len() as u64;
        self.files.insert(file, events.len());
        for line in events {
            self.push(line, now, Some(file));
        }
        self.hurry();
    }

    /// Files of which every event found an end.
    pub(crate) fn take_finished(&mut self) -> Vec<FileId> {
        std::mem::take(&mut self.finished)
    }

    // ── Reading ─────────────────────────────────────────────────────────────────────────────────────────

    pub(crate) fn warn(&mut self, text: String) {
        self.ledger.warn(text);
    }

    pub(crate) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.ledger.notices)
    }

    /// Events in memory.
    fn held(&self) -> usize {
        let batches = self.again.iter().chain(&self.flight);
        self.buffer.len() + batches.map(|batch| batch.events.len()).sum::<usize>()
    }

    pub(crate) fn books(&self) -> Books {
        Books {
            waiting: self.held() as u64 + self.moving + self.spooled,
            state: self.state(),
            ..self.ledger.books.clone()
        }
    }

    fn state(&self) -> State {
        if self.is_closed() {
            State::Closed
        } else if self.paused.is_some() {
            State::Paused
        } else if self.failures >= OPEN_AFTER {
            State::Open
        } else if self.failures > 0 {
            State::Backoff
        } else {
            State::Ready
        }
    }
}

fn lines(events: Vec<Held>) -> Vec<Box<str>> {
    events.into_iter().map(|held| held.line).collect()
}

#[cfg(test)]
mod tests;
