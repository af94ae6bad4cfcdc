//! `rtb.bid-sanity`: every bid has a price, and not an absurd one.

use super::{Fault, check_bids, imps, loss_reason};
use crate::decimal::Decimal;
use crate::{Gate, Outcome, Stopped, Subject};
use json::Value;
use std::collections::HashMap;

/// Fails when a bid's price is missing, negative, above a maximum, or far above the floor of its imp.
///
/// Numbers are compared exactly as they are written. Currencies are not looked at.
#[derive(Clone, Debug)]
pub struct BidSanity {
    multiple: Decimal,
    exceeds_floor: String,
    max_price: Option<Decimal>,
}

impl BidSanity {
    /// How many times its floor a price may be by default.
    pub const DEFAULT_MULTIPLE: f64 = 50.0;

    /// The greatest multiple of the floor, and the greatest price; `None` unless both are finite and the
    /// multiple is above 0, the price not below.
    #[must_use]
    pub fn new(max_floor_multiple: f64, max_price: Option<f64>) -> Option<Self> {
        let is_price = |price: f64| price >= 0.0 && price.is_finite();
        (max_floor_multiple > 0.0 && max_floor_multiple.is_finite() && max_price.is_none_or(is_price)).then(
            || Self {
                multiple: decimal(max_floor_multiple),
                exceeds_floor: format!("bid price exceeds floor by more than {max_floor_multiple}x"),
                max_price: max_price.map(decimal),
            },
        )
    }

    fn fault(&self, bid: Value<'_>, floors: &HashMap<&str, Decimal>) -> Option<Fault> {
        let Some(price) = bid.get("price").and_then(|price| price.as_number()) else {
            return Some(Fault::new(
                "bid missing price",
                Some(loss_reason::MISSING_BID_PRICE),
            ));
        };
        let price = Decimal::parse(price);
        if price.is_negative() {
            return Some(Fault::new(
                "bid price is negative",
                Some(loss_reason::INVALID_BID_RESPONSE),
            ));
        }
        if self.max_price.as_ref().is_some_and(|maximum| price > *maximum) {
            return Some(Fault::new("bid price exceeds maximum", None));
        }
        let floor = bid.get("impid").and_then(|id| floors.get(id.as_str()?));
        floor
            .is_some_and(|limit| price > *limit)
            .then(|| Fault::new(self.exceeds_floor.clone(), None))
    }
}

impl Default for BidSanity {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "50 is a multiple")]
        Self::new(Self::DEFAULT_MULTIPLE, None).expect("the default multiple")
    }
}

impl Gate for BidSanity {
    fn name(&self) -> &'static str {
        "rtb.bid-sanity"
    }

    fn check(&self, subject: &Subject<'_>) -> Result<Outcome, Stopped> {
        // The greatest price for each imp with a floor.
        let limit = |imp: Value<'_>| {
            let floor = Decimal::parse(imp.get("bidfloor")?.as_number()?);
            floor.is_positive().then(|| floor.times(&self.multiple))
        };
        let floors = imps(subject).filter_map(|imp| Some((imp.get("id")?.as_str()?, limit(imp)?)));
        let floors = floors.collect();
        subject.check_budget()?;
        Ok(check_bids(subject, |bid| self.fault(bid, &floors))?)
    }
}

/// The number as it is written, which is what was meant.
fn decimal(number: f64) -> Decimal {
    Decimal::parse(&number.to_string())
}
