//! Goes on without what is damaged: says first what is lost, keeps the damaged files apart, then rewrites the
//! segments without it.
//!
//! The rows of a segment name their agents by numbers in the segment's dictionary, and a lost frame may have
//! held words of it. The frames behind it are kept only where the dictionary is known, from the segment's
//! index; else they would be read as events of other agents.

mod salvage;

use crate::checkpoint::{self, Covered};
use crate::identity::Identities;
use crate::recover::SHARD_DIR;
use crate::registry::Registry;
use crate::secret;
use crate::spill::Spill;
use crate::verify::{Finding, Remedy, verify};
use crate::{Error, OrgId};
use journal::{Disk, Survey};
use parking_lot::RwLock;
use salvage::{Salvage, Seen};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where damaged files are kept, in the data directory.
const SET_ASIDE_DIR: &str = "set-aside";
/// How many events an organisation may have had in frames of which nothing is left: no segment holds more.
/// Their numbers are not given to other events.
const UNKNOWN_EVENTS: u64 = 1 << 26;

/// What a repair will do, or did.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Frames that are lost.
    pub lost_frames: Vec<LostFrames>,
    /// Events that are lost with them, as far as their numbers are known.
    pub lost_events: Vec<LostEvents>,
    /// Whether the end of the log is lost, so that there may have been newer events that nothing tells of.
    pub end_is_lost: bool,
    /// Damaged files, and where each is kept.
    pub set_aside: Vec<(PathBuf, PathBuf)>,
    /// Files that are derived from the log, which are removed and built anew.
    pub rebuilt: Vec<PathBuf>,
    /// Whether the key of cursors and identities is lost, and a new one is made.
    pub new_secret: bool,
    /// What no repair can mend.
    pub left: Vec<Finding>,
    /// The segments to rewrite.
    rewrite: Vec<u64>,
    /// Whether totals are to be counted anew.
    recount: bool,
}

/// A run of frames that is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostFrames {
    /// The segment's file.
    pub file: PathBuf,
    /// Where in it the loss begins, in bytes.
    pub offset: u64,
    /// The first frame.
    pub first: u64,
    /// The last frame.
    pub last: u64,
    /// Why.
    pub why: String,
}

/// A run of an organisation's events that is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostEvents {
    /// The organisation.
    pub org: OrgId,
    /// The first one's number.
    pub first: u64,
    /// The last one's number.
    pub last: u64,
}

impl Plan {
    /// Looks at the directory and says what a repair would do. Changes nothing.
    ///
    /// # Errors
    /// As [`verify`].
    pub fn make(disk: &Arc<dyn Disk>, data_dir: &Path) -> Result<Self, Error> {
        let report = verify(disk, data_dir)?;
        let mut plan = Self::default();
        let mut log_is_damaged = false;
        for finding in report.findings {
            match finding.remedy {
                Remedy::Log => log_is_damaged = true,
                Remedy::Derived => plan.rebuild(finding.file),
                Remedy::Secret => {
                    plan.new_secret = true;
                    if disk.open(&finding.file).is_ok() {
                        let kept = data_dir.join(SET_ASIDE_DIR).join(secret::FILE);
                        plan.set_aside.push((finding.file, kept));
                    }
                }
                Remedy::Restore | Remedy::Report => plan.left.push(finding),
            }
        }
        if log_is_damaged {
            plan.look_for_losses(disk, data_dir)?;
        }
        Ok(plan)
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.recount && !self.new_secret && self.rewrite.is_empty() && self.rebuilt.is_empty()
    }

