//! Who is judged, by which gates, and what follows from what they say.

use crate::calls::Call;
use crate::decision::{Decision, Doubt, Looked, Outcome, gate, ms};
use crate::settings::{OnDoubt, Settings, arguments_set};
use gate::config::Set;
use gate::{Context, Ending};
use json::Document;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

/// The longest id of an agent, in code points.
const MAX_AGENT_ID: usize = 200;
/// The organisation that rules are asked for, as in `repute check`.
const ORGANISATION: &str = "default";

/// The gates, and what is known of who is judged.
#[derive(Debug)]
pub(crate) struct Judge {
    settings: Settings,
    /// Judges arguments where the file has no such set.
    own_arguments: Set,
    server_name: OnceLock<String>,
}

/// What gates look at.
struct Case<'c> {
    of: Looked,
    tool: Option<&'c str>,
    input: Option<&'c str>,
    text: &'c str,
    latency: Option<Duration>,
    began: Instant,
}

impl Judge {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            own_arguments: arguments_set(),
            server_name: OnceLock::new(),
        }
    }

    /// Who is judged: the one that was named, else the server by its name, else by its program's.
    pub(crate) fn agent_id(&self) -> String {
        let known = self.settings.agent_id.as_ref().or(self.server_name.get());
        known.cloned().unwrap_or_else(|| {
            let path = Path::new(&self.settings.command);
            let name = path.file_name().unwrap_or(&self.settings.command);
            bounded(&name.to_string_lossy())
        })
    }

    /// The server says its name. The first one counts.
    pub(crate) fn learn_name(&self, name: &str) {
        if !name.is_empty() {
            let _ = self.server_name.set(bounded(name));
        }
    }

    /// Whether the server's name is of use and not known.
    pub(crate) fn wants_name(&self) -> bool {
        self.settings.agent_id.is_none() && self.server_name.get().is_none()
    }

    /// Whether a gate for that tool's output may want to see what the tool is given.
    pub(crate) fn wants_input(&self, tool: Option<&str>) -> bool {
        let set = self.settings.gates.set_for(ORGANISATION, &self.agent_id(), tool);
        set.described.iter().any(|gate| {
            let target = gate.options.get("target").and_then(|target| target.as_str());
            gate.kind.starts_with("rtb.") || target == Some("input")
        })
    }

    /// Whether what that tool is given is judged.
    pub(crate) fn judges_arguments(&self, tool: Option<&str>) -> bool {
        self.arguments_set(&self.agent_id(), tool).is_some()
    }

    /// Whether what any tool is given may be judged.
    pub(crate) fn may_judge_arguments(&self) -> bool {
        self.settings.judge_arguments || self.settings.gates.judges_input()
    }

    /// Judges what a tool is given; `None` where that is not judged.
    pub(crate) fn arguments(&self, tool: Option<&str>, text: &str) -> Option<Decision> {
        let agent_id = self.agent_id();
        let set = self.arguments_set(&agent_id, tool)?;
        let case = Case {
            of: Looked::Arguments,
            tool,
            input: None,
            text,
            latency: None,
            began: Instant::now(),
        };
        Some(self.judge(set, agent_id, &case))
    }

    /// Judges what a tool gives.
    pub(crate) fn output(&self, call: &Call, text: &str) -> Decision {
        let agent_id = self.agent_id();
        let tool = call.tool.as_deref();
        let set = self.settings.gates.set_for(ORGANISATION, &agent_id, tool);
        let case = Case {
            of: Looked::Result,
            tool,
            input: call.input.as_deref(),
            text,
            latency: Some(call.asked_at.elapsed()),
            began: call.asked_at,
        };
        self.judge(set, agent_id, &case)
    }

    /// Whether what gates cannot tell is blocked.
    pub(crate) fn blocks_on_doubt(&self) -> bool {
        self.on_doubt() == Outcome::Blocked
    }

    /// What follows where gates were not asked.
    pub(crate) fn doubt(&self, of: Looked, tool: Option<&str>, doubt: Doubt, bytes: usize) -> Decision {
        Decision {
            time: SystemTime::now(),
            agent_id: self.agent_id(),
            tool: tool.map(Into::into),
            of,
            decision: self.on_doubt(),
            doubt: Some(doubt),
            gates: Vec::new(),
            total_latency_ms: 0.0,
            bytes,
        }
    }

    fn arguments_set(&self, agent_id: &str, tool: Option<&str>) -> Option<&Set> {
        let gates = &self.settings.gates;
        let by_rule = gates.set_for_input(ORGANISATION, agent_id, tool);
        let by_flag = || {
            let named = gates.set(&self.own_arguments.name);
            self.settings
                .judge_arguments
                .then(|| named.unwrap_or(&self.own_arguments))
        };
        by_rule.or_else(by_flag)
    }

    fn judge(&self, set: &Set, agent_id: String, case: &Case<'_>) -> Decision {
        let Ok(output) = Document::parse(case.text.as_bytes()) else {
            return self.doubt(case.of, case.tool, Doubt::NotJson, case.text.len());
        };
        let input = case
            .input
            .and_then(|input| Document::parse(input.as_bytes()).ok());
        let tmax = input.as_ref().and_then(|input| input.root().get("tmax"));
        let verdict = set.engine.run(&Context {
            agent_id: &agent_id,
            tool: case.tool,
            input: input.as_ref(),
            output: &output,
            latency_ms: case.latency.map(ms),
            tmax_ms: tmax.and_then(|tmax| tmax.as_f64()),
            started_at: case.began,
        });
        let failed = || verdict.results.iter().filter(|result| result.failed());
        let is_sure = failed().any(|result| result.ending == Ending::Ran);
        let (decision, doubt) = match (verdict.passed, is_sure) {
            (true, _) => (Outcome::Passed, None),
            (false, true) => (self.blocked(), None),
            (false, false) => (self.on_doubt(), Some(Doubt::NotFinished)),
        };
        let gates = verdict.results.iter().map(gate).collect();
        let total_latency_ms = ms(verdict.total);
        Decision {
            time: SystemTime::now(),
            tool: case.tool.map(Into::into),
            of: case.of,
            decision,
            doubt,
            gates,
            total_latency_ms,
            bytes: case.text.len(),
            agent_id,
        }
    }

    fn on_doubt(&self) -> Outcome {
        match self.settings.on_doubt {
            OnDoubt::Open => Outcome::Unjudged,
            OnDoubt::Closed => self.blocked(),
        }
    }

    fn blocked(&self) -> Outcome {
        if self.settings.dry_run {
            Outcome::WouldBlock
        } else {
            Outcome::Blocked
        }
    }
}

/// The first characters of a name that an agent's id has room for.
fn bounded(name: &str) -> String {
    name.chars().take(MAX_AGENT_ID).collect()
}
