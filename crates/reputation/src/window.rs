//! The newest evaluations of an agent, ordered by recorded time, with their totals kept up to date.

mod packed;

use crate::{Micros, Summary};
use packed::{Base, Packed};
use std::collections::VecDeque;

/// How many evaluations a window holds.
pub const WINDOW: usize = 500;

/// One evaluation in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The recorded time, by which a window is ordered.
    pub recorded_at: Micros,
    /// The how-manieth evaluation of its agent this is, from 1: decides between equal times. A window keeps the
    /// arrivals of its agent's newest 2³⁰ evaluations; an older one may read as later than it was, though not as one
    /// of those.
    pub arrival: u64,
    /// `total_latency_ms`, in microseconds.
    pub latency_us: u32,
    /// The verdict.
    pub passed: bool,
    /// Carried for the owner of the window, which tells repeats by it; not looked at here.
    pub identity: u64,
}

/// What became of an evaluation that was shown to a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// It took its place by time and counts.
    Counted,
    /// It is older than a full window and changes nothing.
    Late,
}

/// The newest [`WINDOW`] evaluations of one agent by (recorded time, arrival), oldest first.
///
/// Inserting at the new end, the usual case, is O(1); anywhere else O(log n) to find the place and at most
/// n/2 slots moved.
#[derive(Clone, Debug, Default)]
pub struct Window {
    slots: VecDeque<Packed>,
    base: Base,
    summary: Summary,
}

impl Window {
    /// An empty window.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Shows an evaluation to the window: it takes its place by time, and the oldest leaves a full window.
    pub fn insert(&mut self, slot: Slot) -> Placement {
        if !self.base.reaches(slot.arrival) {
            self.move_base(Base::around(slot.arrival));
        }
        let packed = self.base.pack(&slot);
        let at = self.place_of(&packed);
        if self.is_full() {
            if at == 0 {
                return Placement::Late;
            }
            self.drop_oldest();
            self.put(at - 1, packed);
        } else {
            self.put(at, packed);
        }
        Placement::Counted
    }

    /// The totals of the window.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// Whether the window holds [`WINDOW`] evaluations, so that an older one would be late.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.slots.len() == WINDOW
    }

    /// The oldest evaluation that still counts.
    #[must_use]
    pub fn oldest(&self) -> Option<Slot> {
        self.slots.front().map(|slot| self.base.unpack(slot))
    }

    /// The oldest evaluation of a full window: an older one would be late.
    #[must_use]
    pub fn floor(&self) -> Option<Slot> {
        self.oldest().filter(|_| self.is_full())
    }

    /// The newest evaluation.
    #[must_use]
    pub fn newest(&self) -> Option<Slot> {
        self.slots.back().map(|slot| self.base.unpack(slot))
    }

    /// All slots, oldest first.
    pub fn slots(&self) -> impl DoubleEndedIterator<Item = Slot> + ExactSizeIterator {
        self.slots.iter().map(|slot| self.base.unpack(slot))
    }

    /// A sum over the slots at both ends, where the next ones come and go: whoever asks for it has them in the
    /// processor's cache afterwards.
    #[must_use]
    pub fn sum_of_ends(&self) -> u64 {
        let newest = self.slots.len().wrapping_sub(1);
        let ends = (0..4).flat_map(|pair| [2 * pair, newest.wrapping_sub(2 * pair)]);
        let slots = ends.filter_map(|at| self.slots.get(at));
        slots.fold(0, |sum, slot| sum ^ slot.some_bytes())
    }

    /// The slots recorded at exactly this time, in order of arrival.
    pub fn at(&self, time: Micros) -> impl Iterator<Item = Slot> {
        let first = self.end_of(|slot| slot.recorded_at() < time);
        self.slots
            .range(first..)
            .take_while(move |slot| slot.recorded_at() == time)
            .map(|slot| self.base.unpack(slot))
    }

    fn move_base(&mut self, base: Base) {
        for packed in &mut self.slots {
            *packed = base.pack(&self.base.unpack(packed));
        }
        self.base = base;
    }

    /// The index that the slot has once it is in.
    fn place_of(&self, slot: &Packed) -> usize {
        match self.slots.back() {
            Some(newest) if newest.key() > slot.key() => self.end_of(|other| other.key() < slot.key()),
            _ => self.slots.len(),
        }
    }

    /// The index behind the last slot of which this holds; it holds of all before it. Searched for from the
    /// newest end in steps that double, since what comes is mostly new; what is older than all, as a backfill brings
    /// much, is told at a glance.
    fn end_of(&self, holds: impl Fn(&Packed) -> bool) -> usize {
        if !self.slots.front().is_some_and(&holds) {
            return 0;
        }
        let (mut high, mut step) = (self.slots.len(), 4);
        let mut low = loop {
            match high.checked_sub(step) {
                Some(probe) if holds(&self.slots[probe]) => break probe + 1,
                Some(probe) => (high, step) = (probe, 2 * step),
                None => break 0,
            }
        };
        while low < high {
            let middle = usize::midpoint(low, high);
            if holds(&self.slots[middle]) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.slots.pop_front() {
            let summary = &mut self.summary;
            summary.evaluations -= 1;
            summary.passed -= u32::from(oldest.passed());
            summary.latency_sum_us -= u64::from(oldest.latency_us());
            summary.streak = summary.streak.min(summary.evaluations);
        }
    }

    fn put(&mut self, at: usize, slot: Packed) {
        // The streak is the run of passes at the new end. A slot before it changes nothing; one inside it,
        // or right at its edge, lengthens it or cuts it to what lies behind.
        let behind = count(self.slots.len() - at);
        let summary = &mut self.summary;
        if behind <= summary.streak {
            summary.streak = if slot.passed() { summary.streak + 1 } else { behind };
        }
        summary.evaluations += 1;
        summary.passed += u32::from(slot.passed());
        summary.latency_sum_us += u64::from(slot.latency_us());
        self.slots.insert(at, slot);
    }
}

