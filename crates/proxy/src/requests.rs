//! From the client to the server: notes the calls whose answers are to be judged, and lets gates judge what
//! tools are given, if they are told to.

use crate::calls::{Asked, Call, Form};
use crate::decision::{Decision, Doubt, Looked, Outcome};
use crate::glance::{Glance, Glimpse};
use crate::id::Id;
use crate::lines::{Lines, Piece};
use crate::message::{CALL, Look, Message, has_twice, last, member, member_text, members, string};
use crate::refusal::{end_of, refusal};
use crate::relay::Relay;
use std::io::{self, Read, Write};

/// What becomes of a message.
enum Fate {
    Pass,
    /// It does not reach the server; the answer, unless it was a notification.
    Stop(Option<String>),
}

/// A message beyond the limit that is on its way.
struct Long {
    glance: Glance,
    bytes: usize,
    /// Whether it does not reach the server.
    is_stopped: bool,
}

/// Relays to the end of the client's messages.
///
/// # Errors
/// Where the server takes no more.
pub(crate) fn relay<R: Read, W: Write>(relay: &Relay, mut lines: Lines<R>, mut server: W) -> io::Result<()> {
    let mut long: Option<Long> = None;
    // A client that cannot be read has nothing more to say.
    while let Ok(Some(piece)) = lines.next() {
        match piece {
            Piece::Line(line) => one_line(relay, line, &mut server)?,
            Piece::Part(part) => {
                let message = long.get_or_insert_with(|| Long::begin(relay, part));
                message.look_at(part);
                if !message.is_stopped {
                    server.write_all(part)?;
                }
            }
            Piece::Rest(rest) => {
                let Some(mut message) = long.take() else { continue };
                message.look_at(rest);
                let is_stopped = message.is_stopped;
                message.end(relay, end_of(rest));
                if !is_stopped {
                    server.write_all(rest)?;
                }
            }
        }
    }
    Ok(())
}

fn one_line(relay: &Relay, line: &[u8], server: &mut impl Write) -> io::Result<()> {
    match Look::at(line) {
        Look::One(message) => match fate_of(relay, &message) {
            Fate::Pass => server.write_all(line),
            Fate::Stop(answer) => {
                refuse(relay, answer.as_slice(), false, end_of(line));
                Ok(())
            }
        },
        Look::Batch(messages) => {
            let mut passing = Vec::new();
            let mut answers = Vec::new();
            let total = messages.len();
            for message in messages {
                match fate_of(relay, &message) {
                    Fate::Pass => passing.push(message.span),
                    Fate::Stop(answer) => answers.extend(answer),
                }
            }
            refuse(relay, &answers, true, end_of(line));
            match passing.last() {
                _ if passing.len() == total => server.write_all(line),
                None => Ok(()),
                Some(last) => {
                    let members: Vec<&[u8]> = passing.iter().map(|span| &line[span.clone()]).collect();
                    let rest = &line[last.end..];
                    // Behind the last of all, or of those that pass: up to the closing bracket.
                    let close = rest.iter().rposition(|&byte| byte == b']').unwrap_or_default();
                    server.write_all(&[b"[", &*members.join(&b","[..]), &rest[close..]].concat())
                }
            }
        }
        Look::Unreadable => {
            let mut glance = Glance::default();
            glance.feed(line);
            let glimpses = glance.finish();
            let mut answers = Vec::new();
            let mut is_stopped = false;
            for found in &glimpses {
                if let Fate::Stop(answer) = fate_of_glimpse(relay, found, Doubt::NotJson, line.len()) {
                    is_stopped = true;
                    answers.extend(answer);
                }
            }
            refuse(relay, &answers, false, end_of(line));
            if is_stopped {
                Ok(())
            } else {
                server.write_all(line)
            }
        }
    }
}

/// Whoever cannot be answered is gone; the other direction notices.
fn refuse(relay: &Relay, answers: &[String], as_batch: bool, end: &[u8]) {
    if !answers.is_empty() {
        let _ = relay.answer(answers, as_batch || answers.len() > 1, end);
    }
}

fn fate_of(relay: &Relay, message: &Message<'_>) -> Fate {
    let params = message.params.unwrap_or("null");
    let task = || member_text(params, "taskId").and_then(|task| relay.calls.lock().tool_of(&task));
    match (message.method.as_deref(), &message.id) {
        (Some(CALL), id) => fate_of_call(relay, params, id.as_ref()),
        (Some("notifications/cancelled"), _) => {
            if let Some(id) = member(params, "requestId").and_then(Id::read) {
                relay.calls.lock().cancel(id);
            }
            Fate::Pass
        }
        (Some("initialize" | "server/discover"), Some(id)) if relay.judge.wants_name() => {
            let _ = relay.calls.lock().open(id.clone(), Asked::Name);
            Fate::Pass
        }
        (Some("tasks/result"), Some(id)) => open(relay, id, Call::new(Form::Whole, task()), 0),
        (Some("tasks/get"), Some(id)) => open(relay, id, Call::new(Form::Task, task()), 0),
        (Some(_), Some(id)) => pass_other(relay, id),
        _ => Fate::Pass,
    }
}

