//! One connection to a server, kept open: the least that speaks its HTTP.

use serde_json::Value;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// The longest body that is read.
const MAX_BODY_BYTES: usize = 64 << 20;

/// A client with a key.
pub(crate) struct Client {
    address: String,
    key: String,
    patience: Duration,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    /// A client that waits so long for each part of an answer. It connects with its first request.
    pub(crate) fn new(address: &str, key: &str, patience: Duration) -> Self {
        Self {
            address: address.to_owned(),
            key: key.to_owned(),
            patience,
            stream: None,
        }
    }

    /// Status and body of a GET.
    pub(crate) fn get(&mut self, path: &str) -> io::Result<(u16, Value)> {
        self.request("GET", path, b"")
    }

    /// Status and body of a POST.
    pub(crate) fn post(&mut self, path: &str, body: &[u8]) -> io::Result<(u16, Value)> {
        self.request("POST", path, body)
    }

    pub(crate) fn request(&mut self, method: &str, path: &str, body: &[u8]) -> io::Result<(u16, Value)> {
        let outcome = self.exchange(method, path, body);
        if outcome.is_err() {
            self.stream = None;
        }
        let (status, body) = outcome?;
        Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }

    /// Status and body as it came. After an error the connection is of no more use.
    pub(crate) fn exchange(&mut self, method: &str, path: &str, body: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        let Self {
            address,
            key,
            patience,
            stream,
        } = self;
        let stream = match stream {
            Some(stream) => stream,
            None => {
                let connection = TcpStream::connect(&*address)?;
                connection.set_nodelay(true)?;
                connection.set_read_timeout(Some(*patience))?;
                connection.set_write_timeout(Some(*patience))?;
                stream.insert(BufReader::new(connection))
            }
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        stream.get_mut().write_all(&request)?;
        let (status, length) = read_head(stream)?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        Ok((status, body))
    }
}

/// Status and length of the body.
fn read_head(stream: &mut BufReader<TcpStream>) -> io::Result<(u16, usize)> {
    let mut status = None;
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().unwrap_or(0);
            }
            None => status = line.split(' ').nth(1).and_then(|code| code.parse().ok()),
            Some(_) => {}
        }
    }
    match status {
        Some(status) if length <= MAX_BODY_BYTES => Ok((status, length)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
