//! One run of one gate over a case of the data files.

use gate::config::Config;
use gate::{Context, GateResult};
use json::Document;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A file of `gates/`.
pub(crate) fn data(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../gates")
        .join(name);
    std::fs::read_to_string(path).unwrap()
}

/// What a gate is shown.
#[derive(Debug, Deserialize)]
pub(crate) struct Case {
    #[serde(default)]
    pub(crate) options: Map<String, Value>,
    pub(crate) output: Option<Box<RawValue>>,
    pub(crate) input: Option<Box<RawValue>>,
    pub(crate) output_text: Option<String>,
    pub(crate) input_text: Option<String>,
    pub(crate) latency_ms: Option<f64>,
    pub(crate) tmax_ms: Option<f64>,
    #[serde(default)]
    pub(crate) elapsed_ms: u64,
}

impl Case {
    pub(crate) fn output_text(&self) -> &str {
        let text = self.output_text.as_deref();
        text.or(self.output.as_deref().map(RawValue::get))
            .unwrap_or("null")
    }

    pub(crate) fn input_text(&self) -> Option<&str> {
        let text = self.input_text.as_deref();
        text.or(self.input.as_deref().map(RawValue::get))
    }

    /// What the gate says to it.
    pub(crate) fn run<T>(&self, kind: &str, look: impl FnOnce(&GateResult<'_>) -> T) -> T {
        let mut options: BTreeMap<&str, &Value> = self
            .options
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        let kind = Value::from(kind);
        options.insert("gate", &kind);
        let text = format!(
            "set.default.gates = [{}]",
            toml(&serde_json::to_value(options).unwrap())
        );
        let config = Config::parse(&text, &|_| Err(std::io::ErrorKind::NotFound.into()));
        let config = config.unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
        let output = Document::parse(self.output_text().as_bytes()).unwrap();
        let input = self
            .input_text()
            .map(|text| Document::parse(text.as_bytes()).unwrap());
        let started_at = Instant::now();
        let context = Context {
            agent_id: "a",
            tool: None,
            input: input.as_ref(),
            output: &output,
            latency_ms: self.latency_ms,
            tmax_ms: self.tmax_ms,
            started_at,
        };
        // A clock that stands still, so that no verdict depends on the machine.
        let now = started_at + Duration::from_millis(self.elapsed_ms);
        let verdict = config.set_for("o", "a", None).engine.run_by(&context, &|| now);
        look(&verdict.results[0])
    }
}

/// A JSON value as an inline value of TOML.
fn toml(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(key, value)| format!("{} = {}", Value::from(key.as_str()), toml(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        Value::Array(elements) => format!("[{}]", elements.iter().map(toml).collect::<Vec<_>>().join(", ")),
        plain => plain.to_string(),
    }
}
