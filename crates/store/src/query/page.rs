//! A page of events.

use super::merge::{Merge, Part};
use super::{Found, Snapshot, View};
use crate::codec::{TextWord, fingerprint};
use crate::index::{ASK_ROW, Column, NO_TEXT, RowKey, Rows, SealedIndex, column_value};
use crate::segments::SegmentIndex;
use crate::{Error, EventKey, EventPage, EventQuery, Start, StoredEvent};
use reputation::Micros;
use std::sync::Arc;

/// Rows that one request looks at for a tool or a failed gate at most; then the page ends and names where to
/// go on.
const MAX_EXAMINED: usize = 100_000;

impl Snapshot {
    /// The events that the query asks for.
    pub(crate) fn page(&self, query: &EventQuery) -> Result<EventPage, Error> {
        if let Some(evaluation_id) = &query.evaluation_id {
            return self.page_of_id(query, evaluation_id);
        }
        let labelled = query.has_labels();
        let mut merge = Merge::new(self.views_of(query), |view| self.part(view, query));
        if let Start::Offset(skip) = query.start {
            merge.skip(skip)?;
        }
        let mut page = Page::new(self, query.limit);
        let mut examined = 0;
        while let Some(found) = merge.next()? {
            // Without labels, that there is one more row needs no look at it.
            if page.len() == page.limit + usize::from(labelled) && page.read(query)? {
                return Ok(page.full());
            }
            if labelled && examined == MAX_EXAMINED {
                page.read(query)?;
                return page.cut_short(found);
            }
            examined += 1;
            if merge.may_match(&found)? {
                page.rows.push(found);
            }
        }
        page.read(query)?;
        Ok(page.ended())
    }

    /// The views that may have rows of the wanted times and before the cursor, each with a time after which it has none.
    fn views_of(&self, query: &EventQuery) -> impl Iterator<Item = (usize, Micros)> {
        let to = query.to.unwrap_or(Micros(i64::MAX));
        let to = match query.start {
            Start::After(key) => to.min(key.recorded_at),
            Start::Offset(_) => to,
        };
        self.within(query.from.unwrap_or(Micros(i64::MIN)), to)
    }

    /// The rows of a view that lie between the wanted times and before the cursor; `None` if none of them can match.
    fn part(&self, at: usize, query: &EventQuery) -> Result<Option<Part>, Error> {
        let view = &self.views[at];
        let Some(mut rows) = self.rows(view, query.passed)? else {
            return Ok(None);
        };
        let labels = if query.has_labels() {
            Labels::of(view, query)?
        } else {
            Some(Labels::Any)
        };
        let Some(labels) = labels else {
            return Ok(None);
        };
        let from = query.from.map_or(Ok(0), |time| rows.before(time))?;
        let mut to = query.to.map_or(Ok(rows.len()), |time| rows.until(time))?;
        if let Start::After(key) = query.start {
            to = to.min(self.rank_of(view, &mut rows, key)?);
        }
        Ok(Some(Part::new(rows, from, to, labels)))
    }

    /// How many rows of a list are older than this event, wherever it is.
    fn rank_of(&self, view: &View, rows: &mut Rows, key: EventKey) -> Result<u32, Error> {
        let Some(totals) = view.totals(self.org)? else {
            return Ok(0);
        };
        let ordinal = if key.seq < totals.first_seq {
            0
        } else if key.seq > totals.last_seq {
            u32::MAX
        } else if let Some(ordinal) = view.ordinal_of(self.org, key.seq)? {
            ordinal
        } else {
            return rank_in_gap(view, rows, key);
        };
        rows.rank(RowKey {
            recorded_at: key.recorded_at,
            ordinal,
        })
    }

    /// The events of one id: few, so all of them are found first.
    fn page_of_id(&self, query: &EventQuery, evaluation_id: &str) -> Result<EventPage, Error> {
        let fingerprint = fingerprint(evaluation_id);
        let mut candidates = Vec::new();
        for (view, _) in self.views_of(query) {
            let Some(part) = self.part(view, query)? else {
                continue;
            };
            for key in part.with_fingerprint(fingerprint)? {
                if part.may_match(key.ordinal)? {
                    candidates.push(Found::new(view, key));
                }
            }
        }
        candidates.sort_unstable_by(|a, b| b.cmp(a));
        let mut skip = match query.start {
            Start::Offset(skip) => skip,
            Start::After(_) => 0,
        };
        let mut page = Page::new(self, query.limit);
        for found in candidates {
            let Some(event) = page.matching(found, query)? else {
                continue;
            };
            if skip > 0 {
                skip -= 1;
            } else if page.push(event) {
                return Ok(page.full());
            }
        }
        Ok(page.ended())
    }
}

/// How many rows of a list are older than an event whose number none of the segment's batches has: it was lost, or not
/// imported.
fn rank_in_gap(view: &View, rows: &mut Rows, key: EventKey) -> Result<u32, Error> {
    // Those of its time are in the order of their numbers.
    let (mut from, mut to) = (rows.before(key.recorded_at)?, rows.until(key.recorded_at)?);
    while from < to {
        let middle = from.midpoint(to);
        let ordinal = rows.key(middle)?.ordinal;
        let batch = view.index().batch_of(ordinal)?;
        let seq = batch.map(|batch| batch.first_seq + u64::from(ordinal - batch.first_ordinal));
        if seq < Some(key.seq) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    Ok(from)
}

/// A page while it fills, mostly with one event more than asked for to tell whether there is a next page.
struct Page<'a> {
    fetcher: super::Fetcher<'a, View>,
    events: Vec<StoredEvent>,
    /// Rows to come behind the events, not read yet.
    rows: Vec<Found>,
    limit: usize,
}

