//! What an operator watches, in the Prometheus text format. No label names an agent, a tool, a key or an
//! organisation.

use crate::http::routes::ROUTES;
use crate::ledger::{Fate, Side};
use gate::config::{KINDS, Set};
use gate::{Ending, Verdict};
use hyper::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use reputation::Micros;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::{Booked, Stats};

/// Upper bounds of time histograms, in seconds: a disk's sync to a stalled client.
const SECONDS: [f64; 14] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];
/// Upper bounds of the number of submissions that share one sync.
const GROUP_SIZES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 256.0, 1_024.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    method: &'static str,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabel {
    verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GateLabel {
    gate: &'static str,
}

/// A gate by its kind, which is ours; its name may be the operator's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GateLabels {
    gate: &'static str,
    result: &'static str,
    shadow: String,
}

/// The server's metrics; also hears what the store does.
pub struct Metrics {
    registry: Registry,
    requests_received: Counter,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Family<RouteLabel, Histogram, fn() -> Histogram>,
    received: Counter,
    recorded: Counter,
    duplicates: Counter,
    late: Counter,
    clamped: Counter,
    refused: Family<ReasonLabel, Counter>,
    shed: Family<ReasonLabel, Counter>,
    commit_seconds: Histogram,
    group_size: Histogram,
    group_bytes: Counter,
    scrubbed: Counter,
    compacted: Counter,
    retention_segments: Counter,
    retention_events: Counter,
    retention_carried: Counter,
    evaluations: Family<VerdictLabel, Counter>,
    shadow_failing: Counter,
    gate_results: Family<GateLabels, Counter>,
    gate_timeouts: Family<GateLabel, Counter>,
    gates_not_reloaded: Counter,
    connections: Gauge,
    tls_handshakes_failed: Counter,
    tls_not_reloaded: Counter,
    gauges: StoreGauges,
}

/// Set from the store's figures when somebody asks.
#[derive(Default)]
struct StoreGauges {
    in_flight: Gauge,
    bytes_in_flight: Gauge,
    segments: Gauge,
    bytes: Gauge,
    events: Gauge,
    erasures: Gauge,
    agents: Gauge,
    resident_windows: Gauge,
    windows_in_transit: Gauge,
    oldest_event: Gauge,
    newest_event: Gauge,
    damage: Gauge,
}

/// An open connection, counted until it's dropped.
pub(crate) struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            registry: Registry::with_prefix("repute"),
            requests_received: Counter::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(seconds),
            received: Counter::default(),
            recorded: Counter::default(),
            duplicates: Counter::default(),
            late: Counter::default(),
            clamped: Counter::default(),
            refused: Family::default(),
            shed: Family::default(),
            commit_seconds: seconds(),
            group_size: Histogram::new(GROUP_SIZES),
            group_bytes: Counter::default(),
            scrubbed: Counter::default(),
            compacted: Counter::default(),
            retention_segments: Counter::default(),
            retention_events: Counter::default(),
            retention_carried: Counter::default(),
            evaluations: Family::default(),
            shadow_failing: Counter::default(),
            gate_results: Family::default(),
            gate_timeouts: Family::default(),
            gates_not_reloaded: Counter::default(),
            connections: Gauge::default(),
            tls_handshakes_failed: Counter::default(),
            tls_not_reloaded: Counter::default(),
            gauges: StoreGauges::default(),
        }
    }
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

