//! A slot in 24 bytes instead of 32: the windows of busy agents are most of a server's memory, and what of them
//! counting touches has to come into the processor's cache.

use super::Slot;
use crate::Micros;

/// Bits of an arrival, as its distance from the window's base.
const ARRIVAL_BITS: u32 = 31;
const MAX_DISTANCE: u64 = (1 << ARRIVAL_BITS) - 1;
/// How far below an arrival that finds no place a new base is put, so that the next ones find theirs.
const ROOM_BELOW: u64 = 1 << (ARRIVAL_BITS - 1);
const ARRIVAL_SHIFT: u32 = 64 - ARRIVAL_BITS;
const LATENCY_SHIFT: u32 = 1;
const PASSED: u64 = 1;

/// The arrival from which those of a window's slots are counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Base(u64);

#[derive(Clone, Copy, Debug)]
pub(super) struct Packed {
    recorded_at: Micros,
    identity: u64,
    /// Distance of the arrival from the base, latency, verdict.
    rest: u64,
}

impl Base {
    /// One with room around this arrival.
    pub(super) fn around(arrival: u64) -> Self {
        Self(arrival.saturating_sub(ROOM_BELOW))
    }

    /// Whether a slot of this arrival can be packed.
    pub(super) fn reaches(self, arrival: u64) -> bool {
        arrival
            .checked_sub(self.0)
            .is_some_and(|distance| distance <= MAX_DISTANCE)
    }

    /// The slot, its arrival moved to the nearest within reach.
    pub(super) fn pack(self, slot: &Slot) -> Packed {
        let distance = slot.arrival.saturating_sub(self.0).min(MAX_DISTANCE);
        Packed {
            recorded_at: slot.recorded_at,
            identity: slot.identity,
            rest: distance << ARRIVAL_SHIFT
                | u64::from(slot.latency_us) << LATENCY_SHIFT
                | if slot.passed { PASSED } else { 0 },
        }
    }

    pub(super) fn unpack(self, packed: &Packed) -> Slot {
        Slot {
            recorded_at: packed.recorded_at,
            arrival: self.0 + (packed.rest >> ARRIVAL_SHIFT),
            latency_us: packed.latency_us(),
            passed: packed.passed(),
            identity: packed.identity,
        }
    }
}

impl Packed {
    /// What a window is ordered by, among slots packed with one base.
    pub(super) fn key(&self) -> (Micros, u64) {
        (self.recorded_at, self.rest >> ARRIVAL_SHIFT)
    }

    pub(super) fn recorded_at(&self) -> Micros {
        self.recorded_at
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the bits above are those of the arrival"
    )]
    pub(super) fn latency_us(&self) -> u32 {
        (self.rest >> LATENCY_SHIFT) as u32
    }

    pub(super) fn passed(&self) -> bool {
        self.rest & PASSED != 0
    }

    /// Some of its bytes, for whoever wants them in the processor's cache.
    pub(super) fn some_bytes(&self) -> u64 {
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_slot_takes_24_bytes() {
        assert_eq!(size_of::<Packed>(), 24);
    }

    proptest! {
        #[test]
        fn a_slot_is_unpacked_as_it_was(
            time in any::<i64>(), arrival in any::<u64>(), after in 0..ROOM_BELOW, latency_us in any::<u32>(),
            passed in any::<bool>(), identity in any::<u64>(),
        ) {
            let base = Base::around(arrival);
            let arrival = arrival.saturating_add(after);
            let slot = Slot { recorded_at: Micros(time), arrival, latency_us, passed, identity };
            prop_assert!(base.reaches(arrival));
            prop_assert_eq!(base.unpack(&base.pack(&slot)), slot);
        }
    }
}
