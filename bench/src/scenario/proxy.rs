//! What `repute proxy` adds to a call: the same MCP server, with the proxy and without, in turn.

use crate::latencies::Latencies;
use crate::place::Place;
use crate::report::{Cell, Table};
use crate::server::{Scratch, spawn_on};
use anyhow::{Context as _, Result, ensure};
use std::io::{BufRead as _, BufReader, Write as _, stdin, stdout};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

/// The hidden argument that makes this program the MCP server.
pub(crate) const SERVER: &str = "mcp-server";
/// What the tool's text has.
const RESULT_BYTES: usize = 10 << 10;
/// Calls before the other side has its turn.
const TURN: usize = 50;
/// Calls before the measuring.
const WARM_UP: usize = 500;

pub(crate) fn run(place: &Place) -> Result<Vec<Table>> {
    let log = Scratch::new(&place.dir, "proxy")?;
    let server = std::env::current_exe()?;
    let mut direct = Command::new(&server);
    direct.arg(SERVER);
    let mut proxied = Command::new(&place.repute);
    proxied.args(["proxy", "--log-dir"]).arg(log.path()).arg("--");
    proxied.arg(&server).arg(SERVER);
    let mut sides = [
        Side::start("without", direct, place)?,
        Side::start("with", proxied, place)?,
    ];
    for side in &mut sides {
        (0..WARM_UP).try_for_each(|_| side.call().map(drop))?;
    }
    let started = Instant::now();
    while started.elapsed() < place.time * 2 {
        for side in &mut sides {
            for _ in 0..TURN {
                let took = side.call()?;
                side.latencies.push(took);
            }
        }
    }
    let columns = ["proxy", "calls", "p50 ms", "p99 ms", "max ms"];
    let mut table = Table::new(
        "proxy: a call whose result has 10 KB of text, one at a time",
        &columns,
    );
    let mut quantiles = Vec::new();
    for side in &mut sides {
        let latencies = &mut side.latencies;
        let [p50, p99] = [0.5, 0.99].map(|share| latencies.quantile_ms(share));
        quantiles.push([p50, p99]);
        table.row([
            Cell::Text(side.name.to_owned()),
            Cell::Number(latencies.count() as f64, 0),
            Cell::Number(p50, 3),
            Cell::Number(p99, 3),
            Cell::Number(latencies.max_ms(), 3),
        ]);
    }
    let added = |at: usize| quantiles[1][at] - quantiles[0][at];
    table.note(format!("added: p50 {:.3} ms, p99 {:.3} ms", added(0), added(1)));
    Ok(vec![table])
}

/// A server and its client.
struct Side {
    name: &'static str,
    child: Child,
    to_server: ChildStdin,
    from_server: BufReader<ChildStdout>,
    next_id: u64,
    line: String,
    latencies: Latencies,
}

impl Side {
    fn start(name: &'static str, mut command: Command, place: &Place) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = spawn_on(&mut command, &place.server_cores)?;
        Ok(Self {
            name,
            to_server: child.stdin.take().context("a pipe")?,
            from_server: BufReader::new(child.stdout.take().context("a pipe")?),
            child,
            next_id: 0,
            line: String::new(),
            latencies: Latencies::default(),
        })
    }

    /// One call, from the first byte of the request to the last of the answer, which is looked at.
    fn call(&mut self) -> Result<std::time::Duration> {
        let id = self.next_id;
        self.next_id += 1;
        let request = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"read\",\"arguments\":{{\"path\":\"a.txt\"}}}}}}\n"
        );
        self.line.clear();
        let began = Instant::now();
        self.to_server.write_all(request.as_bytes())?;
        self.from_server.read_line(&mut self.line)?;
        let took = began.elapsed();
        let is_answer = self.line.len() > RESULT_BYTES && self.line.ends_with(&format!("\"id\":{id}}}\n"));
        ensure!(is_answer, "{}: {:.200}", self.name, self.line);
        Ok(took)
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The MCP server: answers each call with the same text.
pub(crate) fn serve() -> Result<()> {
    let sentence = "The quick brown fox jumps over the lazy dog, and 17 others watch it at 10:45.\\n";
    let text = sentence.repeat(RESULT_BYTES / sentence.len() + 1);
    let mut line = String::new();
    let mut requests = stdin().lock();
    while requests.read_line(&mut line)? > 0 {
        let request: serde_json::Value = serde_json::from_str(&line)?;
        let answer = format!(
            "{{\"result\":{{\"content\":[{{\"type\":\"text\",\"text\":\"{text}\"}}]}},\"jsonrpc\":\"2.0\",\"id\":{}}}\n",
            request["id"]
        );
        stdout().write_all(answer.as_bytes())?;
        stdout().flush()?;
        line.clear();
    }
    Ok(())
}
