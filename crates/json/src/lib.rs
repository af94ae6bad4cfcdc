//! JSON (RFC 8259) as it comes in: [`Reader`] pulls values out of a text one by one, [`Document`] keeps a whole
//! value, flat and borrowed. Why it is our own: `docs/decisions/0003-json.md`.
//!
//! Invariants:
//! - Nothing in a text can make a function here panic or recurse. Containers may be nested [`MAX_DEPTH`] deep.
//! - Memory is at most a small multiple of the text.
//! - A surrogate escape without its other half is read as U+FFFD. A number keeps its writing.

mod document;
mod reader;

pub use document::{Document, Elements, Members, Step, Value};
pub use reader::{Kind, MAX_DEPTH, NotJson, Number, Reader, plain_end};
