//! A point in time, as the whole system counts it.

/// Microseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub i64);

impl Micros {
    /// Microseconds in a millisecond.
    pub const PER_MILLI: i64 = 1_000;
    /// Microseconds in a second.
    pub const PER_SECOND: i64 = 1_000_000;
    /// The last instant that a timestamp may name: 9999-12-31T23:59:59.999999Z.
    pub const MAX: Self = Self(253_402_300_799_999_999);

    /// The whole milliseconds before this instant, as clients see times.
    #[must_use]
    pub fn millis(self) -> i64 {
        self.0.div_euclid(Self::PER_MILLI)
    }
}
