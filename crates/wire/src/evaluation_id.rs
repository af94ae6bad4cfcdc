//! The `evaluation_id` that the server makes where a client gave none: 16 characters of `[A-Za-z0-9]`, the
//! first 7 the millisecond of the evaluation, so that it can be found again by time.

use crate::base62;

const MILLIS_DIGITS: usize = 7;
const LENGTH: usize = 16;
const BASE: u64 = base62::ALPHABET.len() as u64;

/// Makes an id for that millisecond since 1970. `fill` overwrites a buffer with random bytes; its error is
/// handed on. The other 9 characters hold 53 bits of it.
///
/// Seven digits reach into the year 2081; times beyond (and before 1970) get the nearest they can hold.
pub fn make<E>(millis: i64, fill: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<String, E> {
    let mut left = u64::try_from(millis).unwrap_or(0).min(BASE.pow(7) - 1);
    let mut text = [0; LENGTH];
    let (time, random) = text.split_at_mut(MILLIS_DIGITS);
    for place in time.iter_mut().rev() {
        // The remainder is below 62.
        *place = base62::ALPHABET[(left % BASE) as usize];
        left /= BASE;
    }
    base62::randomise(random, fill)?;
    Ok(text.iter().copied().map(char::from).collect())
}

/// The millisecond since 1970 that an id of this form carries. A client's own id may have the form by chance.
#[must_use]
pub fn millis_of(id: &str) -> Option<i64> {
    let digits: &[u8; LENGTH] = id.as_bytes().try_into().ok()?;
    if !digits.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    digits[..MILLIS_DIGITS].iter().try_fold(0, |millis, &digit| {
        Some(millis * BASE.cast_signed() + i64::from(base62::value(digit)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    fn of(millis: i64) -> String {
        let Ok(id) = make(millis, |buffer| {
            buffer.fill(61);
            Ok::<(), Infallible>(())
        });
        id
    }

    #[test]
    fn the_first_seven_characters_are_the_millisecond() {
        assert_eq!(of(0), "0000000zzzzzzzzz");
        assert_eq!(of(62), "0000010zzzzzzzzz");
        assert_eq!(of(1_767_225_600_000), "V70MWDgzzzzzzzzz");
    }

    #[test]
    fn times_that_do_not_fit_get_the_nearest() {
        assert_eq!(of(i64::MAX), "zzzzzzzzzzzzzzzz");
        assert_eq!(of(-1), of(0));
    }

    #[test]
    fn other_texts_carry_no_time() {
        for id in [
            "",
            "0000000zzzzzzzz",
            "0000000zzzzzzzzzz",
            "0000000zzzzzzzz-",
            "-000000zzzzzzzzz",
            "0000000zzzzzzzé",
        ] {
            assert_eq!(millis_of(id), None, "{id}");
        }
    }

    proptest! {
        #[test]
        fn a_made_id_carries_its_time(millis in 0..62i64.pow(7)) {
            prop_assert_eq!(millis_of(&of(millis)), Some(millis));
        }

        #[test]
        fn ids_sort_by_time(a in 0..62i64.pow(7), b in 0..62i64.pow(7)) {
            prop_assert_eq!(of(a).cmp(&of(b)), a.cmp(&b));
        }
    }
}