impl<'a> Page<'a> {
    fn new(snapshot: &'a Snapshot, limit: usize) -> Self {
        Self {
            fetcher: snapshot.fetcher(),
            events: Vec::with_capacity(limit + 1),
            rows: Vec::new(),
            limit,
        }
    }

    fn len(&self) -> usize {
        self.events.len() + self.rows.len()
    }

    /// Reads the rows; whether all of them matched.
    fn read(&mut self, query: &EventQuery) -> Result<bool, Error> {
        let before = self.len();
        let events = self.fetcher.events(&std::mem::take(&mut self.rows))?;
        self.events
            .extend(events.into_iter().filter(|event| query.admits(event)));
        Ok(self.len() == before)
    }

    fn push(&mut self, event: StoredEvent) -> bool {
        self.events.push(event);
        self.events.len() > self.limit
    }

    /// The event, if the row itself has all that only the row can tell.
    fn matching(&mut self, found: Found, query: &EventQuery) -> Result<Option<StoredEvent>, Error> {
        let event = self.fetcher.event(found.view, found.ordinal)?;
        Ok(query.admits(&event).then_some(event))
    }

    fn full(mut self) -> EventPage {
        self.events.truncate(self.limit);
        let next = self.events.last().map(|event| EventKey {
            recorded_at: event.recorded_at,
            seq: event.seq,
        });
        EventPage {
            events: self.events,
            next,
        }
    }

    /// The page ends before this row, which nobody looked at.
    fn cut_short(mut self, found: Found) -> Result<EventPage, Error> {
        let event = self.fetcher.event(found.view, found.ordinal)?;
        // The row itself is to come first on the next page: name the place just before it.
        let next = Some(EventKey {
            recorded_at: event.recorded_at,
            seq: event.seq + 1,
        });
        self.events.truncate(self.limit);
        Ok(EventPage {
            events: self.events,
            next,
        })
    }

    /// There is no row behind those that were read.
    fn ended(self) -> EventPage {
        if self.events.len() > self.limit {
            return self.full();
        }
        EventPage {
            events: self.events,
            next: None,
        }
    }
}

/// What the columns of one segment say of the tool and the failed gate that are wanted.
pub(super) enum Labels {
    /// Nothing is asked of them.
    Any,
    Open {
        wanted: Wanted,
        tools: Column<u16>,
        failed: Column<u16>,
    },
    /// Whether rows may match, by the pair of tool and failed set that they have.
    Sealed(Arc<SealedIndex>, Vec<bool>),
}

impl Labels {
    /// What to look for in this segment; `None` if none of its rows can match.
    fn of(view: &View, query: &EventQuery) -> Result<Option<Self>, Error> {
        Ok(match view.index() {
            SegmentIndex::Open(index) => {
                let inner = index.read();
                let wanted = Wanted::of(query, |text| inner.word_of(text), |word| inner.sets_with(word));
                let (tools, failed) = inner.labels();
                // A full dictionary leaves texts inline: then only the rows can tell.
                (wanted.is_known() || inner.asks_rows()).then_some(Self::Open {
                    wanted,
                    tools,
                    failed,
                })
            }
            SegmentIndex::Sealed(index) => {
                let words = index.words()?;
                let wanted = Wanted::of(query, |text| words.word_of(text), |word| words.sets_with(word));
                let pairs = index.label_pairs()?.into_iter();
                let may_be: Vec<bool> = pairs.map(|(tool, set)| wanted.may_be(tool, set)).collect();
                may_be
                    .contains(&true)
                    .then(|| Self::Sealed(Arc::clone(index), may_be))
            }
        })
    }

    pub(super) fn may_match(&self, ordinal: u32) -> Result<bool, Error> {
        Ok(match self {
            Self::Any => true,
            Self::Open {
                wanted,
                tools,
                failed,
            } => {
                let label = |column: &Column<u16>| column.get(ordinal).unwrap_or(ASK_ROW);
                wanted.may_be(label(tools), label(failed))
            }
            Self::Sealed(index, may_be) => may_be.get(index.label(ordinal)?).copied().unwrap_or(true),
        })
    }
}

/// A tool and a failed gate as the columns of a segment have them; `None` where one is not asked for.
pub(super) struct Wanted {
    tool: Option<u16>,
    /// The sets that hold the gate.
    sets: Option<Vec<u16>>,
}

impl Wanted {
    /// By the words and the sets of the segment.
    fn of(
        query: &EventQuery,
        word_of: impl Fn(&str) -> Option<TextWord>,
        sets_with: impl Fn(TextWord) -> Vec<u16>,
    ) -> Self {
        Self {
            tool: query
                .tool
                .as_deref()
                .map(|tool| word_of(tool).map_or(ASK_ROW, column_value)),
            sets: query
                .failed_gate
                .as_deref()
                .map(|gate| word_of(gate).map_or(Vec::new(), &sets_with)),
        }
    }

    /// Whether the segment has words for both.
    fn is_known(&self) -> bool {
        self.tool != Some(ASK_ROW) && self.sets.as_ref().is_none_or(|sets| !sets.is_empty())
    }

    /// Whether a row with this tool and this failed set may match.
    fn may_be(&self, tool: u16, set: u16) -> bool {
        let is_tool = self.tool.is_none_or(|wanted| tool == wanted || tool == ASK_ROW);
        let is_set = self
            .sets
            .as_ref()
            .is_none_or(|sets| set == ASK_ROW || (set != NO_TEXT && sets.contains(&set)));
        is_tool && is_set
    }
}
