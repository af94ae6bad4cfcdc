//! The body of `POST /v1/ingest`: `{"events": [1 to 100 items]}`, read event by event.
//!
//! The body is read to its end whatever is wrong with an event, so that a syntax error anywhere is told as
//! such and every bad event is named. Of more than [`MAX_EVENTS`] events the rest is only passed over.

mod event;
mod predicted;

use crate::field::{Field, Stop, body, enter_object, refuse};
use crate::{Fault, Invalid};
use json::{Kind, Reader};
use predicted::Predictor;
use reputation::Evaluation;

/// The most events in a batch.
pub const MAX_EVENTS: usize = 100;
/// The most gates in an event.
pub const MAX_GATES: usize = 50;
/// The greatest `total_latency_ms`.
pub const MAX_TOTAL_LATENCY_MS: u32 = 60_000;
/// The greatest `latency_ms` of a gate.
pub const MAX_GATE_LATENCY_MS: u32 = 1_000_000_000;

/// What most events take at least, to make room for all of them at once.
const LIKELY_EVENT_BYTES: usize = 300;

/// Which events of a batch can be taken and which cannot.
///
/// `positions` and `invalid` together are the 1–[`MAX_EVENTS`] events sent. A caller that takes a batch whole or not
/// at all refuses it unless `invalid` is empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sorted {
    /// For each good event its index among all that were sent.
    pub positions: Vec<usize>,
    /// The others, in the order sent, each with its first fault.
    pub invalid: Vec<Invalid>,
}

impl Sorted {
    /// How many events were sent.
    #[must_use]
    pub fn total(&self) -> usize {
        self.positions.len() + self.invalid.len()
    }
}

/// A batch as it was sent, with its good events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed<'a> {
    /// The good events, in the order sent.
    pub evaluations: Vec<Evaluation<'a>>,
    /// For each good event its index among all that were sent.
    pub positions: Vec<usize>,
    /// The others, in the order sent, each with its first fault.
    pub invalid: Vec<Invalid>,
}

impl Parsed<'_> {
    /// How many events were sent.
    #[must_use]
    pub fn total(&self) -> usize {
        self.evaluations.len() + self.invalid.len()
    }
}

/// Reads a batch and gives each good event to `take`, in the order sent. What is wrong with single events is in
/// [`Sorted::invalid`]; a [`Fault`] is about the body, and what was taken until then has to be forgotten.
pub fn read<'a>(bytes: &'a [u8], take: impl FnMut(&Evaluation<'a>)) -> Result<Sorted, Fault> {
    read_with::<true>(bytes, take)
}

/// Reads a batch and keeps its good events.
pub fn parse(bytes: &[u8]) -> Result<Parsed<'_>, Fault> {
    parse_with::<true>(bytes)
}

/// The same, read by the general reader alone: what [`parse`] is compared with.
pub fn parse_generally(bytes: &[u8]) -> Result<Parsed<'_>, Fault> {
    parse_with::<false>(bytes)
}

fn parse_with<const PREDICTS: bool>(bytes: &[u8]) -> Result<Parsed<'_>, Fault> {
    let mut evaluations = Vec::new();
    let sorted = read_with::<PREDICTS>(bytes, |evaluation| evaluations.push(evaluation.clone()))?;
    Ok(Parsed {
        evaluations,
        positions: sorted.positions,
        invalid: sorted.invalid,
    })
}

/// Reads a batch; without `PREDICTS` each event by the general reader alone.
fn read_with<'a, const PREDICTS: bool>(
    bytes: &'a [u8],
    mut take: impl FnMut(&Evaluation<'a>),
) -> Result<Sorted, Fault> {
    body(bytes, |reader| {
        enter_object(reader)?;
        let mut events = Field::new("events");
        while let Some(key) = reader.next_key()? {
            if key == "events" {
                events.read(reader, |reader, name| {
                    read_events::<PREDICTS>(reader, name, &mut take)
                })?;
            } else {
                reader.skip()?;
            }
        }
        events.required()
    })
}

fn read_events<'a, const PREDICTS: bool>(
    reader: &mut Reader<'a>,
    name: &'static str,
    take: &mut impl FnMut(&Evaluation<'a>),
) -> Result<Sorted, Stop> {
    if reader.peek()? != Kind::Array {
        return refuse(reader, name, "not an array");
    }
    reader.enter()?;
    let depth = reader.depth();
    let likely = (reader.text().len() - reader.position()) / LIKELY_EVENT_BYTES + 1;
    let mut sorted = Sorted {
        positions: Vec::with_capacity(likely.min(MAX_EVENTS)),
        invalid: Vec::new(),
    };
    let mut predictor = Predictor::default();
    let mut gates = 0;
    while reader.next_element()? {
        let index = sorted.total();
        if index == MAX_EVENTS {
            return refuse(reader, name, "more than 100 items");
        }
        reader.peek()?;
        if PREDICTS && let Some((evaluation, end)) = predictor.read(reader.text(), reader.position()) {
            reader.pass_to(end);
            take(&evaluation);
            sorted.positions.push(index);
            predictor.reuse(evaluation.gates);
            continue;
        }
        match event::read(reader, gates) {
            Ok(evaluation) => {
                gates = evaluation.gates.len();
                take(&evaluation);
                sorted.positions.push(index);
            }
            Err(Stop::Broken(broken)) => {
                reader.leave_to(depth)?;
                sorted.invalid.push(Invalid {
                    event: index,
                    field: broken.field,
                    rule: broken.rule.into_owned(),
                });
            }
            Err(stop) => return Err(stop),
        }
    }
    if sorted.total() == 0 {
        return Err(Stop::broken(name, "fewer than 1 item"));
    }
    Ok(sorted)
}

#[cfg(test)]
mod tests;
