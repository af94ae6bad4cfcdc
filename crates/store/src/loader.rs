//! What a submission needs from the disk before the owner may count it: cold agents, and a look at stored
//! events that it may repeat. Done on a few threads of their own, so that the owner never reads a file.

use crate::agent::{AgentName, AgentNo, AgentState, Aside, Question, identify};
use crate::batch::Verdict;
use crate::codec::{CarriedWindow, CarryRecord};
use crate::facts::Facts;
use crate::identity::{Identities, made_times};
use crate::owner::{Message, Work};
use crate::query::{Counted, Past, Search};
use crate::registry::{Carried, Entry};
use crate::shared::{Known, Seen, Shared};
use crate::transit::Loaded;
use crate::{Error, OrgId, Refused, Source, threads};
use crossbeam_channel::{Receiver, Sender};
use reputation::{Micros, Slot, WINDOW, Window};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A submission that has to be prepared, or prepared again.
pub(crate) struct Errand {
    pub(crate) work: Work,
    /// The events whose agents' stored rows must be looked at.
    pub(crate) doubts: Vec<usize>,
    /// What the owner had counted when it sent the work back: the look-up must see it.
    pub(crate) after_group: u64,
}

/// Runs errands until their channel ends.
pub(crate) fn run(shared: &Shared, errands: &Receiver<Errand>, owner: &Sender<Message>) {
    for Errand {
        mut work,
        doubts,
        after_group,
    } in errands
    {
        shared.progress.wait_for(after_group);
        let prepared = catch_unwind(AssertUnwindSafe(|| {
            shared.read(|| look_up(shared, &mut work, &doubts).and_then(|()| load_cold(shared, &mut work)))
        }));
        // One that panics is answered like one that fails: it has changed nothing, and others need the thread.
        let prepared = prepared.unwrap_or_else(|_| {
            Err(Error::System {
                what: "a look-up of stored events",
                why: "it panicked".to_owned(),
            })
        });
        let undelivered = match prepared {
            Ok(()) => owner.send(Message::Batch(work)).err().map(|back| back.0),
            Err(error) => {
                tracing::error!(%error, "a submission needs stored events that cannot be read");
                (work.reply)(Err(Refused::Internal(error.to_string())));
                None
            }
        };
        if let Some(message) = undelivered {
            message.refuse(&Refused::NotKept(crate::NotKept::Draining));
        }
    }
}

/// Whether the work can go to the owner at once, judging by what is published; else the doubts to look up.
pub(crate) fn triage(shared: &Shared, work: &mut Work) -> Option<Vec<usize>> {
    let published = shared.published.read();
    let mut any_cold = false;
    let batch = &mut work.batch;
    for agent in 0..batch.agents.len() {
        let no = published.registry.find(AgentName {
            org: batch.org,
            agent_id: batch.agent_id(agent),
        });
        batch.agents[agent].no = no;
        any_cold |= no.is_some_and(|no| !published.registry.entry(no).is_resident());
    }
    let doubts: Vec<usize> = (0..batch.events.len())
        .filter(|&event| {
            let event = &batch.events[event];
            let Some(question) = batch.question(event) else {
                return false;
            };
            event.verdict == Verdict::NotAmong(0)
                && (batch.source != Source::EvaluateMadeId || batch.provenance.is_some())
                && batch.agents[event.agent]
                    .no
                    .is_some_and(|no| reaches_back(published.registry.entry(no), &question))
        })
        .collect();
    (any_cold || !doubts.is_empty()).then_some(doubts)
}

/// Whether a repeat of this event may lie before what the agent's state in memory can tell.
fn reaches_back(entry: &Entry, question: &Question<'_>) -> bool {
    let Facts {
        newest_sent,
        clamped,
        made,
        count,
        ..
    } = entry.facts();
    let forgotten = |time: Micros| entry.may_be_forgotten(time);
    let by_time = question.sent_at.is_some_and(|sent| {
        let clamped = clamped.is_some_and(|span| span.holds(sent));
        (clamped && count > WINDOW as u64) || (newest_sent >= Some(sent) && forgotten(sent))
    });
    by_time
        || made.is_some_and(|made| {
            made_times(question.evaluation_id).any(|time| made.holds(time) && forgotten(time))
        })
}

