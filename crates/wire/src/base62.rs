//! The alphabet of keys and made ids: `0-9A-Za-z`.

/// In the order of their bytes, so that numbers of one length sort like their texts.
pub(crate) const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Fills the text with random digits, every one as likely as the other.
///
/// `fill` overwrites a buffer with random bytes; its error is handed on. Six bits of each byte are used, and
/// the two values beyond the alphabet are thrown away instead of being folded back into it.
pub(crate) fn randomise<E>(
    text: &mut [u8],
    mut fill: impl FnMut(&mut [u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut filled = 0;
    while filled < text.len() {
        let mut random = [0; 64];
        fill(&mut random)?;
        let digits = random
            .iter()
            .filter_map(|byte| ALPHABET.get(usize::from(byte & 63)));
        for (place, digit) in text[filled..].iter_mut().zip(digits) {
            *place = *digit;
            filled += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digit_is_as_likely_as_the_other() {
        let mut next = 0u8;
        let mut text = vec![0; 62 * 4 * 10];
        let counting = |buffer: &mut [u8]| {
            for byte in buffer {
                *byte = next;
                next = next.wrapping_add(1);
            }
            Ok::<(), ()>(())
        };
        randomise(&mut text, counting).unwrap();
        for digit in ALPHABET {
            assert_eq!(
                text.iter().filter(|byte| *byte == digit).count(),
                40,
                "{}",
                char::from(*digit)
            );
        }
    }

    #[test]
    fn a_failing_source_is_told() {
        assert_eq!(randomise(&mut [0; 4], |_| Err("no entropy")), Err("no entropy"));
    }
}
