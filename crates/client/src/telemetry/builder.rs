//! Setting up a client, setting by setting.

use super::{Plan, Telemetry};
use crate::Event;
use crate::books::DropReason;
use crate::listeners::Listeners;
use crate::settings::{ConnectionSettings, SettingError, TelemetrySettings, WhenFull};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Settings and callbacks of a [`Telemetry`] that is to be made.
///
/// Callbacks run on the thread that delivers, but for `on_dropped`, which may run inside of `track`. While
/// one runs, nothing is delivered. What a callback itself tracks is told to no callback if it is dropped at
/// once. A panic in a callback is swallowed.
#[derive(Default)]
#[must_use]
pub struct Builder {
    connection: ConnectionSettings,
    telemetry: TelemetrySettings,
    listeners: Listeners,
}

impl Builder {
    /// The server's address, without `/v1`. Default: `REPUTE_URL`, else `http://127.0.0.1:8080`.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.connection.url = Some(url.into());
        self
    }

    /// A key, `pk_live_…` or `sk_live_…`. Default: `REPUTE_API_KEY`.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.connection.api_key = Some(key.into());
        self
    }

    /// A secret key, `sk_live_…`, with which every body is signed. Default: `REPUTE_SECRET_KEY`, else none.
    pub fn secret_key(mut self, key: impl Into<String>) -> Self {
        self.connection.secret_key = Some(key.into());
        self
    }

    /// Whether the time is signed along with each body, so that a captured request is of use for 300 s at
    /// most. Needs a `secret_key`, and a Repute server: others would find the signature wrong. Default: no.
    pub fn sign_time(mut self, yes: bool) -> Self {
        self.connection.sign_time = yes;
        self
    }

    /// A file with the certificates of the authorities to trust, in PEM, where the server's is none of the
    /// public ones'. Default: the file that `SSL_CERT_FILE` names, else those of Mozilla's list.
    pub fn ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.connection.ca_file = Some(file.into());
        self
    }

    /// The agent of events that name none. Default: none.
    pub fn agent_id(mut self, agent_id: impl Into<String>) -> Self {
        self.telemetry.agent_id = Some(agent_id.into());
        self
    }

    /// The share of *passed* events that is kept, 0 to 1. A failed event is always kept. Default: 1.
    pub fn sample_rate(mut self, rate: f64) -> Self {
        self.telemetry.sample_rate = rate;
        self
    }

    /// How long the oldest event waits at most for others to go with it. Default: 5 s.
    pub fn flush_interval(mut self, interval: Duration) -> Self {
        self.telemetry.flush_interval = interval;
        self
    }

    /// How many events start a send at once, 1 to 100. Default: 100.
    pub fn flush_at(mut self, events: usize) -> Self {
        self.telemetry.flush_at = events;
        self
    }

    /// How many events memory holds, those on their way included. Default: 10,000.
    pub fn max_buffer(mut self, events: usize) -> Self {
        self.telemetry.max_buffer = events;
        self
    }

    /// What `track` does when there is no room. Default: it drops the event at hand.
    pub fn when_full(mut self, policy: WhenFull) -> Self {
        self.telemetry.when_full = policy;
        self
    }

    /// Bodies of more bytes than this are packed with gzip; `None`: never. Default: 1,024.
    pub fn gzip_above(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.connection.gzip_above = bytes.into();
        self
    }

    /// How long one request may take, its answer included. Default: 10 s.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.connection.request_timeout = timeout;
        self
    }

    /// The wait after failure *n* is random between 0 and `retry_base`·2ⁿ. Default: 250 ms.
    pub fn retry_base(mut self, base: Duration) -> Self {
        self.telemetry.retry_base = base;
        self
    }

    /// No such wait is longer than this. Default: 30 s.
    pub fn retry_max(mut self, max: Duration) -> Self {
        self.telemetry.retry_max = max;
        self
    }

    /// An event that could not be delivered within this goes to the spool or, without one, is dropped.
    /// Default: 1 h.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.telemetry.max_age = age;
        self
    }

    /// A directory for events that could not be delivered; processes may share it. Default: none.
    pub fn spool_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.telemetry.spool_dir = Some(dir.into());
        self
    }

    /// How much that directory may hold; the oldest file goes first. Default: 64 MiB.
    pub fn max_spool_bytes(mut self, bytes: u64) -> Self {
        self.telemetry.max_spool_bytes = bytes;
        self
    }

    /// How long `shutdown`, and dropping the last handle, wait for what is left. Default: 5 s.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.telemetry.shutdown_timeout = timeout;
        self
    }

    /// Is told how many events were delivered, batch by batch.
    pub fn on_delivered(mut self, callback: impl Fn(u64) + Send + Sync + 'static) -> Self {
        self.listeners.delivered = Some(Box::new(callback));
        self
    }

    /// Is told the events that the server will never take, and its code.
    pub fn on_refused(mut self, callback: impl Fn(&[Event], &str) + Send + Sync + 'static) -> Self {
        self.listeners.refused = Some(Box::new(callback));
        self
    }

    /// Is told the events that are lost, and why.
    pub fn on_dropped(mut self, callback: impl Fn(&[Event], DropReason) + Send + Sync + 'static) -> Self {
        self.listeners.dropped = Some(Box::new(callback));
        self
    }

    /// Is told, in a sentence, what somebody should look at.
    pub fn on_warning(mut self, callback: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.listeners.warning = Some(Box::new(callback));
        self
    }

    /// Makes the client and starts its thread.
    ///
    /// # Errors
    /// A setting that can't be, by name; also a spool directory that can't be opened.
    pub fn build(self) -> Result<Telemetry, SettingError> {
        let rules = self.telemetry.check()?;
        let connection = self.connection.check(|name| std::env::var(name).ok())?;
        Telemetry::new(Plan {
            connection,
            telemetry: self.telemetry,
            rules,
            listeners: Arc::new(self.listeners),
        })
    }
}
