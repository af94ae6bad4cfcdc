//! Setting up a client for calls.

use super::Client;
use crate::http::Http;
use crate::settings::{ConnectionSettings, SettingError};
use std::path::PathBuf;
use std::time::Duration;

/// Settings of a [`Client`] that is to be made; the same as those of a [`Builder`](crate::Builder).
#[derive(Clone, Default)]
#[must_use]
pub struct ClientBuilder {
    connection: ConnectionSettings,
}

impl ClientBuilder {
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

    /// A secret key, with which every body is signed. Default: `REPUTE_SECRET_KEY`, else none.
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

    /// Bodies of more bytes than this are packed with gzip; `None`: never. Default: 1,024.
    pub fn gzip_above(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.connection.gzip_above = bytes.into();
        self
    }

    /// How long one try may take, its answer included. Default: 10 s.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.connection.request_timeout = timeout;
        self
    }

    /// Makes the client. Does not connect yet.
    ///
    /// # Errors
    /// A setting that can't be, by name.
    pub fn build(&self) -> Result<Client, SettingError> {
        let connection = self.connection.check(|name| std::env::var(name).ok())?;
        Ok(Client {
            http: Http::new(&connection),
            request_timeout: connection.request_timeout,
        })
    }
}
