//! Why the proxy could not do its work.

use std::io;
use thiserror::Error;

/// Why a server could not be run behind the proxy.
#[derive(Debug, Error)]
pub enum ProxyError {
    /// There is no such program.
    #[error("cannot start `{command}`: there is no such program")]
    NotFound {
        /// As it was given.
        command: String,
    },
    /// The program is there, and cannot be run.
    #[error("cannot start `{command}`: {why}")]
    NotStarted {
        /// As it was given.
        command: String,
        /// What the system says.
        why: io::Error,
    },
    /// The system refused something that always works.
    #[error("{doing}: {why}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// What the system says.
        why: io::Error,
    },
}

impl ProxyError {
    pub(crate) fn system(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |why| Self::System { doing, why }
    }
}
