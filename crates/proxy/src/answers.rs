//! From the server to the client: holds what carries a tool's output until gates have judged it, and lets
//! everything else pass at once.

use crate::calls::{Asked, Call, Form};
use crate::decision::{Decision, Doubt, Looked, Outcome};
use crate::glance::{Glance, Glimpse};
use crate::lines::{Lines, Piece};
use crate::message::{Look, Message, member, member_text};
use crate::payload::{Payload, of_result};
use crate::pipe::Pipe;
use crate::refusal::{end_of, refusal};
use crate::relay::Relay;
use parking_lot::MutexGuard;
use std::borrow::Cow;
use std::io::{self, Read, Stdout, Write as _};

/// The most that is held back of what stands behind a message.
const MAX_HELD_BYTES: usize = 64 << 10;

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
    /// Its last byte and what came behind: held back, where a tool's output must not pass unjudged, until it is
    /// known what the message is.
    end: Option<Vec<u8>>,
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
            Piece::Part(part) => long
                .get_or_insert_with(|| Long::begin(relay, part))
                .pass(relay, part)?,
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
    match Look::at(line) {
        Look::One(message) => match look_at(relay, &message) {
            Some(judged) if judged.blocks() => {
                let answer = message.id.map(|id| refusal(&id, &judged.decision));
                judged.report(relay);
                relay.answer(answer.as_slice(), false, end_of(line))?;
            }
            judged => {
                judged.iter().for_each(|judged| judged.report(relay));
                relay.client().write_all(line)?;
            }
        },
        Look::Batch(messages) => batch(relay, line, &messages)?,
        Look::Unreadable => {
            let mut glance = Glance::default();
            glance.feed(line);
            let as_batch = glance.is_batch();
            match unread(relay, &glance.finish(), Doubt::NotJson, line.len(), false) {
                Some(answers) => relay.answer(&answers, as_batch, end_of(line))?,
                None => relay.client().write_all(line)?,
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
    told.iter().for_each(|judged| judged.report(relay));
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

/// Tells of the calls that are answered in a message of which only a glance was had, and of answers that nobody asked for;
/// where the message `is_lost` already, of every answer in it. What stands in its place; `None` if it passes.
fn unread(
    relay: &Relay,
    glimpses: &[Glimpse],
    doubt: Doubt,
    bytes: usize,
    is_lost: bool,
) -> Option<Vec<String>> {
    let mut blocks = false;
    let mut answers = Vec::new();
    for found in glimpses.iter().filter(|found| found.is_answer) {
        let asked = match &found.id {
            _ if found.is_vague => None,
            Some(id) => relay.calls.lock().answered(id),
            None => continue, // it answers nothing, to anybody
        };
        let judged = match asked {
            Some(Asked::Output(call)) => {
                let tool = call.tool.as_deref();
                let decision = relay.judge.doubt(Looked::Result, tool, doubt, bytes);
                Judged { call, decision }
            }
            Some(Asked::Name | Asked::Other) if !is_lost => continue,
            Some(Asked::Name | Asked::Other) | None => Judged::not_asked(relay, doubt, bytes),
        };
        blocks |= judged.blocks();
        answers.extend(found.id.as_ref().map(|id| refusal(id, &judged.decision)));
        judged.report(relay);
    }
    blocks.then_some(answers)
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

    fn report(&self, relay: &Relay) {
        relay.reporter.output(&self.decision, &self.call);
    }
}

impl<'r> Long<'r> {
    /// Decides by its beginning. Where a tool's output must not pass unjudged, nothing passes that may be the answer to
    /// an open call by what is seen of it.
    fn begin(relay: &'r Relay, beginning: &[u8]) -> Self {
        let mut glance = Glance::default();
        glance.feed(beginning);
        let found = glance.so_far();
        let is_request = found.method.is_some() && !found.is_answer;
        let calls = relay.calls.lock();
        let may_be_output = calls.is_waiting()
            && (glance.is_batch() || !is_request && found.id.as_ref().is_none_or(|id| calls.is_open(id)));
        drop(calls);
        let passes = !relay.judge.blocks_on_doubt() || !may_be_output;
        Self {
            glance: Glance::default(),
            bytes: 0,
            client: passes.then(|| relay.client()),
            end: None,
        }
    }

    fn pass(&mut self, relay: &Relay, part: &[u8]) -> io::Result<()> {
        let end = self.glance.feed(part);
        self.bytes += part.len();
        let Some(client) = &mut self.client else {
            return Ok(());
        };
        if let Some(held) = &mut self.end {
            // White space, if it is JSON.
            held.extend_from_slice(part);
            if held.len() > MAX_HELD_BYTES {
                self.glance.give_up();
                held.clear();
            }
            return Ok(());
        }
        match end.filter(|_| relay.judge.blocks_on_doubt()) {
            Some(end) => {
                self.end = Some(part[end..].to_vec());
                client.write_all(&part[..end])
            }
            None => client.write_all(part),
        }
    }

    fn end(mut self, relay: &Relay, rest: &[u8]) -> io::Result<()> {
        self.pass(relay, rest)?;
        let as_batch = self.glance.is_batch();
        let is_lost = self.client.is_none();
        let answers = unread(relay, &self.glance.finish(), Doubt::TooLong, self.bytes, is_lost);
        match (answers, self.client, self.end) {
            (None, Some(mut client), Some(held)) => client.write_all(&held),
            (None, _, _) => Ok(()),
            (Some(answers), client, _) => {
                // What passed is no JSON without its end.
                if let Some(mut client) = client {
                    client.write_all(b"\n")?;
                }
                relay.answer(&answers, as_batch, b"\n")
            }
        }
    }
}
