//! `rtb.adomain-verify`: every bid says whom it advertises.

use super::{Fault, check_bids, loss_reason};
use crate::text::is_blank;
use crate::{Gate, Outcome, Stopped, Subject};
use json::{Kind, Value};

/// Fails when a bid has no advertiser's domain, a placeholder, or something that is no domain.
#[derive(Clone, Debug)]
pub struct AdomainVerify {
    require_adomain: bool,
    placeholders: Vec<String>,
}

/// Domains that nobody advertises.
pub(crate) const PLACEHOLDERS: [&str; 9] = [
    "advertiserdomain.com",
    "example.com",
    "example.org",
    "example.net",
    "test.com",
    "placeholder.com",
    "localhost",
    "foo.com",
    "bar.com",
];
/// The longest domain, in bytes.
const MAX_DOMAIN_BYTES: usize = 253;
/// The longest label of a domain, in bytes.
const MAX_LABEL_BYTES: usize = 63;

impl AdomainVerify {
    /// `require_adomain`: whether a bid without one fails. `extra_placeholders` are refused beside the usual.
    #[must_use]
    pub fn new(require_adomain: bool, extra_placeholders: &[String]) -> Self {
        let usual = PLACEHOLDERS.into_iter().map(str::to_owned);
        let extra = extra_placeholders.iter().map(|domain| normal(domain));
        Self {
            require_adomain,
            placeholders: usual.chain(extra).collect(),
        }
    }

    fn fault(&self, bid: Value<'_>) -> Option<Fault> {
        let invalid = Some(loss_reason::INVALID_ADVERTISER_DOMAIN);
        let adomain = bid
            .get("adomain")
            .filter(|value| value.kind() == Kind::Array && !value.is_empty_container());
        let Some(adomain) = adomain else {
            return self
                .require_adomain
                .then(|| Fault::new("bid has no adomain", invalid));
        };
        // A domain that is too long to be one is not copied.
        let domain_of = |value: Value<'_>| {
            value
                .as_str()
                .map(trimmed)
                .filter(|text| text.len() <= MAX_DOMAIN_BYTES + 1)
                .map(str::to_ascii_lowercase)
        };
        let mut domains = adomain.elements().filter_map(domain_of);
        if let Some(known) = domains.find_map(|domain| self.placeholders.iter().find(|one| **one == domain)) {
            return Some(Fault::new(format!("placeholder adomain: {known}"), invalid));
        }
        let is_valid = |value| domain_of(value).is_some_and(|domain| is_domain(&domain));
        (!adomain.elements().all(is_valid)).then(|| Fault::new("invalid adomain format", invalid))
    }
}

impl Default for AdomainVerify {
    fn default() -> Self {
        Self::new(true, &[])
    }
}

impl Gate for AdomainVerify {
    fn name(&self) -> &'static str {
        "rtb.adomain-verify"
    }

    fn check(&self, subject: &Subject<'_>) -> Result<Outcome, Stopped> {
        Ok(check_bids(subject, |bid| self.fault(bid))?)
    }
}

fn trimmed(domain: &str) -> &str {
    domain.trim_matches(is_blank)
}

fn normal(domain: &str) -> String {
    trimmed(domain).to_ascii_lowercase()
}

/// Whether it is a domain: two labels or more, perhaps a dot at the end.
fn is_domain(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    text.len() <= MAX_DOMAIN_BYTES && text.contains('.') && text.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL_BYTES).contains(&label.len())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}
