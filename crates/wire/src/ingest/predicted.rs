//! The fast path: reads an event whose every token is one that a client library writes, and nothing else.
//!
//! It has no effect but speed. It gives an event only where [`super::event::read`] would give just the same,
//! and at the first surprise (an unknown or repeated key, an escape, `null`, white space other than one
//! blank behind `,` and `:`, a number or time in another form, anything at or beyond a limit) it gives
//! nothing, and the general reader starts over at the event. The keys may come in any order.
//! `tests::prediction` compares both on millions of inputs.

use super::{MAX_GATE_LATENCY_MS, MAX_GATES, MAX_TOTAL_LATENCY_MS};
use crate::{MAX_AGENT_ID, MAX_EVALUATION_ID, MAX_GATE_NAME, MAX_REASON, MAX_TOOL, timestamp};
use reputation::{Evaluation, GateResult, Micros};
use std::borrow::Cow;

/// Digits of a number that is read here: so many are exact as a double, and so is a power of ten with so many
/// zeros, so that one division gives the nearest double to their quotient (Clinger 1990).
const EXACT_DIGITS: usize = 15;
const POWERS_OF_TEN: [u64; EXACT_DIGITS + 1] = {
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
    gates: usize,
    /// The text of a date, and its midnight.
    date: Option<(&'a str, Micros)>,
}

impl<'a> Predictor<'a> {
    /// The event that starts at this offset of the text, and the offset behind it.
    pub(super) fn read(&mut self, text: &'a str, at: usize) -> Option<(Evaluation<'a>, usize)> {
        let mut place = Place {
            text,
            bytes: text.as_bytes(),
            at,
        };
        let event = self.event(&mut place)?;
        Some((event, place.at))
    }

    fn event(&mut self, place: &mut Place<'a>) -> Option<Evaluation<'a>> {
        let (mut agent_id, mut tool, mut evaluation_id) = (None, None, None);
        let (mut passed, mut gates, mut total_latency_us, mut sent_at) = (None, None, None, None);
        place.literal(b"{")?;
        loop {
            // Four bytes tell the known keys apart; the whole key is compared after that.
            match place.four()? {
                b"\"age" if agent_id.is_none() => {
                    place.key(b"\"agent_id\":")?;
                    agent_id = Some(place.string(MAX_AGENT_ID)?);
                }
                b"\"too" if tool.is_none() => {
                    place.key(b"\"tool\":")?;
                    tool = Some(place.string(MAX_TOOL)?);
                }
                b"\"pas" if passed.is_none() => {
                    place.key(b"\"passed\":")?;
                    passed = Some(place.boolean()?);
                }
                b"\"gat" if gates.is_none() => {
                    place.key(b"\"gates\":")?;
                    gates = Some(self.gates(place)?);
                }
                b"\"tot" if total_latency_us.is_none() => {
                    place.key(b"\"total_latency_ms\":")?;
                    total_latency_us = Some(place.number()?.micros_within(MAX_TOTAL_LATENCY_MS)?);
                }
                b"\"tim" if sent_at.is_none() => {
                    place.key(b"\"timestamp\":")?;
                    sent_at = Some(self.time(place.string(usize::MAX)?)?);
                }
                b"\"eva" if evaluation_id.is_none() => {
                    place.key(b"\"evaluation_id\":")?;
                    evaluation_id = Some(place.string(MAX_EVALUATION_ID)?);
                }
                _ => return None,
            }
            if !place.goes_on(b'}')? {
                break;
            }
        }
        Some(Evaluation {
            agent_id: Cow::Borrowed(agent_id?),
            tool: tool.map(Cow::Borrowed),
            passed: passed?,
            gates: gates?,
            total_latency_us: total_latency_us?,
            sent_at,
            evaluation_id: evaluation_id.map(Cow::Borrowed),
            agent_latency_us: None,
        })
    }

    fn gates(&mut self, place: &mut Place<'a>) -> Option<Vec<GateResult<'a>>> {
        place.literal(b"[")?;
        let mut gates = Vec::with_capacity(self.gates);
        if place.bytes.get(place.at) == Some(&b']') {
            place.at += 1;
            return Some(gates);
        }
        loop {
            if gates.len() == MAX_GATES {
                return None;
            }
            gates.push(gate(place)?);
            if !place.goes_on(b']')? {
                break;
            }
        }
        self.gates = gates.len();
        Some(gates)
    }

    /// A time; the usual form, `YYYY-MM-DDThh:mm:ss.mmmZ` on the day of the event before, by its digits alone.
    fn time(&mut self, text: &'a str) -> Option<Micros> {
        let (date, rest) = text.split_at_checked(10)?;
        if let (Some((known, midnight)), Ok(clock)) = (self.date, <&[u8; 14]>::try_from(rest.as_bytes()))
            && known == date
            && let Some(micros) = clock_micros(clock)
        {
            return Some(Micros(midnight.0 + micros));
        }
        let time = timestamp::parse(text).ok()?;
        if rest.len() == 14
            && let Some(micros) = clock_micros(rest.as_bytes().try_into().ok()?)
        {
            self.date = Some((date, Micros(time.0 - micros)));
        }
        Some(time)
    }
}

fn gate<'a>(place: &mut Place<'a>) -> Option<GateResult<'a>> {
    let (mut name, mut passed, mut latency_ms, mut reason, mut skipped) = (None, None, None, None, None);
    place.literal(b"{")?;
    loop {
        match place.four()? {
            b"\"nam" if name.is_none() => {
                place.key(b"\"name\":")?;
                name = Some(place.string(MAX_GATE_NAME)?);
            }
            b"\"pas" if passed.is_none() => {
                place.key(b"\"passed\":")?;
                passed = Some(place.boolean()?);
            }
            b"\"lat" if latency_ms.is_none() => {
                place.key(b"\"latency_ms\":")?;
                latency_ms = Some(place.number()?.within(MAX_GATE_LATENCY_MS)?);
            }
            b"\"rea" if reason.is_none() => {
                place.key(b"\"reason\":")?;
                reason = Some(place.string(MAX_REASON)?);
            }
            b"\"ski" if skipped.is_none() => {
                place.key(b"\"skipped\":")?;
                skipped = Some(place.boolean()?);
            }
            _ => return None,
        }
        if !place.goes_on(b'}')? {
            break;
        }
    }
    Some(GateResult {
        name: Cow::Borrowed(name?),
        passed: passed?,
        latency_ms: latency_ms?,
        reason: reason.map(Cow::Borrowed),
        skipped,
    })
}

/// The time of day that `Thh:mm:ss.mmmZ` says, if it is of that form and a clock shows it.
fn clock_micros(text: &[u8; 14]) -> Option<i64> {
    let &[b'T', h1, h0, b':', m1, m0, b':', s1, s0, b'.', f2, f1, f0, b'Z'] = text else {
        return None;
    };
    let digits = [h1, h0, m1, m0, s1, s0, f2, f1, f0].map(|digit| digit.wrapping_sub(b'0'));
    if digits.iter().any(|digit| *digit > 9) {
        return None;
    }
    let [h1, h0, m1, m0, s1, s0, f2, f1, f0] = digits.map(i64::from);
    let (hour, minute, second) = (10 * h1 + h0, 10 * m1 + m0, 10 * s1 + s0);
    let milli = 100 * f2 + 10 * f1 + f0;
    let is_shown = hour < 24 && minute < 60 && second < 60;
    is_shown.then_some((((hour * 60 + minute) * 60 + second) * 1_000 + milli) * Micros::PER_MILLI)
}

/// A number without a sign or an exponent: its digits, and how many of them stand behind the point.
#[derive(Clone, Copy)]
struct Decimal {
    digits: u64,
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

/// A place in the text.
struct Place<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Place<'a> {
    /// Passes over exactly these bytes.
    #[inline]
    fn literal(&mut self, expected: &[u8]) -> Option<()> {
        let is_it = self.bytes.get(self.at..)?.starts_with(expected);
        self.at += expected.len();
        is_it.then_some(())
    }

    /// The next four bytes, which stay up next.
    #[inline]
    fn four(&self) -> Option<&'a [u8; 4]> {
        self.bytes.get(self.at..)?.first_chunk()
    }

    /// Passes over a key, its colon, and a blank that may follow.
    #[inline]
    fn key(&mut self, expected: &[u8]) -> Option<()> {
        self.literal(expected)?;
        self.blank();
        Some(())
    }

    #[inline]
    fn blank(&mut self) {
        self.at += usize::from(self.bytes.get(self.at) == Some(&b' '));
    }

    /// Passes over a comma and a blank that may follow, or over the end; whether it was the comma.
    #[inline]
    fn goes_on(&mut self, end: u8) -> Option<bool> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        if byte == b',' {
            self.blank();
            Some(true)
        } else {
            (byte == end).then_some(false)
        }
    }

    /// A string without escapes, of at least one byte and at most so many: no more code points than that.
    #[inline]
    fn string(&mut self, most: usize) -> Option<&'a str> {
        self.literal(b"\"")?;
        let start = self.at;
        let end = json::plain_end(self.bytes, start);
        if self.bytes.get(end) != Some(&b'"') || end == start || end - start > most {
            return None;
        }
        self.at = end + 1;
        self.text.get(start..end)
    }

    #[inline]
    fn boolean(&mut self) -> Option<bool> {
        match self.four()? {
            b"true" => {
                self.at += 4;
                Some(true)
            }
            b"fals" => {
                self.literal(b"false")?;
                Some(false)
            }
            _ => None,
        }
    }

    #[inline]
    fn number(&mut self) -> Option<Decimal> {
        let start = self.at;
        let mut digits = 0;
        let whole = self.digits(&mut digits);
        if whole == 0 || (whole > 1 && self.bytes[start] == b'0') {
            return None;
        }
        let mut fraction = 0;
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            fraction = self.digits(&mut digits);
            if fraction == 0 {
                return None;
            }
        }
        // What must follow is `,` or an end; an exponent is neither.
        (whole + fraction <= EXACT_DIGITS).then_some(Decimal { digits, fraction })
    }

    /// Appends the digits here to the number, which is of no use where there are too many; how many they are.
    #[inline]
    fn digits(&mut self, number: &mut u64) -> usize {
        let start = self.at;
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(self.at) {
            *number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        self.at - start
    }
}