    /// Does it: nothing is removed before it is kept elsewhere, and a repair that was cut short is simply done
    /// again. The caller has the directory to itself.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn carry_out(&self, disk: &Arc<dyn Disk>, data_dir: &Path) -> Result<(), Error> {
        let dir = data_dir.join(SHARD_DIR);
        let (survey, _) = survey(disk, &dir)?;
        self.keep_apart(&**disk, data_dir)?;
        if self.new_secret {
            // Their identities are those of the old key.
            Spill::remove_all(&**disk, &dir).map_err(Error::io(&dir))?;
            disk.sync_dir(&dir).map_err(Error::io(&dir))?;
            secret::make(&**disk, data_dir)?;
        }
        if self.recount {
            // Before the segments change: totals that know of lost events must not be used any more.
            forget_totals(disk, data_dir, &survey, self.end_is_lost)?;
        }
        let mut seen = Seen::default();
        for place in &survey.places {
            if self.rewrite.contains(&place.number) {
                let mut rewrite = survey.rewrite(place)?;
                let mut salvage = Salvage::of(&**disk, &dir, place);
                salvage.run(&mut seen, |seq, payload| Ok(rewrite.push(seq, payload)?))?;
                rewrite.finish()?;
            }
        }
        for file in self.rebuilt.iter().filter(|file| disk.open(file).is_ok()) {
            disk.remove(file).map_err(Error::io(file))?;
        }
        disk.sync_dir(&dir).map_err(Error::io(&dir))
    }

    fn rebuild(&mut self, file: PathBuf) {
        self.recount |= file.extension().is_none_or(|extension| extension != "idx");
        if !self.rebuilt.contains(&file) {
            self.rebuilt.push(file);
        }
    }

    fn look_for_losses(&mut self, disk: &Arc<dyn Disk>, data_dir: &Path) -> Result<(), Error> {
        let dir = data_dir.join(SHARD_DIR);
        let (survey, checkpoint) = survey(disk, &dir)?;
        let mut seen = Seen::default();
        for place in &survey.places {
            let mut salvage = Salvage::of(&**disk, &dir, place);
            salvage.run(&mut seen, |_, _| Ok(()))?;
            self.end_is_lost = salvage.end_is_lost;
            if !salvage.lost.is_empty() || !place.damage.is_empty() {
                self.rewrite.push(place.number);
                self.set_aside.extend(place.files.iter().map(|file| {
                    let name = file.file_name().unwrap_or_default();
                    (file.clone(), data_dir.join(SET_ASIDE_DIR).join(name))
                }));
            }
            self.lost_frames.append(&mut salvage.lost);
        }
        self.recount = true;
        self.lost_events = seen.lost(&checkpoint);
        Ok(())
    }

    fn keep_apart(&self, disk: &dyn Disk, data_dir: &Path) -> Result<(), Error> {
        if self.set_aside.is_empty() {
            return Ok(());
        }
        let dir = data_dir.join(SET_ASIDE_DIR);
        disk.create_dir_all(&dir).map_err(Error::io(&dir))?;
        for (from, to) in &self.set_aside {
            let file = disk.open(from).map_err(Error::io(from))?;
            let bytes = file.len().map_err(Error::io(from))?;
            journal::copy_durably(disk, &*file, bytes, to).map_err(Error::io(to))?;
        }
        disk.sync_dir(&dir).map_err(Error::io(&dir))
    }
}

/// The log as it is, with a place for what its end must have held, going by the checkpoint.
fn survey(disk: &Arc<dyn Disk>, dir: &Path) -> Result<(Survey, Registry), Error> {
    let (checkpoint, covered) = checkpoint::read(&**disk, dir);
    let mut survey = Survey::take(disk, dir, 0)?;
    if covered.frame_seq > survey.places.last().map_or(0, |place| place.last_seq) {
        survey.add_lost_end(covered.frame_seq);
    }
    Ok((survey, checkpoint))
}

/// Leaves a checkpoint without totals, so that the next start counts all agents anew; it keeps what the log
/// cannot tell: which numbers of events were given. Where the oldest segments are gone, so that the log alone
/// cannot tell the lifetime counts either, it keeps those, and forgets the windows alone: the carries that are kept tell
/// of what is gone.
fn forget_totals(
    disk: &Arc<dyn Disk>,
    data_dir: &Path,
    survey: &Survey,
    end_is_lost: bool,
) -> Result<(), Error> {
    let dir = &data_dir.join(SHARD_DIR);
    let (mut registry, covered) = checkpoint::read(&**disk, dir);
    let starts_whole = survey.starts_whole();
    let mut seen = Seen::default();
    for place in &survey.places {
        Salvage::of(&**disk, dir, place).run(&mut seen, |_, _| Ok(()))?;
    }
    let mut last_seqs = seen.last_seqs(&registry);
    if end_is_lost {
        last_seqs.iter_mut().for_each(|(_, last)| *last += UNKNOWN_EVENTS);
    }
    let mut frame_seq = covered
        .frame_seq
        .min(survey.places.last().map_or(0, |place| place.last_seq));
    if starts_whole {
        (registry, frame_seq) = (Registry::default(), 0);
    } else {
        let identities = Identities::new(&secret::open(&**disk, data_dir)?);
        registry.forget_windows(|entry, erasures| seen.carried(entry, erasures, &identities));
    }
    for (org, last_seq) in last_seqs {
        registry.raise_last_seq(org, last_seq);
    }
    let next = Covered {
        turn: covered.turn + 1,
        frame_seq,
    };
    let registry = RwLock::new(registry);
    checkpoint::write(&**disk, dir, next, || registry.read(), |registry| registry)?;
    let other = checkpoint::path_of(dir, next.turn + 1);
    if disk.open(&other).is_ok() {
        disk.remove(&other).map_err(Error::io(&other))?;
    }
    Spill::remove_all(&**disk, dir).map_err(Error::io(dir))
}
