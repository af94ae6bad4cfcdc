//! The `Authorization` header, against a reading by the letter.

use super::{Outcome, Target};

pub(super) const TARGET: Target = Target {
    name: "authorization",
    read,
    words: &[
        "Bearer ",
        "bearer\t",
        "Basic ",
        "pk_live_",
        "sk_live_",
        "pk_test_",
        "0123456789abcdefghijABCDEFGHIJxy",
        " ",
        "\0",
    ],
};

fn read(bytes: &[u8]) -> Outcome {
    match wire::key_of(Some(bytes)) {
        Ok(key) => {
            assert_eq!(
                by_the_letter(bytes),
                Some(key.as_str()),
                "another key than was sent"
            );
            assert!(!format!("{key:?}").contains(key.as_str()), "a key is shown");
            Outcome::good(key.kind())
        }
        Err(fault) => {
            assert_eq!(by_the_letter(bytes), None, "a good key is refused: {fault}");
            let sentence = fault.to_string();
            let sent = String::from_utf8_lossy(bytes);
            let shows = sent.len() > 12 && sentence.contains(&*sent);
            assert!(!shows, "what was sent is repeated");
            Outcome::refused(&sentence)
        }
    }
}

/// The key, where it is one.
fn by_the_letter(header: &[u8]) -> Option<&str> {
    let blank = [' ', '\t', '\n', '\r', '\x0c'];
    let text = std::str::from_utf8(header).ok()?.trim_matches(blank);
    let (word, rest) = text.split_at_checked(6)?;
    let key = rest.strip_prefix(blank)?.trim_start_matches(blank);
    let random = key
        .strip_prefix("pk_live_")
        .or_else(|| key.strip_prefix("sk_live_"))?;
    let is_key = random.len() == 32 && random.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (word.eq_ignore_ascii_case("bearer") && is_key).then_some(key)
}
