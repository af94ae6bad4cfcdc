//! Durable bytes: frames of records in segments, group commit with one sync, recovery. The only crate that
//! touches the event log's files.
//!
//! It knows nothing of events, agents or organisations: a record is a kind, a flag and a body. It does not
//! keep two processes out of one directory (the program's lock does), and it does not decide when a segment
//! is dropped or compacted (the store does).
//!
//! Invariants:
//! - A frame is acknowledged only after its bytes are written and synced, and a byte that was acknowledged is
//!   never written again: each frame starts on the next 512-byte sector, and a file is never reused.
//! - One frame is in flight. A segment is begun only after the last frame of the one before is synced, so
//!   only the newest segment can have a torn end.
//! - After an error from a write or a sync of the log nothing more is written until the journal is opened
//!   again ([`State::Poisoned`]); a sync is never retried. Running out of space happens while a segment is
//!   prepared, before anything is counted ([`State::Full`]), and passes by itself.
//! - What recovery hands out is durable: bytes merely found in the page cache are rewritten and synced first.
//! - Nothing is skipped silently: what does not check is a [`Damage`] with file and offset.
//!
//! The format is described byte by byte in `docs/on-disk.md`, "Segments and frames".

mod commit;
mod disk;
mod error;
mod frame;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod header;
mod journal;
mod listing;
mod name;
mod options;
mod prepare;
mod record;
mod recover;
mod rewrite;
mod scan;
mod seal;
mod segment;
pub mod sim;
mod state;
mod survey;

pub use commit::Committed;
pub use disk::{
    Disk, FewOpenDisk, File, LimitedDisk, OsDisk, ReadOnlyDisk, copy_durably, parent, replace_atomically,
    write_atomically,
};
pub use error::{Damage, Error, Poisoned, Refused};
pub use frame::{Frame, FrameRef, MAX_PAYLOAD_BYTES};
pub use header::FORMAT_VERSION;
pub use journal::{Journal, Opened, Room};
pub use options::Options;
pub use record::{RECORD_HEADER_BYTES, Record, Records, records};
pub use rewrite::Rewrite;
pub use segment::{Frames, Segment, read_record};
pub use sim::SimDisk;
pub use state::{State, StateHandle};
pub use survey::{Place, Survey};

/// The unit in which a disk writes without tearing; everything in a segment starts on a multiple of it.
pub(crate) const SECTOR: usize = 512;

/// `offset` rounded up to the next sector.
pub(crate) fn next_sector(offset: u64) -> u64 {
    offset.next_multiple_of(SECTOR as u64)
}
