//! Which data directory a command is about, and how it answers.

use crate::data_dir::DataDir;
use anyhow::{Result, bail};
use clap::Args;
use journal::ReadOnlyDisk;
use std::path::PathBuf;

/// What all commands but `serve` take.
#[derive(Args)]
pub(crate) struct Place {
    /// Where the server keeps everything.
    #[arg(
        long,
        env = "REPUTE_DATA_DIR",
        default_value = "./repute-data",
        value_name = "DIR",
        global = true
    )]
    pub(crate) data_dir: PathBuf,
    /// Answer as JSON, for scripts.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Place {
    /// Sees that a server was ever started there.
    pub(crate) fn check(&self) -> Result<()> {
        // First: a backup that is not whole may lack what tells a data directory.
        store::refuse_unfinished_backup(&ReadOnlyDisk, &self.data_dir)?;
        if !DataDir::is_one(&self.data_dir)? {
            bail!(
                "there is nothing of Repute's in {}: start the server first, or name its directory with --data-dir \
                 (REPUTE_DATA_DIR)",
                self.data_dir.display()
            );
        }
        Ok(())
    }
}
