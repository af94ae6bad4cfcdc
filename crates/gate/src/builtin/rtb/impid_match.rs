//! `rtb.impid-match`: every bid is for an imp of the request.

use super::{Fault, check_bids, imps, loss_reason};
use crate::{Gate, Outcome, Stopped, Subject};
use std::collections::HashSet;

/// Fails when a bid names no imp, or one that the request does not have.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImpidMatch;

impl Gate for ImpidMatch {
    fn name(&self) -> &'static str {
        "rtb.impid-match"
    }

    fn check(&self, subject: &Subject<'_>) -> Result<Outcome, Stopped> {
        if imps(subject).next().is_none() {
            return Ok(Outcome::skip("no imps in request"));
        }
        let ids: HashSet<&str> = imps(subject).filter_map(|imp| imp.get("id")?.as_str()).collect();
        subject.check_budget()?;
        let invalid = Some(loss_reason::INVALID_BID_RESPONSE);
        Ok(check_bids(subject, |bid| {
            match bid.get("impid").and_then(|id| id.as_str()) {
                None | Some("") => Some(Fault::new("bid missing impid", invalid)),
                Some(id) if !ids.contains(id) => {
                    Some(Fault::new("bid impid not present in request", invalid))
                }
                Some(_) => None,
            }
        })?)
    }
}
