//! Tells of decisions: in the log at once, so that a decision stands there before anybody sees what came of it; on standard
//! error by a thread of its own, since nobody may read that; telemetry through the client, which never waits.

use crate::calls::Call;
use crate::decision::{Decision, Looked, Outcome};
use crate::log::Log;
use crate::settings::Settings;
use parking_lot::Mutex;
use repute_client::{Event, Gate, Telemetry};
use std::io::{self, Write as _, stderr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::thread;
use std::time::Duration;

/// The most lines that wait for standard error; more are counted, not kept.
const MAX_WAITING: usize = 1_024;
/// How long the end waits for standard error.
const END_WITHIN: Duration = Duration::from_secs(2);
/// Before the names of gates that judged arguments, in an event that has both.
const ARGUMENTS_PREFIX: &str = "arguments.";

/// Where decisions are told.
#[derive(Debug)]
pub(crate) struct Reporter {
    book: Mutex<Book>,
    verbose: bool,
    /// `None` after the end.
    speaker: Mutex<Option<ToSpeaker>>,
    unsaid: AtomicU64,
    telemetry: Option<Telemetry>,
}

/// The log, and whether it was told that it cannot be written.
#[derive(Debug)]
struct Book {
    log: Option<Log>,
    has_complained: bool,
}

#[derive(Debug)]
struct ToSpeaker {
    lines: SyncSender<String>,
    ended: Receiver<()>,
}

impl Reporter {
    pub(crate) fn start(settings: &Settings) -> io::Result<Self> {
        let (lines, waiting) = sync_channel::<String>(MAX_WAITING);
        let (end, ended) = channel();
        thread::Builder::new()
            .name("repute-say".to_owned())
            .spawn(move || {
                waiting.into_iter().for_each(|line| say(&line));
                let _ = end.send(());
            })?;
        Ok(Self {
            book: Mutex::new(Book {
                log: settings.log_directory.clone().map(Log::new),
                has_complained: false,
            }),
            verbose: settings.verbose,
            speaker: Mutex::new(Some(ToSpeaker { lines, ended })),
            unsaid: AtomicU64::new(0),
            telemetry: settings.telemetry.clone(),
        })
    }

    /// Tells of the arguments of a call.
    pub(crate) fn arguments(&self, decision: &Decision) {
        // Those that pass are told with the result: a call is one evaluation.
        if decision.decision == Outcome::Blocked && decision.doubt.is_none() {
            self.track(decision, prefixed(&decision.gates));
        }
        self.keep(decision);
    }

    /// Tells of the output of a call.
    pub(crate) fn output(&self, decision: &Decision, call: &Call) {
        if !decision.gates.is_empty() {
            let mut gates = prefixed(&call.gates);
            gates.extend(decision.gates.iter().cloned());
            self.track(decision, gates);
        }
        self.keep(decision);
    }

    /// Tells of something that is no evaluation.
    pub(crate) fn keep(&self, decision: &Decision) {
        if let Some(complaint) = self.book.lock().write(decision) {
            self.tell(complaint);
        }
        if self.verbose || decision.decision == Outcome::WouldBlock {
            self.tell(sentence(decision));
        }
    }

    /// Says a line once there is time.
    fn tell(&self, line: String) {
        let speaker = self.speaker.lock();
        let sent = speaker.as_ref().map(|speaker| speaker.lines.try_send(line));
        if let Some(Err(TrySendError::Full(_))) = sent {
            self.unsaid.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sends what waits, at most as long as the telemetry was told to, and says what is left to say.
    pub(crate) fn end(&self) {
        let Some(ToSpeaker { lines, ended }) = self.speaker.lock().take() else {
            return;
        };
        drop(lines);
        if let Some(telemetry) = &self.telemetry {
            telemetry.shutdown();
        }
        let _ = ended.recv_timeout(END_WITHIN);
        let unsaid = self.unsaid.load(Ordering::Relaxed);
        if unsaid > 0 {
            say(&format!("{unsaid} decisions came too fast to be told here"));
        }
    }

    fn track(&self, decision: &Decision, gates: Vec<Gate>) {
        let Some(telemetry) = &self.telemetry else { return };
        let mut event = Event::of_gates(gates)
            .agent(decision.agent_id.clone())
            .at(decision.time);
        event.tool = decision.tool.as_deref().map(str::to_owned);
        telemetry.track(event);
    }
}

fn prefixed(gates: &[Gate]) -> Vec<Gate> {
    let renamed = gates.iter().cloned().map(|mut gate| {
        gate.name.insert_str(0, ARGUMENTS_PREFIX);
        gate
    });
    renamed.collect()
}

impl Book {
    /// Writes a decision down. What is to be said of it, the first time that it fails.
    fn write(&mut self, decision: &Decision) -> Option<String> {
        let why = self.log.as_mut()?.write(decision).err()?;
        let is_first = !std::mem::replace(&mut self.has_complained, true);
        is_first.then(|| format!("the decision log cannot be written: {why}"))
    }
}

/// A decision for people.
fn sentence(decision: &Decision) -> String {
    let outcome = match decision.decision {
        Outcome::Passed => "passed",
        Outcome::Blocked => "blocked",
        Outcome::WouldBlock => "would block",
        Outcome::Unjudged => "passed unjudged",
    };
    let of = match decision.of {
        Looked::Result => "the result",
        Looked::Arguments => "the arguments",
    };
    // A name from elsewhere must not steer the terminal.
    let tool = decision.tool.as_deref().unwrap_or("a tool").escape_debug();
    let why = match decision.why() {
        why if why.is_empty() => why,
        why => format!(": {why}"),
    };
    format!("{outcome} {of} of {tool} ({} ms){why}", decision.total_latency_ms)
}

/// A line on standard error, which is the server's, too. Nobody may be there to read it.
pub(crate) fn say(line: &str) {
    let _ = stderr().write_all(format!("repute: {line}\n").as_bytes());
}
