//! What the client asked for: whose answers are a tool's output, and whose are not.

use crate::id::Id;
use repute_client::Gate;
use std::collections::{HashMap, VecDeque};
use std::time::Instant;

/// The most requests that are remembered. Beyond it those that were cancelled go first.
pub(crate) const MAX_OPEN: usize = 4_096;
/// The most other requests that are remembered; the oldest goes first.
const MAX_OTHERS: usize = 4_096;
/// The most answered calls that are remembered; the oldest goes first.
const MAX_ANSWERED: usize = 1_024;
/// What tools were given is kept for gates that want to see it, up to this many bytes together.
pub(crate) const MAX_INPUT_BYTES: usize = 16 << 20;
/// The most tasks whose tools are remembered; the oldest goes first.
const MAX_TASKS: usize = 1_024;

/// What the client asked for.
#[derive(Debug)]
pub(crate) enum Asked {
    /// `initialize` or `server/discover`: the answer names the server.
    Name,
    /// A tool's output, in one way or another.
    Output(Call),
    /// Something else: the answer is no tool's output.
    Other,
}

/// A tool that was called.
#[derive(Debug)]
pub(crate) struct Call {
    /// How the output stands in the answer.
    pub(crate) form: Form,
    pub(crate) tool: Option<Box<str>>,
    pub(crate) asked_at: Instant,
    /// What the tool was given, where a gate may want to see it.
    pub(crate) input: Option<Box<str>>,
    /// What gates said of that.
    pub(crate) gates: Vec<Gate>,
}

impl Call {
    /// A call of which nothing else is known, and what it was given is not kept.
    pub(crate) fn new(form: Form, tool: Option<Box<str>>) -> Self {
        Self {
            form,
            tool,
            asked_at: Instant::now(),
            input: None,
            gates: Vec::new(),
        }
    }

    /// The same without what it was given, and what was said of that.
    fn without_input(&self) -> Self {
        Self {
            asked_at: self.asked_at,
            ..Self::new(self.form, self.tool.clone())
        }
    }

    fn input_bytes(&self) -> usize {
        self.input.as_ref().map_or(0, |input| input.len())
    }
}

/// How a tool's output stands in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// It is the result: of `tools/call`, and of `tasks/result` (2025-11-25).
    Whole,
    /// It is the member `result` of the result, once the task is done: of `tasks/get`.
    Task,
}

/// Everything that is open.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// A client may give an id twice, though it should not; then the first answer is to the first.
    open: HashMap<Id, VecDeque<Asked>>,
    count: usize,
    input_bytes: usize,
    /// Of these an answer may still come, or never. They are judged, but make room.
    cancelled: VecDeque<Id>,
    /// Other requests that are open.
    others: VecDeque<Id>,
    /// Calls that were answered: the client may have refused the answer and take another one.
    answered: VecDeque<(Id, Call)>,
    tasks: HashMap<Box<str>, Option<Box<str>>>,
    tasks_by_age: VecDeque<Box<str>>,
}

impl Calls {
    /// Remembers a request whose answer matters. `false` where there is no room.
    #[must_use]
    pub(crate) fn open(&mut self, id: Id, mut asked: Asked) -> bool {
        while self.count >= MAX_OPEN {
            let Some(cancelled) = self.cancelled.pop_front() else {
                return false;
            };
            self.close(&cancelled);
        }
        self.give_anew(&id);
        if let Asked::Output(call) = &mut asked {
            if self.input_bytes + call.input_bytes() > MAX_INPUT_BYTES {
                call.input = None;
            }
            self.input_bytes += call.input_bytes();
        }
        self.open.entry(id).or_default().push_back(asked);
        self.count += 1;
        true
    }

    /// Remembers a request whose answer does not matter.
    pub(crate) fn open_other(&mut self, id: Id) {
        self.give_anew(&id);
        if self.others.len() == MAX_OTHERS {
            self.others.pop_front();
        }
        self.others.push_back(id);
    }

