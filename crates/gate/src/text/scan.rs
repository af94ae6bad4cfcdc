//! Walks the strings once and hands each byte that may begin something to whoever looks for it.

use super::rm::Look;
use super::{
    Detector, Detectors, Findings, Hit, card, command, email, iban, ip, phone, phrase, rm, secret,
    sensitive_path, ssn, traversal,
};
use crate::{Budget, OutOfBudget};
use json::{Document, Kind, Value};

/// Bytes between two looks at the budget.
const STRIDE_BYTES: usize = 16 << 10;
/// What a string costs beside its bytes.
const STRING_BYTES: usize = 32;

/// The detectors that start from a byte, those bytes, and the bytes that may follow it.
pub(super) const STARTS: [(Detector, &[u8], &[u8]); 10] = [
    (Detector::RecursiveRemove, b"r", b"m"),
    (Detector::Traversal, b".", b"."),
    (Detector::SensitivePath, b"/~", b"euvh/"),
    (
        Detector::Email,
        b"@",
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-",
    ),
    (Detector::Ssn, b"012345678", DIGITS),
    (Detector::Phone, b"23456789", DIGITS),
    (Detector::Card, b"23456", DIGITS),
    (Detector::Iban, DIGITS, DIGITS),
    (Detector::Ip, b"0123456789:", b"0123456789abcdefABCDEF.:"),
    // `as`, or `i` before an apostrophe or a blank: the first bytes of all that are not ASCII are among these.
    (
        Detector::Refusal,
        b"aAiI",
        b"sS'\t\n\x0b\x0c\r \xc2\xca\xe1\xe2\xe3\xef",
    ),
];

const DIGITS: &[u8] = b"0123456789";

/// For each byte the detectors, as bits, that start from it.
const STARTED: [u16; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < STARTS.len() {
        let (detector, bytes, _) = STARTS[index];
        set(&mut table, detector, bytes);
        index += 1;
    }
    table
};

/// For each byte the detectors, as bits, that may have started from the byte before.
const FOLLOWED: [u16; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < STARTS.len() {
        let (detector, _, bytes) = STARTS[index];
        set(&mut table, detector, bytes);
        index += 1;
    }
    table
};

const fn set(table: &mut [u16; 256], detector: Detector, bytes: &[u8]) {
    let mut at = 0;
    while at < bytes.len() {
        table[bytes[at] as usize] |= 1 << detector as u16;
        at += 1;
    }
}

/// Looks through all strings of a document for the wanted.
pub(crate) fn scan<'d>(
    document: &'d Document<'d>,
    wanted: Detectors,
    budget: &Budget<'_>,
) -> Result<Findings<'d>, OutOfBudget> {
    let mut scan = Scan {
        left: wanted.without(Detector::Argv),
        findings: Findings::default(),
        budget,
        unpaid_bytes: 0,
    };
    if scan.left.is_empty() {
        return Ok(scan.findings);
    }
    for value in document.values() {
        if let Some(text) = value.as_str() {
            scan.text(text, value, scan.left)?;
        } else {
            scan.pay(1)?;
            if wanted.has(Detector::Argv) && value.kind() == Kind::Array {
                scan.arguments(value)?;
            }
        }
        if scan.left.is_empty() {
            break;
        }
    }
    Ok(scan.findings)
}

struct Scan<'s, 'd> {
    /// What was not found yet.
    left: Detectors,
    findings: Findings<'d>,
    budget: &'s Budget<'s>,
    unpaid_bytes: usize,
}

/// How far the walk through one string is.
struct Walk {
    /// What was not found in it yet.
    wanted: Detectors,
    /// Removals before this index were looked at.
    removes_seen: usize,
}

