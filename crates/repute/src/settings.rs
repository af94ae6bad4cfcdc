//! What `repute serve` can be told, from flags and from the environment; a flag wins.

use crate::logging::LogFormat;
use crate::units;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use wire::{Key, KeyKind};

/// A bootstrap key with fewer different characters is a placeholder, not a secret.
const MIN_KEY_CHARACTERS: usize = 10;

/// Settings of the server.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServeSettings {
    /// Where everything is kept.
    #[arg(
        long,
        env = "REPUTE_DATA_DIR",
        default_value = "./repute-data",
        value_name = "DIR"
    )]
    pub(crate) data_dir: PathBuf,
    /// Where to listen; port 0 picks a free one.
    #[arg(
        long,
        env = "REPUTE_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "ADDRESS"
    )]
    pub(crate) listen: SocketAddr,
    /// `POST /v1/ingest` requests per rolling 60 seconds and organisation; 0 is no limit.
    #[arg(long, env = "REPUTE_INGEST_RATE_LIMIT", default_value_t = 0, value_name = "N")]
    pub(crate) ingest_rate_limit: u64,
    /// All other requests per rolling 60 seconds and organisation; 0 is no limit.
    #[arg(long, env = "REPUTE_RATE_LIMIT", default_value_t = 0, value_name = "N")]
    pub(crate) rate_limit: u64,
    /// The largest body, on the wire and decompressed.
    #[arg(long, env = "REPUTE_MAX_BODY", default_value = "16MiB", value_parser = units::bytes, value_name = "SIZE")]
    pub(crate) max_body: u64,
    /// How far ahead of the server's clock a timestamp may be.
    #[arg(long, env = "REPUTE_MAX_CLOCK_AHEAD", default_value = "5m", value_parser = units::duration, value_name = "TIME")]
    pub(crate) max_clock_ahead: Duration,
    /// Agents that an organisation may have, unless it has a limit of its own.
    #[arg(
        long,
        env = "REPUTE_MAX_AGENTS",
        default_value_t = 1_000_000,
        value_name = "N"
    )]
    pub(crate) max_agents: u64,
    /// Origins that browsers may call from, separated by commas; without, any.
    #[arg(
        long,
        env = "REPUTE_CORS_ORIGIN",
        value_delimiter = ',',
        value_name = "ORIGIN"
    )]
    pub(crate) cors_origin: Vec<String>,
    /// Agents whose windows are kept in memory: about 14 KB each when full.
    #[arg(long, env = "REPUTE_WINDOW_CACHE", default_value_t = 20_000, value_name = "N")]
    pub(crate) window_cache: usize,
    /// Bytes of index blocks kept in memory.
    #[arg(long, env = "REPUTE_CACHE_BYTES", default_value = "64MiB", value_parser = units::bytes, value_name = "SIZE")]
    pub(crate) cache_bytes: u64,
    /// Bytes of bodies in memory at once; what comes beyond is answered with 503.
    #[arg(long, env = "REPUTE_BYTES_IN_FLIGHT", default_value = "256MiB", value_parser = units::bytes, value_name = "SIZE")]
    pub(crate) bytes_in_flight: u64,
    /// Connections at once.
    #[arg(
        long,
        env = "REPUTE_MAX_CONNECTIONS",
        default_value_t = 10_000,
        value_name = "N"
    )]
    pub(crate) max_connections: usize,
    /// How long running requests may go on at a stop.
    #[arg(long, env = "REPUTE_DRAIN_TIMEOUT", default_value = "10s", value_parser = units::duration, value_name = "TIME")]
    pub(crate) drain_timeout: Duration,
    /// How log lines look; `auto` is for people on a terminal, else JSON.
    #[arg(
        long,
        env = "REPUTE_LOG_FORMAT",
        default_value = "auto",
        value_name = "FORMAT"
    )]
    pub(crate) log_format: LogFormat,
    /// The least important log lines to write: error, warn, info, debug or trace.
    #[arg(long, env = "REPUTE_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    pub(crate) log_level: tracing::Level,
    /// Acknowledge without a sync: for measurements only, a power cut loses acknowledged events.
    #[arg(long, env = "REPUTE_NO_SYNC", hide = true)]
    pub(crate) no_sync: bool,
    /// Size at which segments stop growing: for tests.
    #[arg(long, env = "REPUTE_MAX_SEGMENT", default_value = "64MiB", value_parser = units::bytes, hide = true)]
    pub(crate) max_segment: u64,
}

