//! A store in a temporary directory with a clock of the test's own.

use journal::OsDisk;
use reputation::{Evaluation, GateResult, Micros};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc;
use store::{
    Error, EventQuery, KeyId, Observer, Options, OrgId, Provenance, Receipt, Refused, Source, Start, Store,
    StoredEvent, Submission, Unobserved,
};

/// 2026-11-24T00:00:00Z.
pub(crate) const NOW: i64 = 1_795_478_400_000_000;
pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const ORG: OrgId = OrgId(1);
pub(crate) const KEY: KeyId = KeyId(7);

pub(crate) struct Lab {
    dir: tempfile::TempDir,
    clock: Arc<AtomicI64>,
    options: Options,
    observer: Arc<dyn Observer>,
    store: Option<Store>,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Options)) -> Self {
        Self::observed(change, Arc::new(Unobserved))
    }

    /// With somebody who hears what the store does.
    pub(crate) fn observed(change: impl FnOnce(&mut Options), observer: Arc<dyn Observer>) -> Self {
        let clock = Arc::new(AtomicI64::new(NOW));
        let read = Arc::clone(&clock);
        let mut options = Options {
            clock: Arc::new(move || Micros(read.load(Ordering::Relaxed))),
            // Only when the test asks: see `Store::settle`.
            upkeep_every: std::time::Duration::from_secs(3_600),
            ..Options::default()
        };
        change(&mut options);
        let mut lab = Self {
            dir: tempfile::tempdir().unwrap(),
            clock,
            options,
            observer,
            store: None,
        };
        lab.start();
        lab
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn start(&mut self) {
        self.try_start().unwrap();
    }

    pub(crate) fn try_start(&mut self) -> Result<(), Error> {
        self.store = Some(Store::open(
            Arc::new(OsDisk),
            self.dir.path(),
            self.options.clone(),
            Arc::clone(&self.observer),
        )?);
        Ok(())
    }

    /// What a kill at this moment would leave, on a directory of its own, not started.
    pub(crate) fn killed(&self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy_tree(self.path(), dir.path());
        self.beside(dir)
    }

    fn beside(&self, dir: tempfile::TempDir) -> Self {
        Self {
            dir,
            clock: Arc::clone(&self.clock),
            options: self.options.clone(),
            observer: Arc::clone(&self.observer),
            store: None,
        }
    }

    /// A store on another directory, started.
    pub(crate) fn on(&self, dir: tempfile::TempDir) -> Self {
        let mut lab = self.beside(dir);
        lab.start();
        lab
    }

    /// Stops as an operator does.
    pub(crate) fn stop(&mut self) {
        self.store().close();
        self.store = None;
    }

    pub(crate) fn restart(&mut self) {
        self.stop();
        self.start();
    }

    pub(crate) fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    pub(crate) fn set_clock(&self, at: i64) {
        self.clock.store(at, Ordering::Relaxed);
    }

    pub(crate) fn send(&self, evaluations: &[Evaluation<'_>]) -> Receipt {
        self.send_as(Source::Ingest, evaluations)
    }

    pub(crate) fn send_as(&self, source: Source, evaluations: &[Evaluation<'_>]) -> Receipt {
        self.try_send(&Submission {
            org: ORG,
            key: KEY,
            signed: false,
            source,
            max_agents: 1_000_000,
            lenient: false,
            evaluations,
        })
        .unwrap()
    }

    pub(crate) fn try_send(&self, submission: &Submission<'_>) -> Result<Receipt, Refused> {
        submit(self.store(), submission)
    }

    /// Brings in events under numbers of their own, as of this time.
    pub(crate) fn import(&self, first_seq: u64, at: i64, evaluations: &[Evaluation<'_>]) -> Receipt {
        self.import_as(Source::Ingest, first_seq, at, evaluations)
    }

    pub(crate) fn import_as(
        &self,
        source: Source,
        first_seq: u64,
        at: i64,
        evaluations: &[Evaluation<'_>],
    ) -> Receipt {
        let provenance = Provenance {
            received_at: Micros(at),
            recorded_at: vec![Micros(at); evaluations.len()],
            first_seq: Some(first_seq),
        };
        let submission = Submission {
            org: ORG,
            key: KEY,
            signed: true,
            source,
            max_agents: 100,
            lenient: false,
            evaluations,
        };
        let (answer, answers) = mpsc::channel();
        let reply = Box::new(move |outcome| drop(answer.send(outcome)));
        self.store().import(&submission, provenance, reply);
        answers.recv().unwrap().unwrap()
    }

    pub(crate) fn register(&self, agent_id: &str, max_agents: u64) -> Result<(), Refused> {
        let (answer, answers) = mpsc::channel();
        let reply = Box::new(move |outcome| drop(answer.send(outcome)));
        self.store().register(ORG, KEY, agent_id, max_agents, reply);
        answers.recv().unwrap()
    }

    /// Erases an agent; returns when it is gone.
    pub(crate) fn erase(&self, org: OrgId, agent_id: &str) {
        try_erase(self.store(), org, agent_id).unwrap();
    }

    /// All events of the organisation, newest first, page by page.
    pub(crate) fn all(&self, org: OrgId) -> Vec<StoredEvent> {
        let mut all = Vec::new();
        let mut query = EventQuery {
            limit: 100,
            ..everything()
        };
        loop {
            let page = self.store().events(org, &query).unwrap();
            all.extend(page.events);
            match page.next {
                Some(key) => query.start = Start::After(key),
                None => return all,
            }
        }
    }
}

/// Copies what is there, also beside a store at work: a file that it renames or removes meanwhile may be missing, as it
/// may be after a crash.
pub(crate) fn copy_tree(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy_tree(&entry.path(), &to);
        } else {
            match std::fs::copy(entry.path(), to) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                copied => drop(copied.unwrap()),
            }
        }
    }
}

/// Hands it in and waits; a store that ends without an answer is an internal error.
pub(crate) fn submit(store: &Store, submission: &Submission<'_>) -> Result<Receipt, Refused> {
    let (answer, answers) = mpsc::channel();
    store.submit(submission, Box::new(move |outcome| drop(answer.send(outcome))));
    answers
        .recv()
        .unwrap_or(Err(Refused::Internal("no answer".to_owned())))
}

/// The same with events of the usual organisation and key, reported by a client.
pub(crate) fn ingest(store: &Store, evaluations: &[Evaluation<'_>]) -> Result<Receipt, Refused> {
    let submission = Submission {
        org: ORG,
        key: KEY,
        signed: false,
        source: Source::Ingest,
        max_agents: 100,
        lenient: false,
        evaluations,
    };
    submit(store, &submission)
}

pub(crate) fn everything() -> EventQuery {
    EventQuery {
        agent_id: None,
        passed: None,
        from: None,
        to: None,
        tool: None,
        failed_gate: None,
        evaluation_id: None,
        start: Start::Offset(0),
        limit: 100,
    }
}

/// An event of the agent, sent at this time.
pub(crate) fn event<'a>(agent_id: &'a str, id: Option<&'a str>, sent_at: Option<i64>) -> Evaluation<'a> {
    Evaluation {
        agent_id: agent_id.into(),
        tool: Some("submit_bid".into()),
        passed: true,
        gates: vec![GateResult {
            name: "pii".into(),
            passed: true,
            latency_ms: 1.5,
            reason: None,
            skipped: None,
        }],
        total_latency_us: 4_000,
        sent_at: sent_at.map(Micros),
        evaluation_id: id.map(Into::into),
        agent_latency_us: None,
    }
}

/// Asks for an erasure and sees to it that what can be done is done.
pub(crate) fn try_erase(store: &Store, org: OrgId, agent_id: &str) -> Result<(), Refused> {
    let (answer, answers) = mpsc::channel();
    let reply = Box::new(move |outcome| drop(answer.send(outcome)));
    store.erase(org, Some(KEY), agent_id, reply);
    for _ in 0..2_000 {
        store.settle();
        match answers.recv_timeout(std::time::Duration::from_millis(2)) {
            Ok(outcome) => return outcome,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    Err(Refused::Internal("no answer".to_owned()))
}
