//! Bodies: read within size, time and budget; then, with the key asked once more and after the signature, unpacked within
//! the same size.

use super::app::{App, LARGE_BODY_BYTES};
use super::budget::Share;
use super::error::Refusal;
use super::packing::Packing;
use super::signature;
use super::turns::SharedTurn;
use super::unread::Body;
use crate::accounts::Principal;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::HeaderMap;
use hyper::body::Body as HttpBody;
use hyper::header::CONTENT_LENGTH;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

/// The least that a body which comes in pieces has room for, and is counted as.
const PIECE: usize = 64 << 10;

/// A body in memory, as it is meant.
pub(crate) struct Received {
    pub(crate) bytes: Bytes,
    /// Of the budget.
    pub(crate) share: Share,
    /// Who sent it, as of when all of it was there.
    pub(crate) caller: Principal,
    /// Whether a good signature came with it.
    pub(crate) signed: bool,
    /// Its turn off the threads that serve connections, where it had to take one.
    pub(crate) turn: Option<SharedTurn>,
}

/// What a route makes of a signature that comes with a body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signing {
    Checked,
    Ignored,
}

/// Reads a body of so many bytes at most, as sent and unpacked.
pub(crate) async fn read(
    app: &Arc<App>,
    caller: &Principal,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    signing: Signing,
) -> Result<Received, Refusal> {
    let (bytes, mut share) = receive(app, caller, headers, body, limit).await?;
    if is_quick(headers, &bytes, signing) {
        let most = limit.min(LARGE_BODY_BYTES);
        match open(app, caller, headers, &bytes, &mut share, most, signing) {
            Err(Refusal::BodyTooLarge { .. }) if most < limit => {} // it unpacks to more than it says
            Err(refusal) => return Err(refusal),
            Ok((bytes, caller, signed)) => {
                return Ok(Received {
                    bytes,
                    share,
                    caller,
                    signed,
                    turn: None,
                });
            }
        }
    }
    let (caller, headers) = (caller.clone(), headers.clone());
    app.off_thread(caller.org, None, move |app, turn| {
        let (bytes, caller, signed) = open(app, &caller, &headers, &bytes, &mut share, limit, signing)?;
        Ok(Received {
            bytes,
            share,
            caller,
            signed,
            turn: Some(turn),
        })
    })
    .await
}

/// Whether what [`open`] does with a body takes so little, going by what the body says, that a thread which serves
/// connections may do it: the usual body is not worth the way to another one.
fn is_quick(headers: &HeaderMap, bytes: &[u8], signing: Signing) -> bool {
    match Packing::of(headers) {
        Ok(Some(packing)) => packing.is_small(bytes),
        Ok(None) | Err(_) => {
            bytes.len() <= LARGE_BODY_BYTES || signing == Signing::Ignored || !signature::is_there(headers)
        }
    }
}

/// What a body that is there means, who sent it, and whether it is signed. The key is asked again, since it may have been
/// revoked, or its organisation's settings changed, while the body was on its way. The signature is over the bytes as sent,
/// and checked before anything is made of them.
fn open(
    app: &App,
    caller: &Principal,
    headers: &HeaderMap,
    bytes: &Bytes,
    share: &mut Share,
    most: usize,
    signing: Signing,
) -> Result<(Bytes, Principal, bool), Refusal> {
    let caller = app.accounts.authenticate_again(caller, app.now())?;
    let signed = signing == Signing::Checked && signature::check(app, &caller, headers, bytes)?;
    let bytes = match Packing::of(headers)? {
        None => bytes.clone(),
        Some(packing) => Bytes::from(packing.unpack(bytes, most, share)?),
    };
    Ok((bytes, caller, signed))
}

/// How many bytes a request says that its body has.
pub(super) fn announced(headers: &HeaderMap) -> Option<usize> {
    let value = headers.get(CONTENT_LENGTH)?;
    let announced: u64 = value.to_str().ok()?.parse().ok()?;
    Some(usize::try_from(announced).unwrap_or(usize::MAX))
}

/// Reads the body as sent, of at most so many bytes. They count as they come: what is only announced takes no room from
/// anybody, but is refused at once where there would be none.
async fn receive(
    app: &App,
    caller: &Principal,
    headers: &HeaderMap,
    mut body: Body,
    limit: usize,
) -> Result<(Bytes, Share), Refusal> {
    let mut share = app.budget.share(caller.org);
    let announced = announced(headers);
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
    while let Some(data) = next(app, &mut body, deadline).await? {
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
    Ok((bytes, share))
}

/// The next bytes of a body, of which all must be there by the deadline; `None` at its end.
pub(super) async fn next(
    app: &App,
    body: &mut (impl HttpBody<Data = Bytes> + Unpin),
    deadline: Instant,
) -> Result<Option<Bytes>, Refusal> {
    while !body.is_end_stream() {
        let idle = (Instant::now() + app.config.body_idle_timeout).min(deadline);
        let Ok(frame) = timeout_at(idle, body.frame()).await else {
            return Err(Refusal::RequestTimeout);
        };
        match frame {
            None => break,
            Some(Err(_)) => return Err(Refusal::RequestTimeout), // the client went away
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
    Ok(None)
}

/// Makes room for so many bytes in all, beside others of the same share: twice what there was, so that they are seldom
/// moved and seldom counted, but no more than `most`.
pub(super) fn make_room(
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
