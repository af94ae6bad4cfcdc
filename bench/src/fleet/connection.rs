//! One connection of the client and the request that is under way on it.

use crate::traffic::{Prepared, Traffic};
use anyhow::{Result, bail};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const BUFFER: usize = 64 << 10;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Connection {
    /// The squad that it belongs to.
    pub(super) unit: usize,
    stream: TcpStream,
    request: Option<(Prepared, Instant)>,
    written: usize,
    received: Vec<u8>,
    filled: usize,
}

impl Connection {
    pub(super) fn open(
        unit: usize,
        address: SocketAddr,
        traffic: &dyn Traffic,
        registry: &Registry,
        token: Token,
    ) -> Result<Self> {
        let mut stream = std::net::TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
        stream.set_nodelay(true)?;
        traffic.greet(&mut stream)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            unit,
            stream,
            request: None,
            written: 0,
            received: vec![0; BUFFER],
            filled: 0,
        })
    }

    pub(super) fn start(&mut self, request: Prepared, since: Instant) {
        self.request = Some((request, since));
        self.written = 0;
    }

    pub(super) fn under_way(&self) -> Option<(Prepared, Instant)> {
        self.request
    }

    /// Sends what is left of the request, as far as it goes.
    pub(super) fn write(&mut self, request: &[u8]) -> Result<()> {
        while self.written < request.len() {
            match self.stream.write(&request[self.written..]) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Receives what is there; the length of the answer, once it is whole.
    pub(super) fn read(&mut self, answer_end: impl Fn(&[u8]) -> Option<usize>) -> Result<Option<usize>> {
        loop {
            if let Some(end) = answer_end(&self.received[..self.filled]) {
                return Ok(Some(end));
            }
            if self.filled == self.received.len() {
                self.received.resize(2 * self.filled, 0);
            }
            match self.stream.read(&mut self.received[self.filled..]) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(super) fn answer(&self, length: usize) -> &[u8] {
        &self.received[..length]
    }

    pub(super) fn done(&mut self, length: usize) {
        self.received.copy_within(length..self.filled, 0);
        self.filled -= length;
        self.request = None;
    }

    /// Nothing is under way: only the end of the connection is worth a word.
    pub(super) fn expect_silence(&mut self) -> Result<()> {
        self.read(|_| None).map(drop)
    }
}
