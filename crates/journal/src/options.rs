//! How a journal behaves.

use std::time::Duration;

/// Settings of a journal. The defaults are those of a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// Size of the first segment after an open, in bytes; each later one is four times as large.
    pub first_segment_bytes: u64,
    /// Size at which segments stop growing, in bytes. Only a single frame that needs more gets more.
    pub max_segment_bytes: u64,
    /// Sync each frame before it is acknowledged. Without, a crash of the process loses nothing and a power
    /// cut loses the newest frames; segments are still synced when they are left and closed.
    pub sync: bool,
    /// How long to wait between attempts to prepare a segment while the disk has no room.
    pub retry: Duration,
    /// Commit and prepare on the caller's thread: slower, but every operation comes in the same order each
    /// time, which lets a test crash at each of them. There, a full disk is tried again at each `reserve`.
    pub inline: bool,
    /// Which shard these segments belong to.
    pub shard: u32,
    /// Which tenure of the shard's owner writes them.
    pub epoch: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            first_segment_bytes: 1 << 20,
            max_segment_bytes: 64 << 20,
            sync: true,
            retry: Duration::from_secs(1),
            inline: false,
            shard: 0,
            epoch: 1,
        }
    }
}
