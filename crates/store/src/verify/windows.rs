//! Each agent's window, counted anew from its first event, and compared with the score that was recorded with
//! each event, with the checkpoint's totals and with the copy that was put aside.

use super::facts::Recounted;
use super::{Derived, Finding, MAX_SLOTS, Remedy, Report, readable};
use crate::agent::{AgentName, AgentNo, AgentState, Arrival};
use crate::codec::{self, BatchReader, Dictionary, Row};
use crate::facts::Recorded;
use crate::identity::Identities;
use crate::registry::AgentUpdate;
use crate::secret::Secret;
use crate::{Error, Source};
use journal::{Disk, Place, Segment};
use reputation::{Placement, WINDOW};
use std::ops::Range;

/// Counts all windows, so many agents at a time as fit.
pub(super) fn check(
    disk: &dyn Disk,
    places: &[Place],
    recounted: &Recounted,
    derived: &Derived,
    report: &mut Report,
) -> Result<(), Error> {
    let mut first = 0;
    while first < recounted.registry.len() {
        let mut slots = 0;
        let entries = recounted.registry.entries_from(first);
        let fit = entries.take_while(|entry| {
            slots += entry.facts().count.min(WINDOW as u64);
            slots <= MAX_SLOTS
        });
        let agents = first..first + fit.count().max(1);
        first = agents.end;
        Pass::new(agents, recounted, derived, report).run(disk, places)?;
    }
    Ok(())
}

/// One pass over the log for some agents.
struct Pass<'a> {
    agents: Range<usize>,
    states: Vec<Option<AgentState>>,
    recounted: &'a Recounted,
    derived: &'a Derived,
    identities: Identities,
    report: &'a mut Report,
}

impl<'a> Pass<'a> {
    fn new(
        agents: Range<usize>,
        recounted: &'a Recounted,
        derived: &'a Derived,
        report: &'a mut Report,
    ) -> Self {
        // Without the key there are no copies, whose identities alone are compared.
        let identities = derived.identities().copied();
        Self {
            states: vec![None; agents.len()],
            agents,
            recounted,
            derived,
            identities: identities.unwrap_or_else(|| Identities::new(&Secret::default())),
            report,
        }
    }

    fn run(mut self, disk: &dyn Disk, places: &[Place]) -> Result<(), Error> {
        for segment in readable(places) {
            let mut dictionary = Dictionary::default();
            for frame in segment.frames() {
                let frame = frame.map_err(Error::from_damage_beside(disk))?;
                for record in frame.records() {
                    match record.kind {
                        // What is malformed was reported when the segment was checked.
                        codec::WORDS => drop(dictionary.add(record.body)),
                        codec::BATCH => {
                            let offset = frame.payload_offset + u64::from(record.offset);
                            self.batch(segment, offset, record.body, &dictionary);
                        }
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }

    fn batch(&mut self, segment: &Segment, offset: u64, body: &[u8], dictionary: &Dictionary) {
        let Ok(reader) = BatchReader::new(body) else {
            return;
        };
        let header = reader.header;
        for (seq, row) in (header.first_seq..).zip(reader.rows().map_while(Result::ok)) {
            let Some(row) = row else { continue };
            let Ok(name) = dictionary.agent(header.org, row.agent) else {
                continue;
            };
            let no = self.recounted.registry.find(name);
            let Some(at) = no
                .map(|no| no.0 as usize)
                .filter(|at| self.agents.contains(at))
                .map(|at| at - self.agents.start)
            else {
                continue;
            };
            let is_as_recorded = self.count(at, header.source, seq, &row);
            if self.recounted.is_gapless && !is_as_recorded {
                self.report.find(Finding {
                    file: segment.path.to_path_buf(),
                    offset,
                    remedy: Remedy::Report,
                    what: format!(
                        "event {seq} of organisation {} was recorded with another score than a recount gives",
                        header.org.0
                    ),
                });
            }
            self.compare(at, name, seq);
        }
    }

    /// Counts a row; says whether it was recorded with the score that this gives.
    fn count(&mut self, at: usize, source: Source, seq: u64, row: &Row<'_>) -> bool {
        let state = self.states[at].get_or_insert_with(|| AgentState::new(row.recorded_at));
        let id = row.evaluation_id.as_ref().map(ToString::to_string);
        let arrival = Arrival {
            evaluation_id: id.as_deref(),
            event: Recorded::of(row, source, seq),
            latency_us: row.total_latency_us,
            passed: row.passed,
        };
        let placement = state.count(&arrival, &self.identities);
        (state.window.summary().score(), placement == Placement::Late) == (row.score, row.late)
    }

    /// Compares with what was derived of the agent, if that was done after just this event.
    fn compare(&mut self, at: usize, name: AgentName<'_>, seq: u64) {
        let Some((checkpoint, _, file)) = &self.derived.checkpoint else {
            return;
        };
        let Some(entry) = checkpoint.find(name).map(|no| checkpoint.entry(no)) else {
            return;
        };
        let Some(state) = self.states[at].as_ref().filter(|_| entry.facts().last_seq == seq) else {
            return;
        };
        if self.recounted.is_erased(name, self.derived.identities()) {
            return;
        }
        let update = AgentUpdate::of(AgentNo(0), state);
        if entry.summary.is_some() && (entry.summary, entry.floor()) != (update.summary, update.floor) {
            let what = format!(
                "an agent of organisation {} has other totals in the checkpoint than a recount gives (event {seq})",
                entry.org.0
            );
            self.report.derived(file, 0, what);
        }
        let copy = (self.derived.copies.as_ref().zip(entry.spilled))
            .and_then(|((spill, _), place)| Some((place, spill.read(place, name)?, spill.path(place.file))));
        // One that does not check, or is of another time, is not used by the server either.
        if let Some((place, copy, file)) = copy.filter(|(_, copy, _)| copy.facts == entry.facts())
            && !is_same_window(&copy, state)
        {
            let what = "the copy of a window is not what a recount gives";
            self.report.derived(&file, place.offset, what);
        }
    }
}

/// Whether the slots are the same but for their numbers of arrival, which a window loaded from the rows knows
/// only roughly.
fn is_same_window(one: &AgentState, other: &AgentState) -> bool {
    let slots = |state: &AgentState| -> Vec<_> {
        let slots = state.window.slots();
        slots
            .map(|slot| (slot.recorded_at, slot.latency_us, slot.passed, slot.identity))
            .collect()
    };
    slots(one) == slots(other)
}
