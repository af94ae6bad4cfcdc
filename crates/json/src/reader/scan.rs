//! Finds the end of a string's plain part, eight bytes at a time.

const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);

/// The index of the first `"`, `\` or control character at or after `from`, or the end.
#[inline]
#[must_use]
pub fn plain_end(bytes: &[u8], from: usize) -> usize {
    let mut rest = bytes.get(from..).unwrap_or_default();
    while let Some((word, next)) = rest.split_first_chunk::<8>() {
        let special = special(u64::from_le_bytes(*word));
        if special != 0 {
            return bytes.len() - rest.len() + special.trailing_zeros() as usize / 8;
        }
        rest = next;
    }
    let plain = rest.iter().take_while(|&&byte| !is_special(byte)).count();
    bytes.len() - rest.len() + plain
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The high bit of each special byte of the word. A borrow may also mark a byte above a special one, never
/// below the lowest, and only the lowest is used.
#[inline]
fn special(word: u64) -> u64 {
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit));
    let backslashes = below(word ^ (ONES * u64::from(b'\\')), 1);
    // One bit flipped makes `"` (0x22) the byte just above the controls, and keeps those among themselves.
    let controls_and_quotes = below(word ^ (ONES * 2), 0x21);
    // No special byte has its high bit set, before or after a flip.
    (backslashes | controls_and_quotes) & !word & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn eight_at_a_time_finds_what_one_at_a_time_finds(
            bytes in prop::collection::vec(prop_oneof![8 => 0x1eu8..=0x24, 1 => 0x5bu8..=0x5d, 8 => any::<u8>()], 0..40),
            from in 0usize..40,
        ) {
            let from = from.min(bytes.len());
            let naive = (from..bytes.len()).find(|&at| is_special(bytes[at])).unwrap_or(bytes.len());
            prop_assert_eq!(plain_end(&bytes, from), naive);
        }

        #[test]
        fn long_plain_runs_are_passed_over(length in 0usize..100, last in any::<u8>()) {
            let mut bytes = vec![b'x'; length];
            bytes.push(last);
            let end = if is_special(last) { length } else { length + 1 };
            prop_assert_eq!(plain_end(&bytes, 0), end);
        }
    }
}
