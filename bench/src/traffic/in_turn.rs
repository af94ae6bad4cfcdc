//! Requests that never change, one after the other: queries, evaluations.

use super::{Prepared, Traffic, body, status};
use crate::server::Keys;
use anyhow::{Result, bail};

/// Requests in turn; any number of connections may have the same one under way.
pub(crate) struct InTurn {
    requests: Vec<Vec<u8>>,
    next: usize,
    /// Whether the body of a 200 is what was asked for.
    is_right: fn(&[u8]) -> bool,
}

impl InTurn {
    pub(super) fn new(requests: Vec<Vec<u8>>, is_right: fn(&[u8]) -> bool) -> Self {
        Self {
            requests,
            next: 0,
            is_right,
        }
    }

    /// These paths with their queries, in turn.
    pub(crate) fn queries(paths: impl IntoIterator<Item = String>, keys: &Keys) -> Self {
        let request = |path: String| {
            format!(
                "GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {}\r\n\r\n",
                keys.publishable
            )
            .into_bytes()
        };
        Self::new(paths.into_iter().map(request).collect(), |body| {
            body.starts_with(b"{")
        })
    }
}

impl Traffic for InTurn {
    fn prepare(&mut self) -> Result<Prepared> {
        let request = Prepared(self.next);
        self.next = (self.next + 1) % self.requests.len();
        Ok(request)
    }

    fn bytes(&self, request: Prepared) -> &[u8] {
        &self.requests[request.0]
    }

    fn answered(&mut self, _: Prepared, answer: &[u8]) -> Result<u64> {
        if status(answer) != b"200" || !(self.is_right)(body(answer)) {
            bail!(
                "not the answer that was expected: {}",
                String::from_utf8_lossy(answer)
            );
        }
        Ok(1)
    }
}