    /// What this is the answer to, which is then no longer open. `None` if the client asked for no such thing.
    ///
    /// An answer under an id that a forgiving client takes for a request's is that request's, and a second answer to a
    /// call is that call's all the same.
    pub(crate) fn answered(&mut self, id: &Id) -> Option<Asked> {
        let is_it = |other: &Id| other == id;
        let is_like_it = |other: &Id| other.is_like(id);
        self.close(id)
            .or_else(|| self.close_other(is_it))
            .or_else(|| {
                let alike = self.open.keys().find(|open| is_like_it(open)).cloned()?;
                self.close(&alike)
            })
            .or_else(|| self.close_other(is_like_it))
            .or_else(|| {
                let mut answered = self.answered.iter().rev();
                let (_, call) = answered.find(|(known, _)| is_it(known) || is_like_it(known))?;
                Some(Asked::Output(call.without_input()))
            })
    }

    fn close_other(&mut self, is_it: impl Fn(&Id) -> bool) -> Option<Asked> {
        let at = self.others.iter().position(is_it)?;
        self.others.remove(at);
        Some(Asked::Other)
    }

    /// The oldest of what was asked under this id, which is then no longer open.
    fn close(&mut self, id: &Id) -> Option<Asked> {
        let waiting = self.open.get_mut(id)?;
        let asked = waiting.pop_front();
        if waiting.is_empty() {
            self.open.remove(id);
        }
        self.count -= usize::from(asked.is_some());
        if let Some(Asked::Output(call)) = &asked {
            self.input_bytes -= call.input_bytes();
            if self.answered.len() == MAX_ANSWERED {
                self.answered.pop_front();
            }
            self.answered.push_back((id.clone(), call.without_input()));
        }
        if let Some(at) = self.cancelled.iter().position(|cancelled| cancelled == id) {
            self.cancelled.remove(at);
        }
        asked
    }

    /// From now on the id is another request's.
    fn give_anew(&mut self, id: &Id) {
        self.answered.retain(|(answered, _)| answered != id);
    }

    /// Whether an answer to that is waited for, and matters.
    pub(crate) fn is_open(&self, id: &Id) -> bool {
        self.open.contains_key(id)
    }

    /// Whether answers are waited for that matter.
    pub(crate) fn is_waiting(&self) -> bool {
        self.count > 0
    }

    /// The client does not wait any more.
    pub(crate) fn cancel(&mut self, id: Id) {
        if self.is_open(&id) && self.cancelled.len() < MAX_OPEN {
            self.cancelled.push_back(id);
        }
    }

    /// The output will come as that of a task.
    pub(crate) fn begin_task(&mut self, task: &str, tool: Option<Box<str>>) {
        if self.tasks.insert(task.into(), tool).is_none() {
            self.tasks_by_age.push_back(task.into());
        }
        if self.tasks.len() > MAX_TASKS
            && let Some(oldest) = self.tasks_by_age.pop_front()
        {
            self.tasks.remove(&oldest);
        }
    }

