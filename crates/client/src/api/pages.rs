//! Lists that come in pages, as iterators over what is on them.

use super::answers::{Agent, AgentsPage, StoredEvent};
use super::{ApiError, Client, EventFilter, encoded};
use std::collections::VecDeque;

/// Where a list goes on.
#[derive(Debug)]
enum Next {
    First,
    At(String),
    End,
}

/// What is on the pages that came, and where the next one is.
#[derive(Debug)]
struct Pages<T> {
    items: VecDeque<T>,
    next: Next,
}

impl<T> Pages<T> {
    fn new() -> Self {
        Self {
            items: VecDeque::new(),
            next: Next::First,
        }
    }

    /// The next item; `ask` gets a page and its cursor. A page may be empty and still not be the last.
    fn next(
        &mut self,
        ask: impl Fn(Option<&str>) -> Result<(Vec<T>, Option<String>), ApiError>,
    ) -> Option<Result<T, ApiError>> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Some(Ok(item));
            }
            let page = match std::mem::replace(&mut self.next, Next::End) {
                Next::End => return None,
                Next::First => ask(None),
                Next::At(cursor) => ask(Some(&cursor)),
            };
            match page {
                Ok((items, cursor)) => {
                    self.items = items.into();
                    self.next = cursor.map_or(Next::End, Next::At);
                }
                // The list ends here: whoever goes on would get a gap.
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Events, newest first. Ends after the first error.
#[derive(Debug)]
#[must_use]
pub struct Events<'a> {
    client: &'a Client,
    filter: EventFilter,
    pages: Pages<StoredEvent>,
}

impl<'a> Events<'a> {
    pub(super) fn new(client: &'a Client, filter: EventFilter) -> Self {
        Self {
            client,
            filter,
            pages: Pages::new(),
        }
    }
}

impl Iterator for Events<'_> {
    type Item = Result<StoredEvent, ApiError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (client, filter) = (self.client, &self.filter);
        self.pages.next(|cursor| {
            let page = client.events_page(&filter.query(cursor))?;
            Ok((page.events, page.next_cursor))
        })
    }
}

/// The order in which agents are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AgentsOrder {
    /// Whoever had an event last comes first. Agents that have events meanwhile may be missed or come twice.
    #[default]
    LastSeen,
    /// By id. Does not drift.
    AgentId,
}

/// Agents with their score. Ends after the first error.
#[derive(Debug)]
#[must_use]
pub struct Agents<'a> {
    client: &'a Client,
    order: AgentsOrder,
    pages: Pages<Agent>,
}

impl<'a> Agents<'a> {
    pub(super) fn new(client: &'a Client, order: AgentsOrder) -> Self {
        Self {
            client,
            order,
            pages: Pages::new(),
        }
    }
}

impl Iterator for Agents<'_> {
    type Item = Result<Agent, ApiError>;

    fn next(&mut self) -> Option<Self::Item> {
        let order = match self.order {
            AgentsOrder::LastSeen => "last_seen",
            AgentsOrder::AgentId => "agent_id",
        };
        let client = self.client;
        self.pages.next(|cursor| {
            let cursor = cursor.map(|cursor| format!("&cursor={}", encoded(cursor)));
            let query = format!(
                "limit=500&order={order}&include=reputation{}",
                cursor.unwrap_or_default()
            );
            let page: AgentsPage = client.get(&format!("/v1/agents?{query}"))?;
            Ok((page.agents, page.next_cursor))
        })
    }
}
