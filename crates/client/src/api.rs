//! The whole contract as typed calls: they block until there is an answer, and say what went wrong.

pub(crate) mod answers;
mod builder;
mod error;
mod evaluate;
mod events;
mod pages;

use crate::answer::{Answer, asked_wait};
use crate::http::{Http, NoAnswer};
use crate::{Event, backoff};
use answers::{EventsPage, IngestAnswer, Registration, Reputation, Reputations, StoredEvent, Whoami};
pub use builder::ClientBuilder;
pub use error::{ApiError, Detail, Refusal};
pub use evaluate::{Evaluate, Evaluation, EvaluationStanding, GateOutcome};
pub use events::EventFilter;
pub use pages::{Agents, AgentsOrder, Events};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::time::{Duration, SystemTime};

/// How often a call that may be repeated is repeated.
const MAX_RETRIES: u32 = 3;
const RETRY_BASE: Duration = Duration::from_millis(250);
/// Agents in one request for reputations, at most: the server takes no more.
const MAX_REPUTATIONS: usize = 100;

/// Calls the API, one call at a time and thread.
///
/// Reads, and [`evaluate`](Self::evaluate), are tried up to three times more when the server is not to be had
/// or asks for patience (408, 429, 5xx), each try within `request_timeout`. If it asks for more patience than
/// `request_timeout`, the error comes at once and says how long.
///
/// All calls block. In async code make them on a thread for blocking work.
pub struct Client {
    http: Http,
    request_timeout: Duration,
}

impl Client {
    /// Begins to set up a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Sends up to 100 events as they are, in one batch, once. [`Telemetry`](crate::Telemetry) makes them
    /// valid, gives them ids, and tries again; this does not.
    pub fn ingest(&self, events: &[Event]) -> Result<IngestAnswer, ApiError> {
        #[derive(Serialize)]
        struct Batch<'a> {
            events: &'a [Event],
        }
        self.post("/v1/ingest", &Batch { events })
    }

    /// Has the server run its gates on an output, and records the verdict.
    ///
    /// May be repeated without counting twice: without an `evaluation_id` of yours, one is made.
    pub fn evaluate(&self, request: &Evaluate) -> Result<Evaluation, ApiError> {
        let request = request.with_id()?;
        let body = to_json(&request)?;
        self.patiently(|timeout| {
            self.http
                .post("/v1/evaluate", &self.http.pack(body.clone(), false), timeout)
        })
    }

    /// Events, newest first: all pages, one after the other.
    pub fn events(&self, filter: EventFilter) -> Events<'_> {
        Events::new(self, filter)
    }

    fn events_page(&self, query: &str) -> Result<EventsPage, ApiError> {
        self.get(&format!("/v1/events?{query}"))
    }

    /// One event, by the id that the server gave it.
    pub fn event(&self, id: &str) -> Result<StoredEvent, ApiError> {
        self.get(&format!("/v1/events/{}", encoded(id)))
    }

    /// The standing of one agent. One that was never seen has zeros.
    pub fn reputation(&self, agent_id: &str) -> Result<Reputation, ApiError> {
        self.get(&format!("/v1/reputation/{}", encoded(agent_id)))
    }

    /// The standing of these agents, in this order; a request for each hundred.
    pub fn reputations<S: AsRef<str>>(&self, agent_ids: &[S]) -> Result<Vec<Reputation>, ApiError> {
        let mut all = Vec::with_capacity(agent_ids.len());
        for some in agent_ids.chunks(MAX_REPUTATIONS) {
            let query: Vec<String> = some
                .iter()
                .map(|id| format!("agent_id={}", encoded(id.as_ref())))
                .collect();
            let page: Reputations = self.get(&format!("/v1/reputation?{}", query.join("&")))?;
            all.extend(page.reputations);
        }
        Ok(all)
    }

    /// All agents, page by page.
    pub fn agents(&self, order: AgentsOrder) -> Agents<'_> {
        Agents::new(self, order)
    }

    /// Makes an agent known before its first event.
    pub fn register_agent(&self, agent_id: &str) -> Result<Registration, ApiError> {
        #[derive(Serialize)]
        struct Request<'a> {
            agent_id: &'a str,
        }
        self.post("/v1/agents", &Request { agent_id })
    }

    /// Who the server thinks is asking.
    pub fn whoami(&self) -> Result<Whoami, ApiError> {
        self.get("/v1/whoami")
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        self.patiently(|timeout| self.http.get(path, timeout))
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ApiError> {
        let packed = self.http.pack(to_json(body)?, false);
        understood(self.http.post(path, &packed, self.request_timeout))
    }

    /// Makes a request that may be repeated.
    fn patiently<T: DeserializeOwned>(
        &self,
        request: impl Fn(Duration) -> Result<Answer, NoAnswer>,
    ) -> Result<T, ApiError> {
        let mut retries = 0;
        loop {
            let error = match understood(request(self.request_timeout)) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let wait = error
                .retry_after()
                .unwrap_or_else(|| backoff::wait(RETRY_BASE, self.request_timeout, retries, fastrand::f64()));
            if !error.may_pass() || retries == MAX_RETRIES || wait > self.request_timeout {
                return Err(error);
            }
            retries += 1;
            std::thread::sleep(wait);
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// What stands in a path or a query as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

fn to_json(body: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(body).map_err(|error| ApiError::Request(error.to_string()))
}

fn understood<T: DeserializeOwned>(answer: Result<Answer, NoAnswer>) -> Result<T, ApiError> {
    let answer = answer.map_err(|error| ApiError::NoAnswer(error.to_string()))?;
    if !(200..300).contains(&answer.status) {
        let retry_after = asked_wait(&answer, SystemTime::now());
        return Err(Refusal::read(answer, retry_after).into());
    }
    serde_json::from_slice(&answer.body).map_err(|error| ApiError::Answer {
        status: answer.status,
        request_id: answer.request_id,
        reason: error.to_string(),
    })
}
