//! The store as a whole, on a real directory.

mod kit;
mod once;
mod restart;
