//! Whom to tell what happens.

use crate::Event;
use crate::books::DropReason;
use crate::delivery::Notice;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

type OnCount = Box<dyn Fn(u64) + Send + Sync>;
type OnText = Box<dyn Fn(&str) + Send + Sync>;
type OnRefused = Box<dyn Fn(&[Event], &str) + Send + Sync>;
type OnDropped = Box<dyn Fn(&[Event], DropReason) + Send + Sync>;

/// The callbacks of a client. One that panics is as good as one that returned.
#[derive(Default)]
pub(crate) struct Listeners {
    pub(crate) delivered: Option<OnCount>,
    pub(crate) refused: Option<OnRefused>,
    pub(crate) dropped: Option<OnDropped>,
    pub(crate) warning: Option<OnText>,
}

thread_local! {
    /// Whether this thread is inside a callback.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Whether the caller is a callback.
pub(crate) fn is_inside() -> bool {
    INSIDE.get()
}

impl Listeners {
    /// Tells all of this, in order.
    pub(crate) fn tell(&self, notices: &[Notice]) {
        for notice in notices {
            match notice {
                Notice::Delivered(count) => call(self.delivered.as_deref(), |told| told(*count)),
                Notice::Refused(lines, code) => {
                    call(self.refused.as_deref(), |told| told(&events(lines), code));
                }
                Notice::Dropped(lines, reason) => {
                    call(self.dropped.as_deref(), |told| told(&events(lines), *reason));
                }
                Notice::Warning(text) => call(self.warning.as_deref(), |told| told(text)),
            }
        }
    }

    /// Tells of one event that never became a line.
    pub(crate) fn tell_dropped(&self, event: &Event, reason: DropReason) {
        call(self.dropped.as_deref(), |told| {
            told(std::slice::from_ref(event), reason);
        });
    }

    /// Tells of one line that was never buffered.
    pub(crate) fn tell_turned_away(&self, line: &str, reason: DropReason) {
        if self.dropped.is_some() {
            call(self.dropped.as_deref(), |told| {
                told(&events(&[line.into()]), reason);
            });
        }
    }
}

/// Calls it, unless this is inside a callback already: one that tracks events into a full buffer would call
/// itself for ever.
fn call<F: ?Sized>(callback: Option<&F>, with: impl FnOnce(&F)) {
    let Some(callback) = callback else {
        return;
    };
    if !INSIDE.replace(true) {
        let _ = catch_unwind(AssertUnwindSafe(|| with(callback)));
        INSIDE.set(false);
    }
}

/// The events that these lines were made of.
fn events(lines: &[Box<str>]) -> Vec<Event> {
    lines
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}
