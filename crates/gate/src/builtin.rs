//! The gates that come with it.

mod content;
mod filesystem;
mod latency;
mod pii;
mod rtb;
mod schema;
mod secrets;

pub use content::Content;
pub use filesystem::Filesystem;
pub use latency::Latency;
pub use pii::Pii;
pub use rtb::{AdomainVerify, AudienceSafety, BcatCompliance, BidSanity, ImpidMatch, TmaxGuard};
pub(crate) use rtb::{CHILD_CATEGORIES, UNSAFE_CATEGORIES};
pub use schema::{Schema, SchemaOptions, Target, WrongSchema};
pub use secrets::Secrets;

use crate::whereabouts::pointer;
use crate::{Hit, Outcome, Subject};
use serde_json::json;
use std::borrow::Cow;

/// A failure because of something found in the output.
fn found(subject: &Subject<'_>, what: impl Into<Cow<'static, str>>, hit: Hit<'_>) -> Outcome {
    let place = pointer(subject.context().output, hit.value);
    Outcome::fail(format!("{} detected in output", what.into())).with(json!({ "where": place }))
}
