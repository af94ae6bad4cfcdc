//! Ids that the client makes: 22 characters of `[A-Za-z0-9]` from the system's random source, 131 bits.

const LENGTH: usize = 22;
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// Random bytes from here on are thrown away, so that each character is equally likely.
const FAIR: u8 = 248;

/// Makes an id out of random bytes, which `fill` gives; `None` if there are none to be had.
///
/// Nothing is kept from one id to the next: a process that forks must not make the same ids twice.
pub(crate) fn make(mut fill: impl FnMut(&mut [u8]) -> bool) -> Option<String> {
    /// More than are thrown away in all but one of 10⁸ times.
    const DRAWN: usize = 32;
    let mut id = String::with_capacity(LENGTH);
    while id.len() < LENGTH {
        let mut random = [0; DRAWN];
        if !fill(&mut random) {
            return None;
        }
        let fair = random.iter().filter(|&&byte| byte < FAIR);
        id.extend(
            fair.take(LENGTH - id.len())
                .map(|&byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()])),
        );
    }
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(bytes: &mut [u8]) -> bool {
        getrandom::fill(bytes).is_ok()
    }

    #[test]
    fn an_id_is_22_of_the_alphabet_and_each_is_new() {
        let ids: std::collections::HashSet<String> = (0..1_000).filter_map(|_| make(random)).collect();
        assert_eq!(ids.len(), 1_000);
        for id in &ids {
            assert_eq!(id.len(), 22, "{id}");
            assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
        }
    }

    #[test]
    fn every_character_is_equally_likely() {
        let id_of = |byte: u8| {
            let mut random = [byte, 0].into_iter();
            make(|bytes| {
                bytes.fill(random.next().unwrap());
                true
            })
        };
        let mut counts = std::collections::BTreeMap::<String, u32>::new();
        for byte in 0..FAIR {
            *counts.entry(id_of(byte).unwrap()).or_default() += 1;
        }
        assert_eq!(counts.len(), 62);
        assert!(counts.values().all(|&count| count == 4), "{counts:?}");
        for byte in FAIR..=255 {
            assert_eq!(
                id_of(byte).unwrap(),
                "A".repeat(22),
                "thrown away, and drawn again"
            );
        }
    }

    #[test]
    fn without_a_random_source_there_is_no_id() {
        assert_eq!(make(|_| false), None);
    }
}
