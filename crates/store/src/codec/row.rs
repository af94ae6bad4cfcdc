//! One event inside a batch record.

use super::evaluation_id::{self, IdForm};
use super::fields::{Malformed, Reader};
use super::pen::{Pen, varint};
use super::words::{AgentWord, TextWord, Words};
use crate::Source;
use reputation::Micros;

const PASSED: u64 = 1;
const LATE: u64 = 1 << 1;
const HAS_TOOL: u64 = 1 << 2;
const HAS_ID: u64 = 1 << 3;
const HAS_AGENT_LATENCY: u64 = 1 << 4;
const TIME_SHIFT: u32 = 5;
const KNOWN_FLAGS: u64 = (1 << 7) - 1;

/// No timestamp was sent: recorded at its receipt.
const TIME_OF_RECEIPT: u64 = 0;
/// Recorded at the timestamp that was sent.
const TIME_AS_SENT: u64 = 1;
/// Recorded at its receipt, the timestamp sent being too far ahead.
const TIME_CLAMPED: u64 = 2;
/// No timestamp was sent, and recorded at another time than its receipt.
const TIME_OF_ITS_ID: u64 = 3;

const GATE_PASSED: u8 = 1;
const GATE_SKIPPED_SHIFT: u32 = 1;
const GATE_HAS_REASON: u8 = 1 << 3;
const GATE_LATENCY_SHIFT: u32 = 4;
const LATENCY_MILLIS: u8 = 0;
const LATENCY_MICROS: u8 = 1;
const LATENCY_DOUBLE: u8 = 2;

/// An event as it's handed to the codec, but for its gates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventView<'a> {
    pub(crate) agent: AgentWord,
    pub(crate) tool: Option<TextRef<'a>>,
    pub(crate) passed: bool,
    pub(crate) total_latency_us: u32,
    pub(crate) sent_at: Option<Micros>,
    pub(crate) evaluation_id: Option<&'a str>,
    pub(crate) agent_latency_us: Option<u32>,
}

/// A gate's result as it's handed to the codec.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GateView<'a> {
    pub(crate) name: TextRef<'a>,
    pub(crate) passed: bool,
    pub(crate) latency_ms: f64,
    pub(crate) reason: Option<&'a str>,
    pub(crate) skipped: Option<bool>,
}

/// What the server adds to an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowFields {
    pub(crate) recorded_at: Micros,
    pub(crate) late: bool,
    pub(crate) score: u16,
}

/// A text of a row: a word of the segment's dictionary, or the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextRef<'a> {
    Word(TextWord),
    Inline(&'a str),
}

/// A row as it is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) agent: AgentWord,
    pub(crate) tool: Option<TextRef<'a>>,
    pub(crate) passed: bool,
    pub(crate) late: bool,
    pub(crate) recorded_at: Micros,
    pub(crate) sent_at: Option<Micros>,
    pub(crate) total_latency_us: u32,
    pub(crate) score: u16,
    pub(crate) evaluation_id: Option<IdForm<'a>>,
    pub(crate) agent_latency_us: Option<u32>,
    gate_count: u32,
    gates: Reader<'a>,
}

/// A gate's result as it is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GateRow<'a> {
    pub(crate) name: TextRef<'a>,
    pub(crate) passed: bool,
    pub(crate) latency_ms: f64,
    pub(crate) reason: Option<TextRef<'a>>,
    pub(crate) skipped: Option<bool>,
}

impl GateView<'_> {
    pub(crate) fn failed(&self) -> bool {
        !self.passed && self.skipped != Some(true)
    }
}

impl GateRow<'_> {
    pub(crate) fn failed(&self) -> bool {
        !self.passed && self.skipped != Some(true)
    }
}

/// What the index needs of a row that was written.
#[derive(Debug)]
pub(crate) struct Written {
    /// Of its id; 0 without one.
    pub(crate) fingerprint: u16,
    /// The names of the gates that failed; `None` if one of them is no word of the dictionary.
    pub(crate) failed: Option<Vec<TextWord>>,
}

