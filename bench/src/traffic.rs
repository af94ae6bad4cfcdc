//! What is sent and how an answer is checked, apart from how it is sent.

pub(crate) mod evaluate;
pub(crate) mod in_turn;
pub(crate) mod ingest;
pub(crate) mod nats;
pub(crate) mod postgres;
pub(crate) mod redis;
pub(crate) mod wrapped;

use anyhow::Result;
use std::net::TcpStream;

/// A request that was prepared, by its place among those of its traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prepared(pub(crate) usize);

/// A source of requests for any number of connections at once.
pub(crate) trait Traffic {
    /// Speaks on a new connection before the first request; nothing for HTTP.
    fn greet(&self, _stream: &mut TcpStream) -> Result<()> {
        Ok(())
    }

    /// Makes the next request ready.
    fn prepare(&mut self) -> Result<Prepared>;

    /// All bytes of a request that is prepared and not answered yet.
    fn bytes(&self, request: Prepared) -> &[u8];

    /// The length of the answer at the front of what was received, once it is whole.
    fn answer_end(&self, received: &[u8]) -> Option<usize> {
        http_answer_end(received)
    }

    /// Checks the answer; gives the number of events that it stands for.
    fn answered(&mut self, request: Prepared, answer: &[u8]) -> Result<u64>;
}

/// Where an HTTP answer ends, by its `content-length`.
fn http_answer_end(received: &[u8]) -> Option<usize> {
    let head = find(received, b"\r\n\r\n")? + 4;
    let length = header(&received[..head], b"content-length: ")?;
    let length: usize = std::str::from_utf8(length).ok()?.parse().ok()?;
    (received.len() >= head + length).then_some(head + length)
}

/// The value of a header whose name, in lower case as hyper writes it, and separator are these.
fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let start = find(head, name)? + name.len();
    let end = find(&head[start..], b"\r\n")?;
    Some(&head[start..start + end])
}

/// The status code of an HTTP answer.
pub(crate) fn status(answer: &[u8]) -> &[u8] {
    answer.get(9..12).unwrap_or_default()
}

/// The body of an HTTP answer.
pub(crate) fn body(answer: &[u8]) -> &[u8] {
    find(answer, b"\r\n\r\n").map_or(&[], |at| &answer[at + 4..])
}

/// Where these bytes begin.
pub(crate) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_length_says() {
        let answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\ndate: x\r\n\r\n{}";
        assert_eq!(http_answer_end(&answer[..answer.len() - 1]), None);
        assert_eq!(http_answer_end(answer), Some(answer.len()));
        assert_eq!((status(answer), body(answer)), (&b"202"[..], &b"{}"[..]));
    }
}
