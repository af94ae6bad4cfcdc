//! How a body is packed for its way, `Content-Encoding`, and what it unpacks to.
//!
//! Memory: what it unpacks to is counted against the budget before there is room for it. Nothing else takes any to speak of: a
//! gzip decoder has a state of some 40 KiB, and a zstd body is unpacked in one go into the room for all of it, which needs
//! some 160 KiB and, whatever its frames say, no window.

use super::app::LARGE_BODY_BYTES;
use super::body::make_room;
use super::budget::Share;
use super::error::Refusal;
use flate2::bufread::GzDecoder;
use hyper::HeaderMap;
use hyper::header::CONTENT_ENCODING;
use std::io::Read as _;
use zstd::zstd_safe::{self, DCtx, zstd_sys::ZSTD_ErrorCode};

/// Bytes that gzip gives at a time.
const STEP: usize = 64 << 10;
/// The largest packed body that is unpacked by a thread that serves connections. Of more, also of such as unpack to
/// nothing, the many small parts alone could keep it for long.
const SMALL_BYTES: usize = 64 << 10;
/// The most members of a gzip body: each takes some microseconds, and may be 20 bytes of nothing.
const MAX_MEMBERS: usize = 1_000;
/// What `flate2` says of a header that is larger than it reads.
const LONG_HEADER: &str = "gzip header field too long";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Zstd,
}

impl Packing {
    /// How the body with these headers is packed, if at all.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, Refusal> {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let (first, second) = (values.next(), values.next());
        let Some(value) = first else {
            return Ok(None);
        };
        let name = value.as_bytes().trim_ascii().to_ascii_lowercase();
        match (second, name.as_slice()) {
            (None, b"identity" | b"") => Ok(None),
            (None, b"gzip" | b"x-gzip") => Ok(Some(Self::Gzip)),
            (None, b"zstd") => Ok(Some(Self::Zstd)),
            _ => Err(Refusal::UnsupportedEncoding),
        }
    }

    /// Whether this body says that it is small and unpacks to little. It may lie.
    pub(super) fn is_small(self, packed: &[u8]) -> bool {
        packed.len() <= SMALL_BYTES && self.most_it_says(packed) <= LARGE_BODY_BYTES as u64
    }

    /// The most that this body says it unpacks to: the sum over zstd's frames or their blocks; the end of the last part
    /// that is packed with gzip.
    fn most_it_says(self, packed: &[u8]) -> u64 {
        match self {
            Self::Gzip => packed
                .last_chunk()
                .map_or(0, |size| u32::from_le_bytes(*size).into()),
            Self::Zstd => zstd_safe::decompress_bound(packed).unwrap_or(0),
        }
    }

    /// What it unpacks to, of at most so many bytes, counted in its share.
    pub(super) fn unpack(self, packed: &[u8], most: usize, share: &mut Share) -> Result<Vec<u8>, Refusal> {
        let unpacked = match self {
            Self::Gzip => gunzip(packed, most, share),
            Self::Zstd => unzstd(packed, most, share),
        }?;
        share.shrink_to(unpacked.capacity()); // what was sent is of no more use
        Ok(unpacked)
    }
}

fn gunzip(packed: &[u8], most: usize, share: &mut Share) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::new();
    let mut rest = packed;
    for _ in 0..MAX_MEMBERS {
        let mut member = GzDecoder::new(rest);
        loop {
            let len = out.len();
            let room = most.saturating_add(STEP);
            make_room(&mut out, len + STEP, room, packed.len(), share)?;
            let read = member.by_ref().take(STEP as u64).read_to_end(&mut out);
            read.map_err(|error| {
                if error.to_string() == LONG_HEADER {
                    Refusal::LongGzipHeader
                } else {
                    Refusal::BrokenEncoding("gzip")
                }
            })?;
            if out.len() > most {
                return Err(Refusal::BodyTooLarge { limit: most });
            }
            if out.len() == len {
                break;
            }
        }
        rest = member.into_inner();
        if rest.is_empty() {
            return Ok(out);
        }
    }
    Err(Refusal::ManyGzipMembers { limit: MAX_MEMBERS })
}

fn unzstd(packed: &[u8], most: usize, share: &mut Share) -> Result<Vec<u8>, Refusal> {
    let broken = || Refusal::BrokenEncoding("zstd");
    let bound = zstd_safe::decompress_bound(packed).map_err(|_| broken())?;
    let bound = usize::try_from(bound).unwrap_or(usize::MAX);
    let room = bound.min(most);
    let mut out = Vec::new();
    make_room(&mut out, room, room, packed.len(), share)?;
    let mut context = DCtx::try_create().ok_or_else(|| Refusal::Internal("no memory for zstd".to_owned()))?;
    context.decompress(&mut out, packed).map_err(|code| {
        let too_small = 0usize.wrapping_sub(ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall as usize);
        if code == too_small && bound > most {
            Refusal::BodyTooLarge { limit: most }
        } else {
            broken()
        }
    })?;
    out.shrink_to_fit(); // the bound of frames that don't say their size is far off
    Ok(out)
}