impl Metrics {
    /// Metrics that have counted nothing yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let mut metrics = Self::default();
        metrics.register();
        metrics.begin_at_zero();
        Arc::new(metrics)
    }

    /// Counters that are worth an alarm are there from the start, where it is known what they will count by: one that appears
    /// with its first event has not grown, as Prometheus sees it.
    fn begin_at_zero(&self) {
        for fate in Fate::ALL {
            self.count_not_taken(fate, 0);
        }
        for gate in KINDS {
            self.gate_timeouts.get_or_create(&GateLabel { gate }).inc_by(0);
        }
        for route in &ROUTES {
            self.requests
                .get_or_create(&RequestLabels {
                    route: route.path,
                    method: method_label(&route.method),
                    code: StatusCode::SERVICE_UNAVAILABLE.as_u16(),
                })
                .inc_by(0);
        }
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        r.register(
            "requests_received",
            "Requests whose headers came in; each is answered, or given up by its client, which counts as 499",
            self.requests_received.clone(),
        );
        r.register(
            "requests",
            "Requests answered, by route, method and status",
            self.requests.clone(),
        );
        r.register(
            "request_seconds",
            "Time from a request's headers to its answer",
            self.request_seconds.clone(),
        );
        r.register(
            "events_received",
            "Events of bodies that parsed as a list: recorded, duplicate, refused, shed or in flight",
            self.received.clone(),
        );
        r.register("events_recorded", "Events recorded anew", self.recorded.clone());
        r.register(
            "events_duplicate",
            "Events that were recorded before",
            self.duplicates.clone(),
        );
        r.register(
            "events_late",
            "Events recorded too late to count in a window",
            self.late.clone(),
        );
        r.register(
            "events_clamped",
            "Events too far ahead, recorded at their receipt",
            self.clamped.clone(),
        );
        r.register(
            "events_refused",
            "Events refused for what they are, by reason",
            self.refused.clone(),
        );
        r.register(
            "events_shed",
            "Events not taken for the server's own reasons, by reason: send them again",
            self.shed.clone(),
        );
        r.register(
            "commit_seconds",
            "Time from a group's last event to its publication",
            self.commit_seconds.clone(),
        );
        r.register(
            "group_submissions",
            "Submissions that shared one sync",
            self.group_size.clone(),
        );
        r.register(
            "log_written_bytes",
            "Bytes of batch records written to the log",
            self.group_bytes.clone(),
        );
        r.register(
            "scrubbed_bytes",
            "Bytes of stored frames read again to find damage",
            self.scrubbed.clone(),
        );
        r.register(
            "compacted_bytes",
            "Bytes that rewriting segments of small commits has freed",
            self.compacted.clone(),
        );
        r.register(
            "retention_segments",
            "Segments that retention let go",
            self.retention_segments.clone(),
        );
        r.register(
            "retention_events",
            "Events that retention let go",
            self.retention_events.clone(),
        );
        r.register(
            "retention_carried_bytes",
            "Bytes of log that retention wrote so that scores and counts stay",
            self.retention_carried.clone(),
        );
        r.register(
            "evaluations",
            "Outputs that gates judged, by verdict",
            self.evaluations.clone(),
        );
        r.register(
            "evaluations_shadow_failing",
            "Of those that passed, how many would have failed if shadow gates counted",
            self.shadow_failing.clone(),
        );
        r.register(
            "gate_results",
            "What gates said: passed, failed, skipped, timeout or error",
            self.gate_results.clone(),
        );
        r.register(
            "gate_timeouts",
            "Gates that were not done when the budget ended",
            self.gate_timeouts.clone(),
        );
        r.register(
            "gates_not_reloaded",
            "Reloads of the gate sets that were refused; the old ones stayed in force",
            self.gates_not_reloaded.clone(),
        );
        r.register("connections", "Open connections", self.connections.clone());
        r.register(
            "tls_handshakes_failed",
            "Connections that ended before TLS was agreed on",
            self.tls_handshakes_failed.clone(),
        );
        r.register(
            "tls_not_reloaded",
            "Reloads of the certificate that were refused; the old one stayed in force",
            self.tls_not_reloaded.clone(),
        );
        let g = &self.gauges;
        r.register(
            "submissions_in_flight",
            "Submissions between hand-over and answer",
            g.in_flight.clone(),
        );
        r.register(
            "body_bytes_in_flight",
            "Bytes of bodies in memory",
            g.bytes_in_flight.clone(),
        );
        r.register("segments", "Segments of the log", g.segments.clone());
        r.register("stored_bytes", "Bytes of segments and indexes", g.bytes.clone());
        r.register("stored_events", "Events stored", g.events.clone());
        r.register(
            "erasures_pending",
            "Agents whose erasure is not done yet",
            g.erasures.clone(),
        );
        r.register("agents", "Agents known", g.agents.clone());
        r.register(
            "resident_windows",
            "Windows in memory",
            g.resident_windows.clone(),
        );
        r.register(
            "windows_in_transit",
            "Windows read for events of agents that were not in memory, and not counted with yet",
            g.windows_in_transit.clone(),
        );
        r.register(
            "oldest_event_timestamp_seconds",
            "Recorded time of the earliest event",
            g.oldest_event.clone(),
        );
        r.register(
            "newest_event_timestamp_seconds",
            "Recorded time of the latest event",
            g.newest_event.clone(),
        );
        r.register(
            "damaged_places",
            "Places where stored events were found damaged",
            g.damage.clone(),
        );
        let started = Gauge::<i64>::default();
        started.set(unix_seconds());
        r.register("start_timestamp_seconds", "When the process started", started);
        r.register(
            "build",
            "The version that runs",
            Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
        );
    }

    /// A request was answered. `route` is its template, or `none`.
    pub(crate) fn request(&self, method: &Method, route: &'static str, code: u16, elapsed: Duration) {
        let method = method_label(method);
        let labels = RequestLabels { route, method, code };
        self.requests.get_or_create(&labels).inc();
        self.request_seconds
            .get_or_create(&RouteLabel { route })
            .observe(elapsed.as_secs_f64());
    }

    /// A request came in.
    pub(crate) fn request_received(&self) {
        self.requests_received.inc();
    }

    /// Events of a body that parsed as a list.
    pub(crate) fn events_received(&self, events: u64) {
        self.received.inc_by(events);
    }

    /// Events that were not taken.
    pub(crate) fn not_taken(&self, fate: Fate, events: u64) {
        // For most batches it is none of them, which takes no look at the family.
        if events > 0 {
            self.count_not_taken(fate, events);
        }
    }

    fn count_not_taken(&self, fate: Fate, events: u64) {
        let family = match fate.side() {
            Side::Recorded | Side::Duplicates => return, // the store tells of these
            Side::Refused => &self.refused,
            Side::Shed => &self.shed,
        };
        let reason = fate.as_str();
        family.get_or_create(&ReasonLabel { reason }).inc_by(events);
    }

    /// Gates judged an output.
    pub(crate) fn evaluated(&self, set: &Set, verdict: &Verdict<'_>) {
        let word = if verdict.passed { "passed" } else { "failed" };
        self.evaluations
            .get_or_create(&VerdictLabel { verdict: word })
            .inc();
        if verdict.shadow_would_fail() {
            self.shadow_failing.inc();
        }
        for (result, described) in verdict.results.iter().zip(&set.described) {
            let gate = described.kind;
            let word = match (&result.ending, result.passed) {
                (Ending::TimedOut, _) => {
                    self.gate_timeouts.get_or_create(&GateLabel { gate }).inc();
                    "timeout"
                }
                (Ending::Faulted(_), _) => "error",
                (Ending::Aborted | Ending::Deadline, _) => "skipped",
                (Ending::Ran, false) => "failed",
                (Ending::Ran, true) if result.skipped && !result.shadow => "skipped",
                (Ending::Ran, true) => "passed",
            };
            let labels = GateLabels {
                gate,
                result: word,
                shadow: result.shadow.to_string(),
            };
            self.gate_results.get_or_create(&labels).inc();
        }
    }

    /// New gate sets were refused.
    pub fn gates_not_reloaded(&self) {
        self.gates_not_reloaded.inc();
    }

    /// A new certificate was refused.
    pub fn tls_not_reloaded(&self) {
        self.tls_not_reloaded.inc();
    }

    /// A connection ended before TLS was agreed on.
    pub(crate) fn tls_handshake_failed(&self) {
        self.tls_handshakes_failed.inc();
    }

    /// A connection was opened.
    pub(crate) fn connection(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }

    /// A group was written and synced in this time.
    pub(crate) fn committed(&self, latency: Duration, submissions: usize, bytes: usize) {
        self.commit_seconds.observe(latency.as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "a group has at most 1,024 submissions")]
        self.group_size.observe(submissions as f64);
        self.group_bytes.inc_by(bytes as u64);
    }

    /// So many bytes were read again to find damage.
    pub(crate) fn compacted(&self, bytes: u64) {
        self.compacted.inc_by(bytes);
    }

    pub(crate) fn scrubbed(&self, bytes: u64) {
        self.scrubbed.inc_by(bytes);
    }

    /// Retention wrote so many bytes of carry records.
    pub(crate) fn carried(&self, bytes: u64) {
        self.retention_carried.inc_by(bytes);
    }

    /// Retention let a segment with so many events go.
    pub(crate) fn let_go(&self, events: u64) {
        self.retention_segments.inc();
        self.retention_events.inc_by(events);
    }

    /// These batches are recorded.
    pub(crate) fn booked(&self, batches: &[Booked]) {
        for batch in batches {
            self.recorded.inc_by(batch.recorded.into());
            self.duplicates.inc_by(batch.duplicates.into());
            self.late.inc_by(batch.late.into());
            self.clamped.inc_by(batch.clamped.into());
        }
    }

    /// All metrics as text.
    pub(crate) fn encode(&self, stats: &Stats, bytes_in_flight: usize) -> Result<String, fmt::Error> {
        let set = |gauge: &Gauge, value: u64| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        let g = &self.gauges;
        set(&g.in_flight, stats.in_flight);
        set(&g.bytes_in_flight, bytes_in_flight as u64);
        set(&g.segments, stats.segments);
        set(&g.bytes, stats.bytes);
        set(&g.events, stats.events);
        set(&g.erasures, stats.erasures);
        set(&g.agents, stats.agents);
        set(&g.resident_windows, stats.resident_windows);
        set(&g.windows_in_transit, stats.windows_in_transit);
        set(&g.damage, stats.damage.len() as u64);
        let whole_seconds = |time: Option<Micros>| time.map_or(0, |time| time.0 / Micros::PER_SECOND);
        g.oldest_event.set(whole_seconds(stats.oldest_event));
        g.newest_event.set(whole_seconds(stats.newest_event));
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// The method as the metrics have it: one of ours.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET | Method::HEAD => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

fn unix_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or_default()
}
