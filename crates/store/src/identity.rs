//! What makes two events the same event: agent, `evaluation_id` and timestamp as sent.
//!
//! Inside one agent's state an identity is a keyed 64-bit hash. It only pre-selects: a hit is always looked
//! up and compared whole before an event is called a repeat, so a collision costs time, never an event. The
//! key is secret, so that nobody can make collisions on purpose.

use crate::OrgId;
use crate::codec::NameHash;
use reputation::Micros;
use siphasher::sip::SipHasher24;
use siphasher::sip128::{self, Hasher128 as _};
use std::hash::Hasher as _;

/// Characters of an `evaluation_id` that `/v1/evaluate` makes.
const MADE_ID_LEN: usize = 16;
/// Those of them that carry the millisecond, in base 62.
const MADE_ID_TIME_LEN: usize = 7;

/// Hashes identities under the store's secret key.
#[derive(Clone, Copy)]
pub(crate) struct Identities {
    hasher: SipHasher24,
    names: sip128::SipHasher24,
}

impl Identities {
    /// Under the first 16 of these secret bytes.
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        let mut key = [0; 16];
        key.copy_from_slice(&secret[..16]);
        Self {
            hasher: SipHasher24::new_with_key(&key),
            names: sip128::SipHasher24::new_with_key(&key),
        }
    }

    /// What stands for an agent's name once that is gone.
    pub(crate) fn of_agent(&self, org: OrgId, agent_id: &str) -> NameHash {
        let mut hasher = self.names;
        hasher.write_u32(org.0);
        hasher.write(agent_id.as_bytes());
        hasher.finish128().as_bytes()
    }

    /// The identity of an event with this id and this timestamp as sent; never 0, which stands for none.
    pub(crate) fn of(&self, evaluation_id: &str, sent_at: Option<Micros>) -> u64 {
        let mut hasher = self.hasher;
        hasher.write(evaluation_id.as_bytes());
        match sent_at {
            Some(time) => {
                hasher.write_u8(1);
                hasher.write_i64(time.0);
            }
            None => hasher.write_u8(0),
        }
        hasher.finish().max(1)
    }

    /// The identity of an event that `/v1/evaluate` recorded under a client's id: the id alone, since it
    /// stands at whatever timestamp.
    pub(crate) fn of_evaluated(&self, evaluation_id: &str) -> u64 {
        let mut hasher = self.hasher;
        hasher.write(evaluation_id.as_bytes());
        hasher.write_u8(2);
        hasher.finish()
    }
}

/// The recorded time of an event whose id has the form that `/v1/evaluate` makes: 16 characters of
/// `[0-9A-Za-z]`, the first 7 the base-62 millisecond. `None` for any other form.
pub(crate) fn made_at(evaluation_id: &str) -> Option<Micros> {
    if evaluation_id.len() != MADE_ID_LEN || !evaluation_id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let millis = evaluation_id.bytes().take(MADE_ID_TIME_LEN).fold(0i64, |sum, b| {
        sum * 62
            + i64::from(match b {
                b'0'..=b'9' => b - b'0',
                b'A'..=b'Z' => b - b'A' + 10,
                _ => b - b'a' + 36,
            })
    });
    Some(Micros(millis * Micros::PER_MILLI))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_depends_on_id_time_and_key() {
        let identities = Identities::new(&[7; 32]);
        let all = [
            identities.of("a", None),
            identities.of("a", Some(Micros(0))),
            identities.of("a", Some(Micros(1))),
            identities.of("b", None),
            identities.of_evaluated("a"),
            Identities::new(&[8; 32]).of("a", None),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(!all[..i].contains(one), "{i} collides");
        }
        assert_eq!(identities.of("a", None), all[0]);
    }

    #[test]
    fn a_made_id_carries_its_millisecond() {
        // 1_796_000_000_000 in base 62, digits 0-9 A-Z a-z.
        let mut digits = Vec::new();
        let mut rest = 1_796_000_000_000i64;
        for _ in 0..MADE_ID_TIME_LEN {
            digits.push(
                b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[(rest % 62) as usize],
            );
            rest /= 62;
        }
        digits.reverse();
        let id = format!("{}Zz09Aa11x", String::from_utf8(digits).unwrap());
        assert_eq!(made_at(&id), Some(Micros(1_796_000_000_000_000)));
        assert_eq!(made_at("too-short"), None);
        assert_eq!(made_at("has-a-dash-in-it"), None);
    }
}
