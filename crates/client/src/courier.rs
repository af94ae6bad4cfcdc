//! The thread that delivers: asks the machine what to do, does it, and says how it went.

use crate::answer::{self, Outcome};
use crate::books::{Books, DropReason};
use crate::delivery::{
    Admission, Body, Delivery, Held, Notice, OPEN_AFTER, Rules, Step, Ticket, file_lengths,
};
use crate::http::Http;
use crate::listeners::Listeners;
use crate::spool::Spool;
use crate::valid::Cuts;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// How often dead owners of a spool are looked for.
const SPOOL_SCAN: Duration = Duration::from_secs(60);
/// The shortest time that a request gets, when a shutdown leaves less.
const LEAST_TIMEOUT: Duration = Duration::from_millis(1);

/// What the thread that delivers shares with those that track.
///
/// Lock order: the spool, then the machine. Neither is held while a request is made or a callback runs.
pub(crate) struct Courier {
    http: Http,
    listeners: Arc<Listeners>,
    request_timeout: Duration,
    started: Instant,
    spool: Mutex<Option<Spool>>,
    machine: Mutex<Machine>,
    /// The thread that delivers should look again.
    wake: Condvar,
    /// Something left the buffer.
    changed: Condvar,
}

struct Machine {
    delivery: Delivery,
    woken: bool,
    /// When the courier must be gone.
    deadline: Option<Duration>,
    finished: bool,
}

impl Courier {
    pub(crate) fn new(
        http: Http,
        listeners: Arc<Listeners>,
        request_timeout: Duration,
        rules: Rules,
        spool: Option<Spool>,
    ) -> Self {
        Self {
            http,
            listeners,
            request_timeout,
            started: Instant::now(),
            spool: Mutex::new(spool),
            machine: Mutex::new(Machine {
                delivery: Delivery::new(rules),
                woken: false,
                deadline: None,
                finished: false,
            }),
            wake: Condvar::new(),
            changed: Condvar::new(),
        }
    }

    // ── For those that track ────────────────────────────────────────────────────────────────────────────

    /// Puts an event into the buffer; with `block`, waits for room.
    pub(crate) fn track(&self, line: Box<str>, cuts: &Cuts, block: bool) {
        let mut machine = self.lock();
        machine.delivery.count_cuts(cuts);
        let mut line = line;
        let (line, reason) = loop {
            if machine.delivery.is_closed() {
                break (line, DropReason::Closed);
            }
            match machine.delivery.admit(line, self.now()) {
                Admission::Taken { wake, instead_of } => {
                    if wake {
                        self.wake_up(&mut machine);
                    }
                    drop(machine);
                    if let Some(oldest) = instead_of {
                        self.listeners.tell_turned_away(&oldest, DropReason::Full);
                    }
                    return;
                }
                Admission::NoRoom(again) if block => {
                    line = again;
                    machine.delivery.hurry();
                    self.wake_up(&mut machine);
                    machine = self.changed.wait(machine).unwrap_or_else(PoisonError::into_inner);
                }
                Admission::NoRoom(line) => break (line, DropReason::Full),
            }
        };
        machine.delivery.turn_away(reason);
        drop(machine);
        self.listeners.tell_turned_away(&line, reason);
    }

    /// Counts an event that could not be made valid.
    pub(crate) fn count_invalid(&self) {
        self.lock().delivery.turn_away(DropReason::Invalid);
    }

    pub(crate) fn warn(&self, text: String) {
        self.lock().delivery.warn(text);
    }

    pub(crate) fn books(&self) -> Books {
        self.lock().delivery.books()
    }

    pub(crate) fn set_api_key(&self, key: &str) {
        self.http.set_api_key(key);
        let mut machine = self.lock();
        machine.delivery.resume(self.now());
        self.wake_up(&mut machine);
    }

