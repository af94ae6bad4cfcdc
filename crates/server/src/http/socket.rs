//! A connection's bytes on their way: what hyper refuses by itself gets our answer, and a client that takes
//! nothing of its answer is cut off.
//!
//! hyper answers what it cannot read as a request, before any layer of ours sees it, with a bare status line.
//! Such an answer is known by having no `X-Request-Id`, which all of ours have; it is a write of its own,
//! since hyper writes out an answer before it reads the next request. One kind of client hyper leaves without a word: that
//! which speaks HTTP/2 at once.

use super::app::App;
use super::observe;
use hyper::StatusCode;
use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// How hyper's own refusals begin: with one of these status codes.
const REFUSED: [(&[u8], StatusCode); 3] = [
    (b"HTTP/1.1 400 ", StatusCode::BAD_REQUEST),
    (b"HTTP/1.1 414 ", StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
    (b"HTTP/1.1 431 ", StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
];

/// How a client begins that speaks HTTP/2 without asking (RFC 9113, 3.4).
const HTTP2_BEGINS: &[u8] = b"PRI * HTTP/2.0\r\n";

/// What our own answers have.
const REQUEST_ID: &[u8] = b"\r\nx-request-id: ";

/// A connection's stream.
pub(super) struct Socket<S> {
    stream: S,
    app: Arc<App>,
    /// Nothing was read yet.
    is_new: bool,
    refusal: Option<Refusal>,
    /// Runs while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

/// Our answer in the place of hyper's.
struct Refusal {
    bytes: Vec<u8>,
    written: usize,
    /// The bytes of hyper's that it stands for.
    instead_of: usize,
}

impl<S: AsyncWrite + Unpin> Socket<S> {
    pub(super) fn new(stream: S, app: Arc<App>) -> Self {
        Self {
            stream,
            app,
            is_new: true,
            refusal: None,
            stalled: None,
        }
    }

    /// Writes our answer in the place of these bytes; `None` where they are none of hyper's refusals.
    fn poll_refusal(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Option<Poll<io::Result<usize>>> {
        if self.refusal.is_none() {
            let (_, status) = REFUSED.iter().find(|(begin, _)| bytes.starts_with(begin))?;
            let is_ours = bytes.windows(REQUEST_ID.len()).any(|part| part == REQUEST_ID);
            // A JSON body, of which the rest may be written here, never ends like this.
            if is_ours || !bytes.ends_with(b"\r\n\r\n") {
                return None;
            }
            self.refusal = Some(Refusal {
                bytes: observe::unreadable(&self.app, *status),
                written: 0,
                instead_of: bytes.len(),
            });
        }
        let refusal = self.refusal.as_mut()?;
        while refusal.written < refusal.bytes.len() {
            let rest = &refusal.bytes[refusal.written..];
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Some(Poll::Ready(Err(io::ErrorKind::WriteZero.into()))),
                Poll::Ready(Ok(written)) => refusal.written += written,
                other => return Some(other),
            }
        }
        let instead_of = refusal.instead_of;
        self.refusal = None;
        Some(Poll::Ready(Ok(instead_of)))
    }

    /// Lets what came of a write through, and ends a wait that is too long.
    fn unless_stalled<T>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let timeout = self.app.config.answer_idle_timeout;
        let until = self
            .stalled
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + timeout)));
        ready!(until.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client takes nothing of its answer",
        )))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if std::mem::take(&mut self.is_new) {
            let read = &mut buffer.filled_mut()[before..];
            if read.starts_with(HTTP2_BEGINS) {
                read[0] = 0; // what hyper cannot read at all it refuses
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = match self.poll_refusal(cx, bytes) {
            Some(outcome) => outcome,
            None => Pin::new(&mut self.stream).poll_write(cx, bytes),
        };
        self.unless_stalled(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = slices.first().map_or(&[][..], |slice| slice);
        let outcome = match self.poll_refusal(cx, first) {
            Some(outcome) => outcome,
            None => Pin::new(&mut self.stream).poll_write_vectored(cx, slices),
        };
        self.unless_stalled(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.unless_stalled(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.unless_stalled(cx, outcome)
    }
}
