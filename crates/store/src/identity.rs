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
const MILLIS_DIGITS: usize = 7;
/// Those behind them that carry the microsecond within it.
const MICROS_DIGITS: usize = 2;

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

/// At which times an event with this id may be recorded, if `/v1/evaluate` made the id: 16 characters of
/// `[0-9A-Za-z]`, the first 7 the base-62 millisecond, the next 2 the microsecond within it. The first of them is that of
/// an id that is made today; before ids told the microsecond, events were recorded at their millisecond. None for any other form.
pub(crate) fn made_times(evaluation_id: &str) -> impl Iterator<Item = Micros> + use<> {
    let digits: Option<&[u8; MADE_ID_LEN]> = evaluation_id.as_bytes().try_into().ok();
    let is_made = |digits: &&[u8; MADE_ID_LEN]| digits.iter().all(u8::is_ascii_alphanumeric);
    let times = digits.filter(is_made).map(|digits| {
        let (millis, rest) = digits.split_at(MILLIS_DIGITS);
        let millisecond = Micros(number(millis) * Micros::PER_MILLI);
        let within = number(&rest[..MICROS_DIGITS]);
        let exact = (within < Micros::PER_MILLI).then_some(Micros(millisecond.0 + within));
        exact.into_iter().chain([millisecond])
    });
    times.into_iter().flatten()
}

/// The number that alphanumeric digits stand for in base 62.
fn number(digits: &[u8]) -> i64 {
    digits.iter().fold(0, |sum, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'A'..=b'Z' => digit - b'A' + 10,
            _ => digit - b'a' + 36,
        };
        sum * 62 + i64::from(value)
    })
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
    fn a_made_id_carries_its_time() {
        let times = |id: &str| made_times(id).collect::<Vec<_>>();
        // 1_767_225_600_000 in base 62, digits 0-9 A-Z a-z.
        let millisecond = Micros(1_767_225_600_000_000);
        assert_eq!(times("V70MWDgG7random"), []);
        assert_eq!(
            times("V70MWDgG7randomX"),
            [Micros(millisecond.0 + 999), millisecond]
        );
        assert_eq!(times("V70MWDgG8randomX"), [millisecond]);
        assert_eq!(times("has-a-dash-in-it"), []);
    }
}
