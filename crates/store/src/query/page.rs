//! A page of events.

use super::merge::{Merge, skip_newest};
use super::{Found, Snapshot, View};
use crate::codec::{TextWord, fingerprint};
use crate::index::{ASK_ROW, Column, NO_TEXT, RowKey, Rows, SealedIndex, column_value};
use crate::segments::SegmentIndex;
use crate::{Error, EventKey, EventPage, EventQuery, Start, StoredEvent};
use std::sync::Arc;

/// Rows that one request looks at for a tool or a failed gate at most; then the page ends and names where to
/// go on.
const MAX_EXAMINED: usize = 100_000;

impl Snapshot {
    /// The events that the query asks for.
    pub(crate) fn page(&self, query: &EventQuery) -> Result<EventPage, Error> {
        let labelled = query.tool.is_some() || query.failed_gate.is_some();
        let mut lists = Vec::new();
        let mut labels = Vec::new();
        for (at, rows) in self.lists(query.passed)? {
            let wanted = if labelled {
                Labels::of(&self.views[at], query)?
            } else {
                Some(Labels::Any)
            };
            if let Some(wanted) = wanted {
                lists.push((at, rows));
                labels.push((at, wanted));
            }
        }
        let (from, mut to) = self.bounds(&lists, query)?;
        if let Some(evaluation_id) = &query.evaluation_id {
            return self.page_of_id(query, evaluation_id, &lists, &from, &to, &labels);
        }
        if let Start::Offset(skip) = query.start {
            skip_newest(&lists, &from, &mut to, skip)?;
        }
        let mut merge = Merge::new(&lists, &from, &to)?;
        let mut page = Page::new(self, query.limit);
        let mut examined = 0;
        let label_of = |found: &Found| labels.iter().position(|(at, _)| *at == found.view);
        while let Some(found) = merge.next()? {
            if !labelled && page.is_full() {
                return Ok(page.full()); // that there is one more row needs no look at it
            }
            if labelled && examined == MAX_EXAMINED {
                return page.cut_short(found);
            }
            examined += 1;
            let wanted = label_of(&found).map_or(&Labels::Any, |at| &labels[at].1);
            if wanted.may_match(found.ordinal)? && page.take(found, query)? {
                return Ok(page.full());
            }
        }
        Ok(page.last())
    }

    /// Per list, the ranks between which the wanted times lie, and before the cursor.
    fn bounds(&self, lists: &[(usize, Rows)], query: &EventQuery) -> Result<(Vec<u32>, Vec<u32>), Error> {
        let (mut from, mut to) = (Vec::new(), Vec::new());
        for (at, rows) in lists {
            let first = query.from.map_or(Ok(0), |time| rows.before(time))?;
            let mut end = query.to.map_or(Ok(rows.len()), |time| rows.until(time))?;
            if let Start::After(key) = query.start {
                end = end.min(self.rank_of(*at, rows, key)?);
            }
            from.push(first.min(end));
            to.push(end);
        }
        Ok((from, to))
    }

    /// How many rows of a list are older than this event, wherever it is.
    fn rank_of(&self, at: usize, rows: &Rows, key: EventKey) -> Result<u32, Error> {
        let view = &self.views[at];
        let Some(totals) = view.totals(self.org)? else {
            return Ok(0);
        };
        let ordinal = if key.seq < totals.first_seq {
            0
        } else if key.seq > totals.last_seq {
            u32::MAX
        } else {
            view.ordinal_of(self.org, key.seq)?.unwrap_or(0)
        };
        rows.rank(RowKey {
            recorded_at: key.recorded_at,
            ordinal,
        })
    }

    /// The events of one id: few, so all of them are found first.
    fn page_of_id(
        &self,
        query: &EventQuery,
        evaluation_id: &str,
        lists: &[(usize, Rows)],
        from: &[u32],
        to: &[u32],
        labels: &[(usize, Labels)],
    ) -> Result<EventPage, Error> {
        let fingerprint = fingerprint(evaluation_id);
        let mut candidates = Vec::new();
        for (list, (at, rows)) in lists.iter().enumerate() {
            for key in rows.with_fingerprint(from[list], to[list], fingerprint)? {
                if labels[list].1.may_match(key.ordinal)? {
                    candidates.push(Found::new(*at, key));
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
        Ok(page.last())
    }
}

/// A page while it fills, with one event more than asked for to tell whether there is a next page.
struct Page<'a> {
    fetcher: super::Fetcher<'a>,
    events: Vec<StoredEvent>,
    limit: usize,
}

impl<'a> Page<'a> {
    fn new(snapshot: &'a Snapshot, limit: usize) -> Self {
        Self {
            fetcher: snapshot.fetcher(),
            events: Vec::with_capacity(limit + 1),
            limit,
        }
    }

    /// Takes the row if it matches; true once there is one more than the page holds.
    fn take(&mut self, found: Found, query: &EventQuery) -> Result<bool, Error> {
        Ok(match self.matching(found, query)? {
            Some(event) => self.push(event),
            None => false,
        })
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

    fn is_full(&self) -> bool {
        self.events.len() == self.limit
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

    fn last(self) -> EventPage {
        EventPage {
            events: self.events,
            next: None,
        }
    }
}

/// What the columns of one segment say of the tool and the failed gate that are wanted.
enum Labels {
    /// Nothing is asked of them.
    Any,
    Open {
        wanted: Wanted,
        tools: Column,
        failed: Column,
    },
    /// Whether rows may match, by the pair of tool and failed set that they have.
    Sealed(Arc<SealedIndex>, Vec<bool>),
}

impl Labels {
    /// What to look for in this segment; `None` if none of its rows can match.
    fn of(view: &View, query: &EventQuery) -> Result<Option<Self>, Error> {
        Ok(match &view.index {
            SegmentIndex::Open(index) => {
                let inner = index.read();
                let wanted = Wanted::of(query, |text| inner.word_of(text), |word| inner.sets_with(word));
                let (tools, failed) = inner.columns();
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

    fn may_match(&self, ordinal: u32) -> Result<bool, Error> {
        Ok(match self {
            Self::Any => true,
            Self::Open {
                wanted,
                tools,
                failed,
            } => {
                let label = |column: &Column| column.get(ordinal).unwrap_or(ASK_ROW);
                wanted.may_be(label(tools), label(failed))
            }
            Self::Sealed(index, may_be) => may_be.get(index.label(ordinal)?).copied().unwrap_or(true),
        })
    }
}

/// A tool and a failed gate as the columns of a segment have them; `None` where one is not asked for.
struct Wanted {
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
