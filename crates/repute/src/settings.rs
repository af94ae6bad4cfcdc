//! What `repute serve` can be told, from flags and from the environment; a flag wins.

use crate::logging::{self, LogFormat};
use crate::units;
use crate::usage::WrongSetting;
use clap::Args;
use clap::builder::BoolishValueParser;
use server::accounts::MasterKey;
use std::env::{self, VarError};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use wire::{Key, KeyKind};

/// A bootstrap key with fewer different characters is a placeholder, not a secret.
const MIN_KEY_CHARACTERS: usize = 10;

/// More connections than any machine has; the semaphore that counts them has an end, too.
const MAX_CONNECTIONS: usize = 1_000_000;
/// The smallest segment that still holds something.
const MIN_SEGMENT_BYTES: u64 = 64 << 10;
/// What is to be kept for a shorter time need not be sent.
const MIN_RETENTION: Duration = Duration::from_secs(60);
/// The smallest first segment.
const MIN_RETENTION_BYTES: u64 = 1 << 20;
/// Timestamps further ahead than this are mistakes, whatever one's clock.
const MAX_CLOCK_AHEAD: Duration = Duration::from_secs(365 * 86_400);

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
        value_parser = units::address,
        value_name = "ADDRESS"
    )]
    pub(crate) listen: SocketAddr,
    /// The certificate for TLS, in PEM, with its chain behind it; SIGHUP reads it again.
    #[arg(long, env = "REPUTE_TLS_CERT", value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The key of the certificate, in PEM.
    #[arg(long, env = "REPUTE_TLS_KEY", value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Where to serve `/metrics`, `/health` and `/ready`, without TLS; then `/metrics` is nowhere else.
    #[arg(long, env = "REPUTE_METRICS_LISTEN", value_parser = units::address, value_name = "ADDRESS")]
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// `POST /v1/ingest` requests per rolling 60 seconds and organisation; 0 is no limit.
    #[arg(long, env = "REPUTE_INGEST_RATE_LIMIT", default_value = "0", value_parser = units::count::<u64>, value_name = "N")]
    pub(crate) ingest_rate_limit: u64,
    /// All other requests per rolling 60 seconds and organisation; 0 is no limit.
    #[arg(long, env = "REPUTE_RATE_LIMIT", default_value = "0", value_parser = units::count::<u64>, value_name = "N")]
    pub(crate) rate_limit: u64,
    /// The largest body, on the wire and decompressed.
    #[arg(long, env = "REPUTE_MAX_BODY", default_value = "16MiB", value_parser = units::bytes, value_name = "SIZE")]
    pub(crate) max_body: u64,
    /// The largest `input` and `output` of an evaluation together.
    #[arg(long, env = "REPUTE_MAX_EVALUATE_BODY", default_value = "1MiB", value_parser = units::bytes, value_name = "SIZE")]
    pub(crate) max_evaluate_body: u64,
    /// The file with the gate sets; without, every organisation has `filesystem`, `pii` and `content`.
    #[arg(long, env = "REPUTE_GATES", value_name = "FILE")]
    pub(crate) gates: Option<PathBuf>,
    /// How far ahead of the server's clock a timestamp may be.
    #[arg(long, env = "REPUTE_MAX_CLOCK_AHEAD", default_value = "5m", value_parser = units::duration, value_name = "TIME")]
    pub(crate) max_clock_ahead: Duration,
    /// Agents that an organisation may have, unless it has a limit of its own.
    #[arg(
        long,
        env = "REPUTE_MAX_AGENTS",
        default_value = "1000000",
        value_parser = units::count::<u64>,
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
    #[arg(long, env = "REPUTE_WINDOW_CACHE", default_value = "20000", value_parser = units::count::<usize>, value_name = "N")]
    pub(crate) window_cache: usize,
    /// Bytes of index blocks kept in memory.
    #[arg(long, env = "REPUTE_CACHE_BYTES", default_value = "64MiB", value_parser = units::bytes, value_name = "SIZE")]
    pub(crate) cache_bytes: u64,
    /// Bytes of bodies in memory at once; what comes beyond is answered with 503.
    #[arg(long, env = "REPUTE_BYTES_IN_FLIGHT", default_value = "256MiB", value_parser = units::bytes, value_name = "SIZE")]
    pub(crate) bytes_in_flight: u64,
    /// How long events are kept after their receipt, like 90d; without, for ever.
    #[arg(long, env = "REPUTE_RETENTION", value_parser = units::duration, value_name = "TIME")]
    pub(crate) retention: Option<Duration>,
    /// Bytes of stored events and indexes beyond which the oldest events go; without, no limit.
    #[arg(long, env = "REPUTE_RETENTION_BYTES", value_parser = units::bytes, value_name = "SIZE")]
    pub(crate) retention_bytes: Option<u64>,
    /// How fast stored events are read again to find damage, in bytes a second; 0 is not at all.
    #[arg(long, env = "REPUTE_SCRUB_RATE", default_value = "4MiB", value_parser = units::bytes, value_name = "SIZE")]
    pub(crate) scrub_rate: u64,
    /// How fast stored events of small commits are rewritten to take less space, in bytes a second; 0 is not at all.
    #[arg(long, env = "REPUTE_COMPACTION_RATE", default_value = "4MiB", value_parser = units::bytes, value_name = "SIZE")]
    pub(crate) compaction_rate: u64,
    /// Connections at once.
    #[arg(
        long,
        env = "REPUTE_MAX_CONNECTIONS",
        default_value = "10000",
        value_parser = units::count::<usize>,
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
    #[arg(long, env = "REPUTE_LOG_LEVEL", default_value = "info", value_parser = logging::level, value_name = "LEVEL")]
    pub(crate) log_level: tracing::Level,
    /// Acknowledge without a sync: for measurements only, a power cut loses acknowledged events.
    #[arg(long, env = "REPUTE_NO_SYNC", value_parser = BoolishValueParser::new(), hide = true)]
    pub(crate) no_sync: bool,
    /// How much the log may grow until its disk counts as full: for `repute torture`.
    #[arg(long, env = "REPUTE_DISK_ROOM", value_parser = units::bytes, hide = true)]
    pub(crate) disk_room: Option<u64>,
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
    /// Checks what no value alone can tell.
    pub(crate) fn check(&self) -> Result<(), WrongSetting> {
        let wrong = |sentence: String| Err(WrongSetting::new(sentence));
        if self.max_body == 0 {
            return wrong("--max-body (REPUTE_MAX_BODY): must be more than 0".to_owned());
        }
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return wrong(
                "--tls-cert (REPUTE_TLS_CERT) and --tls-key (REPUTE_TLS_KEY): one is set without the other"
                    .to_owned(),
            );
        }
        if self.max_evaluate_body == 0 {
            return wrong("--max-evaluate-body (REPUTE_MAX_EVALUATE_BODY): must be more than 0".to_owned());
        }
        // An organisation has half of it, and a compressed body is in memory twice while it's unpacked.
        if self.bytes_in_flight / 2 < self.max_body {
            return wrong(
                "--bytes-in-flight (REPUTE_BYTES_IN_FLIGHT): must be at least twice --max-body (REPUTE_MAX_BODY), or the \
                 largest compressed body never fits"
                    .to_owned(),
            );
        }
        if self.max_clock_ahead > MAX_CLOCK_AHEAD {
            return wrong("--max-clock-ahead (REPUTE_MAX_CLOCK_AHEAD): must be at most 365d".to_owned());
        }
        if !(1..=MAX_CONNECTIONS).contains(&self.max_connections) {
            return wrong(format!(
                "--max-connections (REPUTE_MAX_CONNECTIONS): must be 1 to {MAX_CONNECTIONS}"
            ));
        }
        if self.retention.is_some_and(|age| age < MIN_RETENTION) {
            return wrong("--retention (REPUTE_RETENTION): must be at least 1m".to_owned());
        }
        if self
            .retention_bytes
            .is_some_and(|bytes| bytes < MIN_RETENTION_BYTES)
        {
            return wrong("--retention-bytes (REPUTE_RETENTION_BYTES): must be at least 1MiB".to_owned());
        }
        if self.max_segment < MIN_SEGMENT_BYTES {
            return wrong("--max-segment (REPUTE_MAX_SEGMENT): must be at least 64KiB".to_owned());
        }
        match self.cors_origin.iter().find(|origin| !is_origin(origin)) {
            Some(origin) => wrong(format!(
                "--cors-origin (REPUTE_CORS_ORIGIN): `{origin}` is not an origin like https://app.example.org"
            )),
            None => Ok(()),
        }
    }
}

