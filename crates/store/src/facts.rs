//! What is known of an agent beyond its window: counts and times over its whole life.

use crate::Source;
use crate::codec::Row;
use crate::span::TimeSpan;
use reputation::Micros;

/// An agent's life in numbers. Counting the same events in any order, without gaps, gives the same facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Recorded events, ever.
    pub(crate) count: u64,
    /// Earliest recorded time; the time of registration while `count` is 0.
    pub(crate) first_seen: Micros,
    /// Latest recorded time; the time of registration while `count` is 0.
    pub(crate) last_seen: Micros,
    /// The organisation's sequence number of the newest arrival; 0 while there is none.
    pub(crate) last_seq: u64,
    /// The newest timestamp as sent among events recorded at just that time.
    pub(crate) newest_sent: Option<Micros>,
    /// Timestamps as sent of events recorded at another time, because they were too far ahead.
    pub(crate) clamped: Option<TimeSpan>,
    /// Recorded times of events whose id the server made.
    pub(crate) made: Option<TimeSpan>,
    /// The how-manieth event was the last that a look-up by its timestamp doesn't find (see
    /// [`Recorded::stands_aside`]); 0 while there is none.
    pub(crate) last_aside: u64,
}

/// An event, as far as [`Facts`] depend on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recorded {
    pub(crate) seq: u64,
    pub(crate) recorded_at: Micros,
    pub(crate) sent_at: Option<Micros>,
    pub(crate) source: Source,
    /// Whether it has an `evaluation_id`.
    pub(crate) named: bool,
}

impl Recorded {
    /// What the facts take from a stored row, which came from this source and has this number.
    pub(crate) fn of(row: &Row<'_>, source: Source, seq: u64) -> Self {
        Self {
            seq,
            recorded_at: row.recorded_at,
            sent_at: row.sent_at,
            source,
            named: row.evaluation_id.is_some(),
        }
    }

    /// Whether it has an id, but not at the recorded time: sent without a timestamp, clamped, or evaluated
    /// under a client's id.
    pub(crate) fn stands_aside(&self) -> bool {
        self.named && self.source != Source::EvaluateMadeId && self.sent_at != Some(self.recorded_at)
    }
}

impl Facts {
    /// An agent without an event, known since this time.
    pub(crate) fn new(since: Micros) -> Self {
        Self {
            count: 0,
            first_seen: since,
            last_seen: since,
            last_seq: 0,
            newest_sent: None,
            clamped: None,
            made: None,
            last_aside: 0,
        }
    }

    /// Counts one more event.
    pub(crate) fn record(&mut self, event: &Recorded) {
        if self.count == 0 {
            self.first_seen = event.recorded_at;
            self.last_seen = event.recorded_at;
        } else {
            self.first_seen = self.first_seen.min(event.recorded_at);
            self.last_seen = self.last_seen.max(event.recorded_at);
        }
        self.count += 1;
        self.last_seq = event.seq;
        if event.stands_aside() {
            self.last_aside = self.count;
        }
        match event.sent_at {
            Some(sent) if sent == event.recorded_at => self.newest_sent = self.newest_sent.max(Some(sent)),
            Some(sent) => self.clamped = TimeSpan::with(self.clamped, sent),
            None if event.source == Source::EvaluateMadeId => {
                self.made = TimeSpan::with(self.made, event.recorded_at);
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: u64, recorded: i64, sent: Option<i64>, source: Source) -> Recorded {
        Recorded {
            seq,
            recorded_at: Micros(recorded),
            sent_at: sent.map(Micros),
            source,
            named: true,
        }
    }

    #[test]
    fn the_first_event_replaces_the_time_of_registration() {
        let mut facts = Facts::new(Micros(900));
        facts.record(&event(1, 100, Some(100), Source::Ingest));
        assert_eq!(
            (facts.first_seen, facts.last_seen, facts.count),
            (Micros(100), Micros(100), 1)
        );
    }

    #[test]
    fn each_kind_of_event_widens_its_own_span() {
        let mut facts = Facts::new(Micros(0));
        facts.record(&event(1, 100, Some(100), Source::Ingest));
        facts.record(&event(2, 50, Some(50), Source::Ingest));
        facts.record(&event(3, 120, Some(900), Source::Ingest));
        facts.record(&event(4, 130, None, Source::EvaluateMadeId));
        facts.record(&event(5, 140, None, Source::Evaluate));
        assert_eq!(
            facts,
            Facts {
                count: 5,
                first_seen: Micros(50),
                last_seen: Micros(140),
                last_seq: 5,
                newest_sent: Some(Micros(100)),
                clamped: Some(TimeSpan {
                    min: Micros(900),
                    max: Micros(900)
                }),
                made: Some(TimeSpan {
                    min: Micros(130),
                    max: Micros(130)
                }),
                last_aside: 5,
            }
        );
    }
}
