//! The record of what stays of an agent when retention lets its oldest events go.

use super::fields::{Malformed, Reader, put_signed, put_varint};
use super::words::AgentWord;
use crate::agent::Aside;
use crate::facts::Facts;
use crate::span::TimeSpan;
use reputation::{Micros, Slot, WINDOW};

const HAS_NEWEST_SENT: u8 = 1;
const HAS_CLAMPED: u8 = 1 << 1;
const HAS_MADE: u8 = 1 << 2;
const HAS_WINDOW: u8 = 1 << 3;
const KNOWN_FLAGS: u8 = (1 << 4) - 1;

const SLOT_PASSED: u64 = 1;
const SLOT_HAS_IDENTITY: u64 = 1 << 1;
const SLOT_LATENCY_SHIFT: u32 = 2;

/// An agent as of one place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CarryRecord {
    pub(crate) agent: AgentWord,
    pub(crate) carried_at: Micros,
    /// What all the agent's events before this record come to.
    pub(crate) facts: Facts,
    /// Its window; `None` where all of it lies in rows that stay.
    pub(crate) window: Option<CarriedWindow>,
}

/// A window that no longer needs its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CarriedWindow {
    /// Oldest first.
    pub(crate) slots: Vec<Slot>,
    /// Of the newest arrivals, those that stand aside; in order of arrival.
    pub(crate) aside: Vec<Aside>,
}

/// The most that a carry takes of a frame, in bytes, its record's header and its agent's word included.
pub(crate) fn max_carry_bytes(agent_id: &str, with_window: bool) -> usize {
    let window = if with_window { WINDOW * (34 + 18) + 32 } else { 0 };
    224 + agent_id.len() + window
}

/// The body of a `CARRY` record.
pub(crate) fn encode_carry(record: &CarryRecord) -> Vec<u8> {
    let facts = &record.facts;
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    let mut out = vec![
        flag(facts.newest_sent.is_some(), HAS_NEWEST_SENT)
            | flag(facts.clamped.is_some(), HAS_CLAMPED)
            | flag(facts.made.is_some(), HAS_MADE)
            | flag(record.window.is_some(), HAS_WINDOW),
    ];
    put_varint(&mut out, u64::from(record.agent.0));
    out.extend_from_slice(&record.carried_at.0.to_le_bytes());
    put_varint(&mut out, facts.count);
    out.extend_from_slice(&facts.last_seen.0.to_le_bytes());
    put_since(&mut out, facts.last_seen, facts.first_seen);
    put_varint(&mut out, facts.last_seq);
    put_varint(&mut out, facts.last_aside);
    if let Some(newest) = facts.newest_sent {
        put_since(&mut out, facts.last_seen, newest);
    }
    for span in [facts.clamped, facts.made].into_iter().flatten() {
        put_since(&mut out, facts.last_seen, span.min);
        put_since(&mut out, facts.last_seen, span.max);
    }
    if let Some(window) = &record.window {
        put_window(&mut out, facts.last_seen, window);
    }
    out
}

fn put_window(out: &mut Vec<u8>, base: Micros, window: &CarriedWindow) {
    put_varint(out, window.slots.len() as u64);
    let (mut time, mut arrival) = (base, 0u64);
    for slot in &window.slots {
        put_since(out, time, slot.recorded_at);
        put_signed(out, slot.arrival.wrapping_sub(arrival).cast_signed());
        let identity = if slot.identity == 0 { 0 } else { SLOT_HAS_IDENTITY };
        put_varint(
            out,
            u64::from(slot.latency_us) << SLOT_LATENCY_SHIFT | identity | u64::from(slot.passed),
        );
        if slot.identity != 0 {
            out.extend_from_slice(&slot.identity.to_le_bytes());
        }
        (time, arrival) = (slot.recorded_at, slot.arrival);
    }
    put_varint(out, window.aside.len() as u64);
    let mut arrival = 0;
    for aside in &window.aside {
        put_varint(out, aside.arrival.wrapping_sub(arrival));
        out.extend_from_slice(&aside.identity.to_le_bytes());
        arrival = aside.arrival;
    }
}

/// Appends a time as its distance from another.
fn put_since(out: &mut Vec<u8>, base: Micros, time: Micros) {
    put_signed(out, time.0.wrapping_sub(base.0));
}

fn read_since(reader: &mut Reader<'_>, base: Micros) -> Result<Micros, Malformed> {
    Ok(Micros(base.0.wrapping_add(reader.signed()?)))
}

