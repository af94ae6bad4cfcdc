//! IP addresses: four numbers up to 255 without leading zeros, or version 6 in any of its writings.

use super::{digits, ends_word, is_word, starts_word};
use std::net::Ipv6Addr;

/// The longest writing of version 6, with version 4 at its end.
const MAX_V6: usize = 45;

/// Whether an address begins at the digit at that index, or has its first colon there.
pub(super) fn is_at(bytes: &[u8], at: usize) -> bool {
    if bytes[at] == b':' {
        is_v6_around(bytes, at)
    } else {
        is_v4_at(bytes, at)
    }
}

fn is_v4_at(bytes: &[u8], at: usize) -> bool {
    if !starts_word(bytes, at) || at > 0 && bytes[at - 1] == b'.' {
        return false;
    }
    let mut here = at;
    for octet in 0..4 {
        if octet > 0 {
            if bytes.get(here) != Some(&b'.') {
                return false;
            }
            here += 1;
        }
        let length = digits(bytes, here, 4);
        let Some(text) = bytes.get(here..here + length) else {
            return false;
        };
        let value = text
            .iter()
            .fold(0u32, |value, digit| value * 10 + u32::from(digit - b'0'));
        if length == 0 || length > 3 || value > 255 || (length > 1 && text[0] == b'0') {
            return false;
        }
        here += length;
    }
    let goes_on = bytes.get(here) == Some(&b'.') && digits(bytes, here + 1, 1) == 1;
    ends_word(bytes, here) && !goes_on
}

fn is_v6_around(bytes: &[u8], colon: usize) -> bool {
    let is_part = |byte: &&u8| byte.is_ascii_hexdigit() || matches!(**byte, b':' | b'.');
    let before = bytes[..colon]
        .iter()
        .rev()
        .take(MAX_V6)
        .take_while(is_part)
        .count();
    let start = colon - before;
    if bytes[start..colon].contains(&b':') || (start > 0 && is_word(bytes[start - 1])) {
        return false;
    }
    let length = bytes[start..].iter().take(MAX_V6 + 1).take_while(is_part).count();
    let Ok(text) = std::str::from_utf8(&bytes[start..start + length]) else {
        return false;
    };
    // A sentence may end behind an address.
    let address = text.trim_end_matches('.');
    let address = if address.ends_with("::") {
        address
    } else {
        address.trim_end_matches(':')
    };
    ends_word(bytes, start + length)
        && address.bytes().any(|byte| byte.is_ascii_digit())
        && address.parse::<Ipv6Addr>().is_ok()
}
