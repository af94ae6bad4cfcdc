//! Programs that the bench starts, each on its cores and in a directory of its own, and ends again.

use crate::cpu::{self, Cores};
use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// The keys of the organisation that all requests are for.
pub(crate) struct Keys {
    pub(crate) publishable: String,
    pub(crate) secret: String,
}

impl Keys {
    /// Known to nobody else's server: they only ever work on directories that the bench made.
    pub(crate) fn new() -> Self {
        Self {
            publishable: "pk_live_benchBENCH0123456789abcdefABCDEFgh"
                .chars()
                .take(40)
                .collect(),
            secret: "sk_live_benchBENCH0123456789abcdefABCDEFgh"
                .chars()
                .take(40)
                .collect(),
        }
    }
}

/// A program that runs.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a program that says `listening on http://…` on standard output once it serves.
    pub(crate) fn start(command: &mut Command, cores: &Cores, log: &Path) -> Result<Self> {
        let log = fs::File::options().append(true).create(true).open(log)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = spawn_on(command, cores)?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("standard output is not piped")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on http://");
        match address.map(str::parse) {
            Some(Ok(address)) => Ok(Self { child, address }),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                bail!("{command:?} did not start")
            }
        }
    }

    /// Takes over a program that serves at this address once it can be connected to.
    pub(crate) fn adopt(child: Child, address: SocketAddr) -> Result<Self> {
        let server = Self { child, address };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            if started.elapsed() > PATIENCE {
                bail!("nothing answers at {address}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Time on a core so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        cpu::used(self.pid())
    }

    /// GET without a key; the body of the answer.
    pub(crate) fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
            _ => bail!("GET {path}: {answer}"),
        }
    }

    /// The value of a metric without labels.
    pub(crate) fn metric(&self, name: &str) -> Result<f64> {
        let metrics = self.get("/metrics")?;
        let value = metrics
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.with_context(|| format!("no metric {name}"))
    }

    /// Waits until an ingest would be taken.
    pub(crate) fn wait_until_ready(&self) -> Result<()> {
        let started = Instant::now();
        while self.get("/ready").is_err() {
            if started.elapsed() > PATIENCE {
                bail!("not ready after {} s", PATIENCE.as_secs());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Ends it as an operator does; gives how long that took.
    pub(crate) fn stop(mut self) -> Result<Duration> {
        let started = Instant::now();
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("it ended with {status}");
        }
        Ok(started.elapsed())
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a command on these cores: a child is where the thread is that starts it.
pub(crate) fn spawn_on(command: &mut Command, cores: &Cores) -> Result<Child> {
    let here = cpu::allowed()?;
    cpu::pin(cores)?;
    let child = command.spawn().with_context(|| format!("starting {command:?}"));
    cpu::pin(&here)?;
    child
}

/// A directory that is removed with all that is in it.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// A new, empty directory of this name.
    pub(crate) fn new(parent: &Path, name: &str) -> Result<Self> {
        let dir = parent.join(name);
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        fs::create_dir_all(&dir)?;
        Ok(Self(dir))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