/// A scheme, a host and perhaps a port, as browsers send them: without a path.
fn is_origin(text: &str) -> bool {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| {
        !host.is_empty()
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
    })
}

impl Secrets {
    /// Reads them; nothing but the environment and the files it names is opened.
    pub(crate) fn from_environment() -> Result<Self, WrongSetting> {
        Ok(Self {
            master_key: master_key()?,
            bootstrap_publishable: bootstrap_key("REPUTE_BOOTSTRAP_PUBLISHABLE_KEY", KeyKind::Publishable)?,
            bootstrap_secret: bootstrap_key("REPUTE_BOOTSTRAP_SECRET_KEY", KeyKind::Secret)?,
        })
    }
}

/// The text of the master key, where the environment has one; it has been seen to be one.
pub(crate) fn master_key() -> Result<Option<String>, WrongSetting> {
    master_key_in("REPUTE_MASTER_KEY")
}

/// The same of the one that is to come into its place.
pub(crate) fn new_master_key() -> Result<Option<String>, WrongSetting> {
    master_key_in("REPUTE_NEW_MASTER_KEY")
}

fn master_key_in(name: &str) -> Result<Option<String>, WrongSetting> {
    let Some(Secret { text, variable }) = secret(name)? else {
        return Ok(None);
    };
    match MasterKey::parse(&text) {
        Ok(_) => Ok(Some(text)),
        Err(why) => Err(WrongSetting::new(format!("{variable}: {why}"))),
    }
}

