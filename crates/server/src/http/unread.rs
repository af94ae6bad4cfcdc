//! What an answer leaves of its request's body. A connection that is closed on bytes which nobody has read is reset, and
//! the client, which is still sending, loses the answer that lies before the reset. So the rest is read and thrown away
//! behind the answer. After a small one the connection goes on; else the answer says that it ends.

use super::app::App;
use super::body::{announced, next};
use super::message::{Request, Response};
use bytes::Bytes;
use hyper::StatusCode;
use hyper::body::{Body as HttpBody, Frame, Incoming};
use hyper::header::{CONNECTION, EXPECT, HeaderValue};
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::Instant;

/// The largest body after which the connection goes on.
const SMALL: usize = 64 << 10;

/// Where a body is put that is let go of before its end.
type Left = Arc<Mutex<Option<Incoming>>>;

/// The body of a request that is being answered.
pub(super) struct Unread {
    /// `None` where the request has no body.
    left: Option<Left>,
    /// Of at most [`SMALL`] bytes, going by what the request says.
    is_small: bool,
    /// Whether the client waits with it until it is told to go on.
    waits: bool,
}

impl Unread {
    /// The request, whose body comes back if it is not read to its end.
    pub(super) fn watch(request: hyper::Request<Incoming>) -> (Request, Self) {
        let left: Option<Left> = (!request.body().is_end_stream()).then(Arc::default);
        let headers = request.headers();
        let unread = Self {
            left: left.clone(),
            is_small: announced(headers).is_some_and(|bytes| bytes <= SMALL),
            waits: headers.contains_key(EXPECT),
        };
        let watched = |body| Body {
            body: Some(body),
            left,
        };
        (request.map(watched), unread)
    }

    /// What becomes of the connection, once the answer is known.
    pub(super) fn settle(self, app: &Arc<App>, response: &mut Response) {
        let Some(body) = self.left.and_then(|left| left.lock().take()) else {
            return;
        };
        // Who was waited for long enough is not waited for again.
        let may_come = !self.waits && response.status() != StatusCode::REQUEST_TIMEOUT;
        if !(may_come && self.is_small) {
            end_connection(response);
        }
        if may_come {
            // It ends with the connection, at the latest with the time that a body may take or when the server stops.
            let app = Arc::clone(app);
            tokio::spawn(async move {
                tokio::select! {
                    () = discard(&app, body) => {}
                    () = app.drains() => {}
                }
            });
        }
    }
}

/// Has the connection end with this answer.
pub(super) fn end_connection(response: &mut Response) {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
}

/// Reads the rest of a body, within the times that a body may take, and some more than the largest may have.
async fn discard(app: &App, mut body: Incoming) {
    let deadline = Instant::now() + app.config.body_timeout;
    let mut left = 2 * app.config.max_body_bytes;
    while let Ok(Some(data)) = next(app, &mut body, deadline).await {
        match left.checked_sub(data.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// The body of a request, which is put back when it is let go of before its end.
pub(crate) struct Body {
    /// `None` once it came to its end, or cannot.
    body: Option<Incoming>,
    left: Option<Left>,
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let (Some(body), Some(left)) = (self.body.take(), &self.left)
            && !body.is_end_stream()
        {
            *left.lock() = Some(body);
        }
    }
}