/// Settles whether these events were recorded before, as far as it is published now.
fn look_up(shared: &Shared, work: &mut Work, doubts: &[usize]) -> Result<(), Error> {
    let batch = &mut work.batch;
    let mut agents: Vec<usize> = doubts.iter().map(|doubt| batch.events[*doubt].agent).collect();
    agents.sort_unstable();
    agents.dedup();
    let names = agents.iter().map(|agent| batch.agent_id(*agent));
    let (past, known) = shared.past(batch.org, names);
    let stored = known.into_iter().map(|known| match known {
        Some(known) => Stored::of(&past, known).map(Some),
        None => Ok(None),
    });
    let mut stored: Vec<Option<Stored<'_>>> = stored.collect::<Result<_, _>>()?;
    let mut search = past.search();
    let mut verdicts = Vec::with_capacity(doubts.len());
    for &doubt in doubts {
        let event = &batch.events[doubt];
        let (Some(question), Ok(at)) = (batch.question(event), agents.binary_search(&event.agent)) else {
            continue;
        };
        let Some(stored) = &mut stored[at] else { continue };
        let verdict = if stored.holds(&question, &shared.identities, &mut search)? {
            Verdict::Recorded
        } else {
            Verdict::NotAmong(stored.known.facts.count)
        };
        verdicts.push((doubt, verdict));
    }
    let places: Vec<Option<AgentNo>> = stored
        .iter()
        .map(|stored| Some(stored.as_ref()?.known.no))
        .collect();
    for (agent, no) in agents.into_iter().zip(places) {
        let looked_up = std::mem::replace(&mut batch.agents[agent].looked_up, no);
        if looked_up.is_some_and(|before| Some(before) != no) {
            batch.forget_verdicts(agent);
        }
    }
    for (doubt, verdict) in verdicts {
        batch.events[doubt].verdict = verdict;
    }
    Ok(())
}

/// What is stored of an agent at one moment, for all questions of an errand.
struct Stored<'a> {
    past: &'a Past,
    known: Known<'a>,
    carry: Option<CarryRecord>,
    /// Its newest arrivals, once somebody asked for them.
    arrivals: Option<Vec<Counted>>,
}

impl<'a> Stored<'a> {
    fn of(past: &'a Past, known: Known<'a>) -> Result<Self, Error> {
        let segment = known.carried.and_then(Carried::segment_of_window);
        let carry = segment.map(|segment| past.carry(known.whose.agent_id, segment));
        Ok(Self {
            past,
            carry: carry.transpose()?,
            known,
            arrivals: None,
        })
    }

    /// Whether the event is among them.
    fn holds(
        &mut self,
        question: &Question<'_>,
        identities: &Identities,
        search: &mut Search<'_>,
    ) -> Result<bool, Error> {
        let Known { facts, whose, .. } = self.known;
        let id = question.evaluation_id;
        let is_id = |row: &Counted| row.evaluation_id.as_deref() == Some(id);
        if is_carried(self.carry.as_ref(), question, facts.count, identities) {
            return Ok(true);
        }
        if let Some(sent) = question.sent_at {
            let rows = search.at_time(whose, sent, id)?;
            if rows
                .iter()
                .any(|row| row.event.sent_at == Some(sent) && is_id(row))
                || facts.clamped.is_some_and(|span| span.holds(sent))
                    && search.clamped_at(whose, sent)?.iter().any(is_id)
            {
                return Ok(true);
            }
        }
        for made in made_times(id) {
            let rows = search.at_time(whose, made, id)?;
            if rows
                .iter()
                .any(|row| row.event.source == Source::EvaluateMadeId && is_id(row))
            {
                return Ok(true);
            }
        }
        if facts.last_aside == 0 {
            return Ok(false);
        }
        let arrivals = match &mut self.arrivals {
            Some(arrivals) => arrivals,
            none => none.insert(self.past.newest_arrivals(whose, WINDOW)?),
        };
        Ok(arrivals.iter().any(|row| {
            let stands = match row.event.source {
                Source::Evaluate => true,
                Source::Ingest => question.sent_at.is_none() && row.event.sent_at.is_none(),
                Source::EvaluateMadeId => false,
            };
            stands && row.evaluation_id.as_deref() == Some(id)
        }))
    }
}

/// Whether the event is among those that were carried: in the window by its time, or aside among the newest
/// of the agent's arrivals. Their ids are gone, so their keyed hashes decide.
fn is_carried(
    carry: Option<&CarryRecord>,
    question: &Question<'_>,
    known: u64,
    identities: &Identities,
) -> bool {
    let Some(window) = carry.and_then(|carry| carry.window.as_ref()) else {
        return false;
    };
    let Question {
        evaluation_id,
        sent_at,
    } = *question;
    let is_at = |time: Micros| {
        let identity = identities.of(evaluation_id, Some(time));
        let mut slots = window.slots.iter();
        slots.any(|slot| slot.recorded_at == time && slot.identity == identity)
    };
    let (sent, evaluated) = (
        identities.of(evaluation_id, sent_at),
        identities.of_evaluated(evaluation_id),
    );
    let is_aside = |aside: &Aside| {
        aside.arrival + WINDOW as u64 > known && (aside.identity == sent || aside.identity == evaluated)
    };
    sent_at.is_some_and(is_at) || made_times(evaluation_id).any(is_at) || window.aside.iter().any(is_aside)
}

