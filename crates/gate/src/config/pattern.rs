//! Patterns of names: `*` is any run of characters, `?` one character, all else itself.

use std::fmt;

/// A pattern of names, of agents or tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Reads a pattern.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self(pattern.to_owned())
    }

    /// Whether a name is of this pattern. At most as many steps as the product of their lengths.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let (mut pattern, mut rest) = (self.0.chars(), name.chars());
        // Where the last `*` stood, and the rest of the name that it has not swallowed yet.
        let mut star = None;
        loop {
            let before = rest.clone();
            match (pattern.next(), rest.next()) {
                (None, None) => return true,
                (Some('*'), _) => {
                    rest = before;
                    star = Some((pattern.clone(), rest.clone()));
                }
                (Some('?'), Some(_)) => {}
                (Some(wanted), Some(found)) if wanted == found => {}
                _ => {
                    let Some((behind_star, mut swallowed)) = star.take() else {
                        return false;
                    };
                    if swallowed.next().is_none() {
                        return false;
                    }
                    pattern = behind_star.clone();
                    rest = swallowed.clone();
                    star = Some((behind_star, swallowed));
                }
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stars_and_question_marks_stand_for_characters() {
        let matches = |pattern: &str, id: &str| Pattern::new(pattern).matches(id);
        assert!(matches("*", "") && matches("bid-*", "bid-1") && matches("*-prod", "a-b-prod"));
        assert!(matches("a?c", "aéc") && matches("a*b*c", "axxbyybzzc") && matches("a**b", "ab"));
        assert!(
            !matches("bid-*", "rebid-1") && !matches("a?c", "ac") && !matches("", "a") && !matches("a", "")
        );
    }

    proptest! {
        #[test]
        fn a_pattern_matches_as_its_regular_expression_does(pattern in "[ab*?]{0,8}", id in "[ab]{0,10}") {
            let regex: String = pattern.chars().map(|one| match one {
                '*' => ".*".to_owned(),
                '?' => ".".to_owned(),
                other => other.to_string(),
            }).collect();
            let regex = regex::Regex::new(&format!("^{regex}$")).unwrap();
            prop_assert_eq!(Pattern::new(&pattern).matches(&id), regex.is_match(&id));
        }
    }
}
