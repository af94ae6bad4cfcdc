//! `rtb.audience-safety`: children are not shown what is not for them.

use super::{Fault, loss_reason, request, taxonomy};
use crate::{Gate, Outcome, Stopped, Subject};
use std::collections::HashSet;

/// Fails when a request is directed to children and a bid is of an unsafe category.
#[derive(Clone, Debug)]
pub struct AudienceSafety {
    unsafe_categories: HashSet<String>,
    child_categories: HashSet<String>,
    bundle_words: Vec<String>,
}

/// Categories that are unsafe for children by default.
pub(crate) const UNSAFE_CATEGORIES: [&str; 17] = [
    "IAB7-39", "IAB8-5", "IAB8-18", "IAB14-1", "IAB25", "IAB25-1", "IAB25-2", "IAB25-3", "IAB25-4",
    "IAB25-5", "IAB25-6", "IAB25-7", "IAB26", "IAB26-1", "IAB26-2", "IAB26-3", "IAB26-4",
];
/// Categories that make an app or site one for children by default.
pub(crate) const CHILD_CATEGORIES: [&str; 1] = ["IAB13"];
/// Words in a bundle that make an app one for children.
pub(crate) const BUNDLE_WORDS: [&str; 6] = ["kids", "child", "children", "toddler", "preschool", "baby"];

/// Whether a request is directed to children.
enum Audience {
    Children,
    Others,
    /// Its categories are of another taxonomy, and nothing else says so.
    Unknown,
}

impl AudienceSafety {
    /// With those lists in place of the default ones; `extra_bundle_words` come on top of the usual.
    #[must_use]
    pub fn new(
        unsafe_categories: &[String],
        child_categories: &[String],
        extra_bundle_words: &[String],
    ) -> Self {
        let usual = BUNDLE_WORDS.into_iter().map(str::to_owned);
        let extra = extra_bundle_words.iter().map(|word| word.to_lowercase());
        Self {
            unsafe_categories: unsafe_categories.iter().cloned().collect(),
            child_categories: child_categories.iter().cloned().collect(),
            bundle_words: usual.chain(extra).collect(),
        }
    }

    fn audience(&self, subject: &Subject<'_>) -> Audience {
        let coppa = request(subject, "regs").and_then(|regs| regs.get("coppa"));
        if coppa.is_some_and(taxonomy::is_one) {
            return Audience::Children;
        }
        let app = request(subject, "app");
        let bundle = app
            .and_then(|app| app.get("bundle")?.as_str())
            .map(str::to_lowercase);
        if bundle.is_some_and(|bundle| {
            self.bundle_words
                .iter()
                .any(|word| bundle.contains(word.as_str()))
        }) {
            return Audience::Children;
        }
        let mut audience = Audience::Others;
        for place in [app, request(subject, "site")].into_iter().flatten() {
            let mut categories = taxonomy::categories(place, "cat").peekable();
            if !taxonomy::is_known(place) {
                if categories.peek().is_some() {
                    audience = Audience::Unknown;
                }
            } else if categories.any(|category| self.child_categories.contains(category)) {
                return Audience::Children;
            }
        }
        audience
    }
}

impl Default for AudienceSafety {
    fn default() -> Self {
        let owned = |list: &[&str]| -> Vec<String> { list.iter().map(|&one| one.to_owned()).collect() };
        Self::new(&owned(&UNSAFE_CATEGORIES), &owned(&CHILD_CATEGORIES), &[])
    }
}

impl Gate for AudienceSafety {
    fn name(&self) -> &'static str {
        "rtb.audience-safety"
    }

    fn check(&self, subject: &Subject<'_>) -> Result<Outcome, Stopped> {
        let audience = self.audience(subject);
        subject.check_budget()?;
        match audience {
            Audience::Others => Ok(Outcome::skip("not child-directed")),
            Audience::Unknown => Ok(Outcome::skip(taxonomy::NOT_SUPPORTED)),
            Audience::Children => taxonomy::check_bids_of_it(subject, |bid| {
                let mut categories = taxonomy::categories(bid, "cat");
                let found = categories.find(|category| self.unsafe_categories.contains(*category));
                found.map(|category| {
                    let reason = format!("child-directed inventory served unsafe category: {category}");
                    Fault::new(reason, Some(loss_reason::CATEGORY_EXCLUSIONS))
                })
            }),
        }
    }
}
