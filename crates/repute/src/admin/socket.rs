//! The socket of a running server, which only its owner can open: one line of JSON in, one out.

use super::Request;
use super::execute::execute;
use crate::data_dir::DataDir;
use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use server::accounts::Accounts;
use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// The longest line, either way.
const MAX_LINE_BYTES: u64 = 1 << 20;
/// How long either side waits for the other.
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Serialize, Deserialize)]
enum Answer {
    Done(Value),
    Refused(String),
}

/// The socket while the server listens; its file goes when this is dropped.
pub(crate) struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        // A file left behind is replaced at the next start.
        let _ = fs::remove_file(&self.0);
    }
}

/// Takes requests from now on, one at a time.
pub(crate) fn listen(dir: &Path, accounts: Arc<Accounts>) -> Result<Socket> {
    let path = DataDir::admin_socket(dir);
    // Nobody else has the directory, so a socket that is there is a dead one.
    let _ = fs::remove_file(&path);
    let listener =
        UnixListener::bind(&path).with_context(|| format!("cannot listen on {}", path.display()))?;
    fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    let serve = move || {
        for stream in listener.incoming() {
            let served = stream
                .map_err(Into::into)
                .and_then(|stream| serve_one(&stream, &accounts));
            if let Err(error) = served {
                tracing::debug!(%error, "administration");
            }
        }
    };
    thread::Builder::new()
        .name("repute-admin".to_owned())
        .spawn(serve)?;
    Ok(Socket(path))
}

fn serve_one(stream: &UnixStream, accounts: &Accounts) -> Result<()> {
    let request: Request = receive(stream)?;
    let answer = match execute(accounts, &request) {
        Ok(done) => Answer::Done(done),
        Err(error) => Answer::Refused(format!("{error:#}")),
    };
    send(stream, &answer)
}

/// Asks the running server that has this directory.
pub(super) fn ask(dir: &Path, request: &Request) -> Result<Value> {
    let path = DataDir::admin_socket(dir);
    let stream = UnixStream::connect(&path).with_context(|| {
        format!(
            "a server is using {} but does not answer on {}",
            dir.display(),
            path.display()
        )
    })?;
    send(&stream, request)?;
    match receive(&stream)? {
        Answer::Done(value) => Ok(value),
        Answer::Refused(why) => bail!(why),
    }
}

fn send(mut stream: &UnixStream, value: &impl Serialize) -> Result<()> {
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(stream.write_all(&line)?)
}

fn receive<T: for<'a> Deserialize<'a>>(stream: &UnixStream) -> Result<T> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_LINE_BYTES)).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}
