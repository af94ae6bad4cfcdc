//! The batches that were recorded last, to know one that is sent again without a look at stored rows.
//!
//! A client that got no answer sends its whole batch once more, mostly within moments. What is kept of a batch are
//! the bytes of its record, so that whole ids are compared, and one entry by its first event, so that others pay next
//! to nothing. An event that is not found here is no new one for that: it is decided as any other.

use crate::agent::Question;
use crate::codec::{AgentWord, BatchReader, Pen, id_form};
use hashbrown::HashMap;
use std::collections::VecDeque;

/// Batches kept at most, in one segment.
const MAX_BATCHES: usize = 512;
/// Bytes of their records at most.
const MAX_BYTES: usize = 4 << 20;

/// An agent's event that has an id and a timestamp, by its keyed hash: what a batch is found by.
pub(crate) type First = (AgentWord, u64);

/// The batches that were recorded last in a segment. What rows say means something in their own segment alone, so
/// nothing is known of a batch that was recorded in the one before.
#[derive(Default)]
pub(crate) struct RecordedBatches {
    /// The newest batch with this first event, by its number.
    by_first: HashMap<First, u64>,
    /// Oldest first.
    batches: VecDeque<Kept>,
    /// The number of the oldest.
    oldest: u64,
    bytes: usize,
}

struct Kept {
    first: First,
    /// Of its record.
    body: Vec<u8>,
}

impl RecordedBatches {
    /// Keeps a batch that was recorded, by its first event that has an id and a timestamp.
    pub(crate) fn keep(&mut self, first: First, body: &[u8]) {
        if body.len() > MAX_BYTES {
            return;
        }
        let mut room = Vec::new();
        while self.batches.len() >= MAX_BATCHES || self.bytes + body.len() > MAX_BYTES {
            let Some(old) = self.batches.pop_front() else {
                break;
            };
            if self.by_first.get(&old.first) == Some(&self.oldest) {
                self.by_first.remove(&old.first);
            }
            self.oldest += 1;
            self.bytes -= old.body.len();
            room = old.body;
        }
        room.clear();
        room.extend_from_slice(body);
        self.by_first
            .insert(first, self.oldest + self.batches.len() as u64);
        self.batches.push_back(Kept { first, body: room });
        self.bytes += body.len();
    }

    /// Of these events, which have an id and a timestamp, those that were recorded in the batch that begins with the
    /// first one: by what they are called here. Both are gone through once, side by side, so an event at another
    /// place than in the recorded batch is left out.
    pub(crate) fn again<'q>(
        &self,
        first: First,
        events: impl Iterator<Item = (usize, AgentWord, Question<'q>)>,
    ) -> Vec<usize> {
        let mut again = Vec::new();
        let Some(reader) = self.find(first) else {
            return again;
        };
        let rows = reader.rows().map_while(Result::ok).flatten();
        let mut rows = rows.filter(|row| row.evaluation_id.is_some() && row.sent_at.is_some());
        let mut next = rows.next();
        let mut pen = Pen::default();
        for (event, agent, question) in events {
            let Some(row) = &next else { break };
            if row.agent == agent
                && row.sent_at == question.sent_at
                && row.evaluation_id == id_form(&mut pen, question.evaluation_id)
            {
                again.push(event);
                next = rows.next();
            }
        }
        again
    }

    fn find(&self, first: First) -> Option<BatchReader<'_>> {
        let number = self.by_first.get(&first)?;
        let kept = self.batches.get((number - self.oldest) as usize)?;
        BatchReader::new(&kept.body).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{BatchEncoder, BatchHeader, EventView, RowFields, Words};
    use crate::{KeyId, OrgId, Source};
    use reputation::Micros;

    const SENT: i64 = 1_795_478_400_000_000;

