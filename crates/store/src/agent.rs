//! An agent while it is counted: its window, and what tells repeats of its events apart from new ones.

use crate::codec::CarriedWindow;
use crate::facts::{Facts, Recorded};
use crate::identity::{Identities, made_times};
use crate::outside::{Left, Outside, REMEMBERED_US};
use crate::span::TimeSpan;
use crate::{OrgId, Source};
use reputation::{Micros, Placement, Slot, WINDOW, Window};
use std::collections::VecDeque;

/// Everything the owner needs of an agent to count it. Derived from the log: losing it costs a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AgentState {
    pub(crate) facts: Facts,
    pub(crate) window: Window,
    /// Among the newest 500 arrivals, those that no look-up by the timestamp finds in the window: without a
    /// timestamp, clamped, or evaluated under a client's id. In order of arrival.
    pub(crate) aside: VecDeque<Aside>,
    /// The arrivals that left the window last, or were too late to enter it.
    outside: Outside,
}

/// One arrival and its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aside {
    /// The how-manieth event of its agent, from 1.
    pub(crate) arrival: u64,
    /// What [`Identities`] made of it.
    pub(crate) identity: u64,
}

/// An event as it asks whether it is new.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) evaluation_id: &'a str,
    pub(crate) sent_at: Option<Micros>,
}

/// What the state alone can say of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It was not recorded before.
    New,
    /// It may have been: somebody must look at the stored rows.
    Ask,
}

/// A new event to be counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) evaluation_id: Option<&'a str>,
    pub(crate) event: Recorded,
    pub(crate) latency_us: u32,
    pub(crate) passed: bool,
}

impl AgentState {
    /// An agent without an event.
    pub(crate) fn new(since: Micros) -> Self {
        Self::loaded(Facts::new(since), Window::new(), VecDeque::new())
    }

    /// An agent as a look-up found it.
    pub(crate) fn loaded(facts: Facts, window: Window, aside: VecDeque<Aside>) -> Self {
        // Outside of a window that isn't full there is nothing.
        let until = window.floor().map_or(Micros(i64::MIN), |floor| floor.recorded_at);
        Self {
            facts,
            window,
            aside,
            outside: Outside::new(facts.count, until),
        }
    }

    /// Whether the event was recorded before, as far as this state knows. `known` is the number of the
    /// agent's arrivals that a look-up has already excluded, 0 if nobody looked.
    pub(crate) fn ask(&self, question: &Question<'_>, known: u64, identities: &Identities) -> Answer {
        let by_time = question.sent_at.filter(|sent| !self.is_news(*sent));
        if by_time.is_none()
            && question.sent_at.is_some()
            && self.facts.made.is_none()
            && self.aside.is_empty()
        {
            return Answer::New;
        }
        let asks = self.may_be_aside(question, known, identities)
            || by_time.is_some_and(|sent| {
                self.may_be_at(sent, question, known, identities) || self.may_be_clamped(sent, known)
            })
            || self
                .made_times(question)
                .any(|time| self.may_be_at(time, question, known, identities));
        if asks { Answer::Ask } else { Answer::New }
    }

    /// Whether no event of this agent was ever sent with this timestamp, going by the newest and by the span
    /// of the clamped ones alone: the usual case.
    pub(crate) fn is_news(&self, sent: Micros) -> bool {
        self.facts.newest_sent < Some(sent) && !self.facts.clamped.is_some_and(|span| span.holds(sent))
    }

    /// When an evaluation with this id may have been recorded, had the server made the id.
    fn made_times(&self, question: &Question<'_>) -> impl Iterator<Item = Micros> {
        let times = |made: TimeSpan| made_times(question.evaluation_id).filter(move |time| made.holds(*time));
        self.facts.made.into_iter().flat_map(times)
    }

