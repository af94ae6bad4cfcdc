//! A batch record: who sent it, when and how, and its rows.

use super::fields::{Malformed, Reader};
use super::pen::Pen;
use super::row::{self, EventView, GateView, Row, RowFields, Written};
use super::words::Words;
use crate::{KeyId, OrgId, Source};
use reputation::Micros;

const SIGNED: u8 = 1;
const SOURCE_SHIFT: u32 = 1;
const SOURCE_MASK: u8 = 3;
const IMPORTED: u8 = 1 << 3;
const KNOWN_FLAGS: u8 = (1 << 4) - 1;

/// What all rows of a batch share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub(crate) org: OrgId,
    pub(crate) key: KeyId,
    pub(crate) signed: bool,
    pub(crate) source: Source,
    pub(crate) received_at: Micros,
    /// Where it was imported: when. Then all else is as it was where it came from.
    pub(crate) imported_at: Option<Micros>,
    /// The organisation's sequence number of the first row; the others follow.
    pub(crate) first_seq: u64,
    /// Events of the batch that were repeats, and so are no rows.
    pub(crate) duplicates: u32,
}

impl BatchHeader {
    /// The time by which retention goes.
    pub(crate) fn kept_since(&self) -> Micros {
        self.imported_at.unwrap_or(self.received_at)
    }
}

/// Writes a batch record row by row.
pub(crate) struct BatchEncoder<'p> {
    received_at: Micros,
    pen: &'p mut Pen,
}

impl<'p> BatchEncoder<'p> {
    /// Begins a record with a pen, whatever that wrote before.
    pub(crate) fn new(header: &BatchHeader, pen: &'p mut Pen) -> Self {
        pen.clear();
        pen.varint(u64::from(header.org.0));
        pen.varint(u64::from(header.key.0));
        let imported = if header.imported_at.is_some() { IMPORTED } else { 0 };
        pen.byte(u8::from(header.signed) | row::source_number(header.source) << SOURCE_SHIFT | imported);
        pen.word(header.received_at.0.cast_unsigned(), 8);
        if let Some(imported_at) = header.imported_at {
            pen.word(imported_at.0.cast_unsigned(), 8);
        }
        pen.varint(header.first_seq);
        pen.varint(u64::from(header.duplicates));
        Self {
            received_at: header.received_at,
            pen,
        }
    }

    /// Appends a row.
    pub(crate) fn push<'e>(
        &mut self,
        event: &EventView<'e>,
        gates: impl ExactSizeIterator<Item = GateView<'e>>,
        fields: &RowFields,
        words: &mut Words,
    ) -> Written {
        let received_at = self.received_at;
        self.pen
            .measured(|pen| row::put(pen, received_at, event, gates, fields, words))
    }
}

/// The most that a batch takes of a frame, in bytes: its record, and a words record with each of its texts.
pub(crate) fn max_batch_bytes(events: usize, gates: usize, text_bytes: usize) -> usize {
    // A row's fixed fields are at most 64 bytes, a gate's 32; a word's 20; each text stands at most once in
    // the dictionary and, where it's a reason at first sight, once inline.
    256 + events * (64 + 3 * 20) + gates * (32 + 2 * 20) + 2 * text_bytes
}

/// Reads a batch record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchReader<'a> {
    pub(crate) header: BatchHeader,
    rows: Reader<'a>,
}

impl<'a> BatchReader<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader { bytes: body };
        let (org, key) = (OrgId(reader.varint32()?), KeyId(reader.varint32()?));
        let flags = reader.byte()?;
        if flags & !KNOWN_FLAGS != 0 {
            return Err(Malformed("a batch has flags that nobody knows"));
        }
        let mut time = || reader.array().map(i64::from_le_bytes).map(Micros);
        let received_at = time()?;
        let imported_at = if flags & IMPORTED == 0 {
            None
        } else {
            Some(time()?)
        };
        let header = BatchHeader {
            org,
            key,
            signed: flags & SIGNED != 0,
            source: row::source_of(flags >> SOURCE_SHIFT & SOURCE_MASK)?,
            received_at,
            imported_at,
            first_seq: reader.varint()?,
            duplicates: reader.varint32()?,
        };
        Ok(Self { header, rows: reader })
    }

    /// The rows in order, `None` for one that was erased; ends at the first that is malformed.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Result<Option<Row<'a>>, Malformed>> {
        let received_at = self.header.received_at;
        self.raw_rows().map(move |bytes| read_row(bytes?, received_at))
    }

    /// The row at this place, from 0; `None` if it was erased.
    pub(crate) fn row(&self, index: u32) -> Result<Option<Row<'a>>, Malformed> {
        let bytes = self
            .raw_rows()
            .nth(index as usize)
            .ok_or(Malformed("a row is missing"))?;
        read_row(bytes?, self.header.received_at)
    }

    /// How many rows there are, up to the first that is cut off.
    pub(crate) fn whole_rows(&self) -> u32 {
        self.raw_rows().take_while(Result::is_ok).count() as u32
    }

    /// What comes before the rows of this body.
    pub(super) fn header_bytes<'b>(&self, body: &'b [u8]) -> &'b [u8] {
        &body[..body.len() - self.rows.bytes.len()]
    }

    /// The bytes of each row.
    pub(super) fn raw_rows(&self) -> impl Iterator<Item = Result<&'a [u8], Malformed>> {
        let mut reader = self.rows;
        std::iter::from_fn(move || {
            if reader.is_empty() {
                return None;
            }
            let len = reader.varint32();
            let bytes = len.and_then(|len| reader.take(len as usize));
            if bytes.is_err() {
                reader.bytes = &[];
            }
            Some(bytes)
        })
    }
}

