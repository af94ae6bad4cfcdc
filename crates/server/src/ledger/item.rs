//! What the ledger counts.

/// What became of an event of a body that parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// Recorded anew.
    Recorded,
    /// Recorded before.
    Duplicate,
    /// Refused: it breaks a rule, or stands in a batch with one that does.
    Invalid,
    /// Refused: its agent would be one too many.
    AgentLimit,
    /// Shed: too much is in flight.
    Overloaded,
    /// Shed: there is no room on the disk.
    Full,
    /// Shed: the server is stopping.
    Draining,
    /// Shed: a write or sync failed. A restart may find it recorded all the same, and then counts it as that too.
    OutcomeUnknown,
    /// Shed: our fault.
    Internal,
}

/// The part of `received = recorded + duplicates + refused + shed` that a fate belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Recorded,
    Duplicates,
    Refused,
    Shed,
}

impl Fate {
    pub(crate) const ALL: [Self; 9] = [
        Self::Recorded,
        Self::Duplicate,
        Self::Invalid,
        Self::AgentLimit,
        Self::Overloaded,
        Self::Full,
        Self::Draining,
        Self::OutcomeUnknown,
        Self::Internal,
    ];

    /// Where it stands in the books.
    pub(crate) fn side(self) -> Side {
        match self {
            Self::Recorded => Side::Recorded,
            Self::Duplicate => Side::Duplicates,
            Self::Invalid | Self::AgentLimit => Side::Refused,
            Self::Overloaded | Self::Full | Self::Draining | Self::OutcomeUnknown | Self::Internal => {
                Side::Shed
            }
        }
    }

    /// The word for it in metrics, answers and the database.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Duplicate => "duplicate",
            Self::Invalid => "invalid",
            Self::AgentLimit => "agent_limit",
            Self::Overloaded => "overloaded",
            Self::Full => "full",
            Self::Draining => "draining",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Internal => "internal",
        }
    }
}

/// One line of the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Item {
    /// Events of this fate.
    Events(Fate),
    /// Requests answered with this status.
    Requests(u16),
}

const EVENTS: &str = "events ";
const REQUESTS: &str = "requests ";

impl Item {
    pub(super) fn to_text(self) -> String {
        match self {
            Self::Events(fate) => format!("{EVENTS}{}", fate.as_str()),
            Self::Requests(status) => format!("{REQUESTS}{status}"),
        }
    }

    pub(super) fn from_text(text: &str) -> Option<Self> {
        if let Some(word) = text.strip_prefix(EVENTS) {
            let fate = Fate::ALL.into_iter().find(|fate| fate.as_str() == word)?;
            return Some(Self::Events(fate));
        }
        text.strip_prefix(REQUESTS)?.parse().ok().map(Self::Requests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_comes_back_from_its_text() {
        let items = Fate::ALL
            .map(Item::Events)
            .into_iter()
            .chain([Item::Requests(202)]);
        for item in items {
            assert_eq!(Item::from_text(&item.to_text()), Some(item));
        }
        assert_eq!(Item::from_text("events lost"), None);
        assert_eq!(Item::from_text("requests many"), None);
    }
}
