//! What a client is set to, and what is wrong with it.

use crate::delivery::{MAX_BATCH, Rules};
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;
use ureq::tls::{Certificate, PemItem};

/// A setting that can't be. Names the setting, never its value: that may be a key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{setting}: {rule}")]
pub struct SettingError {
    /// The setting.
    pub setting: &'static str,
    /// The rule that it breaks.
    pub rule: String,
}

impl SettingError {
    pub(crate) fn new(setting: &'static str, rule: impl Into<String>) -> Self {
        Self {
            setting,
            rule: rule.into(),
        }
    }
}

/// What `track` does when the buffer is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// Drops the event at hand.
    #[default]
    DropNewest,
    /// Drops the oldest event that is not on its way.
    DropOldest,
    /// Waits for room. At the worst that takes `max_age`. Never from within a callback: there it drops.
    Block,
}

/// How a server is reached.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) url: String,
    pub(crate) api_key: String,
    pub(crate) secret_key: Option<String>,
    pub(crate) sign_time: bool,
    /// Authorities to trust instead of the public ones.
    pub(crate) authorities: Option<Vec<Certificate<'static>>>,
    pub(crate) gzip_above: Option<usize>,
    pub(crate) request_timeout: Duration,
}

/// The same as it was asked for.
#[derive(Clone)]
pub(crate) struct ConnectionSettings {
    pub(crate) url: Option<String>,
    pub(crate) api_key: Option<String>,
    pub(crate) secret_key: Option<String>,
    pub(crate) sign_time: bool,
    /// Certificates of authorities to trust, in PEM, instead of the public ones.
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) gzip_above: Option<usize>,
    pub(crate) request_timeout: Duration,
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self {
            url: None,
            api_key: None,
            secret_key: None,
            sign_time: false,
            ca_file: None,
            gzip_above: Some(1_024),
            request_timeout: Duration::from_secs(10),
        }
    }
}

impl ConnectionSettings {
    /// Fills in the environment's and the default values, and looks at all of them.
    pub(crate) fn check(
        &self,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Connection, SettingError> {
        let or_else = |given: &Option<String>, name| {
            let from_environment = || environment(name).filter(|value| !value.is_empty());
            given.clone().or_else(from_environment)
        };
        let url = or_else(&self.url, "REPUTE_URL").unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
        let api_key = or_else(&self.api_key, "REPUTE_API_KEY")
            .ok_or_else(|| SettingError::new("api_key", "none given, and REPUTE_API_KEY is not set"))?;
        check_key("api_key", &api_key)?;
        let secret_key = or_else(&self.secret_key, "REPUTE_SECRET_KEY");
        if let Some(key) = &secret_key {
            check_key("secret_key", key)?;
            if !key.starts_with("sk_live_") {
                return Err(SettingError::new("secret_key", "not a secret key, sk_live_…"));
            }
        }
        if self.sign_time && secret_key.is_none() {
            return Err(SettingError::new("sign_time", "needs a secret_key to sign with"));
        }
        positive("request_timeout", self.request_timeout)?;
        let url = check_url(&url)?;
        // What was set for all programs of a machine is no reason not to work where it plays no part.
        let of_machine =
            || environment("SSL_CERT_FILE").filter(|file| !file.is_empty() && url.starts_with("https"));
        let ca_file = self.ca_file.clone().or_else(|| of_machine().map(PathBuf::from));
        Ok(Connection {
            url,
            api_key,
            secret_key,
            sign_time: self.sign_time,
            authorities: ca_file.as_deref().map(authorities).transpose()?,
            gzip_above: self.gzip_above,
            request_timeout: self.request_timeout,
        })
    }
}

/// The certificates in a file.
fn authorities(file: &Path) -> Result<Vec<Certificate<'static>>, SettingError> {
    let wrong = |why: String| SettingError::new("ca_file", format!("{}: {why}", file.display()));
    let pem = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let mut found = Vec::new();
    for item in ureq::tls::parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| wrong(error.to_string()))? {
            found.push(certificate);
        }
    }
    if found.is_empty() {
        return Err(wrong("has no certificate in PEM".to_owned()));
    }
    Ok(found)
}

