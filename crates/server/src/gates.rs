//! The gate sets in force: from a file, read again when somebody asks.

use gate::config::{Config, ConfigError};
use parking_lot::RwLock;
use std::path::PathBuf;
use std::sync::Arc;

/// Gate sets that can be replaced while evaluations run; each evaluation keeps the ones it began with.
#[derive(Debug)]
pub struct Gates {
    file: Option<PathBuf>,
    current: RwLock<Arc<Config>>,
}

impl Gates {
    /// Those of that file; without one, the gates of the public API for everybody.
    ///
    /// # Errors
    /// Where the file, or one that it names, cannot be read, or something in it cannot be.
    pub fn open(file: Option<PathBuf>) -> Result<Self, ConfigError> {
        let config = match &file {
            None => Config::compatible(),
            Some(file) => Config::load(file)?,
        };
        Ok(Self {
            file,
            current: RwLock::new(Arc::new(config)),
        })
    }

    /// Those in force now.
    #[must_use]
    pub fn current(&self) -> Arc<Config> {
        Arc::clone(&self.current.read())
    }

    /// Puts others in force, as for gates of one's own.
    pub fn replace(&self, config: Config) {
        *self.current.write() = Arc::new(config);
    }

    /// Reads the file again; `false` where there is none.
    ///
    /// # Errors
    /// As for [`Gates::open`]. The old ones then stay in force.
    pub fn reload(&self) -> Result<bool, ConfigError> {
        let Some(file) = &self.file else {
            return Ok(false);
        };
        self.replace(Config::load(file)?);
        Ok(true)
    }
}

impl Default for Gates {
    fn default() -> Self {
        Self {
            file: None,
            current: RwLock::new(Arc::new(Config::compatible())),
        }
    }
}
