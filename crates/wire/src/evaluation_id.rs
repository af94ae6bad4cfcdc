//! The `evaluation_id` that the server makes where a client gave none: 16 characters of `[A-Za-z0-9]`, the
//! first 7 the millisecond of the evaluation, the next 2 the microsecond within it, so that it can be found again by
//! time.

use crate::base62;

const MILLIS_DIGITS: usize = 7;
const MICROS_DIGITS: usize = 2;
const LENGTH: usize = 16;
const BASE: u64 = base62::ALPHABET.len() as u64;

/// Makes an id for that microsecond since 1970. `fill` overwrites a buffer with random bytes; its error is
/// handed on. The other 7 characters hold 41 bits of it.
///
/// Seven digits of the millisecond reach into the year 2081; times beyond (and before 1970) get the nearest they can
/// hold.
pub fn make<E>(micros: i64, fill: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<String, E> {
    let last = BASE.pow(7) * 1_000 - 1;
    let micros = u64::try_from(micros).unwrap_or(0).min(last);
    let mut text = [0; LENGTH];
    let (time, random) = text.split_at_mut(MILLIS_DIGITS + MICROS_DIGITS);
    let (whole, within) = time.split_at_mut(MILLIS_DIGITS);
    put(whole, micros / 1_000);
    put(within, micros % 1_000);
    base62::randomise(random, fill)?;
    Ok(text.iter().copied().map(char::from).collect())
}

/// Writes a number in all of these digits.
fn put(digits: &mut [u8], mut number: u64) {
    for place in digits.iter_mut().rev() {
        // The remainder is below 62.
        *place = base62::ALPHABET[(number % BASE) as usize];
        number /= BASE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    fn of(micros: i64) -> String {
        let Ok(id) = make(micros, |buffer| {
            buffer.fill(61);
            Ok::<(), Infallible>(())
        });
        id
    }

    #[test]
    fn the_first_nine_characters_are_the_time() {
        assert_eq!(of(0), "000000000zzzzzzz");
        assert_eq!(of(62_001), "000001001zzzzzzz");
        assert_eq!(of(1_767_225_600_000_999), "V70MWDgG7zzzzzzz");
    }

    #[test]
    fn times_that_do_not_fit_get_the_nearest() {
        assert_eq!(of(i64::MAX), "zzzzzzzG7zzzzzzz");
        assert_eq!(of(-1), of(0));
    }

    proptest! {
        #[test]
        fn ids_sort_by_time(a in 0..62i64.pow(7) * 1_000, b in 0..62i64.pow(7) * 1_000) {
            prop_assert_eq!(of(a).cmp(&of(b)), a.cmp(&b));
        }
    }
}
