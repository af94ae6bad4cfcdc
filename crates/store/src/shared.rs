//! What the threads of a store share: what is published, and the handles to everything beside the log.

use crate::agent::{AgentName, AgentNo, AgentState};
use crate::codec::CarryRecord;
use crate::damage::Damage;
use crate::erasure::Waiting;
use crate::facts::Facts;
use crate::identity::Identities;
use crate::index::{BlockCache, NewRow};
use crate::loader;
use crate::owner::Spare;
use crate::progress::Progress;
use crate::query::{Past, Snapshot, Whose};
use crate::registry::{AgentUpdate, Carried, Registry};
use crate::sealing::Sealing;
use crate::segments;
use crate::segments::Segments;
use crate::spill::Spill;
use crate::transit::Transit;
use crate::warming::Expected;
use crate::{Error, Observer, Options, OrgId};
use journal::Disk;
use parking_lot::{Mutex, RwLock};
use reputation::Summary;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// What readers see: all of it on stable storage.
#[derive(Default)]
pub(crate) struct Published {
    pub(crate) registry: Registry,
    pub(crate) segments: Segments,
    /// The last frame that is in.
    pub(crate) frame_seq: u64,
}

impl Published {
    /// What is stored of an organisation, or of one of its agents: not what an erasure has yet to remove of
    /// one that had the same name.
    pub(crate) fn snapshot(&self, identities: &Identities, org: OrgId, agent_id: Option<&str>) -> Snapshot {
        let from = agent_id.map_or(0, |agent_id| self.first_segment_of(identities, org, agent_id));
        self.segments.snapshot(org, agent_id, from)
    }

    /// The first segment whose rows under an agent's name are that agent's: those before may be of one that had the
    /// same name and was erased.
    fn first_segment_of(&self, identities: &Identities, org: OrgId, agent_id: &str) -> u64 {
        if self.registry.erasures.is_empty() {
            return 0;
        }
        let name = identities.of_agent(org, agent_id);
        let same = self.registry.erasures_of(org, name);
        same.map(|erasure| erasure.before).max().unwrap_or(0)
    }
}

pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    /// The directory of the log.
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) identities: Identities,
    pub(crate) published: RwLock<Published>,
    pub(crate) progress: Progress,
    pub(crate) spill: Spill,
    pub(crate) sealing: Sealing,
    pub(crate) blocks: Arc<BlockCache>,
    pub(crate) damage: Damage,
    pub(crate) resident_windows: AtomicUsize,
    pub(crate) in_flight: Arc<AtomicUsize>,
    /// Of the batches of groups that were published.
    pub(crate) spare_rows: Spare<Option<NewRow>>,
    /// Of such groups.
    pub(crate) spare_updates: Spare<AgentUpdate>,
    /// Bytes of batch records that this process published.
    pub(crate) event_bytes: AtomicU64,
    /// Agents whose windows are on their way to the owner.
    pub(crate) expected: Expected,
    /// Those who wait for an erasure.
    pub(crate) waiting: Mutex<Vec<Waiting>>,
    pub(crate) transit: Arc<Transit>,
    /// Held by who builds a damaged index anew.
    pub(crate) rebuilding: Mutex<()>,
}

impl Shared {
    /// Whether work in the background should make no breaks: there is more of it than there should be, or time is not
    /// what it is elsewhere.
    pub(crate) fn is_in_a_hurry(&self) -> bool {
        self.sealing.is_behind() || self.options.upkeep_every == Duration::MAX
    }

    /// An agent's place and lifetime count.
    pub(crate) fn find(&self, name: AgentName<'_>) -> Option<(AgentNo, u64)> {
        let published = self.published.read();
        let no = published.registry.find(name)?;
        Some((no, published.registry.entry(no).facts().count))
    }

    pub(crate) fn facts(&self, no: AgentNo) -> Facts {
        self.published.read().registry.entry(no).facts()
    }

    pub(crate) fn is_resident(&self, no: AgentNo) -> bool {
        self.published.read().registry.entry(no).is_resident()
    }

    pub(crate) fn set_resident(&self, no: AgentNo, resident: bool) {
        self.published.read().registry.entry(no).set_resident(resident);
    }

