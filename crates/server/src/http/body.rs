//! Bodies: read within size, time and budget; then, after the signature, decompressed within the same size.

use super::app::App;
use super::budget::Share;
use super::error::Refusal;
use super::signature;
use crate::accounts::Principal;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use std::io::Read;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

/// Bytes that a decompressor gives at a time.
const STEP: usize = 64 << 10;
/// The largest window that a zstd frame may ask for: 8 MiB, what its command line uses at most by default.
const ZSTD_WINDOW_LOG: u32 = 23;

/// A body in memory, and its share of the budget.
pub(crate) struct Received {
    pub(crate) bytes: Bytes,
    pub(crate) share: Share,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

/// Reads a body of so many bytes at most, on the wire and decompressed.
pub(crate) async fn read(
    app: &Arc<App>,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Received, Refusal> {
    let received = receive(app, headers, body, limit).await?;
    decode(app, encoding(headers)?, received, limit).await
}

/// The same, and whether a good signature came with it. It's checked over the bytes as sent, before anything is
/// made of them.
pub(crate) async fn read_signed(
    app: &Arc<App>,
    caller: &Principal,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<(Received, bool), Refusal> {
    let received = receive(app, headers, body, limit).await?;
    let signed = signature::check(app, caller, headers, &received.bytes)?;
    let received = decode(app, encoding(headers)?, received, limit).await?;
    Ok((received, signed))
}

/// Reads the body as sent, of at most so many bytes.
async fn receive(app: &App, headers: &HeaderMap, mut body: Body, limit: usize) -> Result<Received, Refusal> {
    let mut share = app.budget.share();
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok())
        .map(|announced| usize::try_from(announced).unwrap_or(usize::MAX));
    if let Some(announced) = announced {
        if announced > limit {
            return Err(Refusal::BodyTooLarge { limit });
        }
        if !share.grow_to(announced) {
            return Err(Refusal::Overloaded);
        }
    }
    let deadline = Instant::now() + app.config.body_timeout;
    let mut first: Option<Bytes> = None;
    let mut all: Vec<u8> = Vec::new();
    loop {
        let idle = (Instant::now() + app.config.body_idle_timeout).min(deadline);
        let Ok(frame) = timeout_at(idle, body.frame()).await else {
            return Err(Refusal::RequestTimeout);
        };
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| Refusal::RequestTimeout)?; // the client went away
        let Ok(data) = frame.into_data() else { continue };
        let len = first.as_ref().map_or(all.len(), Bytes::len) + data.len();
        if len > limit {
            return Err(Refusal::BodyTooLarge { limit });
        }
        if !share.grow_to(len) {
            return Err(Refusal::Overloaded);
        }
        // A body that comes in one piece is not copied.
        match first.take() {
            None if all.is_empty() => first = Some(data),
            before => {
                make_room(&mut all, announced.unwrap_or(0).max(len), limit);
                if !share.grow_to(all.capacity()) {
                    return Err(Refusal::Overloaded);
                }
                all.extend_from_slice(&before.unwrap_or_default());
                all.extend_from_slice(&data);
            }
        }
    }
    let bytes = first.unwrap_or_else(|| Bytes::from(all));
    Ok(Received { bytes, share })
}

/// Makes room for so many bytes in all: twice what there was, so that they are seldom moved, but no more than `most`.
fn make_room(buffer: &mut Vec<u8>, bytes: usize, most: usize) {
    if bytes > buffer.capacity() {
        let room = bytes.max((2 * buffer.capacity()).min(most));
        buffer.reserve_exact(room - buffer.len());
    }
}

/// The body's encoding.
fn encoding(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let mut values = headers.get_all(CONTENT_ENCODING).iter();
    let (first, second) = (values.next(), values.next());
    let Some(value) = first else {
        return Ok(Encoding::Identity);
    };
    let name = value.to_str().unwrap_or_default().trim();
    match (second, name.to_ascii_lowercase().as_str()) {
        (None, "identity" | "") => Ok(Encoding::Identity),
        (None, "gzip" | "x-gzip") => Ok(Encoding::Gzip),
        (None, "zstd") => Ok(Encoding::Zstd),
        _ => Err(Refusal::UnsupportedEncoding),
    }
}

/// The body as meant. Decompresses on a thread of its own, since a small body may become a large one.
async fn decode(
    app: &Arc<App>,
    encoding: Encoding,
    received: Received,
    limit: usize,
) -> Result<Received, Refusal> {
    if encoding == Encoding::Identity {
        return Ok(received);
    }
    let app = Arc::clone(app);
    let decoded = tokio::task::spawn_blocking(move || {
        let Received { bytes, mut share } = received;
        let (decoded, more) = match encoding {
            Encoding::Gzip => decompress(
                &app,
                limit,
                "gzip",
                flate2::bufread::MultiGzDecoder::new(&bytes[..]),
            ),
            _ => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(&bytes[..])
                    .map_err(|error| Refusal::Internal(error.to_string()))?;
                decoder
                    .window_log_max(ZSTD_WINDOW_LOG)
                    .map_err(|error| Refusal::Internal(error.to_string()))?;
                decompress(&app, limit, "zstd", decoder)
            }
        }?;
        share.add(more);
        Ok(Received {
            bytes: Bytes::from(decoded),
            share,
        })
    });
    decoded
        .await
        .map_err(|panic| Refusal::Internal(panic.to_string()))?
}

fn decompress(
    app: &App,
    limit: usize,
    name: &'static str,
    mut from: impl Read,
) -> Result<(Vec<u8>, Share), Refusal> {
    let mut share = app.budget.share();
    let mut out = Vec::new();
    loop {
        let len = out.len();
        make_room(&mut out, len + STEP, limit + STEP);
        if !share.grow_to(out.capacity()) {
            return Err(Refusal::Overloaded);
        }
        let read = from.by_ref().take(STEP as u64).read_to_end(&mut out);
        read.map_err(|_| Refusal::BrokenEncoding(name))?;
        if out.len() > limit {
            return Err(Refusal::BodyTooLarge { limit });
        }
        if out.len() == len {
            return Ok((out, share));
        }
    }
}