impl<'d> Scan<'_, 'd> {
    fn text(&mut self, text: &str, value: Value<'d>, wanted: Detectors) -> Result<(), OutOfBudget> {
        self.pay(STRING_BYTES)?;
        self.bytes(text, value, wanted)?;
        let budget = self.budget;
        for found in command::found(wanted, text, budget) {
            self.found(found?, value, None);
        }
        if wanted.has(Detector::Secret)
            && let Some(kind) = secret::find(text, budget)?
        {
            self.found(Detector::Secret, value, Some(kind));
        }
        Ok(())
    }

    fn bytes(&mut self, text: &str, value: Value<'d>, wanted: Detectors) -> Result<(), OutOfBudget> {
        let bytes = text.as_bytes();
        let mut walk = Walk {
            wanted,
            removes_seen: 0,
        };
        let mut start = 0;
        while start < bytes.len() {
            let end = bytes.len().min(start + STRIDE_BYTES);
            // Nothing that is looked for is one byte long, so the last byte starts nothing.
            for (at, pair) in (start..).zip(bytes[start..bytes.len().min(end + 1)].windows(2)) {
                let may_start = STARTED[usize::from(pair[0])] & FOLLOWED[usize::from(pair[1])];
                let started = u32::from(may_start) & walk.wanted.0;
                if started != 0 {
                    self.look(text, at, value, started, &mut walk);
                }
            }
            self.pay(end - start)?;
            start = end;
        }
        Ok(())
    }

    /// Looks for what may start at that index. Not inlined, so that the way from byte to byte stays short.
    #[inline(never)]
    fn look(&mut self, text: &str, at: usize, value: Value<'d>, mut started: u32, walk: &mut Walk) {
        let bytes = text.as_bytes();
        while started != 0 {
            let index = started.trailing_zeros() as usize;
            started &= started - 1;
            let detector = STARTS[index].0;
            let is_hit = match detector {
                Detector::RecursiveRemove if at < walk.removes_seen => false,
                Detector::RecursiveRemove => match rm::look_at(text, at) {
                    Look::Hit => true,
                    Look::MissBefore(seen) => {
                        walk.removes_seen = seen;
                        false
                    }
                },
                Detector::Traversal => traversal::is_at(text, at),
                Detector::SensitivePath => sensitive_path::is_at(text, at),
                Detector::Email => email::is_at(bytes, at),
                Detector::Ssn => ssn::is_at(bytes, at),
                Detector::Phone => phone::is_at(text, at),
                Detector::Card => card::is_at(bytes, at),
                Detector::Iban => iban::is_at(bytes, at),
                Detector::Ip => ip::is_at(bytes, at),
                _ => phrase::is_at(text, at),
            };
            if is_hit {
                self.found(detector, value, None);
                walk.wanted = walk.wanted.without(detector);
            }
        }
    }

    /// Reads an array of strings joined by blanks, as a command line with its arguments.
    fn arguments(&mut self, array: Value<'d>) -> Result<(), OutOfBudget> {
        let mut line = String::new();
        let mut count = 0;
        for element in array.elements() {
            let Some(word) = element.as_str() else {
                return self.pay(line.len());
            };
            if count > 0 {
                line.push(' ');
            }
            line.push_str(word);
            count += 1;
        }
        if count < 2 {
            return Ok(()); // its only string is read by itself
        }
        let wanted: Detectors = Detector::OF_COMMAND_LINES.into_iter().collect();
        self.text(&line, array, wanted & self.left)
    }

    fn found(&mut self, detector: Detector, value: Value<'d>, kind: Option<&'static str>) {
        self.left = self.left.without(detector);
        self.findings.hits[detector as usize] = Some(Hit { value, kind });
    }

    /// Counts bytes that were walked, and looks at the budget when they are many.
    fn pay(&mut self, bytes: usize) -> Result<(), OutOfBudget> {
        self.unpaid_bytes += bytes;
        if self.unpaid_bytes < STRIDE_BYTES {
            return Ok(());
        }
        self.unpaid_bytes = 0;
        self.budget.check()
    }
}
