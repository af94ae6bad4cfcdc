//! The server under torture: this same program, in a process of its own.

use super::client::Client;
use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use wire::Key;

/// How long a start may take until it takes events.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How often to look.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How much of its log is told when it does not start.
const LOG_LINES: usize = 5;

/// A server that can be hurt.
pub(super) struct Process {
    dir: PathBuf,
    flags: Vec<String>,
    key: Key,
    child: Option<Child>,
    address: String,
}

impl Process {
    /// A server to be started in this directory, with these flags of `repute serve`.
    pub(super) fn new(dir: &Path, flags: &[String], key: Key) -> Self {
        Self {
            dir: dir.to_owned(),
            flags: flags.to_vec(),
            key,
            child: None,
            address: String::new(),
        }
    }

    /// Where it keeps everything.
    pub(super) fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn log(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    /// Starts it; says how long it took until it takes events. With a room, its disk is full
    /// once it has grown by so many bytes: then it need not take any.
    pub(super) fn start(&mut self, disk_room: Option<u64>) -> Result<Duration> {
        let started = Instant::now();
        let log = File::options().append(true).create(true).open(self.log())?;
        let mut serve = Command::new(std::env::current_exe().context("cannot find this program")?);
        serve.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
        serve.arg(self.data_dir()).args(&self.flags);
        serve.env("REPUTE_BOOTSTRAP_PUBLISHABLE_KEY", self.key.as_str());
        // Its clients are on this machine and speak plain HTTP, to it and not to the server beside it.
        for variable in [
            "REPUTE_BOOTSTRAP_PUBLISHABLE_KEY_FILE",
            "REPUTE_TLS_CERT",
            "REPUTE_TLS_KEY",
            "REPUTE_METRICS_LISTEN",
        ] {
            serve.env_remove(variable);
        }
        if let Some(bytes) = disk_room {
            serve.env("REPUTE_DISK_ROOM", bytes.to_string());
        }
        let mut child = serve
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("cannot start the server")?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        self.child = Some(child);
        let Some(address) = line.trim().strip_prefix("listening on http://") else {
            bail!("the server does not start:\n{}", self.end_of_log());
        };
        address.clone_into(&mut self.address);
        while disk_room.is_none() && !self.is_ready() {
            if started.elapsed() > READY_WITHIN {
                bail!("the server takes no events:\n{}", self.end_of_log());
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(started.elapsed())
    }

    fn is_ready(&self) -> bool {
        matches!(self.client(READY_WITHIN).get("/ready"), Ok((200, _)))
    }

    /// A client of it.
    pub(super) fn client(&self, patience: Duration) -> Client {
        Client::new(&self.address, self.key.as_str(), patience)
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.wait()
    }

    /// SIGTERM; waits for the end.
    pub(super) fn stop(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        self.wait()
    }

    /// SIGSTOP.
    pub(super) fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    pub(super) fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let child = self.child.as_ref().context("the server does not run")?;
        Ok(kill_process(Pid::from_child(child), signal)?)
    }

    fn wait(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.wait()?;
        }
        Ok(())
    }

    fn end_of_log(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