pub(crate) fn check_key(setting: &'static str, key: &str) -> Result<(), SettingError> {
    let rule = "not of the form pk_live_ or sk_live_ and 32 letters or digits";
    wire::Key::parse(key.as_bytes())
        .map(|_| ())
        .map_err(|_| SettingError::new(setting, rule))
}

fn check_url(url: &str) -> Result<String, SettingError> {
    let wrong = |rule| SettingError::new("url", rule);
    let uri: ureq::http::Uri = url
        .parse()
        .map_err(|_| wrong("not an address like http://127.0.0.1:8080"))?;
    let known_scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    if !known_scheme || uri.host().is_none_or(str::is_empty) {
        return Err(wrong("not an address like http://127.0.0.1:8080"));
    }
    if uri.query().is_some() || url.contains('#') {
        return Err(wrong("has more than a place"));
    }
    if uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
    {
        return Err(wrong("has a user in it"));
    }
    let url = url.trim_end_matches('/');
    if url.ends_with("/v1") {
        return Err(wrong("must be without /v1"));
    }
    Ok(url.to_owned())
}

/// How events are kept and sent.
#[derive(Clone, Debug)]
pub(crate) struct TelemetrySettings {
    pub(crate) agent_id: Option<String>,
    pub(crate) sample_rate: f64,
    pub(crate) flush_interval: Duration,
    pub(crate) flush_at: usize,
    pub(crate) max_buffer: usize,
    pub(crate) when_full: WhenFull,
    pub(crate) retry_base: Duration,
    pub(crate) retry_max: Duration,
    pub(crate) max_age: Duration,
    pub(crate) spool_dir: Option<PathBuf>,
    pub(crate) max_spool_bytes: u64,
    pub(crate) shutdown_timeout: Duration,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            agent_id: None,
            sample_rate: 1.0,
            flush_interval: Duration::from_secs(5),
            flush_at: MAX_BATCH,
            max_buffer: 10_000,
            when_full: WhenFull::default(),
            retry_base: Duration::from_millis(250),
            retry_max: Duration::from_secs(30),
            max_age: Duration::from_secs(60 * 60),
            spool_dir: None,
            max_spool_bytes: 64 << 20,
            shutdown_timeout: Duration::from_secs(5),
        }
    }
}

impl TelemetrySettings {
    /// Looks at all values.
    pub(crate) fn check(&self) -> Result<Rules, SettingError> {
        if self.agent_id.as_deref() == Some("") {
            return Err(SettingError::new("agent_id", "empty"));
        }
        if !(0.0..=1.0).contains(&self.sample_rate) {
            return Err(SettingError::new("sample_rate", "not between 0 and 1"));
        }
        positive("flush_interval", self.flush_interval)?;
        positive("max_age", self.max_age)?;
        for (setting, value) in [("flush_at", self.flush_at), ("max_buffer", self.max_buffer)] {
            if value == 0 {
                return Err(SettingError::new(setting, "must be at least 1"));
            }
        }
        if self.flush_at > MAX_BATCH {
            return Err(SettingError::new(
                "flush_at",
                format!("more than {MAX_BATCH}, the most in a batch"),
            ));
        }
        if self
            .spool_dir
            .as_deref()
            .is_some_and(|dir| dir.as_os_str().is_empty())
        {
            return Err(SettingError::new("spool_dir", "empty"));
        }
        for (setting, value) in [
            ("flush_interval", self.flush_interval),
            ("retry_base", self.retry_base),
            ("retry_max", self.retry_max),
            ("max_age", self.max_age),
            ("shutdown_timeout", self.shutdown_timeout),
        ] {
            if value > MAX_TIME {
                return Err(SettingError::new(setting, "more than a year"));
            }
        }
        Ok(Rules {
            flush_interval: self.flush_interval,
            flush_at: self.flush_at,
            max_buffer: self.max_buffer,
            drop_oldest: self.when_full == WhenFull::DropOldest,
            retry_base: self.retry_base,
            retry_max: self.retry_max,
            max_age: self.max_age,
            spools: self.spool_dir.is_some(),
        })
    }
}

/// No time that is set may be longer, so that sums of them can't overflow.
const MAX_TIME: Duration = Duration::from_secs(366 * 24 * 60 * 60);

fn positive(setting: &'static str, time: Duration) -> Result<(), SettingError> {
    if time.is_zero() {
        return Err(SettingError::new(setting, "must be more than 0"));
    }
    Ok(())
}
