//! The time of day as bodies carry it, cheap enough to write a hundred times a request.

use reputation::Micros;
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of `YYYY-MM-DDThh:mm:ss.mmmZ`.
pub(crate) const TIMESTAMP_BYTES: usize = 24;
/// Seconds whose text is remembered.
const REMEMBERED: usize = 4_096;

pub(crate) fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Writes timestamps; remembers what it wrote of a second.
pub(crate) struct Timestamps {
    seconds: Vec<(i64, [u8; 20])>,
}

impl Timestamps {
    pub(crate) fn new() -> Self {
        Self {
            seconds: vec![(-1, [0; 20]); REMEMBERED],
        }
    }

    /// Writes the time with milliseconds.
    pub(crate) fn put(&mut self, place: &mut [u8], time: Micros) {
        let (second, milli) = (time.millis().div_euclid(1_000), time.millis().rem_euclid(1_000));
        let (known, text) = &mut self.seconds[second.rem_euclid(REMEMBERED as i64) as usize];
        if *known != second {
            let written = wire::timestamp::format(Micros(second * Micros::PER_SECOND));
            text.copy_from_slice(&written.as_bytes()[..20]);
            *known = second;
        }
        place[..20].copy_from_slice(text);
        for (place, unit) in place[20..23].iter_mut().zip([100, 10, 1]) {
            *place = b'0' + (milli / unit % 10) as u8;
        }
        place[23] = b'Z';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_those_of_the_wire() {
        let mut timestamps = Timestamps::new();
        for micros in [
            0,
            1_000,
            999_999,
            1_795_478_400_123_456,
            1_795_478_400_124_000,
            4_096_000_000,
        ] {
            let mut place = [0; TIMESTAMP_BYTES];
            timestamps.put(&mut place, Micros(micros));
            assert_eq!(
                std::str::from_utf8(&place).unwrap(),
                wire::timestamp::format(Micros(micros))
            );
        }
    }
}
