//! The `Authorization` header.

use crate::{Fault, Key};

/// The key in the value of an `Authorization` header: `Bearer <key>`, the word in any case.
pub fn key_of(header: Option<&[u8]>) -> Result<Key, Fault> {
    const WORD: &[u8] = b"bearer";
    let header = header.unwrap_or_default().trim_ascii();
    let (word, rest) = header.split_at_checked(WORD.len()).ok_or(Fault::AuthMissing)?;
    let key = rest.trim_ascii_start();
    if !word.eq_ignore_ascii_case(WORD) || key.is_empty() || key.len() == rest.len() {
        return Err(Fault::AuthMissing);
    }
    Key::parse(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "pk_live_0123456789abcdefghijABCDEFGHIJxy";

    #[test]
    fn the_word_may_be_written_in_any_case() {
        for word in ["Bearer ", "bearer ", "BEARER  ", " bEaReR\t"] {
            let header = format!("{word}{KEY} ");
            assert_eq!(key_of(Some(header.as_bytes())).unwrap().as_str(), KEY);
        }
    }

    #[test]
    fn without_a_bearer_there_is_no_key() {
        for header in [
            "",
            "Bearer",
            "Bearer ",
            "Basic dTpw",
            KEY,
            &format!("Bearer{KEY}"),
            "Bear é",
        ] {
            assert_eq!(
                key_of(Some(header.as_bytes())).err(),
                Some(Fault::AuthMissing),
                "{header}"
            );
        }
        assert_eq!(key_of(None).err(), Some(Fault::AuthMissing));
    }

    #[test]
    fn a_bearer_that_is_no_key_is_told_as_such() {
        for header in [
            "Bearer x",
            &format!("Bearer {KEY} {KEY}"),
            "Bearer \u{ff}",
            "Bearer pk_test_x",
        ] {
            assert_eq!(
                key_of(Some(header.as_bytes())).err(),
                Some(Fault::AuthFormat),
                "{header}"
            );
        }
    }
}
