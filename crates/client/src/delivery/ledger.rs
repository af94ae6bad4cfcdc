//! Counting, and what users are to be told of it.

use super::Notice;
use crate::answer::Told;
use crate::books::{Books, DropReason};
use std::collections::BTreeSet;

/// Codes of refusals that are counted by name, at most; the rest is `other`.
const MAX_CODES: usize = 64;

/// The books without what is computed when they are read, and what was not told yet.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) books: Books,
    pub(super) notices: Vec<Notice>,
    /// What was warned of and is not to be said again.
    warned: BTreeSet<&'static str>,
}

impl Ledger {
    pub(super) fn delivered(&mut self, events: u64, told: Told) {
        self.books.delivered += events;
        self.books.duplicates += told.duplicates;
        self.books.late += told.late;
        self.books.clamped += told.clamped;
        self.notices.push(Notice::Delivered(events));
        if told.duplicates > 0 {
            self.warn_once("duplicates", "the server had some events already (duplicates)");
        }
        if told.late > 0 {
            self.warn_once("late", "some events were too old to change a score (late)");
        }
        if told.clamped > 0 {
            self.warn_once(
                "clamped",
                "this clock is ahead of the server's: some times were clamped",
            );
        }
    }

    pub(super) fn refused(&mut self, events: Vec<Box<str>>, code: String) {
        let full = self.books.refused.len() >= MAX_CODES && !self.books.refused.contains_key(&code);
        let name = if full { "other".to_owned() } else { code.clone() };
        *self.books.refused.entry(name).or_default() += events.len() as u64;
        self.notices.push(Notice::Refused(events, code));
    }

    pub(super) fn dropped(&mut self, events: u64, reason: DropReason) {
        *self.books.dropped.entry(reason).or_default() += events;
    }

    pub(super) fn dropped_told(&mut self, events: Vec<Box<str>>, reason: DropReason) {
        self.dropped(events.len() as u64, reason);
        self.notices.push(Notice::Dropped(events, reason));
    }

    pub(super) fn warn(&mut self, text: String) {
        self.notices.push(Notice::Warning(text));
    }

    pub(super) fn warn_once(&mut self, what: &'static str, text: &str) {
        if self.warned.insert(what) {
            self.warn(text.to_owned());
        }
    }
}
