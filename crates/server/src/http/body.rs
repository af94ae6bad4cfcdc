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

/// The least that a body which comes in pieces has room for, and is counted as.
const PIECE: usize = 64 << 10;
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
    caller: &Principal,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Received, Refusal> {
    let received = receive(app, caller, headers, body, limit).await?;
    decode(encoding(headers)?, received, limit).await
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
    let received = receive(app, caller, headers, body, limit).await?;
    let signed = signature::check(app, caller, headers, &received.bytes)?;
    let received = decode(encoding(headers)?, received, limit).await?;
    Ok((received, signed))
}

/// Reads the body as sent, of at most so many bytes. They count as they come: what is only announced takes no room from
/// anybody, but is refused at once where there would be none.
async fn receive(
    app: &App,
    caller: &Principal,
    headers: &HeaderMap,
    mut body: Body,
    limit: usize,
) -> Result<Received, Refusal> {
    let mut share = app.budget.share(caller.org);
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok())
        .map(|announced| usize::try_from(announced).unwrap_or(usize::MAX));
    if let Some(announced) = announced {
        if announced > limit {
            return Err(Refusal::BodyTooLarge { limit });
        }
        if !share.could_grow_to(announced) {
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
        // A body that comes in one piece is not copied.
        match first.take() {
            None if all.is_empty() => {
                if !share.grow_to(len) {
                    return Err(Refusal::Overloaded);
                }
                first = Some(data);
            }
            before => {
                make_room(&mut all, len, announced.unwrap_or(limit), 0, &mut share)?;
                all.extend_from_slice(&before.unwrap_or_default());
                all.extend_from_slice(&data);
            }
        }
    }
    let bytes = first.unwrap_or_else(|| Bytes::from(all));
    Ok(Received { bytes, share })
}

/// Makes room for so many bytes in all, beside others of the same share: twice what there was, so that they are seldom
/// moved and seldom counted, but no more than `most`.
fn make_room(
    buffer: &mut Vec<u8>,
    bytes: usize,
    most: usize,
    beside: usize,
    share: &mut Share,
) -> Result<(), Refusal> {
    if bytes > buffer.capacity() {
        let room = (2 * buffer.capacity()).max(PIECE).min(most).max(bytes);
        if !share.grow_to(beside + room) {
            return Err(Refusal::Overloaded);
        }
        buffer.reserve_exact(room - buffer.len());
    }
    Ok(())
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
async fn decode(encoding: Encoding, received: Received, limit: usize) -> Result<Received, Refusal> {
    if encoding == Encoding::Identity {
        return Ok(received);
    }
    let decoded = tokio::task::spawn_blocking(move || {
        let Received { bytes, mut share } = received;
        let beside = bytes.len();
        let decoded = match encoding {
            Encoding::Gzip => {
                let decoder = flate2::bufread::MultiGzDecoder::new(&bytes[..]);
                decompress(limit, "gzip", decoder, beside, &mut share)
            }
            _ => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(&bytes[..])
                    .map_err(|error| Refusal::Internal(error.to_string()))?;
                decoder
                    .window_log_max(ZSTD_WINDOW_LOG)
                    .map_err(|error| Refusal::Internal(error.to_string()))?;
                decompress(limit, "zstd", decoder, beside, &mut share)
            }
        }?;
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
    limit: usize,
    name: &'static str,
    mut from: impl Read,
    beside: usize,
    share: &mut Share,
) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::new();
    loop {
        let len = out.len();
        make_room(&mut out, len + STEP, limit.saturating_add(STEP), beside, share)?;
        let read = from.by_ref().take(STEP as u64).read_to_end(&mut out);
        read.map_err(|_| Refusal::BrokenEncoding(name))?;
        if out.len() > limit {
            return Err(Refusal::BodyTooLarge { limit });
        }
        if out.len() == len {
            return Ok(out);
        }
    }
}
