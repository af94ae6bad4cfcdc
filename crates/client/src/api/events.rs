//! Which events to list.

use super::encoded;

/// What events must be like to be listed. Without any of it, all are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventFilter {
    /// Of this agent.
    pub agent_id: Option<String>,
    /// With this verdict.
    pub passed: Option<bool>,
    /// Not before this time, in ISO 8601.
    pub from: Option<String>,
    /// Not after it.
    pub to: Option<String>,
    /// Of this tool.
    pub tool: Option<String>,
    /// In which this gate failed.
    pub failed_gate: Option<String>,
    /// With this id; needs `agent_id`.
    pub evaluation_id: Option<String>,
}

impl EventFilter {
    /// All events.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Those of one agent.
    #[must_use]
    pub fn of_agent(agent_id: impl Into<String>) -> Self {
        Self {
            agent_id: Some(agent_id.into()),
            ..Self::default()
        }
    }

    /// Only those with this verdict.
    #[must_use]
    pub fn passed(mut self, passed: bool) -> Self {
        self.passed = Some(passed);
        self
    }

    /// Not before this time, in ISO 8601.
    #[must_use]
    pub fn from(mut self, time: impl Into<String>) -> Self {
        self.from = Some(time.into());
        self
    }

    /// Not after this time, in ISO 8601.
    #[must_use]
    pub fn to(mut self, time: impl Into<String>) -> Self {
        self.to = Some(time.into());
        self
    }

    /// Only those of this tool.
    #[must_use]
    pub fn tool(mut self, tool: impl Into<String>) -> Self {
        self.tool = Some(tool.into());
        self
    }

    /// Only those in which this gate failed.
    #[must_use]
    pub fn failed_gate(mut self, gate: impl Into<String>) -> Self {
        self.failed_gate = Some(gate.into());
        self
    }

    /// Only those with this id; needs an agent.
    #[must_use]
    pub fn evaluation_id(mut self, id: impl Into<String>) -> Self {
        self.evaluation_id = Some(id.into());
        self
    }

    /// The query that asks for a page of them.
    pub(super) fn query(&self, cursor: Option<&str>) -> String {
        let passed = self.passed.map(|passed| passed.to_string());
        let fields = [
            ("agent_id", self.agent_id.as_deref()),
            ("passed", passed.as_deref()),
            ("from", self.from.as_deref()),
            ("to", self.to.as_deref()),
            ("tool", self.tool.as_deref()),
            ("failed_gate", self.failed_gate.as_deref()),
            ("evaluation_id", self.evaluation_id.as_deref()),
            ("cursor", cursor),
        ];
        let mut query = "limit=100".to_owned();
        for (name, value) in fields {
            if let Some(value) = value {
                query.push_str(&format!("&{name}={}", encoded(value)));
            }
        }
        query
    }
}
