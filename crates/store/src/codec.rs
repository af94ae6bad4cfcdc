//! The store's records: what the log says of events, byte for byte (`docs/on-disk.md`, "Records").
//!
//! Encoding needs the open segment's [`Words`]; decoding gives borrowed rows with word numbers, so that a
//! recovery reads millions of rows without an allocation each. Every decoder takes any bytes: what is not a
//! record of this format is [`Malformed`], never a panic.

mod batch;
mod carry;
mod commits;
mod dictionary;
mod erase;
mod evaluation_id;
mod fields;
mod pen;
mod registration;
mod row;
mod words;

pub(crate) use batch::{BatchEncoder, BatchHeader, BatchReader, max_batch_bytes};
pub(crate) use carry::{CarriedWindow, CarryRecord, encode_carry, max_carry_bytes};
pub(crate) use commits::{Gathered, first_commit, records_by_commit};
pub(crate) use dictionary::Dictionary;
pub(crate) use erase::{EraseRecord, MAX_ERASE_BYTES, NameHash, encode_erase, without_rows};
pub(crate) use evaluation_id::{IdForm, fingerprint, form as id_form};
pub(crate) use fields::Malformed;
pub(crate) use pen::Pen;
pub(crate) use registration::{RegistrationRecord, encode_registration, max_registration_bytes};
pub(crate) use row::{EventView, GateView, Row, RowFields, TextRef, Written};
pub(crate) use words::{AgentWord, TextWord, Word, Words, put_word, read_words, thin_words};

/// New words of the segment's dictionary.
pub(crate) const WORDS: u8 = 1;
/// A batch of events.
pub(crate) const BATCH: u8 = 2;
/// An agent made known before its first event.
pub(crate) const REGISTRATION: u8 = 3;
/// What stays of an agent whose oldest events go.
pub(crate) const CARRY: u8 = 4;
/// An agent that goes from all segments before this one.
pub(crate) const ERASE: u8 = 5;
/// Which commits the records of its frame came from.
pub(crate) const COMMITS: u8 = 7;
// 6 ledger is reserved for what accounting will record.