/// Writes a row, without the length before it.
pub(crate) fn put<'e>(
    pen: &mut Pen,
    received_at: Micros,
    event: &EventView<'e>,
    gates: impl ExactSizeIterator<Item = GateView<'e>>,
    fields: &RowFields,
    words: &mut Words,
) -> Written {
    let time = match event.sent_at {
        Some(sent) if sent == fields.recorded_at => TIME_AS_SENT,
        Some(_) => TIME_CLAMPED,
        None if fields.recorded_at == received_at => TIME_OF_RECEIPT,
        None => TIME_OF_ITS_ID,
    };
    let flag = |is_set: bool, flag: u64| if is_set { flag } else { 0 };
    let flags = flag(event.passed, PASSED)
        | flag(fields.late, LATE)
        | flag(event.tool.is_some(), HAS_TOOL)
        | flag(event.evaluation_id.is_some(), HAS_ID)
        | flag(event.agent_latency_us.is_some(), HAS_AGENT_LATENCY)
        | time << TIME_SHIFT;
    pen.varint(flags);
    pen.varint(u64::from(event.agent.0));
    if let Some(tool) = event.tool {
        put_text_ref(pen, tool);
    }
    match (time, event.sent_at) {
        (TIME_OF_RECEIPT, _) => {}
        (TIME_CLAMPED, Some(sent)) => pen.signed(sent.0.wrapping_sub(received_at.0)),
        _ => pen.signed(received_at.0.wrapping_sub(fields.recorded_at.0)),
    }
    pen.varint(u64::from(event.total_latency_us));
    pen.varint(u64::from(fields.score));
    if let Some(latency) = event.agent_latency_us {
        pen.varint(u64::from(latency));
    }
    let fingerprint = event.evaluation_id.map_or(0, |id| evaluation_id::put(pen, id));
    pen.varint(gates.len() as u64);
    let mut failed = Some(Vec::new());
    for gate in gates {
        put_gate(pen, &gate, words);
        if gate.failed() {
            match (gate.name, &mut failed) {
                (TextRef::Word(word), Some(words)) => words.push(word),
                _ => failed = None,
            }
        }
    }
    Written { fingerprint, failed }
}

fn put_gate(pen: &mut Pen, gate: &GateView<'_>, words: &mut Words) {
    let (form, number) = latency_form(gate.latency_ms);
    let skipped = gate.skipped.map_or(0, |skipped| 1 + u8::from(skipped));
    let reason = if gate.reason.is_some() { GATE_HAS_REASON } else { 0 };
    let flags = u8::from(gate.passed) | skipped << GATE_SKIPPED_SHIFT | reason | form << GATE_LATENCY_SHIFT;
    // Mostly all three fit in a word, and are written at once.
    if let TextRef::Word(TextWord(name @ 0..0x3fff)) = gate.name
        && form != LATENCY_DOUBLE
        && let Some((name, name_len)) = varint(u64::from(name) + 1)
        && let Some((number, number_len)) = varint(number)
    {
        let behind_name = u64::from(flags) | number << 8;
        pen.word(name | behind_name << (8 * name_len), name_len + 1 + number_len);
    } else {
        put_text_ref(pen, gate.name);
        pen.byte(flags);
        match form {
            LATENCY_DOUBLE => pen.word(gate.latency_ms.to_bits(), 8),
            _ => pen.varint(number),
        }
    }
    if let Some(reason) = gate.reason {
        let word = words.text_seen_twice(reason);
        put_text_ref(pen, word.map_or(TextRef::Inline(reason), TextRef::Word));
    }
}

/// The shortest form that gives back exactly this double: whole milliseconds, whole microseconds, or itself.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "checked by coming back"
)]
fn latency_form(latency_ms: f64) -> (u8, u64) {
    // Half up: where that is another number than the nearest, no whole one comes back. Signed, since the
    // processor has an instruction for those.
    let micros = (latency_ms * 1_000.0 + 0.5) as i64;
    if (micros as f64 / 1_000.0).to_bits() != latency_ms.to_bits() {
        return (LATENCY_DOUBLE, 0);
    }
    match micros.cast_unsigned() {
        millis if millis % 1_000 == 0 => (LATENCY_MILLIS, millis / 1_000),
        micros => (LATENCY_MICROS, micros),
    }
}

/// 0 and the text, or the word's number plus 1.
fn put_text_ref(pen: &mut Pen, text: TextRef<'_>) {
    match text {
        TextRef::Word(word) => pen.varint(u64::from(word.0) + 1),
        TextRef::Inline(text) => {
            pen.byte(0);
            pen.text(text);
        }
    }
}

