//! `rtb.bcat-compliance`: no bid is of a category that the request blocks.

use super::{Fault, loss_reason, taxonomy};
use crate::{Gate, Outcome, Stopped, Subject};
use std::collections::HashSet;

/// Fails when a bid's `cat` holds an entry of the request's `bcat`.
#[derive(Clone, Copy, Debug, Default)]
pub struct BcatCompliance;

impl Gate for BcatCompliance {
    fn name(&self) -> &'static str {
        "rtb.bcat-compliance"
    }

    fn check(&self, subject: &Subject<'_>) -> Result<Outcome, Stopped> {
        let request = subject.context().input.map(json::Document::root);
        let blocked: HashSet<&str> = request
            .into_iter()
            .flat_map(|request| taxonomy::categories(request, "bcat"))
            .collect();
        subject.check_budget()?;
        if blocked.is_empty() {
            return Ok(Outcome::skip("no bcat in request"));
        }
        if request.is_some_and(|request| !taxonomy::is_known(request)) {
            return Ok(Outcome::skip(taxonomy::NOT_SUPPORTED));
        }
        taxonomy::check_bids_of_it(subject, |bid| {
            let found = taxonomy::categories(bid, "cat").find(|category| blocked.contains(category));
            found.map(|category| {
                let reason = format!("blocked category in response: {category}");
                Fault::new(reason, Some(loss_reason::CATEGORY_EXCLUSIONS))
            })
        })
    }
}
