//! The HTTP API: who may ask, what is asked, and every error as an answer.
//!
//! It owns organisations and keys ([`accounts`]), limits, metrics and the routes. Events are the store's;
//! the formats are `wire`'s. It does not read the command line and makes no process-wide settings.
//!
//! Invariants:
//! - The checks of a request come in one order: route, key, rate limit, scope, size, the key once more, signature,
//!   encoding, query parameters, JSON, schema, store. The first that fails answers.
//! - Every error is answered with the same shape of body, made in one place.
//! - No key, body, query string, or name of an agent, tool or organisation reaches a log or a metric.
//! - Bytes of bodies in memory are counted, and bounded by a setting.

pub mod accounts;
mod config;
mod database_file;
mod gates;
mod http;
pub mod ledger;
mod metrics;
mod observer;
mod openapi;
mod private_file;
pub mod rate_limit;
mod tls;

pub use config::Config;
pub use database_file::{check_database, copy_database, find_org, has_orgs};
pub use gates::Gates;
pub use http::{Server, event};
pub use ledger::Ledger;
pub use metrics::Metrics;
pub use observer::observer;
pub use openapi::openapi_json;
pub use tls::{Tls, TlsError};