/// Keys and the like, from the environment or from files that it names.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    pub(crate) master_key: Option<String>,
    pub(crate) bootstrap_publishable: Option<Key>,
    pub(crate) bootstrap_secret: Option<Key>,
}

impl ServeSettings {
    /// Checks what no single flag can tell.
    pub(crate) fn check(&self) -> Result<()> {
        if self.max_body == 0 {
            bail!("--max-body (REPUTE_MAX_BODY) must be more than 0");
        }
        if self.bytes_in_flight < self.max_body {
            bail!(
                "--bytes-in-flight (REPUTE_BYTES_IN_FLIGHT) must be at least --max-body, or no large body ever fits"
            );
        }
        if self.max_connections == 0 {
            bail!("--max-connections (REPUTE_MAX_CONNECTIONS) must be more than 0");
        }
        for origin in &self.cors_origin {
            let host = origin
                .strip_prefix("https://")
                .or_else(|| origin.strip_prefix("http://"));
            if !host.is_some_and(|host| !host.is_empty() && !host.contains('/')) {
                bail!(
                    "--cors-origin (REPUTE_CORS_ORIGIN): `{origin}` is not an origin like https://app.example.org"
                );
            }
        }
        Ok(())
    }
}

impl Secrets {
    /// Reads them; nothing but the environment and the files it names is opened.
    pub(crate) fn from_environment() -> Result<Self> {
        let key = |name: &'static str, kind: KeyKind| -> Result<Option<Key>> {
            let Some(text) = secret(name)? else {
                return Ok(None);
            };
            let key = Key::parse(text.as_bytes()).ok().filter(|key| key.kind() == kind);
            let Some(key) = key else {
                let prefix = if kind == KeyKind::Publishable {
                    "pk_live_"
                } else {
                    "sk_live_"
                };
                bail!("{name} must be `{prefix}` and 32 characters of A-Z, a-z, 0-9");
            };
            if key.distinct_characters() < MIN_KEY_CHARACTERS {
                bail!(
                    "{name} must have at least {MIN_KEY_CHARACTERS} different characters behind its prefix"
                );
            }
            Ok(Some(key))
        };
        let secrets = Self {
            master_key: secret("REPUTE_MASTER_KEY")?,
            bootstrap_publishable: key("REPUTE_BOOTSTRAP_PUBLISHABLE_KEY", KeyKind::Publishable)?,
            bootstrap_secret: key("REPUTE_BOOTSTRAP_SECRET_KEY", KeyKind::Secret)?,
        };
        if let Some(text) = &secrets.master_key {
            server::accounts::MasterKey::parse(text).context("REPUTE_MASTER_KEY")?;
        }
        Ok(secrets)
    }
}

/// A secret from the variable, or from the file that the variable with `_FILE` names.
fn secret(name: &str) -> Result<Option<String>> {
    let file_variable = format!("{name}_FILE");
    let (value, file) = (std::env::var(name).ok(), std::env::var_os(&file_variable));
    match (value, file) {
        (Some(_), Some(_)) => bail!("{name} and {file_variable} are both set: set one of them"),
        (Some(value), None) => Ok(Some(value.trim().to_owned())),
        (None, Some(file)) => {
            let text = fs::read_to_string(&file)
                .with_context(|| format!("{file_variable}: cannot read {}", file.to_string_lossy()))?;
            Ok(Some(text.trim().to_owned()))
        }
        (None, None) => Ok(None),
    }
}