    /// What is stored of an organisation, or of one of its agents, at this moment.
    pub(crate) fn reader(&self, org: OrgId, agent_id: Option<&str>) -> Snapshot {
        self.published.read().snapshot(&self.identities, org, agent_id)
    }

    /// All that is published of an agent at one moment.
    pub(crate) fn look(&self, no: AgentNo, org: OrgId, agent_id: &str) -> Seen {
        let published = self.published.read();
        let entry = published.registry.entry(no);
        Seen {
            facts: entry.facts(),
            carried: entry.carried,
            reader: published.snapshot(&self.identities, org, Some(agent_id)),
        }
    }

    /// What is published of some agents of an organisation at one moment, `None` of one that is not, and where to
    /// look for their rows.
    pub(crate) fn past<'a>(
        &self,
        org: OrgId,
        agents: impl Iterator<Item = &'a str>,
    ) -> (Past, Vec<Option<Known<'a>>>) {
        let published = self.published.read();
        let known = |agent_id| {
            let no = published.registry.find(AgentName { org, agent_id })?;
            let entry = published.registry.entry(no);
            let from_segment = published.first_segment_of(&self.identities, org, agent_id);
            Some(Known {
                whose: Whose {
                    agent_id,
                    from_segment,
                },
                no,
                facts: entry.facts(),
                carried: entry.carried,
            })
        };
        let known = agents.map(known).collect();
        (published.segments.past(org), known)
    }

    /// Reads; where indexes turn out to be damaged, rebuilds each once and reads again. Damage of the stored
    /// events themselves is noted for the operator.
    pub(crate) fn read<T>(&self, mut read: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        let mut rebuilt = Vec::new();
        let outcome = loop {
            match read() {
                Err(Error::Index { file, .. }) if !rebuilt.contains(&file) => {
                    if let Err(error) = segments::rebuild(self, &file) {
                        break Err(error);
                    }
                    rebuilt.push(file);
                }
                outcome => break outcome,
            }
        };
        self.damage.note(outcome)
    }

    /// The totals of an agent's window; loads the window where only a crash knows them.
    pub(crate) fn summary(&self, org: OrgId, agent_id: &str) -> Result<Summary, Error> {
        let known = {
            let published = self.published.read();
            let Some(no) = published.registry.find(AgentName { org, agent_id }) else {
                return Ok(Summary::default());
            };
            published.registry.entry(no).summary().ok_or(no)
        };
        known.or_else(|no| {
            let state = loader::load(self, no, org, agent_id)?;
            self.remember(no, &state);
            Ok(state.window.summary())
        })
    }

    /// Keeps what a loaded window says of its agent, if nothing was counted since.
    pub(crate) fn remember(&self, no: AgentNo, state: &AgentState) {
        let mut published = self.published.write();
        if published.registry.entry(no).facts() == state.facts {
            published.registry.update(&AgentUpdate::of(no, state));
        }
    }
}

/// An agent at one moment, and whose rows are its.
pub(crate) struct Known<'a> {
    pub(crate) no: AgentNo,
    pub(crate) whose: Whose<'a>,
    pub(crate) facts: Facts,
    pub(crate) carried: Option<Carried>,
}

/// An agent at one moment: what is known of it, and its rows.
pub(crate) struct Seen {
    pub(crate) facts: Facts,
    pub(crate) carried: Option<Carried>,
    pub(crate) reader: Snapshot,
}

impl Seen {
    /// Its carry, if that has a window.
    pub(crate) fn carry(&self) -> Result<Option<CarryRecord>, Error> {
        let segment = self.carried.and_then(Carried::segment_of_window);
        segment.map(|segment| self.reader.carry(segment)).transpose()
    }
}

/// The right to be in flight: one submission between hand-over and answer.
pub(crate) struct Permit(Arc<AtomicUsize>);

impl Permit {
    /// A permit, if fewer than `limit` are out.
    pub(crate) fn take(in_flight: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        let add = |now: usize| (now < limit).then_some(now + 1);
        in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add)
            .ok()?;
        Some(Self(Arc::clone(in_flight)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
