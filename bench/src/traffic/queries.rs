//! GET requests, one after the other.

use super::{Prepared, Traffic, body, status};
use crate::server::Keys;
use anyhow::{Result, bail};

/// Requests in turn; any number of connections may have the same one under way.
pub(crate) struct Queries {
    requests: Vec<Vec<u8>>,
    next: usize,
}

impl Queries {
    /// These paths with their queries, in turn.
    pub(crate) fn new(paths: impl IntoIterator<Item = String>, keys: &Keys) -> Self {
        let request = |path: String| {
            format!(
                "GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {}\r\n\r\n",
                keys.publishable
            )
            .into_bytes()
        };
        Self {
            requests: paths.into_iter().map(request).collect(),
            next: 0,
        }
    }
}

impl Traffic for Queries {
    fn prepare(&mut self) -> Result<Prepared> {
        let request = Prepared(self.next);
        self.next = (self.next + 1) % self.requests.len();
        Ok(request)
    }

    fn bytes(&self, request: Prepared) -> &[u8] {
        &self.requests[request.0]
    }

    fn answered(&mut self, _: Prepared, answer: &[u8]) -> Result<u64> {
        if status(answer) != b"200" || !body(answer).starts_with(b"{") {
            bail!(
                "not the answer that was expected: {}",
                String::from_utf8_lossy(answer)
            );
        }
        Ok(1)
    }
}
