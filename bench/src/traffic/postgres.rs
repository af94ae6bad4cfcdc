//! PostgreSQL: each body one statement of as many rows as it has events, and if asked for the scores of its
//! agents after it.

use super::wrapped::Protocol;
use crate::body::Body;
use anyhow::{Result, bail};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

/// A table with what such a service needs: newest events, an agent's newest, and an agent's repeats.
const TABLE: &str = "create table events (seq bigserial primary key, agent_id text not null, tool text, \
    passed boolean not null, gates jsonb not null, total_latency_us int not null, recorded_at timestamptz not null, \
    evaluation_id text, received_at timestamptz not null default now());\
    create index on events (recorded_at desc);\
    create index on events (agent_id, recorded_at desc);\
    create unique index on events (agent_id, evaluation_id, recorded_at) where evaluation_id is not null;";

pub(crate) struct Postgres {
    /// Whether the scores are asked for, too.
    pub(crate) scores: bool,
}

impl Postgres {
    /// Makes the table.
    pub(crate) fn make_table(&self, address: SocketAddr) -> Result<()> {
        let mut stream = TcpStream::connect(address)?;
        self.greet(&mut stream)?;
        stream.write_all(&query(TABLE))?;
        self.read_answer(&mut stream).map(drop)
    }

    fn read_answer(&self, stream: &mut TcpStream) -> Result<Vec<u8>> {
        let mut answer = Vec::new();
        let mut piece = [0; 4_096];
        while self.answer_end(&answer).is_none() {
            match stream.read(&mut piece)? {
                0 => bail!("the connection was closed"),
                read => answer.extend_from_slice(&piece[..read]),
            }
        }
        if !self.is_taken(&answer) {
            bail!("refused: {}", String::from_utf8_lossy(&answer));
        }
        Ok(answer)
    }
}

/// A simple query.
fn query(text: &str) -> Vec<u8> {
    let mut message = vec![b'Q'];
    message.extend_from_slice(&(text.len() as u32 + 5).to_be_bytes());
    message.extend_from_slice(text.as_bytes());
    message.push(0);
    message
}

/// The messages of an answer: kind and body.
fn messages(mut received: &[u8]) -> impl Iterator<Item = (u8, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (kind, rest) = received.split_first()?;
        let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        received = rest.get(length..)?;
        at += 1 + length;
        Some((*kind, at))
    })
}

impl Protocol for Postgres {
    fn greet(&self, stream: &mut TcpStream) -> Result<()> {
        let parameters = b"\0\x03\0\0user\0postgres\0database\0postgres\0\0";
        stream.write_all(&(parameters.len() as u32 + 4).to_be_bytes())?;
        stream.write_all(parameters)?;
        self.read_answer(stream).map(drop)
    }

    fn request(&self, body: &Body, out: &mut Vec<u8>) -> Result<()> {
        let parsed = wire::ingest::parse(&body.bytes).map_err(|fault| anyhow::anyhow!("{fault}"))?;
        let mut text = String::from(
            "insert into events (agent_id, tool, passed, gates, total_latency_us, recorded_at, evaluation_id) values ",
        );
        for (at, event) in parsed.evaluations.iter().enumerate() {
            let gates: Vec<String> = event
                .gates
                .iter()
                .map(|gate| {
                    let reason = gate
                        .reason
                        .as_ref()
                        .map_or(String::new(), |reason| format!(r#","reason":"{reason}""#));
                    let (name, passed, latency) = (&gate.name, gate.passed, gate.latency_ms);
                    format!(r#"{{"name":"{name}","passed":{passed},"latency_ms":{latency}{reason}}}"#)
                })
                .collect();
            let sent = wire::timestamp::format(event.sent_at.unwrap_or_default());
            let id = event
                .evaluation_id
                .as_ref()
                .map_or("null".to_owned(), |id| format!("'{id}'"));
            write!(
                text,
                "{}('{}','{}',{},'[{}]',{},'{sent}',{id})",
                if at > 0 { "," } else { "" },
                event.agent_id,
                event.tool.as_deref().unwrap_or_default(),
                event.passed,
                gates.join(","),
                event.total_latency_us,
            )?;
        }
        text.push_str(" on conflict do nothing;");
        if self.scores {
            let agents: BTreeSet<&str> = parsed.evaluations.iter().map(|event| &*event.agent_id).collect();
            let names: Vec<String> = agents.iter().map(|name| format!("('{name}')")).collect();
            write!(
                text,
                "select a.name, w.* from (values {}) a(name), lateral (select count(*), count(*) filter (where passed), \
                 sum(total_latency_us), min(n) filter (where not passed) from (select passed, total_latency_us, row_number() \
                 over (order by recorded_at desc) n from events where agent_id = a.name order by recorded_at desc limit 500) \
                 newest) w;",
                names.join(",")
            )?;
        }
        out.extend_from_slice(&query(&text));
        Ok(())
    }

    /// Up to the message that says that the next query may come.
    fn answer_end(&self, received: &[u8]) -> Option<usize> {
        messages(received)
            .find(|(kind, _)| *kind == b'Z')
            .map(|(_, end)| end)
    }

    fn is_taken(&self, answer: &[u8]) -> bool {
        messages(answer).all(|(kind, _)| kind != b'E')
    }
}