impl PartialEq for Window {
    fn eq(&self, other: &Self) -> bool {
        self.summary == other.summary && self.slots().eq(other.slots())
    }
}

impl Eq for Window {}

/// A number of slots, which never passes [`WINDOW`].
fn count(slots: usize) -> u32 {
    u32::try_from(slots).unwrap_or(u32::MAX)
}

impl FromIterator<Slot> for Window {
    /// A window of the newest of these slots, in whatever order they come.
    fn from_iter<I: IntoIterator<Item = Slot>>(slots: I) -> Self {
        let mut window = Self::new();
        for slot in slots {
            window.insert(slot);
        }
        window
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(slot: &Slot) -> (Micros, u64) {
        (slot.recorded_at, slot.arrival)
    }

    /// The definition, word by word: sort everything, take the newest 500, count.
    fn naive(all: &[Slot]) -> (Vec<Slot>, Summary) {
        let mut slots = all.to_vec();
        slots.sort_by_key(key);
        let kept = slots.split_off(slots.len().saturating_sub(WINDOW));
        let summary = Summary {
            evaluations: count(kept.len()),
            passed: count(kept.iter().filter(|slot| slot.passed).count()),
            latency_sum_us: kept.iter().map(|slot| u64::from(slot.latency_us)).sum(),
            streak: count(kept.iter().rev().take_while(|slot| slot.passed).count()),
        };
        (kept, summary)
    }

    /// The published formula in exact rationals over one common denominator, term by term.
    fn exact_score(s: &Summary) -> u64 {
        if s.evaluations == 0 {
            return 0;
        }
        let n = i128::from(s.evaluations);
        let denominator = 100_000 * n * 50 * 500;
        let pass = 400 * i128::from(s.passed) * (denominator / n);
        let speed = 250 * (100_000 * n - i128::from(s.latency_sum_us)).max(0) * 50 * 500;
        let streak = 200 * i128::from(s.streak.min(50)) * (denominator / 50);
        let experience = 150 * n.min(500) * (denominator / 500);
        u64::try_from((pass + speed + streak + experience) / denominator).unwrap()
    }

    fn slots(times: impl Strategy<Value = i64>, most: usize) -> impl Strategy<Value = Vec<Slot>> {
        prop::collection::vec((times, prop::bool::weighted(0.9), 0u32..=250_000), 0..most).prop_map(|rows| {
            rows.into_iter()
                .enumerate()
                .map(|(i, (time, passed, latency_us))| Slot {
                    recorded_at: Micros(time),
                    arrival: i as u64 + 1,
                    latency_us,
                    passed,
                    identity: i as u64,
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn any_arrival_order_gives_the_naive_window(all in slots(0i64..3_000, 1_400)) {
            let mut window = Window::new();
            for (i, slot) in all.iter().enumerate() {
                let was_full_and_newer =
                    window.is_full() && window.oldest().is_some_and(|oldest| key(&oldest) > key(slot));
                let placement = window.insert(*slot);
                prop_assert_eq!(placement == Placement::Late, was_full_and_newer);
                if i % 97 == 0 {
                    prop_assert_eq!(window.summary(), naive(&all[..=i]).1);
                }
            }
            let (kept, summary) = naive(&all);
            prop_assert_eq!(window.slots().collect::<Vec<_>>(), kept);
            prop_assert_eq!(window.summary(), summary);
        }

        #[test]
        fn distinct_times_give_one_score_for_every_order(
            all in slots(0i64..1, 900),
            seed in any::<prop::sample::Index>(),
        ) {
            let distinct: Vec<Slot> = all
                .iter()
                .enumerate()
                .map(|(i, slot)| Slot { recorded_at: Micros(i as i64 * 7), ..*slot })
                .collect();
            let mut turned = distinct.clone();
            if !turned.is_empty() {
                let by = seed.index(turned.len());
                turned.rotate_left(by);
                turned.reverse();
            }
            let again: Window = turned
                .into_iter()
                .enumerate()
                .map(|(i, slot)| Slot { arrival: i as u64 + 1, ..slot })
                .collect();
            prop_assert_eq!(again.summary(), distinct.into_iter().collect::<Window>().summary());
        }

        #[test]
        fn the_score_is_the_floor_of_the_exact_value(
            evaluations in 0u32..=500, passed in 0u32..=500, latency in 0u64..=200_000, streak in 0u32..=500,
        ) {
            let passed = passed.min(evaluations);
            let summary = Summary {
                evaluations,
                passed,
                latency_sum_us: latency * u64::from(evaluations),
                streak: streak.min(passed),
            };
            prop_assert_eq!(u64::from(summary.score()), exact_score(&summary));
        }

        #[test]
        fn slots_at_a_time_are_all_of_that_time(all in slots(0i64..40, 600), time in 0i64..40) {
            let window: Window = all.iter().copied().collect();
            let expected: Vec<Slot> = naive(&all).0.into_iter().filter(|s| s.recorded_at.0 == time).collect();
            prop_assert_eq!(window.at(Micros(time)).collect::<Vec<_>>(), expected);
        }

        #[test]
        fn arrivals_of_any_distance_keep_their_order(
            steps in prop::collection::vec(prop_oneof![1u64..4, Just(1 << 30), Just(1 << 31), Just(1 << 40)], 1..80),
            times in prop::collection::vec(0i64..5, 80),
        ) {
            let mut window = Window::new();
            let (mut arrival, mut all) = (0, Vec::new());
            for (identity, (step, time)) in (0..).zip(steps.iter().zip(&times)) {
                arrival += step;
                let slot = Slot { recorded_at: Micros(*time), arrival, latency_us: 7, passed: true, identity };
                all.push(slot);
                window.insert(slot);
                let of_it = window.at(slot.recorded_at).last();
                prop_assert_eq!(of_it, Some(slot), "the newest arrival is exact and the last of its time");
            }
            let (expected, _) = naive(&all);
            let order = |slots: &mut dyn Iterator<Item = Slot>| slots.map(|slot| slot.identity).collect::<Vec<_>>();
            prop_assert_eq!(order(&mut window.slots()), order(&mut expected.into_iter()));
        }
    }
}