fn bootstrap_key(name: &str, kind: KeyKind) -> Result<Option<Key>, WrongSetting> {
    let Some(Secret { text, variable }) = secret(name)? else {
        return Ok(None);
    };
    let Some(key) = Key::parse(text.as_bytes()).ok().filter(|key| key.kind() == kind) else {
        let prefix = match kind {
            KeyKind::Publishable => "pk_live_",
            KeyKind::Secret => "sk_live_",
        };
        return Err(WrongSetting::new(format!(
            "{variable}: must be `{prefix}` and 32 characters of A-Z, a-z, 0-9"
        )));
    };
    if key.distinct_characters() < MIN_KEY_CHARACTERS {
        return Err(WrongSetting::new(format!(
            "{variable}: must have at least {MIN_KEY_CHARACTERS} different characters behind its prefix"
        )));
    }
    Ok(Some(key))
}

/// A secret, and the variable that it came by.
pub(crate) struct Secret {
    pub(crate) text: String,
    variable: String,
}

/// A secret from the variable, or from the file that the variable with `_FILE` names.
pub(crate) fn secret(name: &str) -> Result<Option<Secret>, WrongSetting> {
    let file_variable = format!("{name}_FILE");
    let found = |text: &str, variable: String| {
        let text = text.trim().to_owned();
        Ok(Some(Secret { text, variable }))
    };
    match (env::var(name), env::var_os(&file_variable)) {
        (Ok(_) | Err(VarError::NotUnicode(_)), Some(_)) => Err(WrongSetting::new(format!(
            "{name} and {file_variable}: both are set; set one of them"
        ))),
        (Ok(text), None) => found(&text, name.to_owned()),
        (Err(VarError::NotUnicode(_)), None) => Err(WrongSetting::new(format!("{name}: is not UTF-8"))),
        (Err(VarError::NotPresent), Some(file)) => match fs::read_to_string(&file) {
            Ok(text) => found(&text, file_variable),
            Err(why) => Err(WrongSetting::new(format!(
                "{file_variable}: cannot read {}: {why}",
                file.to_string_lossy()
            ))),
        },
        (Err(VarError::NotPresent), None) => Ok(None),
    }
}
