//! Who waits for a flush, and how it went so far.

use std::collections::HashMap;

/// Names a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ticket(u64);

/// One entry for each thread that waits.
#[derive(Debug, Default)]
pub(super) struct Flushes {
    next: u64,
    open: HashMap<Ticket, Flush>,
}

#[derive(Debug)]
struct Flush {
    before: u64,
    missed: bool,
}

impl Flushes {
    /// A flush of what was tracked before this serial.
    pub(super) fn open(&mut self, before: u64) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.open.insert(
            ticket,
            Flush {
                before,
                missed: false,
            },
        );
        ticket
    }

    /// That event will not be delivered from memory.
    pub(super) fn missed(&mut self, serial: u64) {
        for flush in self.open.values_mut() {
            flush.missed |= serial < flush.before;
        }
    }

    /// Whether all was delivered, once nothing of it waits (`oldest` is the lowest serial that does), or once
    /// there is no use in waiting.
    pub(super) fn outcome(&mut self, ticket: Ticket, oldest: Option<u64>, in_vain: bool) -> Option<bool> {
        let flush = self.open.get(&ticket)?;
        let waits = oldest.is_some_and(|oldest| oldest < flush.before);
        if waits && !in_vain {
            return None;
        }
        self.open.remove(&ticket).map(|flush| !waits && !flush.missed)
    }

    pub(super) fn close(&mut self, ticket: Ticket) {
        self.open.remove(&ticket);
    }
}
