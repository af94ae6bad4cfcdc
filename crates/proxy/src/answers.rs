//! From the server to the client: holds what carries a tool's output until gates have judged it, and lets
//! everything else pass at once.

use crate::calls::{Asked, Call, Form};
use crate::decision::{Decision, Doubt, Looked, Outcome};
use crate::glance::{Glance, Glimpse};
use crate::lines::{Lines, Piece};
use crate::message::{Look, Message, member, member_text};
use crate::payload::{Payload, of_result};
use crate::pipe::Pipe;
use crate::refusal::{end_of, line as refusal_line, refusal};
use crate::relay::Relay;
use parking_lot::MutexGuard;
use std::borrow::Cow;
use std::io::{self, Read, Stdout, Write as _};

/// A tool's output that was looked at.
struct Judged {
    call: Call,
    decision: Decision,
}

/// A message beyond the limit that is on its way.
struct Long<'r> {
    glance: Glance,
    bytes: usize,
    /// The way to the client, kept for the whole line; `None` if the message does not reach it.
    client: Option<MutexGuard<'r, Pipe<Stdout>>>,
}

/// Relays to the end of the server's messages.
///
/// # Errors
/// Where the client takes no more.
pub(crate) fn relay<R: Read>(relay: &Relay, mut lines: Lines<R>) -> io::Result<()> {
    let mut long: Option<Long<'_>> = None;
    // A server that cannot be read has nothing more to say.
    while let Ok(Some(piece)) = lines.next() {
        match piece {
            Piece::Line(line) => one_line(relay, line)?,
            Piece::Part(part) => long.get_or_insert_with(|| Long::begin(relay, part)).pass(part)?,
            Piece::Rest(rest) => {
                if let Some(message) = long.take() {
                    message.end(relay, rest)?;
                }
            }
        }
    }
    Ok(())
}

fn one_line(relay: &Relay, line: &[u8]) -> io::Result<()> {
    if relay.calls.lock().is_idle() {
        return relay.client().write_all(line);
    }
    match Look::at(line) {
        Look::One(message) => match look_at(relay, &message) {
            Some(judged) if judged.blocks() => {
                let answer = message.id.map(|id| refusal(&id, &judged.decision));
                judged.report(relay);
                relay.answer(answer.as_slice(), false, end_of(line))?;
            }
            judged => {
                judged.into_iter().for_each(|judged| judged.report(relay));
                relay.client().write_all(line)?;
            }
        },
        Look::Batch(messages) => batch(relay, line, &messages)?,
        Look::Unreadable => {
            let mut glance = Glance::default();
            glance.feed(line);
            let as_batch = glance.is_batch();
            let glimpses = glance.finish();
            let unjudged = unread(relay, &glimpses, Doubt::NotJson, line.len());
            let blocks = unjudged.iter().any(|(_, judged)| judged.blocks());
            let answers = refusals(&unjudged);
            unjudged.into_iter().for_each(|(_, judged)| judged.report(relay));
            if blocks {
                relay.answer(&answers, as_batch, end_of(line))?;
            } else {
                relay.client().write_all(line)?;
            }
        }
    }
    Ok(())
}

/// The members that pass keep their bytes and their places.
fn batch(relay: &Relay, line: &[u8], messages: &[Message<'_>]) -> io::Result<()> {
    let mut told = Vec::new();
    let mut written = Vec::new();
    let mut copied = 0;
    for message in messages {
        let Some(judged) = look_at(relay, message) else {
            continue;
        };
        if let Some(id) = message.id.as_ref().filter(|_| judged.blocks()) {
            written.extend_from_slice(&line[copied..message.span.start]);
            written.extend_from_slice(refusal(id, &judged.decision).as_bytes());
            copied = message.span.end;
        }
        told.push(judged);
    }
    written.extend_from_slice(&line[copied..]);
    told.into_iter().for_each(|judged| judged.report(relay));
    relay.client().write_all(&written)
}

/// Judges a message that answers a call; `None` for all others.
fn look_at(relay: &Relay, message: &Message<'_>) -> Option<Judged> {
    if message.result.is_none() && message.error.is_none() {
        return None;
    }
    let id = message.id.as_ref()?;
    // So a server says that it could not read something.
    if id.is_null() && message.result.is_none() {
        return None;
    }
    let asked = relay.calls.lock().answered(id);
    if relay.judge.wants_name()
        && let Some(Asked::Name | Asked::Output(_)) = &asked
        && let Some(name) = message.result.and_then(server_name)
    {
        relay.judge.learn_name(&name);
    }
    let call = match asked {
        Some(Asked::Output(call)) => call,
        Some(Asked::Name | Asked::Other) => return None,
        None => {
            let bytes = message.result.or(message.error).map_or(0, str::len);
            return Some(Judged::not_asked(relay, Doubt::NotAsked, bytes));
        }
    };
    let read = match (message.result, message.error) {
        (Some(result), None) => of_result(result, call.form),
        // No answer has both. Whichever a client takes is judged.
        (Some(result), Some(error)) => Ok(Payload::of(format!("[{result},{error}]"))),
        (None, error) => Ok(Payload::of(error.unwrap_or("null"))),
    };
    let decision = match read {
        Ok(Payload { output, task }) => {
            if let Some(task) = task {
                relay.calls.lock().begin_task(&task, call.tool.clone());
            }
            relay.judge.output(&call, &output?)
        }
        Err(_) => {
            let bytes = message.result.map_or(0, str::len);
            let tool = call.tool.as_deref();
            relay.judge.doubt(Looked::Result, tool, Doubt::NotJson, bytes)
        }
    };
    Some(Judged { call, decision })
}

/// The name that a server gives itself: in the answer to `initialize`, or in any result's `_meta`.
fn server_name(result: &str) -> Option<Cow<'_, str>> {
    let in_meta = || member(member(result, "_meta")?, "io.modelcontextprotocol/serverInfo");
    member_text(member(result, "serverInfo").or_else(in_meta)?, "name")
}

