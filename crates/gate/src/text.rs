//! The one pass over an output's strings that serves all text gates.

mod blank;
mod card;
mod command;
mod email;
mod iban;
mod ip;
mod pattern;
mod phone;
mod phrase;
mod rm;
mod scan;
mod secret;
mod sensitive_path;
mod ssn;
mod traversal;

pub(crate) use blank::is_blank;
pub(crate) use command::prepare as prepare_commands;
pub(crate) use scan::scan;
pub(crate) use secret::prepare as prepare_secrets;

use json::Value;
use std::ops::{BitAnd, BitOr};

/// Something that text gates look for in strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Detector {
    /// `rm` with options that make it recursive and forced.
    RecursiveRemove,
    /// `..` as a part of a path.
    Traversal,
    /// A system directory, or a directory of credentials in a home.
    SensitivePath,
    /// An e-mail address.
    Email,
    /// A social security number of the United States.
    Ssn,
    /// A phone number of North America.
    Phone,
    /// The number of a payment card.
    Card,
    /// An international bank account number.
    Iban,
    /// An IP address, version 4 or 6.
    Ip,
    /// An assistant's phrase of refusal.
    Refusal,
    /// `dd` that writes to a device.
    DiskWrite,
    /// `mkfs`.
    MakeFilesystem,
    /// `find` that deletes what it finds.
    FindDelete,
    /// `shred`.
    Shred,
    /// `git clean` of all that is not tracked.
    GitClean,
    /// `chmod` that opens everything from the root on.
    ChmodRoot,
    /// A shell function that starts itself twice for ever.
    ForkBomb,
    /// A download that a shell runs.
    PipeToShell,
    /// A key, token or password of a well-known shape.
    Secret,
    /// Not a thing by itself: arrays of strings are also read joined by blanks for what the `filesystem` gate
    /// looks for.
    Argv,
}

impl Detector {
    /// How many there are.
    const COUNT: usize = Self::Argv as usize + 1;

    /// Those that are about command lines.
    pub(crate) const OF_COMMAND_LINES: [Self; 11] = [
        Self::RecursiveRemove,
        Self::DiskWrite,
        Self::MakeFilesystem,
        Self::FindDelete,
        Self::Shred,
        Self::GitClean,
        Self::ChmodRoot,
        Self::ForkBomb,
        Self::PipeToShell,
        Self::Traversal,
        Self::SensitivePath,
    ];

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of detectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detectors(u32);

impl Detectors {
    /// Whether it holds that one.
    #[must_use]
    pub fn has(self, detector: Detector) -> bool {
        self.0 & detector.bit() != 0
    }

    /// The same with that one.
    #[must_use]
    pub fn with(self, detector: Detector) -> Self {
        Self(self.0 | detector.bit())
    }

    fn without(self, detector: Detector) -> Self {
        Self(self.0 & !detector.bit())
    }

    fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitAnd for Detectors {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for Detectors {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl FromIterator<Detector> for Detectors {
    fn from_iter<I: IntoIterator<Item = Detector>>(detectors: I) -> Self {
        detectors.into_iter().fold(Self::default(), Self::with)
    }
}

impl FromIterator<Detectors> for Detectors {
    fn from_iter<I: IntoIterator<Item = Detectors>>(sets: I) -> Self {
        sets.into_iter().fold(Self::default(), Self::bitor)
    }
}

/// What was found first by one detector.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'d> {
    /// The string, or the array whose joined strings it is.
    pub value: Value<'d>,
    /// Which kind, of a [`Detector::Secret`].
    pub kind: Option<&'static str>,
}

/// What was found in an output, by detector.
#[derive(Clone, Debug, Default)]
pub struct Findings<'d> {
    hits: [Option<Hit<'d>>; Detector::COUNT],
}

impl<'d> Findings<'d> {
    /// The first in document order.
    #[must_use]
    pub fn first(&self, detector: Detector) -> Option<Hit<'d>> {
        self.hits[detector as usize]
    }
}

/// A byte of `[A-Za-z0-9_]`.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether no byte of a word stands just before that index.
fn starts_word(bytes: &[u8], at: usize) -> bool {
    at == 0 || !is_word(bytes[at - 1])
}

/// Whether no byte of a word stands at that index.
fn ends_word(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_none_or(|&byte| !is_word(byte))
}

/// How many digits stand from that index on, counted to `limit`.
fn digits(bytes: &[u8], at: usize, limit: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter()
        .take(limit)
        .take_while(|byte| byte.is_ascii_digit())
        .count()
}

#[cfg(test)]
mod tests;
