//! One target, fed with changed inputs until an end.

use crate::{Mutator, Target, seeds};
use std::collections::HashSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// The most inputs that are gone on from; more take the places of others.
const POOL_INPUTS: usize = 4_096;

/// When a run ends, whichever comes first, and what its inputs are like.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long it takes.
    pub time: Duration,
    /// How many inputs it has.
    pub inputs: u64,
    /// The longest input.
    pub input_bytes: usize,
    /// Names the run: with the same seed and corpus the same inputs come in the same order.
    pub seed: u64,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Inputs read.
    pub inputs: u64,
    /// Those that were taken.
    pub good: u64,
    /// Different outcomes.
    pub kinds: usize,
    /// The longest that one input took.
    pub slowest: Duration,
    /// How long all took.
    pub took: Duration,
}

/// An input that a target panicked at.
#[derive(Debug)]
pub struct Found {
    /// The input.
    pub input: Vec<u8>,
    /// How many were read before it.
    pub after: u64,
}

/// Feeds a target.
///
/// # Errors
/// If the corpus cannot be read.
///
/// # Panics
/// If there is no corpus.
pub fn run(target: &Target, limits: &Limits) -> io::Result<Result<Totals, Found>> {
    let mut pool: Vec<Vec<u8>> = seeds(target.name)?.into_iter().map(|(_, bytes)| bytes).collect();
    assert!(!pool.is_empty(), "no corpus for {}", target.name);
    let (started, mut totals, mut kinds) = (Instant::now(), Totals::default(), HashSet::new());
    let mut mutator = Mutator::new(limits.seed, target.words, limits.input_bytes);
    let mut waiting = pool.clone();
    while totals.inputs < limits.inputs && started.elapsed() < limits.time {
        let input = waiting.pop().unwrap_or_else(|| {
            let mut input = pool[mutator.below(pool.len())].clone();
            let other = mutator.below(pool.len());
            mutator.change(&mut input, &pool[other]);
            input
        });
        let began = Instant::now();
        let Ok(outcome) = catch_unwind(AssertUnwindSafe(|| (target.read)(&input))) else {
            return Ok(Err(Found {
                input,
                after: totals.inputs,
            }));
        };
        totals.slowest = totals.slowest.max(began.elapsed());
        totals.inputs += 1;
        totals.good += u64::from(outcome.is_good);
        if kinds.insert(outcome.kind) {
            if pool.len() < POOL_INPUTS {
                pool.push(input);
            } else {
                let place = mutator.below(POOL_INPUTS);
                pool[place] = input;
            }
        }
    }
    (totals.kinds, totals.took) = (kinds.len(), started.elapsed());
    Ok(Ok(totals))
}
