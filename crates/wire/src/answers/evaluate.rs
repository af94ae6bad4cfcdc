//! What `POST /v1/evaluate` and `GET /v1/gates` answer.

use super::{Status, plain_number};
use reputation::Summary;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// The verdict on an output, which is recorded.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct EvaluateAnswer {
    /// The id under which it is recorded: the client's, or one that the server made.
    #[schema(example = "V70MWDgzzzzzzzzz")]
    pub evaluation_id: String,
    /// Whether every gate passed or was skipped.
    pub passed: bool,
    /// Gate by gate, in order.
    pub gates: Vec<EvaluatedGate>,
    /// How long the gates took together, by the wall clock.
    #[serde(serialize_with = "plain_number::serialize")]
    #[schema(example = 0.021)]
    pub total_latency_ms: f64,
    /// The agent's standing, this evaluation counted.
    pub reputation: EvaluatedReputation,
    /// Whether this `evaluation_id` had been recorded before; then nothing was recorded now.
    #[serde(skip_serializing_if = "is_false")]
    #[schema(required = false)]
    pub duplicate: bool,
}

/// What one gate said.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct EvaluatedGate {
    /// Its name.
    #[schema(example = "pii")]
    pub name: String,
    /// Whether it passed.
    pub passed: bool,
    /// Its own run time.
    #[serde(serialize_with = "plain_number::serialize")]
    pub latency_ms: f64,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "email address detected in output")]
    pub reason: Option<String>,
    /// Whether it does not count.
    #[serde(skip_serializing_if = "is_false")]
    #[schema(required = false)]
    pub skipped: bool,
    /// Whether it only watches.
    #[serde(skip_serializing_if = "is_false")]
    #[schema(required = false)]
    pub shadow: bool,
    /// Where, and more of the kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub details: Option<Value>,
}

/// An agent's standing after an evaluation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct EvaluatedReputation {
    /// Its score, 0–1000.
    #[schema(maximum = 1000)]
    pub score: u16,
    /// Its stage of life.
    pub lifecycle: Status,
    /// How many evaluations its window holds, 0–500.
    #[schema(maximum = 500)]
    pub eval_count: u32,
}

impl EvaluatedReputation {
    /// The standing that a window's totals stand for.
    #[must_use]
    pub fn new(summary: &Summary) -> Self {
        Self {
            score: summary.score(),
            lifecycle: summary.status().into(),
            eval_count: summary.evaluations,
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

/// Which gates judge an organisation's agents.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct GatesAnswer {
    /// The first whose patterns fit an agent and its tool says the set.
    pub rules: Vec<GateRule>,
    /// The sets that the rules name.
    pub sets: Vec<GateSet>,
}

/// Which set judges which agents and tools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct GateRule {
    /// A pattern of agent ids: `*` is any run of characters, `?` one.
    #[schema(example = "bid-*")]
    pub agents: String,
    /// A pattern of tools, where the rule is only for what these give.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "submit_*")]
    pub tools: Option<String>,
    /// The set.
    #[schema(example = "rtb")]
    pub set: String,
}

/// A list of gates.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct GateSet {
    /// Its name.
    pub name: String,
    /// How long its gates together may take.
    #[serde(serialize_with = "plain_number::serialize")]
    #[schema(example = 50)]
    pub budget_ms: f64,
    /// Whether the first failure stops the rest.
    pub fail_fast: bool,
    /// Its gates, in order.
    pub gates: Vec<ConfiguredGate>,
}

/// A gate of a set.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ConfiguredGate {
    /// Its name in results.
    pub name: String,
    /// Which gate it is.
    pub gate: String,
    /// Whether it only watches.
    pub shadow: bool,
    /// Its options, those that were not set included.
    #[schema(value_type = Object)]
    pub options: Map<String, Value>,
}