fn fate_of_call(relay: &Relay, params: &str, id: Option<&Id>) -> Fate {
    let given = members(params).unwrap_or_default();
    let tool = last(&given, "name").and_then(string);
    let arguments = last(&given, "arguments");
    if has_twice(&given, "name") || has_twice(&given, "arguments") {
        return fate_of_unread(relay, tool.as_deref(), id, Doubt::NotJson, params.len());
    }
    let mut call = Call::new(Form::Whole, tool.as_deref().map(Into::into));
    if let Some(decision) = arguments.and_then(|given| relay.judge.arguments(tool.as_deref(), given)) {
        if decision.decision == Outcome::Blocked {
            return stop(relay, id, &decision);
        }
        call.gates.clone_from(&decision.gates);
        relay.reporter.arguments(&decision);
    }
    let Some(id) = id else { return Fate::Pass };
    if relay.judge.wants_input(tool.as_deref()) {
        call.input = arguments.map(Into::into);
    }
    open(relay, id, call, arguments.map_or(0, str::len))
}

/// The same where only a glance was had.
fn fate_of_unread(relay: &Relay, tool: Option<&str>, id: Option<&Id>, doubt: Doubt, bytes: usize) -> Fate {
    if relay.judge.judges_arguments(tool) {
        let decision = relay.judge.doubt(Looked::Arguments, tool, doubt, bytes);
        if decision.decision == Outcome::Blocked {
            return stop(relay, id, &decision);
        }
        relay.reporter.arguments(&decision);
    }
    match id {
        Some(id) => open(relay, id, Call::new(Form::Whole, tool.map(Into::into)), bytes),
        None => Fate::Pass,
    }
}

/// The same of any message.
fn fate_of_glimpse(relay: &Relay, found: &Glimpse, doubt: Doubt, bytes: usize) -> Fate {
    match (found.method.as_deref(), &found.id) {
        (Some(CALL), id) => fate_of_unread(relay, found.name.as_deref(), id.as_ref(), doubt, bytes),
        (Some(_), Some(id)) => pass_other(relay, id),
        _ => Fate::Pass,
    }
}

/// Remembers a call; its answer cannot come before the server has it.
fn open(relay: &Relay, id: &Id, call: Call, bytes: usize) -> Fate {
    let tool = call.tool.clone();
    if relay.calls.lock().open(id.clone(), Asked::Output(call)) {
        return Fate::Pass;
    }
    let doubt = Doubt::TooManyCalls;
    let decision = relay.judge.doubt(Looked::Result, tool.as_deref(), doubt, bytes);
    if decision.decision == Outcome::Blocked {
        return stop(relay, Some(id), &decision);
    }
    relay.reporter.keep(&decision);
    pass_other(relay, id)
}

/// Remembers a request whose answer passes.
fn pass_other(relay: &Relay, id: &Id) -> Fate {
    relay.calls.lock().open_other(id.clone());
    Fate::Pass
}

fn stop(relay: &Relay, id: Option<&Id>, decision: &Decision) -> Fate {
    let answer = id.map(|id| refusal(id, decision));
    relay.reporter.arguments(decision);
    Fate::Stop(answer)
}

impl Long {
    /// Decides by its beginning. Where it could not pass unjudged, it passes only if it is known to be no
    /// call whose arguments are judged.
    fn begin(relay: &Relay, beginning: &[u8]) -> Self {
        let mut glance = Glance::default();
        glance.feed(beginning);
        let found = glance.so_far();
        let is_harmless = !glance.is_batch()
            && match (found.method.as_deref(), &found.name) {
                (Some(CALL), Some(tool)) => !relay.judge.judges_arguments(Some(tool)),
                (Some(CALL) | None, _) => false,
                (Some(_), _) => true,
            };
        let is_stopped = relay.judge.blocks_on_doubt() && relay.judge.may_judge_arguments() && !is_harmless;
        Self {
            glance: Glance::default(),
            bytes: 0,
            is_stopped,
        }
    }

    fn look_at(&mut self, part: &[u8]) {
        self.glance.feed(part);
        self.bytes += part.len();
    }

    /// Notes its calls, or answers them.
    fn end(self, relay: &Relay, end: &[u8]) {
        let as_batch = self.glance.is_batch();
        let glimpses = self.glance.finish();
        let mut answers = Vec::new();
        for found in &glimpses {
            let fate = if self.is_stopped {
                let tool = found.name.as_deref();
                let decision = relay
                    .judge
                    .doubt(Looked::Arguments, tool, Doubt::TooLong, self.bytes);
                stop(relay, found.id.as_ref(), &decision)
            } else {
                fate_of_glimpse(relay, found, Doubt::TooLong, self.bytes)
            };
            if let Fate::Stop(Some(answer)) = fate {
                answers.push(answer);
            }
        }
        refuse(relay, &answers, as_batch, end);
    }
}