/// A row of no bytes is what erasing leaves, so that the others keep their places.
fn read_row(bytes: &[u8], received_at: Micros) -> Result<Option<Row<'_>>, Malformed> {
    if bytes.is_empty() {
        return Ok(None);
    }
    Row::read(bytes, received_at).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::AgentNo;
    use crate::codec::{TextRef, Word, read_words};
    use proptest::prelude::*;
    use reputation::{Evaluation, GateResult};

    fn text(most: usize) -> impl Strategy<Value = String> {
        prop::collection::vec(any::<char>(), 1..=most).prop_map(String::from_iter)
    }

    fn gate() -> impl Strategy<Value = GateResult<'static>> {
        let latency = prop_oneof![
            (0u32..=2_000_000).prop_map(|us| f64::from(us) / 1_000.0),
            (0u32..=1_000_000_000).prop_map(f64::from),
            0.0..1e9,
        ];
        (
            text(8),
            any::<bool>(),
            latency,
            prop::option::of(text(20)),
            any::<Option<bool>>(),
        )
            .prop_map(|(name, passed, latency_ms, reason, skipped)| GateResult {
                name: name.into(),
                passed,
                latency_ms,
                reason: reason.map(Into::into),
                skipped,
            })
    }

    fn evaluation() -> impl Strategy<Value = (Evaluation<'static>, i64, bool, u16)> {
        let id = prop_oneof![
            text(50),
            "[0-9a-f]{24}",
            "[a-z0-9]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
        ];
        (
            (
                text(10),
                prop::option::of(text(6)),
                any::<bool>(),
                prop::collection::vec(gate(), 0..8),
            ),
            (
                0u32..=60_000_000,
                0..4,
                0..=Micros::MAX.0,
                prop::option::of(id),
                any::<Option<u32>>(),
            ),
            (any::<bool>(), 0u16..=1_000),
        )
            .prop_map(
                |(
                    (agent_id, tool, passed, gates),
                    (latency, kind, time, id, agent_latency_us),
                    (late, score),
                )| {
                    let (sent_at, recorded_at) = match kind {
                        0 => (None, RECEIVED),
                        1 => (Some(time), time),
                        2 => (Some(time), RECEIVED),
                        _ => (None, time),
                    };
                    let evaluation = Evaluation {
                        agent_id: agent_id.into(),
                        tool: tool.map(Into::into),
                        passed,
                        gates,
                        total_latency_us: latency,
                        sent_at: sent_at.map(Micros),
                        evaluation_id: id.map(Into::into),
                        agent_latency_us,
                    };
                    (evaluation, recorded_at, late, score)
                },
            )
    }

    const RECEIVED: i64 = 1_795_478_400_000_000;

    fn header() -> BatchHeader {
        BatchHeader {
            org: OrgId(3),
            key: KeyId(9),
            signed: true,
            source: Source::Evaluate,
            received_at: Micros(RECEIVED),
            imported_at: Some(Micros(RECEIVED + 9)),
            first_seq: 1_000_000,
            duplicates: 2,
        }
    }

    fn encode(events: &[(Evaluation<'static>, i64, bool, u16)], words: &mut Words) -> Vec<u8> {
        let mut pen = Pen::default();
        let mut encoder = BatchEncoder::new(&header(), &mut pen);
        let mut agents: Vec<&str> = Vec::new();
        for (event, recorded_at, late, score) in events {
            let gates: Vec<GateView<'_>> = event
                .gates
                .iter()
                .map(|gate| GateView {
                    name: words.term(&gate.name),
                    passed: gate.passed,
                    latency_ms: gate.latency_ms,
                    reason: gate.reason.as_deref(),
                    skipped: gate.skipped,
                })
                .collect();
            let known = agents.iter().position(|agent| *agent == event.agent_id);
            let no = known.unwrap_or_else(|| {
                agents.push(&event.agent_id);
                agents.len() - 1
            });
            let view = EventView {
                agent: words.agent(AgentNo(no as u32), header().org, &event.agent_id),
                tool: event.tool.as_deref().map(|tool| words.term(tool)),
                passed: event.passed,
                total_latency_us: event.total_latency_us,
                sent_at: event.sent_at,
                evaluation_id: event.evaluation_id.as_deref(),
                agent_latency_us: event.agent_latency_us,
            };
            encoder.push(
                &view,
                gates.into_iter(),
                &RowFields {
                    recorded_at: Micros(*recorded_at),
                    late: *late,
                    score: *score,
                },
                words,
            );
        }
        pen.written().to_vec()
    }

    fn decode(body: &[u8], words: &[u8]) -> Result<Vec<(Evaluation<'static>, i64, bool, u16)>, Malformed> {
        let (mut agents, mut texts) = (Vec::new(), Vec::new());
        for word in read_words(words) {
            match word? {
                Word::Agent(org, agent) => agents.push((org, agent.to_owned())),
                Word::Text(text) => texts.push(text.to_owned()),
                Word::AgentGone | Word::TextGone => return Err(Malformed("no word was erased")),
            }
        }
        let resolve = |text: TextRef<'_>| match text {
            TextRef::Inline(text) => Ok(text.to_owned()),
            TextRef::Word(word) => texts
                .get(word.0 as usize)
                .cloned()
                .ok_or(Malformed("no such word")),
        };
        let reader = BatchReader::new(body)?;
        let mut all = Vec::new();
        for row in reader.rows() {
            let row = row?.expect("no row was erased");
            let mut gates = Vec::new();
            for gate in row.gates() {
                let gate = gate?;
                gates.push(GateResult {
                    name: resolve(gate.name)?.into(),
                    passed: gate.passed,
                    latency_ms: gate.latency_ms,
                    reason: gate.reason.map(resolve).transpose()?.map(Into::into),
                    skipped: gate.skipped,
                });
            }
            let (_, agent_id) = agents
                .get(row.agent.0 as usize)
                .cloned()
                .ok_or(Malformed("no such agent"))?;
            all.push((
                Evaluation {
                    agent_id: agent_id.into(),
                    tool: row.tool.map(resolve).transpose()?.map(Into::into),
                    passed: row.passed,
                    gates,
                    total_latency_us: row.total_latency_us,
                    sent_at: row.sent_at,
                    evaluation_id: row.evaluation_id.map(|id| id.to_string().into()),
                    agent_latency_us: row.agent_latency_us,
                },
                row.recorded_at.0,
                row.late,
                row.score,
            ));
        }
        Ok(all)
    }

    proptest! {
        #[test]
        fn a_batch_comes_back_whole_and_within_its_bound(events in prop::collection::vec(evaluation(), 0..12)) {
            let mut words = Words::new();
            let body = encode(&events, &mut words);
            let new = words.take_new().unwrap_or_default();
            let text_bytes = events.iter().map(|(event, ..)| {
                event.agent_id.len() + event.tool.as_ref().map_or(0, |t| t.len())
                    + event.evaluation_id.as_ref().map_or(0, |t| t.len())
                    + event.gates.iter().map(|g| g.name.len() + g.reason.as_ref().map_or(0, |r| r.len())).sum::<usize>()
            }).sum();
            let gates = events.iter().map(|(event, ..)| event.gates.len()).sum();
            prop_assert!(body.len() + new.len() + 64 <= max_batch_bytes(events.len(), gates, text_bytes));
            prop_assert_eq!(BatchReader::new(&body).unwrap().header, header());
            prop_assert_eq!(decode(&body, &new).unwrap(), events);
        }

        #[test]
        fn any_bytes_are_read_or_refused(
            events in prop::collection::vec(evaluation(), 1..4),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut words = Words::new();
            let mut body = encode(&events, &mut words);
            let mut new = words.take_new().unwrap_or_default();
            for (at, value) in &changes {
                let at_body = at.index(body.len());
                body[at_body] = *value;
                let at_new = at.index(new.len());
                new[at_new] = *value;
            }
            body.truncate(cut.index(body.len() + 1));
            let _ = decode(&body, &new);
        }
    }

    #[test]
    fn a_usual_row_takes_at_most_48_bytes() {
        let names = ["impid", "bid_sanity", "adomain", "pii", "content"];
        let event = |id: String| {
            let gates = names.iter().map(|name| GateResult {
                name: (*name).into(),
                passed: true,
                latency_ms: 1.25,
                reason: None,
                skipped: None,
            });
            let evaluation = Evaluation {
                agent_id: "bid-agent-17".into(),
                tool: Some("submit_bid".into()),
                passed: true,
                gates: gates.collect(),
                total_latency_us: 4_250,
                sent_at: Some(Micros(RECEIVED - 31_000)),
                evaluation_id: Some(id.into()),
                agent_latency_us: None,
            };
            (evaluation, RECEIVED - 31_000, false, 912)
        };
        let events: Vec<_> = (0..100)
            .map(|i| event(format!("9f86d081884c7d659a2f{i:04x}")))
            .collect();
        let size = encode(&events, &mut Words::new()).len();
        assert!(size <= 48 * 100, "{} bytes a row", size as f64 / 100.0);
    }
}