/// Takes the calls that are answered in a message of which only a glance was had.
fn unread<'g>(
    relay: &Relay,
    glimpses: &'g [Glimpse],
    doubt: Doubt,
    bytes: usize,
) -> Vec<(&'g Glimpse, Judged)> {
    let mut all = Vec::new();
    for found in glimpses.iter().filter(|found| found.is_answer) {
        let Some(id) = &found.id else { continue };
        let asked = relay.calls.lock().answered(id);
        let judged = match asked {
            Some(Asked::Output(call)) => {
                let tool = call.tool.as_deref();
                let decision = relay.judge.doubt(Looked::Result, tool, doubt, bytes);
                Judged { call, decision }
            }
            Some(Asked::Name | Asked::Other) => continue,
            None => Judged::not_asked(relay, doubt, bytes),
        };
        all.push((found, judged));
    }
    all
}

fn refusals(unjudged: &[(&Glimpse, Judged)]) -> Vec<String> {
    let of = |(found, judged): &(&Glimpse, Judged)| {
        let id = found.id.as_ref()?;
        Some(refusal(id, &judged.decision))
    };
    unjudged.iter().filter_map(of).collect()
}

impl Judged {
    /// Of an answer to nothing that the client asked for. A client may yet take it for one to a call.
    fn not_asked(relay: &Relay, doubt: Doubt, bytes: usize) -> Self {
        Self {
            call: Call::new(Form::Whole, None),
            decision: relay.judge.doubt(Looked::Result, None, doubt, bytes),
        }
    }

    fn blocks(&self) -> bool {
        self.decision.decision == Outcome::Blocked
    }

    fn report(self, relay: &Relay) {
        relay.reporter.output(self.decision, &self.call);
    }
}

impl<'r> Long<'r> {
    /// Decides by its beginning. Where a tool's output must not pass unjudged, it passes only if it is known
    /// to be none: no tool was called yet, its id is that of another request or stands behind the limit while
    /// nothing but others is open, or it is a request itself.
    fn begin(relay: &'r Relay, beginning: &[u8]) -> Self {
        let mut glance = Glance::default();
        glance.feed(beginning);
        let found = glance.so_far();
        let calls = relay.calls.lock();
        let is_request = found.method.is_some() && !found.is_answer;
        let is_harmless = calls.is_idle()
            || !glance.is_batch()
                && match &found.id {
                    Some(id) => calls.is_other(id) || (is_request && !calls.is_open(id)),
                    None => is_request || calls.waits_for_others_alone(),
                };
        drop(calls);
        let passes = !relay.judge.blocks_on_doubt() || is_harmless;
        Self {
            glance: Glance::default(),
            bytes: 0,
            client: passes.then(|| relay.client()),
        }
    }

    fn pass(&mut self, part: &[u8]) -> io::Result<()> {
        self.glance.feed(part);
        self.bytes += part.len();
        match &mut self.client {
            Some(client) => client.write_all(part),
            None => Ok(()),
        }
    }

    fn end(mut self, relay: &Relay, rest: &[u8]) -> io::Result<()> {
        self.glance.feed(rest);
        self.bytes += rest.len();
        let as_batch = self.glance.is_batch();
        let glimpses = self.glance.finish();
        let unjudged = unread(relay, &glimpses, Doubt::TooLong, self.bytes);
        if let Some(client) = &mut self.client {
            unjudged.into_iter().for_each(|(_, judged)| judged.report(relay));
            return client.write_all(rest);
        }
        // Also an answer to something else, if that could not be seen in time: it was not kept.
        let mut answers = refusals(&unjudged);
        for found in glimpses.iter().filter(|found| found.is_answer) {
            let is_told = unjudged.iter().any(|(told, _)| std::ptr::eq(*told, found));
            if let Some(id) = found.id.as_ref().filter(|_| !is_told) {
                let judged = Judged::not_asked(relay, Doubt::TooLong, self.bytes);
                answers.push(refusal(id, &judged.decision));
                judged.report(relay);
            }
        }
        unjudged.into_iter().for_each(|(_, judged)| judged.report(relay));
        if !answers.is_empty() {
            let line = refusal_line(&answers, as_batch, b"\n");
            relay.client().write_all(&line)?;
        }
        Ok(())
    }
}
