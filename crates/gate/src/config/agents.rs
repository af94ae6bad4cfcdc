//! Patterns of agent ids: `*` is any run of characters, `?` one character, all else itself.

use std::fmt;

/// A pattern of agent ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentPattern(String);

impl AgentPattern {
    /// Reads a pattern.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self(pattern.to_owned())
    }

    /// Whether an id is of this pattern. At most as many steps as the product of their lengths.
    #[must_use]
    pub fn matches(&self, agent_id: &str) -> bool {
        let (mut pattern, mut id) = (self.0.chars(), agent_id.chars());
        // Where the last `*` stood, and the rest of the id that it has not swallowed yet.
        let mut star = None;
        loop {
            let before_id = id.clone();
            match (pattern.next(), id.next()) {
                (None, None) => return true,
                (Some('*'), _) => {
                    id = before_id;
                    star = Some((pattern.clone(), id.clone()));
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
                    id = swallowed.clone();
                    star = Some((behind_star, swallowed));
                }
            }
        }
    }
}

impl fmt::Display for AgentPattern {
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
        let matches = |pattern: &str, id: &str| AgentPattern::new(pattern).matches(id);
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
            prop_assert_eq!(AgentPattern::new(&pattern).matches(&id), regex.is_match(&id));
        }
    }
}
