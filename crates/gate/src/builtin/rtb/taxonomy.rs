//! Categories, and whether they are of the taxonomy that the gates know.

use super::{Fault, check_bids};
use crate::decimal::Decimal;
use crate::{Outcome, Stopped, Subject};
use json::Value;

/// Why a gate does not compare categories of another taxonomy.
pub(super) const NOT_SUPPORTED: &str = "category taxonomy not supported";

/// Whether the categories of this object are of IAB's content taxonomy 1.0: the default, and number 1.
pub(super) fn is_known(object: Value<'_>) -> bool {
    object
        .get("cattax")
        .is_none_or(|taxonomy| taxonomy.is_null() || is_one(taxonomy))
}

/// Whether it is the number 1.
pub(super) fn is_one(value: Value<'_>) -> bool {
    value
        .as_number()
        .is_some_and(|number| Decimal::parse(number) == Decimal::parse("1"))
}

/// The strings of a list of categories.
pub(super) fn categories<'d>(object: Value<'d>, field: &str) -> impl Iterator<Item = &'d str> + use<'d> {
    let list = object.get(field).into_iter().flat_map(|list| list.elements());
    list.filter_map(|category| category.as_str())
}

/// Looks at the bids whose categories are of the known taxonomy, until one is at fault. Bids of another cannot
/// be compared: where that is all that is left to say, the gate skips.
pub(super) fn check_bids_of_it<'d>(
    subject: &Subject<'d>,
    fault_of: impl Fn(Value<'d>) -> Option<Fault>,
) -> Result<Outcome, Stopped> {
    let mut any_unknown = false;
    let outcome = check_bids(subject, |bid| {
        if is_known(bid) {
            fault_of(bid)
        } else {
            any_unknown = true;
            None
        }
    })?;
    let says_nothing = outcome.passed && !outcome.skipped;
    Ok(if any_unknown && says_nothing {
        Outcome::skip(NOT_SUPPORTED)
    } else {
        outcome
    })
}
