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
            rest: text.get(at..)?,
        };
        let event = self.event(&mut place)?;
        Some((event, text.len() - place.rest.len()))
    }

    fn event(&mut self, place: &mut Place<'a>) -> Option<Evaluation<'a>> {
        let (mut agent_id, mut tool, mut evaluation_id) = (None, None, None);
        let (mut passed, mut gates, mut total_latency_us, mut sent_at) = (None, None, None, None);
        place.literal("{")?;
        loop {
            // Four bytes tell the known keys apart; the whole key is compared after that.
            match place.four()? {
                b"\"age" if agent_id.is_none() => {
                    place.either(r#""agent_id":""#, r#""agent_id": ""#)?;
                    agent_id = Some(place.string(MAX_AGENT_ID)?);
                }
                b"\"too" if tool.is_none() => {
                    place.either(r#""tool":""#, r#""tool": ""#)?;
                    tool = Some(place.string(MAX_TOOL)?);
                }
                b"\"pas" if passed.is_none() => {
                    place.key(r#""passed":"#)?;
                    passed = Some(place.boolean()?);
                }
                b"\"gat" if gates.is_none() => {
                    place.key(r#""gates":"#)?;
                    gates = Some(self.gates(place)?);
                }
                b"\"tot" if total_latency_us.is_none() => {
                    place.key(r#""total_latency_ms":"#)?;
                    total_latency_us = Some(place.number()?.micros_within(MAX_TOTAL_LATENCY_MS)?);
                }
                b"\"tim" if sent_at.is_none() => {
                    place.either(r#""timestamp":""#, r#""timestamp": ""#)?;
                    sent_at = Some(self.time(place.string(usize::MAX)?)?);
                }
                b"\"eva" if evaluation_id.is_none() => {
                    place.either(r#""evaluation_id":""#, r#""evaluation_id": ""#)?;
                    evaluation_id = Some(place.string(MAX_EVALUATION_ID)?);
                }
                _ => return None,
            }
            if !place.goes_on('}')? {
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
        place.literal("[")?;
        let mut gates = Vec::with_capacity(self.gates);
        if place.literal("]").is_some() {
            return Some(gates);
        }
        loop {
            if gates.len() == MAX_GATES {
                return None;
            }
            gates.push(gate(place)?);
            if !place.goes_on(']')? {
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
    let start = place.rest;
    usual_gate(place).or_else(|| {
        place.rest = start;
        unusual_gate(place)
    })
}

/// A gate whose keys come in the order of the documentation.
#[inline(always)]
fn usual_gate<'a>(place: &mut Place<'a>) -> Option<GateResult<'a>> {
    place.either(r#"{"name":""#, r#"{"name": ""#)?;
    let name = place.string(MAX_GATE_NAME)?;
    place.either(r#","passed":"#, r#", "passed": "#)?;
    let passed = place.boolean()?;
    place.either(r#","latency_ms":"#, r#", "latency_ms": "#)?;
    let latency_ms = place.number()?.within(MAX_GATE_LATENCY_MS)?;
    let (mut reason, mut skipped) = (None, None);
    if place.literal("}").is_none() {
        if place.either(r#","reason":""#, r#", "reason": ""#).is_some() {
            reason = Some(Cow::Borrowed(place.string(MAX_REASON)?));
        }
        if place.either(r#","skipped":"#, r#", "skipped": "#).is_some() {
            skipped = Some(place.boolean()?);
        }
        place.literal("}")?;
    }
    Some(GateResult {
        name: Cow::Borrowed(name),
        passed,
        latency_ms,
        reason,
        skipped,
    })
}

/// A gate whose keys come in any order.
#[cold]
fn unusual_gate<'a>(place: &mut Place<'a>) -> Option<GateResult<'a>> {
    let (mut name, mut passed, mut latency_ms, mut reason, mut skipped) = (None, None, None, None, None);
    place.literal("{")?;
    loop {
        match place.four()? {
            b"\"nam" if name.is_none() => {
                place.either(r#""name":""#, r#""name": ""#)?;
                name = Some(place.string(MAX_GATE_NAME)?);
            }
            b"\"pas" if passed.is_none() => {
                place.key(r#""passed":"#)?;
                passed = Some(place.boolean()?);
            }
            b"\"lat" if latency_ms.is_none() => {
                place.key(r#""latency_ms":"#)?;
                latency_ms = Some(place.number()?.within(MAX_GATE_LATENCY_MS)?);
            }
            b"\"rea" if reason.is_none() => {
                place.either(r#""reason":""#, r#""reason": ""#)?;
                reason = Some(place.string(MAX_REASON)?);
            }
            b"\"ski" if skipped.is_none() => {
                place.key(r#""skipped":"#)?;
                skipped = Some(place.boolean()?);
            }
            _ => return None,
        }
        if !place.goes_on('}')? {
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
    /// The number at the start of these bytes, and its length, if it ends within them, has a fraction and no
    /// zero in front of another digit. All digits at once, a byte of a word each.
    #[inline(always)]
    fn short(text: &[u8; 8]) -> Option<(Self, usize)> {
        const ONES: u64 = u64::from_le_bytes([1; 8]);
        // The high bit of each byte that is no digit; a carry comes from none that is below 0x8a.
        let others = |values: u64| (values + 0x76 * ONES | values) & (0x80 * ONES);
        let values = u64::from_le_bytes(*text) ^ (u64::from(b'0') * ONES);
        if values & (0x80 * ONES) != 0 {
            return None; // beyond ASCII
        }
        let whole = others(values).trailing_zeros() as usize / 8;
        if whole == 0 || whole >= 7 || text[whole] != b'.' || (whole > 1 && text[0] == b'0') {
            return None;
        }
        let behind = values >> (8 * (whole + 1));
        // What was shifted in is taken for digits, so the end must be seen.
        let fraction = others(behind).trailing_zeros() as usize / 8;
        let len = whole + 1 + fraction;
        if fraction == 0 || len >= 8 {
            return None;
        }
        // The digits moved to the high end, zeros before them: eight digits, the first one lowest.
        let joined = values & ((1 << (8 * whole)) - 1) | behind << (8 * whole);
        let eight = joined << (8 * (8 - whole - fraction));
        let pairs = (eight * 10 + (eight >> 8)) & 0x00ff_00ff_00ff_00ff;
        let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
        let digits = (fours * 10_000 + (fours >> 32)) & 0xffff_ffff;
        Some((Self { digits, fraction }, len))
    }

    /// The same of any number without a sign and an exponent, digit by digit.
    fn any(text: &[u8]) -> Option<(Self, usize)> {
        let mut digits = 0u64;
        let mut take = |text: &[u8]| {
            let end = text
                .iter()
                .position(|byte| !byte.is_ascii_digit())
                .unwrap_or(text.len());
            for digit in &text[..end] {
                digits = digits.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            }
            end
        };
        let whole = take(text);
        if whole == 0 || (whole > 1 && text[0] == b'0') {
            return None;
        }
        let (mut fraction, mut len) = (0, whole);
        if text.get(whole) == Some(&b'.') {
            fraction = take(&text[whole + 1..]);
            len += 1 + fraction;
            if fraction == 0 {
                return None;
            }
        }
        // What must follow is `,` or an end; an exponent is neither.
        (whole + fraction <= EXACT_DIGITS).then_some((Self { digits, fraction }, len))
    }

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
struct Place<'a> {
    rest: &'a str,
}

impl<'a> Place<'a> {
    /// Passes over exactly this text.
    #[inline(always)]
    fn literal(&mut self, expected: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(expected)?;
        Some(())
    }

    /// The next four bytes, which stay up next.
    #[inline(always)]
    fn four(&self) -> Option<&'a [u8; 4]> {
        self.rest.as_bytes().first_chunk()
    }

    /// Passes over one of these: the same without blanks and with those that some libraries write. Neither is the
    /// beginning of the other.
    #[inline(always)]
    fn either(&mut self, compact: &str, spaced: &str) -> Option<()> {
        self.literal(compact).or_else(|| self.literal(spaced))
    }

    /// Passes over a key, its colon, and a blank that may follow.
    #[inline(always)]
    fn key(&mut self, expected: &str) -> Option<()> {
        self.literal(expected)?;
        self.blank();
        Some(())
    }

    #[inline(always)]
    fn blank(&mut self) {
        if let Some(rest) = self.rest.strip_prefix(' ') {
            self.rest = rest;
        }
    }

    /// Passes over a comma and a blank that may follow, or over the end; whether it was the comma.
    #[inline(always)]
    fn goes_on(&mut self, end: char) -> Option<bool> {
        if let Some(rest) = self.rest.strip_prefix(',') {
            self.rest = rest;
            self.blank();
            return Some(true);
        }
        self.rest = self.rest.strip_prefix(end)?;
        Some(false)
    }

    /// The rest of a string without escapes, of at least one byte and at most so many: no more code points than
    /// that.
    #[inline(always)]
    fn string(&mut self, most: usize) -> Option<&'a str> {
        let (string, behind) = self
            .rest
            .split_at_checked(json::plain_end(self.rest.as_bytes(), 0))?;
        self.rest = behind.strip_prefix('"')?;
        (!string.is_empty() && string.len() <= most).then_some(string)
    }

    #[inline(always)]
    fn boolean(&mut self) -> Option<bool> {
        let is_true = self.four()? == b"true";
        self.literal(if is_true { "true" } else { "false" })?;
        Some(is_true)
    }

    #[inline(always)]
    fn number(&mut self) -> Option<Decimal> {
        let (decimal, len) = self
            .rest
            .as_bytes()
            .first_chunk()
            .and_then(Decimal::short)
            .or_else(|| Decimal::any(self.rest.as_bytes()))?;
        self.rest = self.rest.split_at_checked(len)?.1;
        Some(decimal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn all_digits_at_once_are_what_they_are_one_by_one(text in "([0-9]{1,7}[.,][0-9]{1,7}|[0-9./:eé]{0,7})[,}0-9]{8}") {
            let bytes = text.as_bytes();
            if let Some((short, len)) = bytes.first_chunk().and_then(Decimal::short) {
                let (any, any_len) = Decimal::any(bytes).unwrap();
                prop_assert_eq!((short.digits, short.fraction, len), (any.digits, any.fraction, any_len));
            }
        }
    }

    #[test]
    fn usual_numbers_are_read_at_once() {
        for (text, digits, fraction, len) in [
            ("0.25,\"pa", 25, 2, 4),
            ("12.5}]xx", 125, 1, 4),
            ("123.456}", 123_456, 3, 7),
        ] {
            let (decimal, end) = Decimal::short(text.as_bytes().first_chunk().unwrap()).unwrap();
            assert_eq!(
                (decimal.digits, decimal.fraction, end),
                (digits, fraction, len),
                "{text}"
            );
        }
    }
}