    /// Whether it may be among the arrivals after `known` that stand aside.
    fn may_be_aside(&self, question: &Question<'_>, known: u64, identities: &Identities) -> bool {
        if self.aside.back().is_none_or(|newest| newest.arrival <= known) {
            return false;
        }
        let sent = identities.of(question.evaluation_id, question.sent_at);
        let evaluated = identities.of_evaluated(question.evaluation_id);
        let mut after = self.aside.iter().rev().take_while(|aside| aside.arrival > known);
        after.any(|aside| aside.identity == sent || aside.identity == evaluated)
    }

    /// Whether it may be among the arrivals after `known` that were recorded at this time.
    fn may_be_at(&self, time: Micros, question: &Question<'_>, known: u64, identities: &Identities) -> bool {
        let before_window = self.window.floor().is_some_and(|floor| time <= floor.recorded_at);
        let mut at = self
            .window
            .at(time)
            .filter(|slot| slot.arrival > known)
            .peekable();
        if at.peek().is_none() && !before_window {
            return false; // the usual case needs no hash
        }
        let identity = identities.of(question.evaluation_id, Some(time));
        at.any(|slot| slot.identity == identity)
            || (before_window && self.outside.may_hold(identity, time, known))
    }

    /// Whether it may have been clamped before the arrivals that are held aside, but after `known`.
    fn may_be_clamped(&self, sent: Micros, known: u64) -> bool {
        self.facts.clamped.is_some_and(|span| span.holds(sent)) && known + (WINDOW as u64) < self.facts.count
    }

    /// Counts a new event and says whether it was late.
    pub(crate) fn count(&mut self, arrival: &Arrival<'_>, identities: &Identities) -> Placement {
        let Arrival {
            event,
            latency_us,
            passed,
            ..
        } = *arrival;
        self.facts.record(&event);
        let number = self.facts.count;
        let (identity, aside) = identify(arrival.evaluation_id, &event, identities);
        let slot = Slot {
            recorded_at: event.recorded_at,
            arrival: number,
            latency_us,
            passed,
            identity,
        };
        let displaced = self.window.floor();
        let placement = self.window.insert(slot);
        match (placement, displaced) {
            (Placement::Late, _) => self.leave(&slot),
            (Placement::Counted, Some(oldest)) => self.leave(&oldest),
            (Placement::Counted, None) => {}
        }
        while self
            .aside
            .front()
            .is_some_and(|old| old.arrival + WINDOW as u64 <= number)
        {
            self.aside.pop_front();
        }
        if let Some(identity) = aside {
            self.aside.push_back(Aside {
                arrival: number,
                identity,
            });
        }
        placement
    }

    /// A sum over its own fields, and one over what counting reads and writes of what they point to: whoever asks
    /// for them has those in the processor's cache afterwards.
    pub(crate) fn sum_of_fields(&self) -> u64 {
        let Facts {
            count, last_aside, ..
        } = self.facts;
        let lengths = self.window.slots().len() ^ self.aside.len() ^ self.outside.limit();
        count ^ last_aside ^ self.window.summary().latency_sum_us ^ lengths as u64
    }

    /// See [`Self::sum_of_fields`].
    pub(crate) fn sum_of_ends(&self) -> u64 {
        self.window.sum_of_ends() ^ self.outside.sum_of_end()
    }

    /// What must be carried of it when its rows go.
    pub(crate) fn carried(&self) -> CarriedWindow {
        CarriedWindow {
            slots: self.window.slots().collect(),
            aside: self.aside.iter().copied().collect(),
        }
    }

    /// What has no identity by its time is never looked for by it.
    fn leave(&mut self, slot: &Slot) {
        if slot.identity != 0 {
            self.outside.push(Left {
                arrival: slot.arrival,
                identity: slot.identity,
                recorded_at: slot.recorded_at,
            });
        }
    }

    /// At or before this time something may have been recorded that memory does not know of.
    pub(crate) fn doubtful_until(&self) -> Micros {
        self.outside.complete_after()
    }

