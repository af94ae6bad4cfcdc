//! All targets, and what one says of an input.

mod authorization;
mod cursor;
mod evaluate;
mod frames;
mod gates;
mod index;
mod ingest;
mod query;
mod signature;
mod timestamp;

use std::hash::{DefaultHasher, Hash, Hasher};

/// A function that reads bytes, and what inputs for it are made of.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Reads an input; panics where it finds a fault.
    pub read: fn(&[u8]) -> Outcome,
    /// Pieces that inputs are likely to hold.
    pub words: &'static [&'static str],
}

/// What came of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it was taken.
    pub is_good: bool,
    /// Tells outcomes of different kinds apart: an input with a new one is worth going on from.
    pub kind: u64,
}

impl Outcome {
    /// It was taken; those that differ in `kind` took another way.
    fn good(kind: impl Hash) -> Self {
        Self {
            is_good: true,
            kind: hash((true, kind)),
        }
    }

    /// It was refused with this sentence, in which numbers do not matter.
    fn refused(sentence: &str) -> Self {
        let sentence: String = sentence
            .chars()
            .filter(|c| !c.is_ascii_digit())
            .take(120)
            .collect();
        Self {
            is_good: false,
            kind: hash((false, sentence)),
        }
    }
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// How many there are, roughly: what two outcomes of one kind have in common.
fn about(count: usize) -> u32 {
    usize::BITS - count.leading_zeros()
}

/// Every target.
pub const TARGETS: [Target; 10] = [
    ingest::TARGET,
    evaluate::TARGET,
    query::TARGET,
    cursor::TARGET,
    signature::TARGET,
    authorization::TARGET,
    timestamp::TARGET,
    gates::TARGET,
    frames::TARGET,
    index::TARGET,
];