    /// Waits until what is in memory now has left it; whether all of it was delivered.
    pub(crate) fn flush(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        let mut machine = self.lock();
        let ticket = machine.delivery.flush();
        self.wake_up(&mut machine);
        let outcome = loop {
            if let Some(outcome) = machine.delivery.flushed(ticket) {
                break outcome;
            }
            match self.wait_for_change(machine, deadline) {
                Ok(again) => machine = again,
                Err(again) => {
                    machine = again;
                    break self.give_up(&mut machine, ticket);
                }
            }
        };
        drop(machine);
        outcome
    }

    fn give_up(&self, machine: &mut MutexGuard<'_, Machine>, ticket: Ticket) -> bool {
        machine.delivery.give_up_flush(ticket);
        false
    }

    /// Takes nothing more, drains until the deadline, and puts away the rest.
    pub(crate) fn shut_down(&self, within: Duration, wait: bool) {
        let deadline = Instant::now() + within;
        let mut machine = self.lock();
        let at = self.now() + within;
        machine.delivery.close(at);
        machine.deadline.get_or_insert(at);
        self.wake_up(&mut machine);
        // Whoever waits for room has waited in vain.
        self.changed.notify_all();
        while wait && !machine.finished {
            match self.wait_for_change(machine, deadline) {
                Ok(again) => machine = again,
                Err(late) => {
                    drop(late);
                    return self.finish();
                }
            }
        }
    }

