//! Gates for OpenRTB 2.5 and 2.6: the input is the bid request, the output the bid response.

mod adomain_verify;
mod audience_safety;
mod bcat_compliance;
mod bid_sanity;
mod impid_match;
mod taxonomy;
mod tmax_guard;

pub use adomain_verify::AdomainVerify;
pub use audience_safety::AudienceSafety;
pub(crate) use audience_safety::{CHILD_CATEGORIES, UNSAFE_CATEGORIES};
pub use bcat_compliance::BcatCompliance;
pub use bid_sanity::BidSanity;
pub use impid_match::ImpidMatch;
pub use tmax_guard::TmaxGuard;

use crate::whereabouts::pointer;
use crate::{OutOfBudget, Outcome, Subject};
use json::Value;
use serde_json::json;
use std::borrow::Cow;

/// Why a bid lost, as IAB Tech Lab lists it for OpenRTB.
mod loss_reason {
    pub(super) const INVALID_BID_RESPONSE: u32 = 3;
    pub(super) const INVALID_ADVERTISER_DOMAIN: u32 = 6;
    pub(super) const MISSING_BID_PRICE: u32 = 9;
    pub(super) const CATEGORY_EXCLUSIONS: u32 = 209;
}

const NO_BIDS: &str = "no bids in response";

/// What is wrong with a bid.
struct Fault {
    reason: Cow<'static, str>,
    loss_reason: Option<u32>,
}

impl Fault {
    fn new(reason: impl Into<Cow<'static, str>>, loss_reason: Option<u32>) -> Self {
        Self {
            reason: reason.into(),
            loss_reason,
        }
    }
}

/// The bids of the response, in document order.
fn bids<'d>(subject: &Subject<'d>) -> impl Iterator<Item = Value<'d>> + use<'d> {
    let seats = subject.context().output.root().get("seatbid");
    let seats = seats.into_iter().flat_map(|seats| seats.elements());
    seats
        .filter_map(|seat| seat.get("bid"))
        .flat_map(|bids| bids.elements())
}

/// A field of the request.
fn request<'d>(subject: &Subject<'d>, field: &str) -> Option<Value<'d>> {
    subject.context().input?.root().get(field)
}

/// The imps of the request.
fn imps<'d>(subject: &Subject<'d>) -> impl Iterator<Item = Value<'d>> + use<'d> {
    request(subject, "imp")
        .into_iter()
        .flat_map(|imps| imps.elements())
}

/// Looks at the bids until one is at fault; skips where there are none.
fn check_bids<'d>(
    subject: &Subject<'d>,
    mut fault_of: impl FnMut(Value<'d>) -> Option<Fault>,
) -> Result<Outcome, OutOfBudget> {
    let mut count = 0usize;
    for bid in bids(subject) {
        count += 1;
        if count.is_multiple_of(BIDS_BETWEEN_LOOKS) {
            subject.check_budget()?;
        }
        if let Some(fault) = fault_of(bid) {
            let mut details = json!({ "where": pointer(subject.context().output, bid) });
            if let Some(code) = fault.loss_reason {
                details["loss_reason"] = code.into();
            }
            return Ok(Outcome::fail(fault.reason).with(details));
        }
    }
    Ok(if count == 0 {
        Outcome::skip(NO_BIDS)
    } else {
        Outcome::pass()
    })
}

/// Bids between two looks at the budget.
const BIDS_BETWEEN_LOOKS: usize = 256;
