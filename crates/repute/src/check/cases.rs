//! The values of a text: one JSON value over any number of lines, or one a line.

use std::io::{self, BufRead, Read as _};

/// The longest value, in bytes.
const MAX_BYTES: u64 = 256 << 20;

/// A value that is to be checked, as it was written.
pub(crate) struct Case {
    /// The line that it begins in, from 1.
    pub(crate) line: usize,
    pub(crate) text: Vec<u8>,
}

/// Values one by one.
pub(crate) struct Cases<R> {
    source: R,
    line: usize,
    /// Whether the first line was a value by itself, so that every line is one.
    is_lines: bool,
}

impl<R: BufRead> Cases<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            line: 0,
            is_lines: false,
        }
    }

    /// The next value. Blank lines are passed over.
    pub(crate) fn next(&mut self) -> io::Result<Option<Case>> {
        loop {
            let mut text = Vec::new();
            let read = self
                .source
                .by_ref()
                .take(MAX_BYTES)
                .read_until(b'\n', &mut text)?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            let line = self.line;
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            if !self.is_lines {
                // A first line that is no value by itself is the beginning of the only one.
                self.is_lines = json::Document::parse(&text).is_ok();
                if !self.is_lines {
                    self.source.by_ref().take(MAX_BYTES).read_to_end(&mut text)?;
                }
            }
            return match u64::try_from(text.len()) {
                Ok(length) if length < MAX_BYTES => Ok(Some(Case { line, text })),
                _ => Err(io::Error::other(format!(
                    "line {line}: a value of {MAX_BYTES} bytes or more"
                ))),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases(text: &str) -> Vec<(usize, String)> {
        let mut cases = Cases::new(text.as_bytes());
        let mut all = Vec::new();
        while let Some(case) = cases.next().unwrap() {
            all.push((case.line, String::from_utf8(case.text).unwrap().trim().to_owned()));
        }
        all
    }

    #[test]
    fn a_value_over_several_lines_is_one() {
        assert_eq!(cases("\n{\n\"a\":\n1}\n"), [(2, "{\n\"a\":\n1}".to_owned())]);
    }

    #[test]
    fn lines_that_are_values_are_each_one_and_a_broken_one_among_them_is_its_own() {
        let expected = [(1, "1"), (3, "[2]"), (4, "{"), (5, "\"x\"")];
        assert_eq!(
            cases("1\n\n[2]\n{\n\"x\""),
            expected.map(|(line, text)| (line, text.to_owned()))
        );
        assert_eq!(cases(""), []);
    }
}
