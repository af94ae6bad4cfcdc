//! Where and how everything runs: the programs, their cores, their directory, how long.

use crate::Arguments;
use crate::cpu::{self, Cores};
use crate::server::{Keys, Scratch, Server};
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The argument that makes this program the null sink.
pub(crate) const SINK: &str = "null-sink";

/// What every scenario is given.
pub(crate) struct Place {
    pub(crate) repute: PathBuf,
    pub(crate) dir: PathBuf,
    pub(crate) server_cores: Cores,
    pub(crate) client_cores: Cores,
    /// How long one side of a comparison is measured.
    pub(crate) time: Duration,
    /// How long `soak` runs.
    pub(crate) soak: Duration,
    pub(crate) connections: usize,
    /// How many events to fill a store with.
    pub(crate) events: Vec<u64>,
    pub(crate) keys: Keys,
}

/// A Repute server; its directory goes with it unless it lies elsewhere.
pub(crate) struct Repute {
    pub(crate) server: Server,
    _dir: Option<Scratch>,
}

impl Place {
    /// Builds the program unless one is given, and takes the client's core.
    pub(crate) fn new(arguments: Arguments) -> Result<Self> {
        std::fs::create_dir_all(&arguments.dir)?;
        let repute = match arguments.repute {
            Some(path) => path,
            None => build()?,
        };
        cpu::pin(&arguments.client_cores)?;
        Ok(Self {
            repute,
            dir: arguments.dir,
            server_cores: arguments.server_cores,
            client_cores: arguments.client_cores,
            time: Duration::from_secs_f64(arguments.seconds),
            soak: Duration::from_secs(arguments.soak_seconds),
            connections: arguments.connections,
            events: arguments.events,
            keys: Keys::new(),
        })
    }

    /// One line about the machine.
    pub(crate) fn describe(&self) -> String {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("unknown processor", |(_, model)| model);
        let cores = info.lines().filter(|line| line.starts_with("processor")).count();
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        format!(
            "{cores} × {model}, Linux {}; server on core {}, client on core {}; data in {}",
            kernel.trim(),
            self.server_cores,
            self.client_cores,
            self.dir.display()
        )
    }

    /// A null sink on the server's cores.
    pub(crate) fn sink(&self) -> Result<Server> {
        let mut command = Command::new(std::env::current_exe()?);
        Server::start(command.arg(SINK), &self.server_cores, &self.dir.join("sink.log"))
    }

    /// A Repute server on a new directory.
    pub(crate) fn repute(&self, name: &str, arguments: &[&str]) -> Result<Repute> {
        let dir = Scratch::new(&self.dir, name)?;
        let server = self.repute_on(dir.path(), arguments, &self.server_cores)?;
        Ok(Repute {
            server,
            _dir: Some(dir),
        })
    }

    /// A Repute server on a new directory and these cores.
    pub(crate) fn repute_with(&self, name: &str, arguments: &[&str], cores: &Cores) -> Result<Repute> {
        let dir = Scratch::new(&self.dir, name)?;
        let server = self.repute_on(dir.path(), arguments, cores)?;
        Ok(Repute {
            server,
            _dir: Some(dir),
        })
    }

    /// A Repute server on this directory.
    pub(crate) fn repute_on(&self, dir: &Path, arguments: &[&str], cores: &Cores) -> Result<Server> {
        let mut command = Command::new(&self.repute);
        command
            .env_clear()
            .env("REPUTE_BOOTSTRAP_PUBLISHABLE_KEY", &self.keys.publishable)
            .env("REPUTE_BOOTSTRAP_SECRET_KEY", &self.keys.secret)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(dir)
            .args(arguments);
        let log = self.dir.join("repute.log");
        let server = Server::start(&mut command, cores, &log)
            .with_context(|| format!("what it said is in {}", log.display()))?;
        server.wait_until_ready()?;
        Ok(server)
    }

    /// The cores of both sides.
    pub(crate) fn all_cores(&self) -> Cores {
        Cores([&self.server_cores.0[..], &self.client_cores.0[..]].concat())
    }
}

/// Builds the program as it is shipped.
fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--package", "repute", "--locked"])
        .status()
        .context("starting cargo")?;
    if !status.success() {
        bail!("the server does not build");
    }
    let here = std::env::current_exe()?;
    let target = here.ancestors().find(|dir| dir.ends_with("release"));
    Ok(target
        .context("the bench itself is no release build")?
        .join("repute"))
}
