//! Blanks: ASCII white space, U+00A0, U+FEFF and Unicode's space separators.

/// Whether it is a blank.
pub(crate) fn is_blank(character: char) -> bool {
    matches!(
        character,
        '\t'..='\r'
            | ' '
            | '\u{a0}'
            | '\u{1680}'
            | '\u{2000}'..='\u{200a}'
            | '\u{202f}'
            | '\u{205f}'
            | '\u{3000}'
            | '\u{feff}'
    )
}

/// The bytes of the blank at that index; 0 if there is none.
pub(super) fn blank_len(text: &str, at: usize) -> usize {
    match text.as_bytes().get(at) {
        None => 0,
        Some(byte) if byte.is_ascii() => usize::from(is_blank(char::from(*byte))),
        Some(_) => {
            let character = text.get(at..).and_then(|rest| rest.chars().next());
            character.filter(|one| is_blank(*one)).map_or(0, char::len_utf8)
        }
    }
}

/// Whether a blank stands just before that index.
pub(super) fn blank_before(text: &str, at: usize) -> bool {
    text.get(..at)
        .and_then(|before| before.chars().next_back())
        .is_some_and(is_blank)
}

/// Whether it opens or closes quoted text: `'`, `"` or a backtick.
pub(super) fn is_quote(byte: u8) -> bool {
    matches!(byte, b'\'' | b'"' | b'`')
}