    /// Waits for the courier; an error if the deadline came first.
    fn wait_for_change<'a>(
        &'a self,
        machine: MutexGuard<'a, Machine>,
        deadline: Instant,
    ) -> Result<MutexGuard<'a, Machine>, MutexGuard<'a, Machine>> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(machine);
        }
        let waited = self.changed.wait_timeout(machine, left);
        Ok(waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    // ── The thread ──────────────────────────────────────────────────────────────────────────────────────

    /// Delivers until it is shut down.
    pub(crate) fn run(&self) {
        let mut next_scan = Duration::ZERO;
        loop {
            // Held over the step, so that whoever ends the courier finds nothing between machine and disk.
            let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(spool) = spool.as_mut().filter(|_| self.now() >= next_scan) {
                next_scan = self.now() + SPOOL_SCAN;
                self.take_over(spool);
            }
            let step = self.lock().delivery.next(self.now());
            match step {
                Step::Spool(events) => self.keep(spool.as_mut(), events, DropReason::TooOld),
                Step::Unspool => self.unspool(spool.as_mut()),
                Step::Send(body) => {
                    drop(spool);
                    self.send(body);
                }
                Step::Wait(until) => {
                    let scan = spool.is_some().then_some(next_scan);
                    drop(spool);
                    // Before the sleep: what is too old may have been dropped just now.
                    self.tell(self.lock());
                    self.sleep(until.into_iter().chain(scan).min());
                }
                Step::Ended => {
                    drop(spool);
                    return self.finish();
                }
            }
            self.tell(self.lock());
        }
    }

    fn sleep(&self, until: Option<Duration>) {
        let mut machine = self.lock();
        if !machine.woken {
            machine = match until {
                Some(until) => {
                    let left = until.saturating_sub(self.now());
                    let waited = self.wake.wait_timeout(machine, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.wake.wait(machine).unwrap_or_else(PoisonError::into_inner),
            };
        }
        machine.woken = false;
    }

    fn send(&self, body: Body) {
        let events = body.events;
        let packed = self.http.pack(body.json, body.plain);
        let deadline = self.lock().deadline;
        let left = deadline.map_or(self.request_timeout, |at| at.saturating_sub(self.now()));
        let timeout = self.request_timeout.min(left).max(LEAST_TIMEOUT);
        let (outcome, why) = match self.http.post("/v1/ingest", &packed, timeout) {
            Ok(answer) => (
                answer::read(&answer, events, packed.gzip, SystemTime::now()),
                format!("HTTP {}", answer.status),
            ),
            Err(error) => (Outcome::Failed { retry_after: None }, error.to_string()),
        };
        let mut machine = self.lock();
        if machine.delivery.settle(outcome, self.now(), fastrand::f64()) {
            let url = self.http.url();
            machine.delivery.warn(format!(
                "open: {OPEN_AFTER} requests in a row failed at {url}: {why}; events wait while this process lives"
            ));
        }
        let finished = machine.delivery.take_finished();
        drop(machine);
        self.delete(finished);
    }

    /// Ends, by the thread itself or by whoever waits no longer for it: what is left is spooled or dropped.
    fn finish(&self) {
        let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        let events = self.lock().delivery.abandon();
        if !events.is_empty() {
            self.keep(spool.as_mut(), events, DropReason::Shutdown);
        }
        // Another process may have it from here on.
        *spool = None;
        drop(spool);
        let mut machine = self.lock();
        machine.finished = true;
        self.tell(machine);
    }

    // ── The spool ───────────────────────────────────────────────────────────────────────────────────────

    fn take_over(&self, spool: &mut Spool) {
        let found = spool.take_over();
        let mut machine = self.lock();
        match found {
            Ok(found) => {
                machine.delivery.recovered(found.events);
                for warning in found.warnings {
                    machine.delivery.warn(warning);
                }
            }
            Err(error) => machine
                .delivery
                .warn(format!("spool: can't be looked through: {error}")),
        }
    }

    /// Writes events to the spool; without one they are dropped for that reason.
    fn keep(&self, spool: Option<&mut Spool>, mut events: Vec<Held>, otherwise: DropReason) {
        let Some(spool) = spool else {
            return self.lock().delivery.not_spooled(events, otherwise);
        };
        for length in file_lengths(&events) {
            let rest = events.split_off(length);
            let file = std::mem::replace(&mut events, rest);
            let lines: Vec<&str> = file.iter().map(|held| &*held.line).collect();
            let (evicted, kept) = spool.put(&lines, SystemTime::now());
            let mut machine = self.lock();
            for gone in evicted {
                machine
                    .delivery
                    .lost_from_spool(gone.lines, gone.events, DropReason::SpoolFull);
            }
            match kept {
                Ok(()) => machine.delivery.spooled(&file),
                Err(error) => {
                    machine.delivery.warn(format!("spool: can't be written: {error}"));
                    machine.delivery.not_spooled(file, DropReason::SpoolFull);
                }
            }
            for file in machine.delivery.take_finished() {
                // Sent again by another process at the worst, and then known as a repeat.
                let _ = spool.finish(file);
            }
        }
    }

    fn unspool(&self, spool: Option<&mut Spool>) {
        let Some(taken) = spool.and_then(Spool::take) else {
            return;
        };
        let mut machine = self.lock();
        match taken.lines {
            Ok(lines) => machine.delivery.unspooled(taken.file, lines, self.now()),
            Err(error) => {
                machine
                    .delivery
                    .warn(format!("spool: a file can't be read again: {error}"));
                machine
                    .delivery
                    .lost_from_spool(Vec::new(), taken.events, DropReason::Invalid);
            }
        }
    }

    fn delete(&self, files: Vec<u64>) {
        if files.is_empty() {
            return;
        }
        let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        for file in files {
            if let Some(Err(error)) = spool.as_mut().map(|spool| spool.finish(file)) {
                self.lock()
                    .delivery
                    .warn(format!("spool: a file can't be deleted: {error}"));
            }
        }
    }

    // ── Both ────────────────────────────────────────────────────────────────────────────────────────────

    fn lock(&self) -> MutexGuard<'_, Machine> {
        // The machine is whole between any two of its calls; a panic of ours must not stop the caller's work.
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_up(&self, machine: &mut MutexGuard<'_, Machine>) {
        machine.woken = true;
        self.wake.notify_one();
    }

    /// Unlocks, and tells what happened to those that wait and to those that listen.
    fn tell(&self, mut machine: MutexGuard<'_, Machine>) {
        let notices: Vec<Notice> = machine.delivery.take_notices();
        drop(machine);
        self.changed.notify_all();
        self.listeners.tell(&notices);
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}
