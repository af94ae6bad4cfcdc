//! Starts, stops and kills the real program, and speaks HTTP with it.

use crate::torture::client::Client;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use std::fs::Permissions;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_repute");
const PATIENCE: Duration = Duration::from_secs(20);

/// The program with these arguments, and nothing of the tester's own settings.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.env_clear().args(arguments).stdin(Stdio::null());
    command
}

/// The program with what a prepared command has, under this umask.
pub(crate) fn with_umask(umask: &str, command: &Command) -> Command {
    in_a_shell_with(&format!("umask {umask}"), command)
}

/// The program with what a prepared command has, with at most that many open files.
pub(crate) fn with_open_files(limit: usize, command: &Command) -> Command {
    in_a_shell_with(&format!("ulimit -n {limit}"), command)
}

fn in_a_shell_with(setting: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell
        .env_clear()
        .args(["-c", &format!(r#"{setting} && exec "$0" "$@""#), BINARY])
        .args(command.get_args());
    shell
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    program(arguments).output().unwrap()
}

/// What it said on standard error.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A directory as the server would make it.
fn private_dir() -> tempfile::TempDir {
    let mut builder = tempfile::Builder::new();
    builder
        .permissions(Permissions::from_mode(0o700))
        .tempdir()
        .unwrap()
}

/// A server on a directory that outlives it.
pub(crate) struct Server {
    pub(crate) dir: tempfile::TempDir,
    child: Option<Child>,
    pub(crate) address: String,
    pub(crate) publishable: String,
    pub(crate) secret: String,
}

impl Server {
    /// A first start.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_on(private_dir(), arguments)
    }

    /// A start on a directory in which a first start may have begun.
    pub(crate) fn start_on(dir: tempfile::TempDir, arguments: &[&str]) -> Self {
        let mut server = Self::stopped_on(dir);
        server.start_again(arguments);
        server.read_keys();
        server
    }

    /// A first start with a prepared command.
    pub(crate) fn start_with_keys(command: &mut Command) -> Self {
        let mut server = Self::stopped_on(private_dir());
        server.start_with(command);
        server.read_keys();
        server
    }

    /// A first start whose standard error is a pipe that is read until the server listens, then closed.
    pub(crate) fn start_with_a_deaf_log(arguments: &[&str]) -> Self {
        let mut server = Self::stopped_on(private_dir());
        let (mut reader, writer) = std::io::pipe().unwrap();
        // Closed for good once the start is over; until then it's read, so that the server never waits.
        let (over, is_over) = std::sync::mpsc::channel();
        let drain = std::thread::spawn(move || {
            let mut piece = [0; 4_096];
            while is_over.try_recv().is_err() && reader.read(&mut piece).is_ok_and(|read| read > 0) {}
        });
        server.start_saying_to(&mut program(arguments), writer.into());
        over.send(()).unwrap();
        // One more line wakes the reader, which then goes.
        let _ = server.client().get("/health");
        drain.join().unwrap();
        server
    }

    fn stopped_on(dir: tempfile::TempDir) -> Self {
        Self {
            dir,
            child: None,
            address: String::new(),
            publishable: String::new(),
            secret: String::new(),
        }
    }

    fn read_keys(&mut self) {
        let keys = std::fs::read_to_string(self.path().join("first-keys.txt")).unwrap_or_default();
        let key = |prefix: &str| {
            let at = keys.find(prefix)?;
            keys.get(at..at + 40).map(str::to_owned)
        };
        self.publishable = key("pk_live_").unwrap_or_default();
        self.secret = key("sk_live_").unwrap_or_default();
    }

    /// Starts on the same directory; returns once it listens.
    pub(crate) fn start_again(&mut self, arguments: &[&str]) {
        self.start_with(&mut program(arguments));
    }

    /// The same with a prepared command, whose arguments come after `serve`'s own.
    pub(crate) fn start_with(&mut self, command: &mut Command) {
        let log = std::fs::File::options()
            .append(true)
            .create(true)
            .open(self.log())
            .unwrap();
        self.start_saying_to(command, log.into());
    }

    /// The same with standard error somewhere else.
    fn start_saying_to(&mut self, command: &mut Command, stderr: Stdio) {
        self.spawn(self.serve(command), stderr);
    }

    /// A start with at most that many open files.
    pub(crate) fn start_with_open_files(limit: usize, arguments: &[&str]) -> Self {
        let mut server = Self::stopped_on(private_dir());
        server.start_again_with_open_files(limit, arguments);
        server.read_keys();
        server
    }

    /// The same on the same directory.
    pub(crate) fn start_again_with_open_files(&mut self, limit: usize, arguments: &[&str]) {
        let limited = with_open_files(limit, &self.serve(&program(arguments)));
        let log = std::fs::File::create(self.log()).unwrap();
        self.spawn(limited, log.into());
    }

    /// A first start in a directory that it makes itself, under this umask.
    pub(crate) fn start_with_umask(umask: &str, arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::remove_dir(dir.path()).unwrap();
        let mut server = Self::stopped_on(dir);
        let masked = with_umask(umask, &server.serve(&program(arguments)));
        let log = std::fs::File::create(server.log()).unwrap();
        server.spawn(masked, log.into());
        server.read_keys();
        server
    }

    /// `serve` on this directory and a free port, with what a prepared command has.
    fn serve(&self, command: &Command) -> Command {
        let mut serve = program(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
        serve.arg(self.path()).args(command.get_args());
        serve.envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        serve
    }

    fn spawn(&mut self, mut serve: Command, stderr: Stdio) {
        let mut child = serve.stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        self.child = Some(child);
        let address = line.trim().strip_prefix("listening on ");
        let address = address.and_then(|address| address.split_once("://"));
        self.address = address
            .map(|(_, address)| address)
            .unwrap_or_else(|| panic!("it did not start: {}", self.logged()))
            .to_owned();
    }

    fn log(&self) -> PathBuf {
        self.dir.path().with_extension("log")
    }

    /// All that it logged so far.
    pub(crate) fn logged(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// A figure of `/proc/<pid>/status`, such as `VmHWM` in KiB.
    pub(crate) fn status(&self, name: &str) -> u64 {
        let pid = self.child.as_ref().unwrap().id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap().split_whitespace().next().unwrap().parse().unwrap()
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Ends it as an operator does; gives its exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.stop_with(Signal::TERM)
    }

    /// Ends it with this signal; gives its exit code.
    pub(crate) fn stop_with(&mut self, signal: Signal) -> Option<i32> {
        self.signal(signal);
        self.wait()
    }

    /// Sends it this signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
    }

    /// Waits until it has ended; gives its exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.child.take().unwrap().wait().unwrap().code()
    }

    /// The value of the metric without labels that has this name.
    pub(crate) fn metric(&self, name: &str) -> Option<u64> {
        let (_, body) = self.client().exchange("GET", "/metrics", b"").ok()?;
        let text = String::from_utf8(body).ok()?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line?.parse().ok()
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.address, &self.publishable, PATIENCE)
    }

    /// GET with the publishable key.
    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        self.client().get(path).unwrap()
    }

    /// Waits until `/ready` says so; gives how long that took.
    pub(crate) fn wait_until_ready(&self) -> Duration {
        let started = Instant::now();
        while self.client().get("/ready").map(|(status, _)| status).ok() != Some(200) {
            assert!(started.elapsed() < PATIENCE, "never ready: {}", self.logged());
            std::thread::sleep(Duration::from_millis(5));
        }
        started.elapsed()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_file(self.log());
    }
}

/// Starts the server with standard error on a terminal; gives what it showed there until it served.
pub(crate) fn on_a_terminal(server: &mut Server, arguments: &[&str]) -> String {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let terminal = std::fs::File::options()
        .read(true)
        .write(true)
        .open(name)
        .unwrap();
    let here = terminal.try_clone().unwrap();
    server.start_saying_to(&mut program(arguments), terminal.into());
    // The keys were shown before it said that it listens; this ends what is to be read of the terminal.
    (&here).write_all(b"\n--end--\n").unwrap();
    let mut shown = String::new();
    let mut lines = BufReader::new(std::fs::File::from(master));
    while !shown.contains("--end--") {
        assert_ne!(lines.read_line(&mut shown).unwrap(), 0);
    }
    shown.replace('\r', "")
}
