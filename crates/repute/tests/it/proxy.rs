//! `repute proxy`: byte-exact, but where a gate blocks.

mod arguments;
mod bytes;
mod install;
mod kit;
mod lifetime;
mod limits;
mod outputs;
mod reports;
mod rmcp;