    /// The tool of a task, if both are known.
    pub(crate) fn tool_of(&self, task: &str) -> Option<Box<str>> {
        self.tasks.get(task).cloned().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> Id {
        Id::read(&number.to_string()).unwrap()
    }

    fn call(tool: &str) -> Asked {
        Asked::Output(Call::new(Form::Whole, Some(tool.into())))
    }

    fn tool(asked: Option<Asked>) -> Option<String> {
        match asked {
            Some(Asked::Output(call)) => call.tool.map(Into::into),
            _ => None,
        }
    }

    #[test]
    fn an_id_that_is_given_twice_is_answered_twice() {
        let mut calls = Calls::default();
        assert!(calls.open(id(1), call("a")) && calls.open(id(1), call("b")));
        assert_eq!(tool(calls.answered(&id(1))).as_deref(), Some("a"));
        assert_eq!(tool(calls.answered(&id(1))).as_deref(), Some("b"));
        assert!(calls.count == 0 && !calls.is_open(&id(1)));
    }

    #[test]
    fn a_cancelled_call_is_still_known_until_its_room_is_needed() {
        let mut calls = Calls::default();
        for number in 0..MAX_OPEN {
            assert!(calls.open(id(number), call("a")));
        }
        assert!(!calls.open(id(MAX_OPEN), call("b")), "no room");
        calls.cancel(id(7));
        assert!(calls.is_open(&id(7)));
        assert!(calls.open(id(MAX_OPEN), call("b")));
        assert!(!calls.is_open(&id(7)) && calls.is_open(&id(8)));
        calls.cancel(id(123_456));
        assert!(
            !calls.open(id(MAX_OPEN + 1), call("c")),
            "nothing else was cancelled"
        );
    }

    #[test]
    fn a_second_answer_and_one_under_an_id_that_is_alike_are_the_calls() {
        let mut calls = Calls::default();
        let alike = Id::read(r#"" 1""#).unwrap();
        assert!(calls.answered(&id(1)).is_none(), "before any call");
        assert!(calls.open(id(1), call("a")));
        assert_eq!(tool(calls.answered(&alike)).as_deref(), Some("a"));
        assert_eq!(tool(calls.answered(&alike)).as_deref(), Some("a"), "again");
        assert_eq!(tool(calls.answered(&id(1))).as_deref(), Some("a"), "again");
        assert!(calls.answered(&id(2)).is_none(), "nobody asked");
        calls.open_other(id(1));
        calls.open_other(id(3));
        assert!(matches!(calls.answered(&id(1)), Some(Asked::Other)));
        assert!(calls.answered(&id(1)).is_none(), "the id was given anew");
        assert!(matches!(
            calls.answered(&Id::read(r#""3""#).unwrap()),
            Some(Asked::Other)
        ));
    }

    #[test]
    fn what_else_was_asked_is_remembered_up_to_a_bound() {
        let mut calls = Calls::default();
        for number in 0..MAX_OTHERS + MAX_ANSWERED + 2 {
            calls.open_other(id(number));
            assert!(calls.open(id(number + 10_000), call("a")));
            calls.answered(&id(number + 10_000));
        }
        assert_eq!(
            (calls.others.len(), calls.answered.len()),
            (MAX_OTHERS, MAX_ANSWERED)
        );
    }

    #[test]
    fn inputs_are_kept_up_to_a_bound() {
        let mut calls = Calls::default();
        let half = || {
            let Asked::Output(mut call) = call("a") else {
                unreachable!()
            };
            call.input = Some("x".repeat(MAX_INPUT_BYTES / 2).into());
            Asked::Output(call)
        };
        let has_input = |asked| matches!(asked, Some(Asked::Output(Call { input: Some(_), .. })));
        assert!((0..3).all(|number| calls.open(id(number), half())));
        assert!(!has_input(calls.answered(&id(2))) && has_input(calls.answered(&id(0))));
        assert!(calls.open(id(3), half()) && has_input(calls.answered(&id(3))));
    }

    #[test]
    fn an_answered_call_that_was_cancelled_makes_no_room_for_others() {
        let mut calls = Calls::default();
        assert!(calls.open(id(1), call("a")));
        calls.cancel(id(1));
        assert!(calls.answered(&id(1)).is_some());
        assert!((1..=MAX_OPEN).all(|number| calls.open(id(number), call("b"))));
        assert!(!calls.open(id(0), call("c")));
        assert!(
            calls.is_open(&id(1)),
            "the id was given anew, and nobody cancelled that"
        );
    }

    #[test]
    fn the_tool_of_a_task_is_known_until_many_newer_ones_came() {
        let mut calls = Calls::default();
        calls.begin_task("t", Some("slow".into()));
        assert_eq!(calls.tool_of("t").as_deref(), Some("slow"));
        for number in 0..MAX_TASKS {
            calls.begin_task(&number.to_string(), None);
        }
        assert_eq!(calls.tool_of("t"), None);
        assert_eq!(calls.tasks.len(), MAX_TASKS);
        assert_eq!(calls.tasks_by_age.len(), MAX_TASKS);
    }
}
