//! A client's side of a proxied server.

use crate::kit::program;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Far longer than anything takes; only what never comes waits so long.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Nobody's key, and no placeholder.
pub(super) const SECRET: &str = "AKIAIOSFODNN7QWERTYU";

/// A proxy with a server that obeys, in a home of its own.
pub(super) struct Proxied {
    pub(super) home: TempDir,
    pub(super) child: Child,
    to_server: Option<ChildStdin>,
    lines: Receiver<Vec<u8>>,
    errors: Receiver<Vec<u8>>,
}

/// The lines of a pipe, each with its end, as they come.
fn lines_of(pipe: impl std::io::Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        loop {
            let mut line = Vec::new();
            if pipe.read_until(b'\n', &mut line).unwrap_or(0) == 0 || sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

impl Proxied {
    /// A server that obeys its client.
    pub(super) fn obedient(flags: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/proxy/server.py");
        let home = tempfile::tempdir().unwrap();
        let received = home.path().join("received");
        Self::start_in(
            home,
            flags,
            &[],
            &["python3", "-S", script, received.to_str().unwrap()],
        )
    }

    pub(super) fn start(flags: &[&str], server: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), flags, &[], server)
    }

    pub(super) fn start_in(
        home: TempDir,
        flags: &[&str],
        variables: &[(&str, &str)],
        server: &[&str],
    ) -> Self {
        let mut command = program(&["proxy"]);
        command
            .args(flags)
            .arg("--")
            .args(server)
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", home.path())
            .envs(variables.iter().copied());
        let pipes = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        Self {
            home,
            to_server: child.stdin.take(),
            lines: lines_of(child.stdout.take().unwrap()),
            errors: lines_of(child.stderr.take().unwrap()),
            child,
        }
    }

    pub(super) fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.to_server.as_mut().unwrap().write_all(bytes)
    }

    /// Whether nothing comes any more.
    pub(super) fn is_at_end(&self) -> bool {
        self.lines.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Disconnected)
    }

    pub(super) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.to_server
            .as_mut()
            .unwrap()
            .write_all(bytes.as_ref())
            .unwrap();
    }

    pub(super) fn send_json(&mut self, message: &Value) {
        self.send(format!("{message}\n"));
    }

    /// Calls a tool that writes these bytes.
    pub(super) fn call(&mut self, id: &Value, tool: &str, written: &str) {
        self.call_with(id, tool, &json!({ "write": written }));
    }

    pub(super) fn call_with(&mut self, id: &Value, tool: &str, arguments: &Value) {
        let params = json!({ "name": tool, "arguments": arguments });
        self.send_json(&json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params }));
    }

    /// The next line that comes, with its end.
    pub(super) fn line(&mut self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    pub(super) fn bytes(&mut self) -> Vec<u8> {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    pub(super) fn json(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    /// The next line on standard error.
    pub(super) fn error_line(&mut self) -> String {
        String::from_utf8(self.errors.recv_timeout(PATIENCE).unwrap()).unwrap()
    }

    pub(super) fn close(&mut self) {
        self.to_server = None;
    }

    pub(super) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the proxy does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Closes the server's input and waits; what else came on standard output and on standard error.
    pub(super) fn finish(mut self) -> Finished {
        self.close();
        let status = self.wait();
        let text = |lines: &Receiver<Vec<u8>>| String::from_utf8(lines.iter().flatten().collect()).unwrap();
        Finished {
            status,
            out: text(&self.lines),
            errors: text(&self.errors),
            log: logged(self.home.path()),
            received: std::fs::read(self.home.path().join("received")).unwrap_or_default(),
        }
    }
}

/// What is left of a proxied server.
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    pub(super) out: String,
    pub(super) errors: String,
    pub(super) log: String,
    pub(super) received: Vec<u8>,
}

impl Finished {
    /// The decisions in the log: what was looked at, the tool, what was decided.
    pub(super) fn decisions(&self) -> Vec<(String, String, String)> {
        let text = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let lines = self.log.lines().map(|line| serde_json::from_str(line).unwrap());
        lines
            .map(|line: Value| (text(&line, "of"), text(&line, "tool"), text(&line, "decision")))
            .collect()
    }
}

impl Drop for Proxied {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All lines of the log.
pub(super) fn logged(home: &Path) -> String {
    let mut text = String::new();
    let Ok(entries) = std::fs::read_dir(home.join(".repute/logs")) else {
        return text;
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort_unstable();
    for file in files {
        let mut opened = std::fs::File::open(file).unwrap();
        opened.read_to_string(&mut text).unwrap();
    }
    text
}

/// A tool's answer with that text, as a line.
pub(super) fn answer(id: &str, text: &str) -> String {
    format!(
        "{{\"jsonrpc\": \"2.0\", \"id\": {id}, \"result\": {{\"content\": [{{\"type\": \"text\", \"text\": \"{text}\"}}]}}}}\n"
    )
}

/// The answer in its place.
pub(super) fn blocked(id: &Value) -> Value {
    let reason = "AWS access key detected in output";
    json!({
        "jsonrpc": "2.0",
        "id": id,
        "error": {
            "code": -32_000,
            "message": format!("Blocked by Repute: secrets: {reason}"),
            "data": { "blocked_by": "repute", "of": "result", "gates": [{ "name": "secrets", "reason": reason }] },
        },
    })
}
