//! Queries over many events, with nothing else to do and during ingest at half load.

use super::half::{eager, half_pace};
use super::unusual::fill;
use crate::fleet::{self, Pace, Seen, Squad};
use crate::place::Place;
use crate::report::{Cell, Table};
use crate::server::Server;
use crate::traffic::Traffic;
use crate::traffic::in_turn::InTurn;
use crate::traffic::ingest::Ingest;
use anyhow::{Context as _, Result};
use std::time::Duration;

/// Where the events of `query`, `restart` and `memory` are kept from one scenario to the next.
pub(super) const FILLED: &str = "filled";
/// Agents that are asked about.
const ASKED: u64 = 500;

pub(crate) fn run(place: &Place) -> Result<Vec<Table>> {
    let mut tables = Vec::new();
    for events in &place.events {
        let server = filled(place, *events)?;
        let mut table = Table::new(
            format!("query: {events} events of 10,000 agents, one connection, HTTP included"),
            &[
                "request",
                "alone p50 ms",
                "p99 ms",
                "during ingest p50 ms",
                "p99 ms ",
            ],
        );
        let mut usual = Ingest::usual(&place.keys);
        let step = half_pace(&eager(place, &server, &mut usual, place.time / 5)?);
        for (name, paths) in questions() {
            let mut queries = InTurn::queries(paths, &place.keys);
            let mut alone = ask(&server, &mut queries, None, place.time / 5)?;
            let mut beside = ask(
                &server,
                &mut queries,
                Some((&mut usual, place.connections, step)),
                place.time / 5,
            )?;
            table.row([
                name.into(),
                Cell::Number(alone.latencies.quantile_ms(0.5), 3),
                Cell::Number(alone.latencies.quantile_ms(0.99), 3),
                Cell::Number(beside.latencies.quantile_ms(0.5), 3),
                Cell::Number(beside.latencies.quantile_ms(0.99), 3),
            ]);
        }
        table.note("The first row is the price of a request as such: key, routing, an answer without a look at the store.");
        tables.push(table);
        server.stop()?;
    }
    Ok(tables)
}

/// What is asked: the name of a row and the paths in turn.
fn questions() -> Vec<(&'static str, Vec<String>)> {
    let agent = |n: u64| format!("bid-agent-{:07}", n * 20);
    let each = |form: &dyn Fn(String) -> String| (0..ASKED).map(|n| form(agent(n))).collect::<Vec<_>>();
    let once = |path: &str| vec![path.to_owned()];
    let hundred = |n: u64| {
        let ids: Vec<String> = (0..100)
            .map(|k| format!("agent_id=bid-agent-{:07}", (n * 100 + k) % 10_000))
            .collect();
        format!("/v1/reputation?{}", ids.join("&"))
    };
    vec![
        ("whoami", once("/v1/whoami")),
        ("newest 50 of the organisation", once("/v1/events")),
        (
            "newest 50 of an agent",
            each(&|agent| format!("/v1/events?agent_id={agent}")),
        ),
        (
            "newest 50 failed of an agent",
            each(&|agent| format!("/v1/events?agent_id={agent}&passed=false")),
        ),
        ("offset 100,000", once("/v1/events?offset=100000")),
        ("one tool", once("/v1/events?tool=send_email")),
        ("one failed gate", once("/v1/events?failed_gate=pii")),
        ("a tool that nobody used", once("/v1/events?tool=nothing")),
        (
            "reputation of an agent",
            each(&|agent| format!("/v1/reputation/{agent}")),
        ),
        ("reputations of 100 agents", (0..100).map(hundred).collect()),
        ("agents, first page of 500", once("/v1/agents")),
    ]
}

/// One connection that asks, beside an ingest at this pace.
fn ask(
    server: &Server,
    queries: &mut InTurn,
    ingest: Option<(&mut Ingest, usize, Duration)>,
    time: Duration,
) -> Result<Seen> {
    let asking = Squad {
        address: server.address,
        connections: 1,
        pace: Pace::Eager,
        traffic: queries,
    };
    let mut squads = vec![asking];
    if let Some((traffic, connections, step)) = ingest {
        squads.push(Squad {
            address: server.address,
            connections,
            pace: Pace::Every(step),
            traffic: traffic as &mut dyn Traffic,
        });
    }
    let seen = fleet::run(&mut squads, time, |_| Ok(()))?;
    seen.into_iter().next().context("a squad ran")
}

/// A server on the kept directory, which then holds at least so many events.
pub(super) fn filled(place: &Place, events: u64) -> Result<Server> {
    let dir = place.dir.join(FILLED);
    let server = place.repute_on(&dir, &[], &place.server_cores)?;
    let stored = server.metric("repute_stored_events")? as u64;
    if stored < events {
        fill(place, &server, &mut Ingest::usual(&place.keys), events - stored)?;
    }
    Ok(server)
}
