//! Tells of decisions: the log and standard error on a thread of its own, so that neither holds up a message;
//! telemetry through the client, which never waits.

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

/// The most decisions that wait to be written; more are counted, not kept.
const MAX_WAITING: usize = 1_024;
/// How long the end waits for what is to be written.
const END_WITHIN: Duration = Duration::from_secs(2);
/// Before the names of gates that judged arguments, in an event that has both.
const ARGUMENTS_PREFIX: &str = "arguments.";

/// Where decisions are told.
#[derive(Debug)]
pub(crate) struct Reporter {
    /// `None` after the end.
    scribe: Mutex<Option<ToScribe>>,
    not_kept: AtomicU64,
    telemetry: Option<Telemetry>,
}

#[derive(Debug)]
struct ToScribe {
    decisions: SyncSender<Decision>,
    ended: Receiver<()>,
}

impl Reporter {
    pub(crate) fn start(settings: &Settings) -> io::Result<Self> {
        let (decisions, waiting) = sync_channel(MAX_WAITING);
        let (end, ended) = channel();
        let scribe = Scribe {
            log: settings.log_directory.clone().map(Log::new),
            has_complained: false,
            verbose: settings.verbose,
        };
        thread::Builder::new()
            .name("repute-log".to_owned())
            .spawn(move || {
                scribe.write_all(&waiting);
                let _ = end.send(());
            })?;
        Ok(Self {
            scribe: Mutex::new(Some(ToScribe { decisions, ended })),
            not_kept: AtomicU64::new(0),
            telemetry: settings.telemetry.clone(),
        })
    }

    /// Tells of the arguments of a call.
    pub(crate) fn arguments(&self, decision: Decision) {
        // Those that pass are told with the result: a call is one evaluation.
        if decision.decision == Outcome::Blocked && decision.doubt.is_none() {
            self.track(&decision, prefixed(&decision.gates));
        }
        self.keep(decision);
    }

    /// Tells of the output of a call.
    pub(crate) fn output(&self, decision: Decision, call: &Call) {
        if !decision.gates.is_empty() {
            let mut gates = prefixed(&call.gates);
            gates.extend(decision.gates.iter().cloned());
            self.track(&decision, gates);
        }
        self.keep(decision);
    }

    /// Tells of something that is no evaluation.
    pub(crate) fn keep(&self, decision: Decision) {
        let scribe = self.scribe.lock();
        let sent = scribe.as_ref().map(|scribe| scribe.decisions.try_send(decision));
        if let Some(Err(TrySendError::Full(_))) = sent {
            self.not_kept.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sends what waits, at most as long as the telemetry was told to, and lets the log end.
    pub(crate) fn end(&self) {
        let Some(ToScribe { decisions, ended }) = self.scribe.lock().take() else {
            return;
        };
        drop(decisions);
        if let Some(telemetry) = &self.telemetry {
            telemetry.shutdown();
        }
        let _ = ended.recv_timeout(END_WITHIN);
        let not_kept = self.not_kept.load(Ordering::Relaxed);
        if not_kept > 0 {
            say(&format!("{not_kept} decisions came too fast for the log"));
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

/// Writes decisions down.
struct Scribe {
    log: Option<Log>,
    has_complained: bool,
    verbose: bool,
}

impl Scribe {
    fn write_all(mut self, waiting: &Receiver<Decision>) {
        for decision in waiting {
            if let Some(log) = &mut self.log
                && let Err(why) = log.write(&decision)
                && !std::mem::replace(&mut self.has_complained, true)
            {
                say(&format!("the decision log cannot be written: {why}"));
            }
            if self.verbose || decision.decision == Outcome::WouldBlock {
                say(&sentence(&decision));
            }
        }
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
