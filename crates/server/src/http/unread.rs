//! What an answer leaves of its request's body. A connection that is closed on bytes which nobody has read is reset, and
//! the client, which is still sending, loses the answer that lies before the reset. So the rest is read and thrown away
//! behind the answer. After a small one the connection goes on; else the answer says that it ends.

use super::app::App;
use super::body::{announced, next};
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::{CONNECTION, EXPECT};
use axum::http::{HeaderValue, Response, StatusCode};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::Instant;

/// The largest body after which the connection goes on.
const SMALL: usize = 64 << 10;

/// The body of a request that is being answered.
pub(super) struct Unread {
    left: Arc<Mutex<Option<Body>>>,
    /// Of at most [`SMALL`] bytes, going by what the request says.
    is_small: bool,
    /// Whether the client waits with it until it is told to go on.
    waits: bool,
}

impl Unread {
    /// The request, whose body comes back if it is not read to its end.
    pub(super) fn watch(request: Request) -> (Request, Self) {
        let headers = request.headers();
        let left = Arc::default();
        let unread = Self {
            left: Arc::clone(&left),
            is_small: announced(headers).is_some_and(|bytes| bytes <= SMALL),
            waits: headers.contains_key(EXPECT),
        };
        let watched = |body: Body| {
            if body.is_end_stream() {
                body
            } else {
                Body::new(Watched { body, left })
            }
        };
        (request.map(watched), unread)
    }

    /// What becomes of the connection, once the answer is known.
    pub(super) fn settle(self, app: &Arc<App>, response: &mut Response<Body>) {
        let Some(body) = self.left.lock().take() else {
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
pub(super) fn end_connection(response: &mut Response<Body>) {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
}

/// Reads the rest of a body, within the times that a body may take, and some more than the largest may have.
async fn discard(app: &App, mut body: Body) {
    let deadline = Instant::now() + app.config.body_timeout;
    let mut left = 2 * app.config.max_body_bytes;
    while let Ok(Some(data)) = next(app, &mut body, deadline).await {
        match left.checked_sub(data.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// A body that is put back when it is let go of before its end.
struct Watched {
    body: Body,
    left: Arc<Mutex<Option<Body>>>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = Body::empty();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.body.is_end_stream() {
            *self.left.lock() = Some(std::mem::take(&mut self.body));
        }
    }
}
