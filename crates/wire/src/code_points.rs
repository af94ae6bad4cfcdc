//! Lengths as the API counts them: in code points.

/// Whether the text has more code points than that. Counts only where the bytes leave it open.
pub(crate) fn longer_than(text: &str, limit: usize) -> bool {
    text.len() > limit && text.chars().nth(limit).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_points_count_not_bytes_and_not_utf_16_units() {
        assert!(!longer_than("🦀🦀🦀", 3));
        assert!(longer_than("🦀🦀🦀", 2));
        assert!(!longer_than("", 0));
        assert!(longer_than("a", 0));
    }
}
