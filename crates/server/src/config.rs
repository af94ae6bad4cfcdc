//! What the HTTP side can be told.

use std::time::Duration;

/// Settings of the server. The defaults are those of the program.
#[derive(Clone, Debug)]
pub struct Config {
    /// The largest body, in bytes, on the wire and decompressed.
    pub max_body_bytes: usize,
    /// The largest `input` and `output` of an evaluation together, in bytes.
    pub max_evaluate_body_bytes: usize,
    /// `POST /v1/ingest` requests per rolling 60 seconds and organisation; 0 is no limit.
    pub ingest_rate_limit: u64,
    /// All other `/v1/*` requests per rolling 60 seconds and organisation; 0 is no limit.
    pub rate_limit: u64,
    /// Agents that an organisation may have, where it has no limit of its own.
    pub max_agents: u64,
    /// Origins that browsers may call from; none means any.
    pub cors_origins: Vec<String>,
    /// Bytes of bodies that may be in memory at once; one more is refused with 503.
    pub bytes_in_flight: usize,
    /// Connections at once; one more waits to be accepted.
    pub max_connections: usize,
    /// How long a client may take for the headers of a request.
    pub header_timeout: Duration,
    /// How long a client may send nothing in the middle of a body.
    pub body_idle_timeout: Duration,
    /// How long a whole body may take.
    pub body_timeout: Duration,
    /// How long a client may take nothing of its answer.
    pub answer_idle_timeout: Duration,
    /// How long running requests may go on once the server is told to stop.
    pub drain_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_body_bytes: 16 << 20,
            max_evaluate_body_bytes: 1 << 20,
            ingest_rate_limit: 0,
            rate_limit: 0,
            max_agents: 1_000_000,
            cors_origins: Vec::new(),
            bytes_in_flight: 256 << 20,
            max_connections: 10_000,
            header_timeout: Duration::from_secs(10),
            body_idle_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            answer_idle_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
        }
    }
}
