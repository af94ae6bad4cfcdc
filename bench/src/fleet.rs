//! The client: many connections on one thread, each with one request under way.
//!
//! One thread without sleeping timers, so that the client stays cheap, leaves the server's core alone, and a
//! paced request goes out within microseconds of its time.

mod connection;

use crate::latencies::Latencies;
use crate::traffic::Traffic;
use anyhow::{Context as _, Result, bail};
use connection::Connection;
use mio::{Events, Poll, Token};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long all connections may stay silent before the run is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// When the next request is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// As soon as a connection has its answer.
    Eager,
    /// So many a second in equal steps, whether or not answers have come: latencies count from the moment
    /// that a request was due.
    Every(Duration),
}

/// Connections that share a traffic.
pub(crate) struct Squad<'t> {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
    pub(crate) traffic: &'t mut dyn Traffic,
}

/// What a squad saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Answered within the time.
    pub(crate) requests: u64,
    /// Answered at all.
    pub(crate) answered: u64,
    pub(crate) events: u64,
    pub(crate) elapsed: Duration,
    pub(crate) latencies: Latencies,
    /// Per whole second of the run.
    pub(crate) seconds: Vec<Second>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Second {
    pub(crate) events: u64,
    pub(crate) max: Duration,
}

impl Seen {
    pub(crate) fn events_per_s(&self) -> f64 {
        self.events as f64 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn requests_per_s(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    fn take(&mut self, events: u64, latency: Duration, since_start: Duration) {
        self.requests += 1;
        self.events += events;
        self.latencies.push(latency);
        let second = since_start.as_secs() as usize;
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, Second::default());
        }
        self.seconds[second].events += events;
        self.seconds[second].max = self.seconds[second].max.max(latency);
    }

    /// Joins what was seen at another time of the same thing.
    pub(crate) fn join(&mut self, other: &Self) {
        self.requests += other.requests;
        self.answered += other.answered;
        self.events += other.events;
        self.elapsed += other.elapsed;
        self.latencies.append(&other.latencies);
        self.seconds.extend_from_slice(&other.seconds);
    }
}

/// A squad at work.
struct Unit<'s, 't> {
    squad: &'s mut Squad<'t>,
    /// Tokens of its connections that wait for something to do.
    idle: Vec<usize>,
    due: Instant,
    seen: Seen,
}

/// Runs all squads for so long; `each_second` is called between requests, about once a second.
pub(crate) fn run(
    squads: &mut [Squad<'_>],
    time: Duration,
    mut each_second: impl FnMut(Duration) -> Result<()>,
) -> Result<Vec<Seen>> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1_024);
    let mut connections = Vec::new();
    let started = Instant::now();
    let mut units = Vec::new();
    for (unit, squad) in squads.iter_mut().enumerate() {
        let mut idle = Vec::new();
        for _ in 0..squad.connections {
            let token = connections.len();
            let connection = Connection::open(
                unit,
                squad.address,
                &*squad.traffic,
                poll.registry(),
                Token(token),
            );
            connections.push(connection.with_context(|| format!("connecting to {}", squad.address))?);
            idle.push(token);
        }
        units.push(Unit {
            squad,
            idle,
            due: started,
            seen: Seen::default(),
        });
    }
    let started = Instant::now();
    let end = started + time;
    units.iter_mut().for_each(|unit| unit.due = started);
    let (mut heard, mut told) = (started, 0);
    loop {
        let now = Instant::now();
        let is_over = now >= end;
        if !is_over {
            for unit in &mut units {
                unit.start_due(&mut connections, now)?;
            }
        }
        let under_way = units.iter().any(|unit| unit.idle.len() < unit.squad.connections);
        if is_over && !under_way {
            break;
        }
        let is_paced = !is_over && units.iter().any(|unit| matches!(unit.squad.pace, Pace::Every(_)));
        let timeout = if is_paced {
            Duration::ZERO
        } else {
            Duration::from_millis(100)
        };
        poll.poll(&mut events, Some(timeout))?;
        for event in &events {
            let token = event.token().0;
            let unit = connections[token].unit;
            units[unit].go_on(&mut connections, token, started, end)?;
            heard = Instant::now();
        }
        let seconds = started.elapsed().as_secs();
        if seconds > told {
            told = seconds;
            each_second(started.elapsed())?;
        }
        if under_way && heard.elapsed() > PATIENCE {
            bail!("no answer for {} s", PATIENCE.as_secs());
        }
    }
    let finish = |unit: Unit<'_, '_>| {
        let mut seen = unit.seen;
        seen.elapsed = time;
        seen
    };
    Ok(units.into_iter().map(finish).collect())
}

impl Unit<'_, '_> {
    /// Starts what is due on connections that are idle.
    fn start_due(&mut self, connections: &mut [Connection], now: Instant) -> Result<()> {
        while let Some(token) = self.idle.last().copied() {
            let since = match self.squad.pace {
                Pace::Eager => None,
                Pace::Every(_) if self.due > now => break,
                Pace::Every(step) => {
                    let due = self.due;
                    self.due += step;
                    Some(due)
                }
            };
            self.idle.pop();
            let request = self.squad.traffic.prepare()?;
            let connection = &mut connections[token];
            connection.start(request, since.unwrap_or_else(Instant::now));
            connection.write(self.squad.traffic.bytes(request))?;
        }
        Ok(())
    }

    /// Goes on with a connection that can.
    fn go_on(
        &mut self,
        connections: &mut [Connection],
        token: usize,
        started: Instant,
        end: Instant,
    ) -> Result<()> {
        let connection = &mut connections[token];
        let Some((request, since)) = connection.under_way() else {
            return connection.expect_silence();
        };
        let traffic = &mut *self.squad.traffic;
        connection.write(traffic.bytes(request))?;
        let Some(length) = connection.read(|received| traffic.answer_end(received))? else {
            return Ok(());
        };
        let now = Instant::now();
        let events = traffic.answered(request, connection.answer(length))?;
        connection.done(length);
        self.idle.push(token);
        self.seen.answered += 1;
        // What is answered after the end would flatter the rate.
        if now < end {
            self.seen.take(events, now - since, now - started);
        }
        Ok(())
    }
}
