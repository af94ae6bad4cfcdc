//! E-mail addresses: `[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}`.

/// Whether the `@` at that index is that of an address.
pub(super) fn is_at(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).map(|before| bytes[before]);
    if !before.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte)) {
        return false;
    }
    // No domain holds another `@`, so all these walks together are linear.
    let rest = &bytes[at + 1..];
    let domain = rest
        .iter()
        .position(|byte| !(byte.is_ascii_alphanumeric() || b".-".contains(byte)))
        .map_or(rest, |end| &rest[..end]);
    let ends_in_letters = |end: &[u8]| end[0] == b'.' && end[1..].iter().all(u8::is_ascii_alphabetic);
    domain.len() > 3 && domain[1..].windows(3).any(ends_in_letters)
}
