//! The process that is the server: started, signalled, waited for.

use crate::ProxyError;
use crate::settings::Settings;
use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

/// How the server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// The process. It stays in the proxy's process group, as it would be in the client's without a proxy.
#[derive(Debug)]
pub(crate) struct Server {
    pid: Pid,
    /// `None` once it was waited for: then its number may be another's.
    child: Mutex<Option<Child>>,
}

impl Server {
    /// Starts the program; standard error is the proxy's own.
    pub(crate) fn start(settings: &Settings) -> Result<(Self, ChildStdin, ChildStdout), ProxyError> {
        let mut command = Command::new(&settings.command);
        command.args(&settings.arguments);
        for variable in &settings.withheld {
            command.env_remove(variable);
        }
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|why| {
            let command = settings.command.to_string_lossy().into_owned();
            match why.kind() {
                io::ErrorKind::NotFound => ProxyError::NotFound { command },
                _ => ProxyError::NotStarted { command, why },
            }
        })?;
        let missing = || io::Error::other("the server has no pipe");
        let stdin = child.stdin.take().ok_or_else(missing);
        let stdout = child.stdout.take().ok_or_else(missing);
        let server = Self {
            pid: Pid::from_child(&child),
            child: Mutex::new(Some(child)),
        };
        let doing = "starting the server";
        Ok((
            server,
            stdin.map_err(ProxyError::system(doing))?,
            stdout.map_err(ProxyError::system(doing))?,
        ))
    }

    /// Sends it a signal. `false` if it has ended.
    pub(crate) fn signal(&self, signal: Signal) -> bool {
        let child = self.child.lock();
        self.is_running(&child) && kill_process(self.pid, signal).is_ok()
    }

    /// Whether it has not ended.
    pub(crate) fn lives(&self) -> bool {
        self.is_running(&self.child.lock())
    }

    /// Whoever holds the child's lock can rely on that its number is not another's.
    fn is_running(&self, child: &Option<Child>) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        child.is_some() && matches!(waitid(WaitId::Pid(self.pid), look), Ok(None))
    }

    /// Waits for its end, and leaves it to others to wait for it.
    pub(crate) fn watch(&self) {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(self.pid), look), Err(Errno::INTR)) {}
    }

    /// Waits for its end. `None` for whoever is not the first to do so.
    pub(crate) fn wait(&self) -> Result<Option<Ended>, ProxyError> {
        // First without taking its number away, so that signals go on meanwhile.
        self.watch();
        let child = self.child.lock().take();
        let status = child.map(|mut child| child.wait()).transpose();
        let status = status.map_err(ProxyError::system("waiting for the server"))?;
        Ok(status.map(ended))
    }
}

fn ended(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Code(code),
        (None, signal) => Ended::Signal(signal.unwrap_or_default()),
    }
}

impl Ended {
    /// Ends this process likewise.
    pub fn repeat(self) -> ! {
        match self {
            Self::Code(code) => std::process::exit(code),
            Self::Signal(signal) => crate::signals::end_by(signal),
        }
    }
}
