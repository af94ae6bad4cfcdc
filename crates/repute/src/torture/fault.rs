//! What is done to the server.

use super::load::Round;
use super::process::Process;
use crate::open_files;
use anyhow::{Context as _, Result};
use clap::ValueEnum;
use journal::{Disk, OsDisk, ReadOnlyDisk, Survey};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How much a data directory may grow until its disk is full: one segment of the first size can be prepared, and no more.
pub(super) const ROOM_BYTES: u64 = 2 << 20;
/// How long to load a server until it answers, or until its disk is full, and how often to look.
const WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long a stopped process stays stopped.
const STOPPED: Duration = Duration::from_secs(3);
/// What a torn write leaves at most.
const MAX_TORN_BYTES: usize = 8 << 10;

/// A way to hurt the server. After each it is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// SIGKILL.
    Kill,
    /// SIGKILL, and behind the last whole frame a write that was cut short, as a power cut leaves it.
    Torn,
    /// SIGSTOP until clients give up, then SIGCONT, then SIGKILL.
    Stop,
    /// A full disk: the data directory may not grow; then SIGKILL, and room again.
    Full,
}

impl Fault {
    /// Its word on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Torn => "torn",
            Self::Stop => "stop",
            Self::Full => "full",
        }
    }

    /// How long a client waits for an answer: under SIGSTOP not long enough to get one.
    pub(super) fn patience(self) -> Duration {
        match self {
            Self::Stop => STOPPED / 3,
            Self::Kill | Self::Torn | Self::Full => Duration::from_secs(10),
        }
    }

    /// Hurts the server after it was loaded for a while; it is down afterwards.
    pub(super) fn strike(self, process: &mut Process, load: Duration, round: &Round) -> Result<()> {
        // After a start the first answers may take a while, since all windows are cold.
        wait_for(&round.is_under_way);
        thread::sleep(load);
        match self {
            Self::Kill => process.kill(),
            Self::Torn => {
                process.kill()?;
                tear(&process.data_dir())
            }
            Self::Stop => {
                process.freeze()?;
                thread::sleep(STOPPED);
                process.thaw()?;
                thread::sleep(load);
                process.kill()
            }
            Self::Full => {
                wait_for(&round.is_full);
                // Refused for a while, and meanwhile nothing may be counted.
                thread::sleep(load);
                process.kill()
            }
        }
    }
}

/// Waits until it is so, but not for ever: then there is less to see, and nothing is wrong.
fn wait_for(flag: &AtomicBool) {
    let started = Instant::now();
    while !flag.load(Ordering::Relaxed) && started.elapsed() < WITHIN {
        thread::sleep(LOOK_EVERY);
    }
}

/// Leaves a write that was cut short behind the last whole frame of the log: the beginning of that frame again,
/// with the next sequence number.
fn tear(data_dir: &Path) -> Result<()> {
    let disk = open_files::most_of(ReadOnlyDisk);
    let survey = Survey::take(&disk, &data_dir.join("log/0"), 0)?;
    let Some((place, segment)) = survey
        .places
        .iter()
        .rev()
        .find_map(|place| Some((place, place.segment.as_ref()?)))
    else {
        return Ok(());
    };
    // Sealed by a clean stop and not written since: nothing was in flight.
    if place.sealed {
        return Ok(());
    }
    let Some(last) = segment.frames().filter_map(Result::ok).last() else {
        return Ok(());
    };
    const FRAME_HEADER_BYTES: u64 = 20;
    let start = last.payload_offset - FRAME_HEADER_BYTES;
    let end = segment.end();
    let len = usize::try_from(end - start)
        .unwrap_or(MAX_TORN_BYTES)
        .min(MAX_TORN_BYTES);
    let mut torn = vec![0; len];
    segment.read_at(&mut torn, start)?;
    torn[8..16].copy_from_slice(&(place.last_seq + 1).to_le_bytes());
    let file = OsDisk.open(&segment.path).context("cannot tear the log's end")?;
    Ok(file.write_all_at(&torn, end)?)
}
