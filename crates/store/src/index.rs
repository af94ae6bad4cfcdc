//! Where the rows of a segment are, in the orders in which they are asked for.
//!
//! A row's address is its segment and its ordinal: how many rows of the segment come before it. Of the
//! open segment the index lives in memory ([`OpenIndex`]); a sealed segment's is a file ([`SealedIndex`])
//! that can be rebuilt from the segment at any time. Both answer through [`Rows`].

mod blocks;
mod column;
mod list;
mod moments;
mod open;
mod output;
mod packed;
mod rows;
mod sealed;
mod settled;
mod write;

pub(crate) use blocks::BlockCache;
pub(crate) use column::Column;
pub(crate) use list::RowKey;
pub(crate) use moments::Moment;
pub(crate) use open::{NewBatch, NewRow, OpenIndex, column_value};
pub(crate) use rows::{Filter, Rows};
pub(crate) use sealed::{ListPlace, SealedIndex, SealedWords, Vocabulary};
pub(crate) use settled::Settled;
pub(crate) use write::{SegmentExtent, write};

use crate::OrgId;
use reputation::Micros;
use std::sync::Arc;

/// In a column of texts: the row has none.
pub(crate) const NO_TEXT: u16 = 0;
/// In a column of texts, or of sets: only the row itself tells.
pub(crate) const ASK_ROW: u16 = u16::MAX;

/// Where a batch record lies and which rows it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchPlace {
    pub(crate) org: OrgId,
    /// The organisation's sequence number of the first row.
    pub(crate) first_seq: u64,
    pub(crate) first_ordinal: u32,
    /// Where the record starts in the segment's file.
    pub(crate) offset: u64,
    /// The record's body, in bytes.
    pub(crate) bytes: u32,
}

/// Where a carry record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CarryPlace {
    /// Where the record starts in the segment's file.
    pub(crate) offset: u64,
    /// The record with its header, in bytes.
    pub(crate) bytes: u32,
}

/// An agent of a segment's dictionary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AgentIn {
    pub(crate) org: OrgId,
    pub(crate) agent_id: Arc<str>,
    /// The latest recorded time of its rows; `None` if it has none here.
    pub(crate) latest: Option<Micros>,
}

/// The rows of an organisation in one segment, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OrgTotals {
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
}