    /// Whether this event would not have been doubted if more of what leaves the window were remembered. One that
    /// is later than all that is forgotten is doubted for another reason: it looks like one that is remembered.
    pub(crate) fn forgets_too_soon(&self, question: &Question<'_>) -> bool {
        let newest = self.window.newest().map(|slot| slot.recorded_at);
        newest
            .zip(question.sent_at)
            .is_some_and(|(newest, sent)| sent <= self.doubtful_until() && newest.0 - sent.0 < REMEMBERED_US)
    }

    /// Remembers more of what leaves the window.
    pub(crate) fn remember_more(&mut self) {
        self.outside.grow();
    }

    /// Whether nothing of what it remembers is recent enough to be worth more room than usual.
    pub(crate) fn is_slow(&self, now: Micros) -> bool {
        let newest = self.outside.newest_at();
        newest.is_none_or(|newest| now.0 - newest.0 > REMEMBERED_US)
    }

    /// Remembers only a few of what left the window.
    pub(crate) fn remember_less(&mut self) {
        self.outside.forget_most();
    }

    /// How many of the arrivals outside the window it may remember.
    pub(crate) fn remembers(&self) -> usize {
        self.outside.limit()
    }
}

/// The identity that an event has in the window, by its recorded time, and the one it has aside, if any.
pub(crate) fn identify(
    evaluation_id: Option<&str>,
    event: &Recorded,
    identities: &Identities,
) -> (u64, Option<u64>) {
    let Some(id) = evaluation_id else { return (0, None) };
    match (event.source, event.sent_at) {
        (Source::EvaluateMadeId, _) => (identities.of(id, Some(event.recorded_at)), None),
        (Source::Evaluate, _) => (0, Some(identities.of_evaluated(id))),
        (Source::Ingest, None) => (0, Some(identities.of(id, None))),
        (Source::Ingest, Some(sent)) if sent == event.recorded_at => (identities.of(id, Some(sent)), None),
        (Source::Ingest, Some(sent)) => (0, Some(identities.of(id, Some(sent)))),
    }
}

/// A place in the registry: one agent of one organisation, for as long as the process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AgentNo(pub(crate) u32);

/// An agent's full name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AgentName<'a> {
    pub(crate) org: OrgId,
    pub(crate) agent_id: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::FEW;

    /// One event a microsecond, more than the window and what is remembered hold.
    fn fast_agent(identities: &Identities) -> (AgentState, i64) {
        let mut state = AgentState::new(Micros(0));
        let newest = (WINDOW + 2 * FEW) as i64;
        for at in 1..=newest {
            let arrival = Arrival {
                evaluation_id: Some("e"),
                event: Recorded {
                    seq: at.cast_unsigned(),
                    recorded_at: Micros(at),
                    sent_at: Some(Micros(at)),
                    source: Source::Ingest,
                    named: true,
                },
                latency_us: 1,
                passed: true,
            };
            state.count(&arrival, identities);
        }
        (state, newest)
    }

    #[test]
    fn only_a_doubt_about_what_was_forgotten_asks_for_more_memory() {
        let identities = Identities::new(&[7; 32]);
        let (state, newest) = fast_agent(&identities);
        let asked = |evaluation_id, at: i64| {
            let sent_at = Some(Micros(at));
            let question = Question {
                evaluation_id,
                sent_at,
            };
            let answer = state.ask(&question, 0, &identities);
            (answer, state.forgets_too_soon(&question))
        };
        assert_eq!(
            asked("e", newest),
            (Answer::Ask, false),
            "sent again, in the window"
        );
        let left = newest - WINDOW as i64;
        assert_eq!(asked("e", left), (Answer::Ask, false), "sent again, remembered");
        assert_eq!(
            asked("new", left),
            (Answer::New, false),
            "all since then is known"
        );
        assert_eq!(asked("new", left - FEW as i64), (Answer::Ask, true), "forgotten");
    }
}