    type Event<'a> = (u32, Option<&'a str>, Option<i64>);

    /// The record of a batch with these events.
    fn body(events: &[Event<'_>]) -> Vec<u8> {
        let header = BatchHeader {
            org: OrgId(1),
            key: KeyId(1),
            signed: false,
            source: Source::Ingest,
            received_at: Micros(SENT),
            imported_at: None,
            first_seq: 1,
            duplicates: 0,
        };
        let (mut pen, mut words) = (Pen::default(), Words::new());
        let mut encoder = BatchEncoder::new(&header, &mut pen);
        for (agent, evaluation_id, sent_at) in events {
            let event = EventView {
                agent: AgentWord(*agent),
                tool: None,
                passed: true,
                total_latency_us: 1,
                sent_at: sent_at.map(Micros),
                evaluation_id: *evaluation_id,
                agent_latency_us: None,
            };
            let fields = RowFields {
                recorded_at: Micros(sent_at.unwrap_or(SENT)),
                late: false,
                score: 0,
            };
            encoder.push(&event, std::iter::empty(), &fields, &mut words);
        }
        pen.written().to_vec()
    }

    fn again(recorded: &RecordedBatches, first: First, events: &[Event<'_>]) -> Vec<usize> {
        let events = events
            .iter()
            .enumerate()
            .filter_map(|(at, (agent, id, sent_at))| {
                let question = Question {
                    evaluation_id: (*id)?,
                    sent_at: Some(Micros((*sent_at)?)),
                };
                Some((at, AgentWord(*agent), question))
            });
        recorded.again(first, events)
    }

    #[test]
    fn all_of_agent_id_and_time_decide() {
        let events = [
            (0, Some("9f86d081884c7d659a2feaa0"), Some(SENT)),
            (0, None, Some(SENT)),
            (1, Some("run-7"), Some(SENT - 5)),
            (1, Some("run-8"), None),
            (0, Some("run-9"), Some(SENT - 6)),
        ];
        let first = (AgentWord(0), 77);
        let mut recorded = RecordedBatches::default();
        recorded.keep(first, &body(&events));
        assert_eq!(again(&recorded, first, &events), [0, 2, 4]);
        assert_eq!(again(&recorded, (AgentWord(1), 77), &events), [0; 0]);
        for (agent, id, sent) in [
            (1, "run-7", SENT - 4),
            (2, "run-7", SENT - 5),
            (1, "run-6", SENT - 5),
        ] {
            let mut others = events;
            others[2] = (agent, Some(id), Some(sent));
            assert_eq!(again(&recorded, first, &others), [0], "{agent} {id}");
        }
        // One that the recorded batch does not have hides none behind it.
        let mut more = events.to_vec();
        more.insert(1, (3, Some("other"), Some(SENT)));
        assert_eq!(again(&recorded, first, &more), [0, 3, 5]);
    }

    #[test]
    fn the_newest_batches_are_kept_within_both_bounds() {
        let mut recorded = RecordedBatches::default();
        let event = |id| [(0, Some("run"), Some(id))];
        let count = MAX_BATCHES as i64 + 10;
        for id in 0..count {
            recorded.keep((AgentWord(0), id.cast_unsigned()), &body(&event(id)));
        }
        let known = |recorded: &RecordedBatches, id: i64| {
            !again(recorded, (AgentWord(0), id.cast_unsigned()), &event(id)).is_empty()
        };
        let all: Vec<i64> = (0..count).filter(|id| known(&recorded, *id)).collect();
        assert_eq!(all, (10..count).collect::<Vec<_>>());
        assert_eq!(recorded.by_first.len(), MAX_BATCHES);

        recorded.keep((AgentWord(0), 1_000), &vec![0; MAX_BYTES + 1]);
        assert!(
            known(&recorded, count - 1),
            "a batch that is too large costs no other"
        );
        recorded.keep((AgentWord(0), 1_001), &vec![0; MAX_BYTES - 200]);
        assert!(recorded.bytes <= MAX_BYTES && recorded.batches.len() < 10);
        assert_eq!(
            recorded.bytes,
            recorded.batches.iter().map(|kept| kept.body.len()).sum::<usize>()
        );
    }

    #[test]
    fn of_two_batches_with_one_beginning_the_newer_is_found() {
        let first = (AgentWord(0), 5);
        let mut recorded = RecordedBatches::default();
        let (old, new) = (
            [(0, Some("a"), Some(1)), (0, Some("b"), Some(1))],
            [(0, Some("a"), Some(1)), (0, Some("c"), Some(1))],
        );
        recorded.keep(first, &body(&old));
        recorded.keep(first, &body(&new));
        assert_eq!(again(&recorded, first, &new), [0, 1]);
        assert_eq!(again(&recorded, first, &old), [0]);
    }
}
