//! What the proxy is told.

use gate::config::{Config, ConfigError, Set};
use gate::{Content, Engine, Filesystem, Gate, Listed, Secrets};
use repute_client::Telemetry;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is done where gates cannot tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDoubt {
    /// The message passes.
    #[default]
    Open,
    /// The call is answered with an error.
    Closed,
}

/// How a server is run behind the proxy.
#[derive(Debug)]
pub struct Settings {
    /// The server's program.
    pub command: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Variables of the environment that are not for the server.
    pub withheld: Vec<&'static str>,
    /// Who is judged; without, the server by its name.
    pub agent_id: Option<String>,
    /// Gate sets and rules.
    pub gates: Config,
    /// Whether what tools are given is judged where no rule says so.
    pub judge_arguments: bool,
    /// Whether nothing is blocked.
    pub dry_run: bool,
    /// Whether each decision is told on standard error.
    pub verbose: bool,
    /// What is done where gates cannot tell.
    pub on_doubt: OnDoubt,
    /// The longest message that is judged, in bytes; at least 64 KiB.
    pub max_message_bytes: usize,
    /// Where decisions are kept; nowhere, without.
    pub log_directory: Option<PathBuf>,
    /// Where verdicts are sent; nowhere, without.
    pub telemetry: Option<Telemetry>,
}

/// The name of the set that judges what tools are given, where no rule names another.
pub(crate) const ARGUMENTS_SET: &str = "arguments";
/// How long the proxy's own sets may take: far longer than they do, so that a busy machine decides nothing.
const BUDGET: Duration = Duration::from_secs(5);

/// The gates without a file: `content`, without its check for emptiness, and `secrets`.
#[must_use]
pub fn default_config() -> Config {
    Config::of(default_set())
}

/// The gate sets of a file, with the proxy's own set where it has no `[set.default]`.
///
/// # Errors
/// Where it cannot be read, or something in it cannot be.
pub fn load_config(file: &Path) -> Result<Config, ConfigError> {
    Config::load_or(file, default_set)
}

fn default_set() -> Set {
    let content = Content {
        empty: false,
        refusals: true,
    };
    set("default", vec![Box::new(content), Box::new(Secrets::new())])
}

pub(crate) fn arguments_set() -> Set {
    set(ARGUMENTS_SET, vec![Box::new(Filesystem::default())])
}

fn set(name: &str, gates: Vec<Box<dyn Gate>>) -> Set {
    let listed = gates.into_iter().map(|gate| Listed { gate, shadow: false });
    let settings = gate::Settings {
        budget: BUDGET,
        fail_fast: false,
    };
    #[expect(clippy::expect_used, reason = "gates of different names, and a test makes it")]
    let engine = Engine::new(listed.collect(), settings).expect("the proxy's own sets");
    Set::of(name, engine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxys_own_sets_can_be_made() {
        let config = default_config();
        let gates = |set: &Set| -> Vec<String> {
            let gates = set.engine.gates().iter();
            gates.map(|listed| listed.gate.name().to_owned()).collect()
        };
        assert_eq!(gates(config.set_for("", "", None)), ["content", "secrets"]);
        assert_eq!(gates(&arguments_set()), ["filesystem"]);
    }

    #[test]
    fn a_file_without_a_default_set_leaves_the_proxys_own() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("gates.toml");
        std::fs::write(
            &file,
            "[set.a]\ngates = [\"pii\"]\n[[rule]]\ntools = \"x\"\nset = \"a\"",
        )
        .unwrap();
        let config = load_config(&file).unwrap();
        assert_eq!(config.set_for("", "", Some("x")).name, "a");
        assert_eq!(
            config.set_for("", "", Some("y")).engine.gates()[1].gate.name(),
            "secrets"
        );
    }
}
