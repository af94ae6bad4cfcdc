//! Checks a data directory against itself: every frame and record of the log, every index against its
//! segment, the registry and the window copies against a recount.
//!
//! Nothing is changed, and a server may run meanwhile: what it adds after the log was looked at is left out,
//! what it replaces or removes is read from the files opened before. Memory is bounded by one segment's index,
//! two registries, and [`MAX_SLOTS`] of windows at a time; more agents take more passes over the log.

mod facts;
mod segment;
mod windows;

pub(crate) use segment::check_texts;

use crate::Error;
use crate::checkpoint::{self, Covered};
use crate::identity::Identities;
use crate::recover::SHARD_DIR;
use crate::registry::Registry;
use crate::secret::{self, Secret};
use crate::spill::Spill;
use facts::FactsRecount;
use journal::{Disk, Place, Survey};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Findings kept; more are only counted.
const MAX_FINDINGS: usize = 1_000;
/// Window slots in memory at once, at some 40 bytes each.
const MAX_SLOTS: u64 = 4_000_000;

/// What a look at a directory found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Segments, the open one included.
    pub segments: u64,
    /// Frames that check.
    pub frames: u64,
    /// Events in them.
    pub events: u64,
    /// Agents in the log.
    pub agents: u64,
    /// Index files compared with their segments.
    pub indexes: u64,
    /// Whether the agents' totals were recounted and compared; if not, why.
    pub totals: Totals,
    /// What is wrong, at most the first thousand.
    pub findings: Vec<Finding>,
    /// How many more are wrong.
    pub more: u64,
}

/// Whether totals were compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Totals {
    /// The log has damage or does not begin with its first frame: a recount would not be one.
    #[default]
    Uncounted,
    /// There is no checkpoint yet; the scores in the log were compared.
    ScoresAlone,
    /// Registry, windows and scores were compared with a recount.
    Recounted,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub file: PathBuf,
    /// Where in it, in bytes.
    pub offset: u64,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: Remedy,
}

/// What to do about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Bytes of the log itself are lost.
    Log,
    /// A file that is derived from the log is wrong.
    Derived,
    /// A file is wrong that nothing can stand in for.
    Restore,
    /// The key of cursors and identities is lost.
    Secret,
    /// The log says two things, and nothing tells which is right.
    Report,
}

impl Remedy {
    /// As a sentence for the operator.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Log => {
                "put the file back from a backup, or stop the server and run `repute repair`, which sets the damaged \
                 part aside"
            }
            Self::Derived => {
                "nothing is lost: stop the server and run `repute repair`, which removes it; the next start builds it anew"
            }
            Self::Restore => "put the file back from a backup",
            Self::Secret => {
                "put the file back from a backup, or stop the server and run `repute repair`, which makes a new one: then \
                 events that retention removed count once more if they are sent again"
            }
            Self::Report => {
                "its checksums are right, so it was written like this: put the file back from a backup, and report it as a \
                 fault of repute"
            }
        }
    }
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        } else {
            self.more += 1;
        }
    }

    fn log(&mut self, damage: &journal::Damage) {
        self.find(Finding {
            file: damage.file.clone(),
            offset: damage.offset,
            what: damage.what.clone(),
            remedy: Remedy::Log,
        });
    }

    fn derived(&mut self, file: &Path, offset: u64, what: impl Into<String>) {
        self.find(Finding {
            file: file.to_owned(),
            offset,
            what: what.into(),
            remedy: Remedy::Derived,
        });
    }
}

/// What was derived from the log before it was looked at.
struct Derived {
    /// The newest checkpoint, its file and what it covers.
    checkpoint: Option<(Registry, Covered, PathBuf)>,
    /// Copies of windows, if the key that their identities hang on is there.
    copies: Option<(Spill, Identities)>,
}

impl Derived {
    fn identities(&self) -> Option<&Identities> {
        self.copies.as_ref().map(|(_, identities)| identities)
    }
}

/// Checks the data directory. `disk` may be one that only reads.
///
/// # Errors
/// Where the log is of a newer format, or files cannot be read at all.
pub fn verify(disk: &Arc<dyn Disk>, data_dir: &Path) -> Result<Report, Error> {
    let mut report = Report::default();
    let dir = data_dir.join(SHARD_DIR);
    // Before the log, so that the log has all that they know of.
    let derived = derived(disk, data_dir, &dir, &mut report);
    let survey = Survey::take(disk, &dir, 0)?;
    let mut facts = FactsRecount::new(
        derived
            .checkpoint
            .as_ref()
            .map(|(registry, covered, _)| (registry, *covered)),
    );
    let starts_whole = survey.starts_whole();
    if !starts_whole {
        facts.lose_frames();
    }
    let last = survey.places.last().map(|place| place.number);
    for place in &survey.places {
        report.segments += 1;
        place.damage.iter().for_each(|damage| report.log(damage));
        let is_last = Some(place.number) == last;
        segment::check(&**disk, &dir, place, is_last, &mut facts, &mut report)?;
    }
    let recounted = facts.finish();
    report.agents = recounted.registry.len() as u64;
    let log_is_sound = report
        .findings
        .iter()
        .all(|finding| finding.remedy != Remedy::Log)
        && report.more == 0;
    if let Some((registry, covered, file)) = &derived.checkpoint {
        let last = survey.places.last();
        let (last_seq, segment) = last.map_or((0, None), |place| (place.last_seq, place.segment.as_ref()));
        if let Some(damage) = covered.missing_end(last_seq, segment, file) {
            report.log(&damage);
        }
        if starts_whole && log_is_sound {
            recounted.compare(registry, file, derived.identities(), &mut report);
        }
    }
    if starts_whole && log_is_sound {
        windows::check(&**disk, &survey.places, &recounted, &derived, &mut report)?;
        report.totals = match derived.checkpoint {
            Some(_) => Totals::Recounted,
            None => Totals::ScoresAlone,
        };
    }
    Ok(report)
}

fn derived(disk: &Arc<dyn Disk>, data_dir: &Path, dir: &Path, report: &mut Report) -> Derived {
    let mut newest: Option<(Registry, Covered, PathBuf)> = None;
    for turn in 0..2 {
        let path = checkpoint::path_of(dir, turn);
        match checkpoint::read_one(&**disk, dir, turn) {
            None if disk.open(&path).is_ok() => {
                report.derived(&path, 0, "the checkpoint of the agents does not check");
            }
            Some((registry, covered))
                if newest
                    .as_ref()
                    .is_none_or(|(_, other, _)| other.turn < covered.turn) =>
            {
                newest = Some((registry, covered, path));
            }
            Some(_) | None => {}
        }
    }
    let secret = checked_secret(&**disk, data_dir, report);
    let spill = Spill::open(Arc::clone(disk), dir).ok();
    Derived {
        checkpoint: newest,
        copies: spill.zip(secret.as_ref().map(Identities::new)),
    }
}

/// The key of cursors and identities; says what is lost where the file is not one.
fn checked_secret(disk: &dyn Disk, data_dir: &Path, report: &mut Report) -> Option<Secret> {
    let what = match secret::read(disk, data_dir) {
        Ok(secret) => return secret,
        Err(Error::Secret { why, .. }) => format!("the key of cursors and identities {why}"),
        Err(error) => error.to_string(),
    };
    report.find(Finding {
        file: secret::path(data_dir),
        offset: 0,
        what,
        remedy: Remedy::Secret,
    });
    None
}

/// The segments that can be read, oldest first.
fn readable(places: &[Place]) -> impl Iterator<Item = &journal::Segment> {
    places.iter().filter_map(|place| place.segment.as_ref())
}
