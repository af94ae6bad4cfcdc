//! Puts the proxy before the servers in the configuration of MCP clients, and takes it away again.
//!
//! A file is edited as text: only the command and the beginning of its arguments change, so that comments,
//! order and unknown fields stay, and taking the proxy away gives the same bytes as before.

mod edit;
mod place;
mod write;

pub use edit::{Misread, Outcome, Server, Wrapper};
pub use place::{Place, places};

use edit::edited;
use similar::TextDiff;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Action {
    /// To put the proxy before each server.
    Install(Wrapper),
    /// To take it away.
    Uninstall,
}

/// A change of a file, not done yet.
#[derive(Debug)]
pub struct Plan {
    file: PathBuf,
    before: String,
    after: String,
    /// What becomes of each server, in the order of the file.
    pub servers: Vec<Server>,
}

/// Why a file is left as it is.
#[derive(Debug, Error)]
pub enum InstallError {
    /// It cannot be read.
    #[error("{}: {why}", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why not.
        why: io::Error,
    },
    /// It is not as such a file should be.
    #[error("{}: {why}", file.display())]
    Misread {
        /// Which.
        file: PathBuf,
        /// What is not.
        why: Misread,
    },
    /// It is not as it was when the change was shown.
    #[error("{}: changed meanwhile; try again", .0.display())]
    Changed(PathBuf),
    /// It cannot be written.
    #[error("{}: cannot be written: {why}", file.display())]
    Unwritable {
        /// Which.
        file: PathBuf,
        /// Why not.
        why: io::Error,
    },
}

impl Plan {
    /// Reads a file and makes a change of it, for all servers or for those named.
    ///
    /// # Errors
    /// Where it cannot be read, or is not understood.
    pub fn new(file: &Path, action: &Action, named: &[String]) -> Result<Self, InstallError> {
        let unreadable = |why| InstallError::Unreadable {
            file: file.to_owned(),
            why,
        };
        // A link stays one: what it leads to is changed.
        let file = file.canonicalize().map_err(unreadable)?;
        let before = std::fs::read_to_string(&file).map_err(unreadable)?;
        let (after, servers) = match edited(&before, action, named) {
            Ok(edited) => edited,
            Err(why) => return Err(InstallError::Misread { file, why }),
        };
        Ok(Self {
            file,
            before,
            after,
            servers,
        })
    }

    /// Whether anything changes.
    #[must_use]
    pub fn is_change(&self) -> bool {
        self.before != self.after
    }

    /// The change for people. Only lines that change are in it: those around them may hold keys.
    #[must_use]
    pub fn diff(&self) -> String {
        let name = self.file.display().to_string();
        let diff = TextDiff::from_lines(&self.before, &self.after);
        diff.unified_diff()
            .context_radius(0)
            .header(&name, &name)
            .to_string()
    }

    /// Does it; the copy of the file as it was.
    ///
    /// # Errors
    /// Where the file is another by now, or cannot be written.
    pub fn apply(&self) -> Result<PathBuf, InstallError> {
        let file = || self.file.clone();
        match write::replace(&self.file, &self.before, &self.after) {
            Ok(Some(backup)) => Ok(backup),
            Ok(None) => Err(InstallError::Changed(file())),
            Err(why) => Err(InstallError::Unwritable { file: file(), why }),
        }
    }
}
