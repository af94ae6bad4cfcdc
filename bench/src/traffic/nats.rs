//! NATS JetStream: each body a message that the stream acknowledges.

use super::find;
use super::wrapped::Protocol;
use crate::body::Body;
use anyhow::{Result, bail};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

/// Messages that the stream keeps.
const KEPT: usize = 20_000;

/// For one connection: answers come to its own subject.
pub(crate) struct Nats {
    inbox: String,
}

impl Nats {
    pub(crate) fn new(connection: usize) -> Self {
        Self {
            inbox: format!("_INBOX.bench.{connection}"),
        }
    }

    /// Makes the stream that all messages go to.
    pub(crate) fn make_stream(&self, address: SocketAddr) -> Result<()> {
        let mut stream = TcpStream::connect(address)?;
        self.greet(&mut stream)?;
        let config = format!(
            r#"{{"name":"events","subjects":["events"],"retention":"limits","storage":"file","discard":"old","num_replicas":1,"max_msgs":{KEPT}}}"#
        );
        let inbox = &self.inbox;
        write!(
            stream,
            "PUB $JS.API.STREAM.CREATE.events {inbox} {}\r\n{config}\r\n",
            config.len()
        )?;
        let answer = read_until(&mut stream, b"}\r\n")?;
        if !answer.contains("\"config\"") {
            bail!("no stream was made: {answer}");
        }
        Ok(())
    }
}

fn read_until(stream: &mut TcpStream, end: &[u8]) -> Result<String> {
    let mut answer = Vec::new();
    let mut piece = [0; 4_096];
    while !answer.ends_with(end) {
        match stream.read(&mut piece)? {
            0 => bail!("the connection was closed: {}", String::from_utf8_lossy(&answer)),
            read => answer.extend_from_slice(&piece[..read]),
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

impl Protocol for Nats {
    fn greet(&self, stream: &mut TcpStream) -> Result<()> {
        write!(
            stream,
            "CONNECT {{\"verbose\":false}}\r\nSUB {} 1\r\nPING\r\n",
            self.inbox
        )?;
        read_until(stream, b"PONG\r\n").map(drop)
    }

    fn request(&self, body: &Body, out: &mut Vec<u8>) -> Result<()> {
        write!(out, "PUB events {} {}\r\n", self.inbox, body.bytes.len())?;
        out.extend_from_slice(&body.bytes);
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// `MSG <subject> <sid> <bytes>`, then so many bytes; whatever comes before is the server's small talk.
    fn answer_end(&self, received: &[u8]) -> Option<usize> {
        let start = find(received, b"MSG ")?;
        let head = start + find(&received[start..], b"\r\n")? + 2;
        let line = std::str::from_utf8(&received[start..head - 2]).ok()?;
        let bytes: usize = line.rsplit(' ').next()?.parse().ok()?;
        let end = head + bytes + 2;
        (received.len() >= end).then_some(end)
    }

    fn is_taken(&self, answer: &[u8]) -> bool {
        find(answer, b"\"seq\":").is_some()
    }
}
