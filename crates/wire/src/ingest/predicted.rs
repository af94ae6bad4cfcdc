//! The fast path: reads an event whose every token is one that a client library writes, and nothing else.
//!
//! It has no effect but speed. It gives an event only where [`super::event::read`] would give just the same,
//! and at the first surprise (an unknown or repeated key, an escape, `null`, white space other than one
//! blank behind `,` and `:`, a number or time in another form, anything at or beyond a limit) it gives
//! nothing, and the general reader starts over at the event. The keys may come in any order; they are
//! first expected in the order of our libraries.
//! `tests::prediction` compares both on millions of inputs.
//!
//! What is left to read is always a shrinking `&str`: to pass over a known text costs one check of the length
//! and a few wide comparisons, and to cut a string off one check that it ends between characters.

use super::{MAX_GATE_LATENCY_MS, MAX_GATES, MAX_TOTAL_LATENCY_MS};
use crate::{MAX_AGENT_ID, MAX_EVALUATION_ID, MAX_GATE_NAME, MAX_REASON, MAX_TOOL, timestamp};
use reputation::{Evaluation, GateResult, Micros};
use std::borrow::Cow;

/// Digits of a number that is read here: so many are exact as a double, and so is a power of ten with so many
/// zeros, so that one division gives the nearest double to their quotient (Clinger 1990).
const EXACT_DIGITS: usize = 15;
const POWERS_OF_TEN: [i64; EXACT_DIGITS + 1] = {
    let mut powers = [1; EXACT_DIGITS + 1];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// What the last event was like, which the next is probably like, too.
#[derive(Default)]
pub(super) struct Predictor<'a> {
    /// Room for an event's gates.
    gates: Vec<GateResult<'a>>,
    form: Form,
    /// The text of a time up to its seconds, `YYYY-MM-DDThh:mm:`, and when that minute began.
    minute: Option<(&'a [u8; 17], Micros)>,
}

/// How events are written. Where one is not as expected, the next form is tried with the event after it.
#[derive(Clone, Copy, Default)]
enum Form {
    /// The keys in the order of our libraries, no blanks.
    #[default]
    Compact,
    /// The same, one blank behind each `,` and `:`.
    Spaced,
    AnyOrder,
}

impl<'a> Predictor<'a> {
    /// The event that starts at this offset of the text, and the offset behind it.
    pub(super) fn read(&mut self, text: &'a str, at: usize) -> Option<(Evaluation<'a>, usize)> {
        let start = text.get(at..)?;
        let mut rest = Rest(start);
        let (usual, next) = match self.form {
            Form::Compact => (self.event_in_order::<false>(&mut rest), Form::Spaced),
            Form::Spaced => (self.event_in_order::<true>(&mut rest), Form::AnyOrder),
            Form::AnyOrder => (None, Form::AnyOrder),
        };
        if let Some(event) = usual {
            return Some((event, text.len() - rest.0.len()));
        }
        let (event, rest) = self.event(Rest(start))?;
        self.form = next;
        Some((event, text.len() - rest.0.len()))
    }

    /// Takes back the gates of an event that is done with, for their room.
    pub(super) fn reuse(&mut self, mut gates: Vec<GateResult<'a>>) {
        gates.clear();
        self.gates = gates;
    }

    /// An event as our libraries write it, or the same with blanks. What it reads, [`Self::event`] reads as well, and
    /// the same.
    #[inline]
    fn event_in_order<const SPACED: bool>(&mut self, rest: &mut Rest<'a>) -> Option<Evaluation<'a>> {
        rest.usual::<SPACED>(r#"{"agent_id":""#, r#"{"agent_id": ""#)?;
        let agent_id = rest.plain(MAX_AGENT_ID)?;
        let (mut tool, mut sent_at, mut evaluation_id) = (None, None, None);
        if rest.usual::<SPACED>(r#"","tool":""#, r#"", "tool": ""#).is_some() {
            tool = Some(rest.plain(MAX_TOOL)?);
        }
        rest.usual::<SPACED>(r#"","passed":"#, r#"", "passed": "#)?;
        let passed = rest.boolean()?;
        rest.usual::<SPACED>(r#","gates":"#, r#", "gates": "#)?;
        let gates = self.gates::<SPACED>(rest)?;
        rest.usual::<SPACED>(r#","total_latency_ms":"#, r#", "total_latency_ms": "#)?;
        let total_latency_us = rest.number()?.micros_within(MAX_TOTAL_LATENCY_MS)?;
        if rest
            .usual::<SPACED>(r#","timestamp":"#, r#", "timestamp": "#)
            .is_some()
        {
            sent_at = Some(self.time(rest)?);
        }
        if rest
            .usual::<SPACED>(r#","evaluation_id":"#, r#", "evaluation_id": "#)
            .is_some()
        {
            evaluation_id = Some(rest.string(MAX_EVALUATION_ID)?);
        }
        // The TypeScript library's place for it.
        if tool.is_none() && rest.usual::<SPACED>(r#","tool":"#, r#", "tool": "#).is_some() {
            tool = Some(rest.string(MAX_TOOL)?);
        }
        rest.pass("}")?;
        Some(Evaluation {
            agent_id: Cow::Borrowed(agent_id),
            tool: tool.map(Cow::Borrowed),
            passed,
            gates,
            total_latency_us,
            sent_at,
            evaluation_id: evaluation_id.map(Cow::Borrowed),
            agent_latency_us: None,
        })
    }

    /// An event whose keys come in any order, and what is behind it.
    #[inline(never)]
    fn event(&mut self, mut rest: Rest<'a>) -> Option<(Evaluation<'a>, Rest<'a>)> {
        let (mut agent_id, mut tool, mut evaluation_id) = (None, None, None);
        let (mut passed, mut gates, mut total_latency_us, mut sent_at) = (None, None, None, None);
        rest.pass("{")?;
        loop {
            // Four bytes tell the known keys apart; the whole key is compared after that.
            match &rest.four()? {
                b"\"age" if agent_id.is_none() => {
                    rest.key("\"agent_id\":")?;
                    agent_id = Some(rest.string(MAX_AGENT_ID)?);
                }
                b"\"too" if tool.is_none() => {
                    rest.key("\"tool\":")?;
                    tool = Some(rest.string(MAX_TOOL)?);
                }
                b"\"pas" if passed.is_none() => {
                    rest.key("\"passed\":")?;
                    passed = Some(rest.boolean()?);
                }
                b"\"gat" if gates.is_none() => {
                    rest.key("\"gates\":")?;
                    gates = Some(self.gates::<false>(&mut rest)?);
                }
                b"\"tot" if total_latency_us.is_none() => {
                    rest.key("\"total_latency_ms\":")?;
                    total_latency_us = Some(rest.number()?.micros_within(MAX_TOTAL_LATENCY_MS)?);
                }
                b"\"tim" if sent_at.is_none() => {
                    rest.key("\"timestamp\":")?;
                    sent_at = Some(self.time(&mut rest)?);
                }
                b"\"eva" if evaluation_id.is_none() => {
                    rest.key("\"evaluation_id\":")?;
                    evaluation_id = Some(rest.string(MAX_EVALUATION_ID)?);
                }
                _ => return None,
            }
            if !rest.goes_on("}")? {
                break;
            }
        }
        let event = Evaluation {
            agent_id: Cow::Borrowed(agent_id?),
            tool: tool.map(Cow::Borrowed),
            passed: passed?,
            gates: gates?,
            total_latency_us: total_latency_us?,
            sent_at,
            evaluation_id: evaluation_id.map(Cow::Borrowed),
            agent_latency_us: None,
        };
        Some((event, rest))
    }

    #[inline(always)]
    fn gates<const SPACED: bool>(&mut self, rest: &mut Rest<'a>) -> Option<Vec<GateResult<'a>>> {
        rest.pass("[")?;
        let mut gates = std::mem::take(&mut self.gates);
        if rest.pass("]").is_some() {
            return Some(gates);
        }
        loop {
            if gates.len() == MAX_GATES {
                return None;
            }
            let start = *rest;
            if let Some(gate) = gate_in_order::<SPACED>(rest) {
                gates.push(gate);
            } else {
                let (gate, behind) = gate(start)?;
                gates.push(gate);
                *rest = behind;
            }
            if !rest.goes_on("]")? {
                break;
            }
        }
        Some(gates)
    }

    /// A time; the usual form, `YYYY-MM-DDThh:mm:ss.mmmZ` in the minute of the event before, by its last digits
    /// alone.
    #[inline(always)]
    fn time(&mut self, rest: &mut Rest<'a>) -> Option<Micros> {
        if let Some((known, began)) = self.minute
            && let Some((b'"', text)) = rest.0.as_bytes().split_first()
            && let Some((minute, text)) = text.split_first_chunk()
            && minute == known
            && let Some((seconds, [b'"', ..])) = text.split_first_chunk()
            && let Some(micros) = seconds_micros(*seconds)
        {
            // Both ends of these 26 bytes are quotes, so that a character begins behind them.
            rest.0 = rest.0.get(26..)?;
            return Some(Micros(began.0 + micros));
        }
        let text = rest.string(usize::MAX)?;
        let time = timestamp::parse(text).ok()?;
        if let Some((minute, seconds)) = text.as_bytes().split_first_chunk()
            && let Ok(seconds) = seconds.try_into()
            && let Some(micros) = seconds_micros(seconds)
        {
            self.minute = Some((minute, Micros(time.0 - micros)));
        }
        Some(time)
    }
}

/// A gate as our libraries write it, or the same with blanks. What it reads, [`gate`] reads as well, and the same.
#[inline(always)]
fn gate_in_order<'a, const SPACED: bool>(rest: &mut Rest<'a>) -> Option<GateResult<'a>> {
    rest.usual::<SPACED>(r#"{"name":""#, r#"{"name": ""#)?;
    let name = rest.plain(MAX_GATE_NAME)?;
    rest.usual::<SPACED>(r#"","passed":"#, r#"", "passed": "#)?;
    let passed = rest.boolean()?;
    rest.usual::<SPACED>(r#","latency_ms":"#, r#", "latency_ms": "#)?;
    let latency_ms = rest.number()?.within(MAX_GATE_LATENCY_MS)?;
    let (mut reason, mut skipped) = (None, None);
    if rest.pass("}").is_none() {
        if rest.usual::<SPACED>(r#","reason":"#, r#", "reason": "#).is_some() {
            reason = Some(Cow::Borrowed(rest.string(MAX_REASON)?));
        }
        if rest
            .usual::<SPACED>(r#","skipped":"#, r#", "skipped": "#)
            .is_some()
        {
            skipped = Some(rest.boolean()?);
        }
        rest.pass("}")?;
    }
    Some(GateResult {
        name: Cow::Borrowed(name),
        passed,
        latency_ms,
        reason,
        skipped,
    })
}

/// A gate whose keys come in any order, and what is behind it.
#[inline(never)]
fn gate(mut rest: Rest<'_>) -> Option<(GateResult<'_>, Rest<'_>)> {
    let (mut name, mut passed, mut latency_ms, mut reason, mut skipped) = (None, None, None, None, None);
    rest.pass("{")?;
    loop {
        match &rest.four()? {
            b"\"nam" if name.is_none() => {
                rest.key("\"name\":")?;
                name = Some(rest.string(MAX_GATE_NAME)?);
            }
            b"\"pas" if passed.is_none() => {
                rest.key("\"passed\":")?;
                passed = Some(rest.boolean()?);
            }
            b"\"lat" if latency_ms.is_none() => {
                rest.key("\"latency_ms\":")?;
                latency_ms = Some(rest.number()?.within(MAX_GATE_LATENCY_MS)?);
            }
            b"\"rea" if reason.is_none() => {
                rest.key("\"reason\":")?;
                reason = Some(rest.string(MAX_REASON)?);
            }
            b"\"ski" if skipped.is_none() => {
                rest.key("\"skipped\":")?;
                skipped = Some(rest.boolean()?);
            }
            _ => return None,
        }
        if !rest.goes_on("}")? {
            break;
        }
    }
    let gate = GateResult {
        name: Cow::Borrowed(name?),
        passed: passed?,
        latency_ms: latency_ms?,
        reason: reason.map(Cow::Borrowed),
        skipped,
    };
    Some((gate, rest))
}

/// What `ss.mmmZ` says, if it is of that form and a clock shows it.
#[inline(always)]
fn seconds_micros(text: [u8; 7]) -> Option<i64> {
    let [s1, s0, b'.', f2, f1, f0, b'Z'] = text else {
        return None;
    };
    let digits = [s1, s0, f2, f1, f0].map(|digit| digit.wrapping_sub(b'0'));
    if digits.iter().any(|digit| *digit > 9) {
        return None;
    }
    let [s1, s0, f2, f1, f0] = digits.map(i64::from);
    let second = 10 * s1 + s0;
    let milli = 100 * f2 + 10 * f1 + f0;
    (second < 60).then_some((second * 1_000 + milli) * Micros::PER_MILLI)
}

/// A number without a sign or an exponent: its digits, and how many of them stand behind the point.
///
/// They are signed, since processors turn only such integers into a double in one step.
#[derive(Clone, Copy)]
struct Decimal {
    digits: i64,
    fraction: usize,
}

impl Decimal {
    #[expect(
        clippy::cast_precision_loss,
        reason = "at most 15 digits, and at most as many zeros, are exact"
    )]
    fn within(self, maximum: u32) -> Option<f64> {
        let value = self.digits as f64 / POWERS_OF_TEN[self.fraction] as f64;
        (value <= f64::from(maximum)).then_some(value)
    }

    /// Milliseconds as whole microseconds, half up, if they are within this maximum.
    fn micros_within(self, maximum_ms: u32) -> Option<u32> {
        self.within(maximum_ms)?;
        let micros = match self.fraction.checked_sub(3) {
            None => self.digits * POWERS_OF_TEN[3 - self.fraction],
            Some(cut) => (self.digits + POWERS_OF_TEN[cut] / 2) / POWERS_OF_TEN[cut],
        };
        u32::try_from(micros).ok()
    }
}

/// What is left of the text.
///
/// All is inlined without asking the compiler: a text to pass over is compared in wide steps only where its length is
/// known.
#[derive(Clone, Copy)]
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// Passes over exactly this.
    #[inline(always)]
    fn pass(&mut self, expected: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(())
    }

    /// Passes over what stands there without or with blanks.
    #[inline(always)]
    fn usual<const SPACED: bool>(&mut self, compact: &str, spaced: &str) -> Option<()> {
        if SPACED {
            self.pass(spaced)
        } else {
            self.pass(compact)
        }
    }

    /// The next four bytes, which stay up next.
    #[inline(always)]
    fn four(&self) -> Option<[u8; 4]> {
        self.0.as_bytes().first_chunk().copied()
    }

    /// Passes over a key, its colon, and a blank that may follow.
    #[inline(always)]
    fn key(&mut self, expected: &str) -> Option<()> {
        self.pass(expected)?;
        self.blank();
        Some(())
    }

    #[inline(always)]
    fn blank(&mut self) {
        self.0 = self.0.strip_prefix(' ').unwrap_or(self.0);
    }

    /// Passes over a comma and a blank that may follow, or over the end; whether it was the comma.
    #[inline(always)]
    fn goes_on(&mut self, end: &str) -> Option<bool> {
        if self.pass(",").is_some() {
            self.blank();
            return Some(true);
        }
        self.pass(end)?;
        Some(false)
    }

    /// A string without escapes, of at least one byte and at most so many: no more code points than that.
    #[inline(always)]
    fn string(&mut self, most: usize) -> Option<&'a str> {
        self.pass("\"")?;
        let string = self.plain(most)?;
        self.pass("\"")?;
        Some(string)
    }

    /// The same between its quotes. The caller passes over those together with what stands before and behind them.
    #[inline(always)]
    fn plain(&mut self, most: usize) -> Option<&'a str> {
        let end = json::plain_end(self.0.as_bytes(), 0);
        if end == 0 || end > most {
            return None;
        }
        let (plain, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        Some(plain)
    }

    #[inline(always)]
    fn boolean(&mut self) -> Option<bool> {
        if self.pass("true").is_some() {
            return Some(true);
        }
        self.pass("false")?;
        Some(false)
    }

    #[inline(always)]
    fn number(&mut self) -> Option<Decimal> {
        let bytes = self.0.as_bytes();
        let (mut digits, mut at) = (0, 0);
        append_digits(bytes, &mut at, &mut digits);
        let whole = at;
        if whole == 0 || (whole > 1 && bytes[0] == b'0') {
            return None;
        }
        let mut fraction = 0;
        if bytes.get(at) == Some(&b'.') {
            at += 1;
            append_digits(bytes, &mut at, &mut digits);
            fraction = at - whole - 1;
            if fraction == 0 {
                return None;
            }
        }
        self.0 = self.0.get(at..)?;
        // What must follow is `,` or an end; an exponent is neither.
        (whole + fraction <= EXACT_DIGITS).then_some(Decimal { digits, fraction })
    }
}

/// Appends the digits from there to the number, which is of no use where there are too many.
#[inline(always)]
fn append_digits(bytes: &[u8], at: &mut usize, number: &mut i64) {
    while let Some(digit @ b'0'..=b'9') = bytes.get(*at) {
        *number = number.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
        *at += 1;
    }
}