impl CarryRecord {
    pub(crate) fn read(body: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader { bytes: body };
        let flags = reader.byte()?;
        if flags & !KNOWN_FLAGS != 0 {
            return Err(Malformed("a carry has flags of a newer version"));
        }
        let has = |flag: u8| flags & flag != 0;
        let agent = AgentWord(reader.varint32()?);
        let carried_at = Micros(i64::from_le_bytes(reader.array()?));
        let count = reader.varint()?;
        let last_seen = Micros(i64::from_le_bytes(reader.array()?));
        let mut facts = Facts {
            count,
            last_seen,
            first_seen: read_since(&mut reader, last_seen)?,
            last_seq: reader.varint()?,
            last_aside: reader.varint()?,
            newest_sent: None,
            clamped: None,
            made: None,
        };
        if has(HAS_NEWEST_SENT) {
            facts.newest_sent = Some(read_since(&mut reader, last_seen)?);
        }
        if has(HAS_CLAMPED) {
            facts.clamped = Some(read_span(&mut reader, last_seen)?);
        }
        if has(HAS_MADE) {
            facts.made = Some(read_span(&mut reader, last_seen)?);
        }
        let window = if has(HAS_WINDOW) {
            Some(read_window(&mut reader, last_seen)?)
        } else {
            None
        };
        if !reader.is_empty() {
            return Err(Malformed("a carry is longer than its fields"));
        }
        Ok(Self {
            agent,
            carried_at,
            facts,
            window,
        })
    }
}

fn read_span(reader: &mut Reader<'_>, base: Micros) -> Result<TimeSpan, Malformed> {
    Ok(TimeSpan {
        min: read_since(reader, base)?,
        max: read_since(reader, base)?,
    })
}

fn read_window(reader: &mut Reader<'_>, base: Micros) -> Result<CarriedWindow, Malformed> {
    let (mut time, mut arrival) = (base, 0u64);
    let mut window = CarriedWindow::default();
    for _ in 0..read_count(reader)? {
        time = read_since(reader, time)?;
        arrival = arrival.wrapping_add(reader.signed()?.cast_unsigned());
        let packed = reader.varint()?;
        let latency_us = u32::try_from(packed >> SLOT_LATENCY_SHIFT)
            .map_err(|_| Malformed("a carried latency is out of range"))?;
        let identity = if packed & SLOT_HAS_IDENTITY != 0 {
            u64::from_le_bytes(reader.array()?)
        } else {
            0
        };
        window.slots.push(Slot {
            recorded_at: time,
            arrival,
            latency_us,
            passed: packed & SLOT_PASSED != 0,
            identity,
        });
    }
    let mut arrival = 0u64;
    for _ in 0..read_count(reader)? {
        arrival = arrival.wrapping_add(reader.varint()?);
        window.aside.push(Aside {
            arrival,
            identity: u64::from_le_bytes(reader.array()?),
        });
    }
    Ok(window)
}

fn read_count(reader: &mut Reader<'_>) -> Result<u64, Malformed> {
    let count = reader.varint()?;
    if count > WINDOW as u64 {
        return Err(Malformed("a carry has more slots than a window"));
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(window: Option<CarriedWindow>) -> CarryRecord {
        CarryRecord {
            agent: AgentWord(300),
            carried_at: Micros(1_795_478_400_000_000),
            facts: Facts {
                count: 7_000,
                first_seen: Micros(1_700_000_000_000_000),
                last_seen: Micros(1_795_478_399_000_000),
                last_seq: 9_000_000,
                newest_sent: Some(Micros(1_795_478_399_000_000)),
                clamped: Some(TimeSpan {
                    min: Micros(1_895_478_399_000_000),
                    max: Micros(1_895_478_399_500_000),
                }),
                made: None,
                last_aside: 6_990,
            },
            window,
        }
    }

    fn full_window() -> CarriedWindow {
        let slot = |at: u64| Slot {
            recorded_at: Micros(1_795_000_000_000_000 + 3_600_000_000 * at.cast_signed()),
            arrival: 6_500 + (at * 7) % 500,
            latency_us: 60_000_000 - 17 * at as u32,
            passed: !at.is_multiple_of(3),
            identity: if at.is_multiple_of(5) { 0 } else { u64::MAX - at },
        };
        let aside = |at: u64| Aside {
            arrival: 6_501 + at,
            identity: at << 40,
        };
        CarriedWindow {
            slots: (0..500).map(slot).collect(),
            aside: (0..500).map(aside).collect(),
        }
    }

    #[test]
    fn a_carry_is_read_back_and_stays_within_its_bound() {
        for window in [None, Some(CarriedWindow::default()), Some(full_window())] {
            let record = record(window);
            let body = encode_carry(&record);
            assert_eq!(CarryRecord::read(&body), Ok(record.clone()));
            assert!(body.len() < max_carry_bytes("", record.window.is_some()) - 64);
        }
    }

    #[test]
    fn a_carried_slot_takes_at_most_20_bytes() {
        let mut window = full_window();
        window.aside.clear();
        let without = encode_carry(&record(Some(CarriedWindow::default()))).len();
        assert!(encode_carry(&record(Some(window))).len() - without <= 500 * 20);
    }

    #[test]
    fn no_bytes_make_it_panic_and_no_part_of_a_carry_is_one() {
        let body = encode_carry(&record(Some(full_window())));
        for end in 0..body.len() {
            assert!(CarryRecord::read(&body[..end]).is_err(), "{end}");
        }
        for at in 0..120 {
            let mut changed = body.clone();
            changed[at] ^= 0xff;
            drop(CarryRecord::read(&changed));
        }
    }
}
