//! Cursors: forged ones are refused, and one that was made leads back to its place.

use super::{Outcome, Target};
use reputation::Micros;
use wire::query::{AgentsParams, EventsParams, LedgerParams};
use wire::{AgentPlace, CursorKey, EventPlace, LedgerPlace};

pub(super) const TARGET: Target = Target {
    name: "cursor",
    read,
    words: &[
        "AQE",
        "AQI",
        "AQM",
        "AQQ",
        "=",
        "-",
        "_",
        "AAAAAAAAAAAAAAAAAAAAAA",
    ],
};

const ORG: u32 = 7;

fn read(bytes: &[u8]) -> Outcome {
    let key = CursorKey::new(&[7; 32]);
    let forged = std::str::from_utf8(bytes).unwrap_or_default();
    assert!(all_refuse(&key, ORG, forged), "a cursor was forged");
    let Some((fields, rest)) = bytes.split_first_chunk::<13>() else {
        return Outcome::refused("short");
    };
    let (list, at, flip) = (fields[0] % 4, &fields[1..9], &fields[9..13]);
    let time = Micros(i64::from_le_bytes(at.try_into().unwrap_or_default()));
    let flip = u32::from_le_bytes(flip.try_into().unwrap_or_default()) as usize;
    let id: String = String::from_utf8_lossy(rest)
        .chars()
        .take(wire::MAX_AGENT_ID)
        .collect();
    let number = rest.iter().fold(0u64, |number, byte| {
        number.wrapping_mul(257).wrapping_add(u64::from(*byte))
    });
    let events = params(EventsParams::parse).filters();
    let agents = params(AgentsParams::parse).filters();
    let ledger = params(LedgerParams::parse).filters();
    let cursor = match list {
        0 => {
            let place = EventPlace {
                recorded_at: time,
                seq: number,
            };
            let cursor = key.after_event(ORG, &events, place);
            assert_eq!(key.event_place(ORG, &events, &cursor), Ok(place));
            cursor
        }
        1 => {
            let place = LedgerPlace {
                at: time,
                key: number as u32,
            };
            let cursor = key.after_ledger_entry(ORG, &ledger, place);
            assert_eq!(key.ledger_place(ORG, &ledger, &cursor), Ok(place));
            cursor
        }
        _ => {
            let place = if list == 2 {
                AgentPlace::AgentId(id)
            } else {
                AgentPlace::LastSeen(time, id)
            };
            let cursor = key.after_agent(ORG, &agents, &place);
            assert_eq!(key.agent_place(ORG, &agents, &cursor), Ok(place));
            cursor
        }
    };
    assert!(all_refuse(&key, ORG + 1, &cursor), "another organisation took it");
    let mut touched = cursor.into_bytes();
    let at = flip % touched.len();
    touched[at] ^= 1 << (flip / 8192 % 7);
    let touched = String::from_utf8_lossy(&touched).into_owned();
    assert!(
        all_refuse(&key, ORG, &touched),
        "a touched cursor was taken: {touched}"
    );
    Outcome::good((list, super::about(rest.len())))
}

fn all_refuse(key: &CursorKey, org: u32, cursor: &str) -> bool {
    key.event_place(org, &params(EventsParams::parse).filters(), cursor)
        .is_err()
        && key
            .agent_place(org, &params(AgentsParams::parse).filters(), cursor)
            .is_err()
        && key
            .ledger_place(org, &params(LedgerParams::parse).filters(), cursor)
            .is_err()
}

/// A question without parameters.
fn params<T>(parse: fn(Option<&str>) -> Result<T, wire::Fault>) -> T {
    parse(None).unwrap_or_else(|fault| panic!("without parameters: {fault}"))
}
