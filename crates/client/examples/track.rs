//! What `track` costs the caller, with nobody to deliver to: `cargo run --release -p repute-client --example track`.

use repute_client::{Event, Gate, Telemetry};
use std::io::Write as _;
use std::time::{Duration, Instant};

const EVENTS: u32 = 200_000;
const ROUNDS: u32 = 5;

fn event() -> Event {
    let gates = ["impid", "bid_sanity", "adomain"].map(|name| Gate::passed(name, Duration::from_millis(1)));
    Event::of_gates(gates.into())
        .agent("bid-agent-prod")
        .tool("submit_bid")
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout();
    for _ in 0..ROUNDS {
        let telemetry = Telemetry::builder()
            .url("http://127.0.0.1:9")
            .api_key("pk_live_0123456789abcdefghijABCDEFGHIJkl")
            .max_buffer(EVENTS as usize)
            .shutdown_timeout(Duration::ZERO)
            .build()?;
        // Made before, so that the time is that of `track` alone.
        let events: Vec<Event> = (0..EVENTS).map(|_| event()).collect();
        let started = Instant::now();
        for event in events {
            telemetry.track(event);
        }
        let each = started.elapsed() / EVENTS;
        writeln!(
            out,
            "track: {} ns, {} events waiting",
            each.as_nanos(),
            telemetry.books().waiting
        )?;
    }
    Ok(())
}