fn read_text_ref<'a>(reader: &mut Reader<'a>) -> Result<TextRef<'a>, Malformed> {
    match reader.varint32()? {
        0 => Ok(TextRef::Inline(reader.text()?)),
        number => Ok(TextRef::Word(TextWord(number - 1))),
    }
}

impl<'a> Row<'a> {
    /// Reads a row that was received at this time.
    pub(crate) fn read(bytes: &'a [u8], received_at: Micros) -> Result<Self, Malformed> {
        let mut reader = Reader { bytes };
        let flags = reader.varint()?;
        if flags & !KNOWN_FLAGS != 0 {
            return Err(Malformed("a row has flags of a newer version"));
        }
        let has = |flag: u64| flags & flag != 0;
        let agent = AgentWord(reader.varint32()?);
        let tool = if has(HAS_TOOL) {
            Some(read_text_ref(&mut reader)?)
        } else {
            None
        };
        let (recorded_at, sent_at) = match flags >> TIME_SHIFT {
            TIME_OF_RECEIPT => (received_at, None),
            TIME_CLAMPED => (
                received_at,
                Some(Micros(received_at.0.wrapping_add(reader.signed()?))),
            ),
            kind => {
                let recorded_at = Micros(received_at.0.wrapping_sub(reader.signed()?));
                (recorded_at, (kind == TIME_AS_SENT).then_some(recorded_at))
            }
        };
        let total_latency_us = reader.varint32()?;
        let score = u16::try_from(reader.varint()?).map_err(|_| Malformed("a score is out of range"))?;
        let agent_latency_us = if has(HAS_AGENT_LATENCY) {
            Some(reader.varint32()?)
        } else {
            None
        };
        let evaluation_id = if has(HAS_ID) {
            Some(evaluation_id::read(&mut reader)?)
        } else {
            None
        };
        let gate_count = reader.varint32()?;
        Ok(Self {
            agent,
            tool,
            passed: has(PASSED),
            late: has(LATE),
            recorded_at,
            sent_at,
            total_latency_us,
            score,
            evaluation_id,
            agent_latency_us,
            gate_count,
            gates: reader,
        })
    }

    /// The gates' results, in the order sent; ends at the first that is malformed.
    pub(crate) fn gates(&self) -> impl Iterator<Item = Result<GateRow<'a>, Malformed>> {
        let mut reader = self.gates;
        let mut left = self.gate_count;
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let gate = read_gate(&mut reader);
            if gate.is_err() {
                left = 0;
            }
            Some(gate)
        })
    }

    /// Whether it was sent with a timestamp that it isn't recorded at; gives the one sent.
    pub(crate) fn clamped_from(&self) -> Option<Micros> {
        self.sent_at.filter(|sent| *sent != self.recorded_at)
    }
}

fn read_gate<'a>(reader: &mut Reader<'a>) -> Result<GateRow<'a>, Malformed> {
    let name = read_text_ref(reader)?;
    let head = reader.byte()?;
    let skipped = match head >> GATE_SKIPPED_SHIFT & 3 {
        0 => None,
        1 => Some(false),
        2 => Some(true),
        _ => return Err(Malformed("a gate is neither skipped nor not")),
    };
    #[expect(clippy::cast_precision_loss, reason = "what was written is at most 10⁹ ms")]
    let latency_ms = match head >> GATE_LATENCY_SHIFT {
        LATENCY_MILLIS => reader.varint()? as f64,
        LATENCY_MICROS => reader.varint()? as f64 / 1_000.0,
        LATENCY_DOUBLE => f64::from_le_bytes(reader.array()?),
        _ => return Err(Malformed("a gate's latency has no known form")),
    };
    let reason = if head & GATE_HAS_REASON != 0 {
        Some(read_text_ref(reader)?)
    } else {
        None
    };
    Ok(GateRow {
        name,
        passed: head & GATE_PASSED != 0,
        latency_ms,
        reason,
        skipped,
    })
}

/// The source's number in a batch record.
pub(super) fn source_number(source: Source) -> u8 {
    match source {
        Source::Ingest => 0,
        Source::Evaluate => 1,
        Source::EvaluateMadeId => 2,
    }
}

/// The source with this number.
pub(super) fn source_of(number: u8) -> Result<Source, Malformed> {
    match number {
        0 => Ok(Source::Ingest),
        1 => Ok(Source::Evaluate),
        2 => Ok(Source::EvaluateMadeId),
        _ => Err(Malformed("a batch has no known source")),
    }
}