/// Brings the states of the work's cold agents.
fn load_cold(shared: &Shared, work: &mut Work) -> Result<(), Error> {
    work.loaded = Loaded::default(); // those of an attempt before
    let batch = &mut work.batch;
    let mut states = Vec::new();
    for agent in 0..batch.agents.len() {
        let agent_id = batch.agent_id(agent);
        let name = AgentName {
            org: batch.org,
            agent_id,
        };
        if let Some((no, _)) = shared.find(name) {
            if !shared.is_resident(no) {
                if states.is_empty() {
                    shared.transit.wait_for_room();
                }
                let state = bring(shared, no, name)?;
                states.extend(state.map(|state| (no, state)));
            }
            batch.agents[agent].no = Some(no);
        }
    }
    work.loaded = shared.transit.send(states);
    Ok(())
}

/// The state of a cold agent; `None` if it was on its way to the owner and has arrived there.
fn bring(shared: &Shared, no: AgentNo, name: AgentName<'_>) -> Result<Option<AgentState>, Error> {
    if let Some(state) = copy_of(shared, no, name) {
        return Ok(Some(state));
    }
    shared.expected.wait_for(no);
    if shared.is_resident(no) {
        return Ok(None);
    }
    from_rows(shared, &shared.look(no, name.org, name.agent_id)).map(Some)
}

/// The state of an agent as it is published at this moment: from its copy if that still holds, else from
/// its newest rows and what was carried of those that went.
pub(crate) fn load(shared: &Shared, no: AgentNo, org: OrgId, agent_id: &str) -> Result<AgentState, Error> {
    match copy_of(shared, no, AgentName { org, agent_id }) {
        Some(state) => Ok(state),
        None => from_rows(shared, &shared.look(no, org, agent_id)),
    }
}

/// What was put aside of an agent, if nothing was counted since.
pub(crate) fn copy_of(shared: &Shared, no: AgentNo, name: AgentName<'_>) -> Option<AgentState> {
    let (facts, spilled) = {
        let published = shared.published.read();
        let entry = published.registry.entry(no);
        (entry.facts(), entry.spilled)
    };
    let copy = shared.spill.read(spilled?, name);
    copy.filter(|state| state.facts == facts)
}

fn from_rows(shared: &Shared, seen: &Seen) -> Result<AgentState, Error> {
    let facts = seen.facts;
    if facts.count == 0 {
        return Ok(AgentState::loaded(facts, Window::new(), [].into()));
    }
    let carry = seen.carry()?;
    let (after, carried) = match carry {
        Some(CarryRecord { facts, window, .. }) => (facts.last_seq, window.unwrap_or_default()),
        None => (0, CarriedWindow::default()),
    };
    let mut rows = seen.reader.newest(WINDOW)?;
    // Those that a carried window covers are in it, or were out of it for good.
    rows.retain(|row| row.event.seq > after);
    // Which arrival a row was is not stored. Numbering the rows up to the newest arrival keeps their order
    // and never numbers one too low, which could pass a doubtful event for a new one.
    rows.sort_by_key(|row| row.event.seq);
    let first = facts.count - (rows.len() as u64).min(facts.count);
    let slots = rows.iter().zip(first + 1..).map(|(row, arrival)| Slot {
        recorded_at: row.event.recorded_at,
        arrival,
        latency_us: row.latency_us,
        passed: row.passed,
        identity: identify(row.evaluation_id.as_deref(), &row.event, &shared.identities).0,
    });
    let window = carried.slots.into_iter().chain(slots).collect();
    let mut aside = Vec::new();
    if facts.last_aside + WINDOW as u64 > facts.count {
        let is_new = |aside: &Aside| aside.arrival + WINDOW as u64 > facts.count;
        aside.extend(carried.aside.into_iter().filter(is_new));
        let mut arrivals = seen.reader.newest_arrivals(WINDOW)?;
        arrivals.retain(|row| row.event.seq > after);
        let first = facts.count - (arrivals.len() as u64).min(facts.count);
        aside.extend(arrivals.iter().zip(first + 1..).filter_map(|(row, arrival)| {
            let id = row.evaluation_id.as_deref();
            let (_, identity) = identify(id, &row.event, &shared.identities);
            identity.map(|identity| Aside { arrival, identity })
        }));
    }
    Ok(AgentState::loaded(facts, window, aside.into()))
}

/// Starts so many loaders.
pub(crate) fn spawn(
    shared: &Arc<Shared>,
    errands: &Receiver<Errand>,
    owner: &Sender<Message>,
    at_once: usize,
) -> Result<Vec<std::thread::JoinHandle<()>>, Error> {
    let start = |number: usize| {
        let (shared, errands, owner) = (Arc::clone(shared), errands.clone(), owner.clone());
        threads::spawn(&format!("repute-load-{number}"), move || {
            run(&shared, &errands, &owner);
        })
    };
    (0..at_once).map(start).collect()
}
