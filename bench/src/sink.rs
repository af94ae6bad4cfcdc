//! The null sink: the same HTTP stack, which reads each body whole and answers with a fixed 202.
//!
//! What it needs is the price of receiving the bytes at all.

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::fmt::Write as _;
use std::io::{Write as _, stdout};
use tokio::net::TcpListener;

/// Agents in the answer to a body of several events: as many as a usual body names on average.
const AGENTS: usize = 15;
const SINGLE_BYTES: usize = 4_096;

/// Serves until it is killed.
pub(crate) fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        writeln!(stdout(), "listening on http://{}", listener.local_addr()?)?;
        stdout().flush()?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    })
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let read = request.into_body().collect().await?.to_bytes().len();
    let (accepted, agents) = if read < SINGLE_BYTES {
        (1, 1)
    } else {
        (100, AGENTS)
    };
    let mut text = format!(r#"{{"accepted":{accepted},"reputation_updates":["#);
    for agent in 0..agents {
        let comma = if agent > 0 { "," } else { "" };
        let _ = write!(
            text,
            r#"{comma}{{"agent_id":"bid-agent-{agent:07}","score":812,"status":"mature"}}"#
        );
    }
    text.push_str("]}");
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = StatusCode::ACCEPTED;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
