//! The socket of a running server, which only its owner can open: one line of JSON in, one out.

use super::Request;
use super::execute::execute;
use crate::data_dir::DataDir;
use crate::logging;
use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use server::accounts::Accounts;
use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use store::Store;

/// The longest request.
const MAX_REQUEST_BYTES: u64 = 64 << 10;
/// The longest answer: a list of a million organisations.
const MAX_ANSWER_BYTES: u64 = 256 << 20;
/// How long either side waits for the other.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait for what takes long.
const LONG_TIMEOUT: Duration = Duration::from_secs(6 * 3_600);
/// How long to wait after `accept` failed, for want of file descriptors usually.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

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
pub(crate) fn listen(dir: &Path, accounts: Arc<Accounts>, store: Arc<Store>) -> Result<Socket> {
    let path = DataDir::admin_socket(dir);
    let listener =
        bind_privately(dir, &path).with_context(|| format!("cannot listen on {}", path.display()))?;
    let serve = move || {
        for stream in listener.incoming() {
            match stream {
                Ok(stream) => {
                    if let Err(error) = serve_one(stream, &accounts, &store) {
                        tracing::debug!(%error, "administration");
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "administration: cannot accept a connection");
                    thread::sleep(ACCEPT_RETRY);
                }
            }
        }
    };
    thread::Builder::new()
        .name("repute-admin".to_owned())
        .spawn(serve)?;
    Ok(Socket(path))
}

/// Binds where nobody else can look, and moves the socket to its place once it's private: a socket is made
/// with a mode that others may connect by.
fn bind_privately(dir: &Path, path: &Path) -> io::Result<UnixListener> {
    let private = dir.join("admin.new");
    if let Err(error) = fs::remove_dir_all(&private)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    DirBuilder::new().mode(0o700).create(&private)?;
    let made = private.join("s");
    let listener = UnixListener::bind(&made)?;
    fs::set_permissions(&made, Permissions::from_mode(0o600))?;
    // In the place of a dead one, if a crash left one: nobody else has the directory.
    fs::rename(&made, path)?;
    fs::remove_dir(&private)?;
    Ok(listener)
}

fn serve_one(stream: UnixStream, accounts: &Arc<Accounts>, store: &Arc<Store>) -> Result<()> {
    let answer = match receive::<Request>(&stream, MAX_REQUEST_BYTES, TIMEOUT) {
        Ok(request) if takes_long(&request) => {
            let (accounts, store) = (Arc::clone(accounts), Arc::clone(store));
            let answer = move || send(&stream, &done(&accounts, &store, &request));
            // Others, who may have a key to revoke, don't wait for it.
            thread::Builder::new()
                .name("repute-admin-long".to_owned())
                .spawn(answer)?;
            return Ok(());
        }
        Ok(request) => done(accounts, store, &request),
        Err(error) => Answer::Refused(format!(
            "the server does not understand this command; is it of another version? ({})",
            logging::whole(&error)
        )),
    };
    send(&stream, &answer)
}

fn done(accounts: &Accounts, store: &Arc<Store>, request: &Request) -> Answer {
    match execute(accounts, &|| Ok(Arc::clone(store)), request) {
        Ok(done) => Answer::Done(done),
        Err(error) => Answer::Refused(logging::whole(&error)),
    }
}

/// Whether it may take as long as reading and writing all that is stored.
fn takes_long(request: &Request) -> bool {
    matches!(request, Request::EraseAgent { .. } | Request::RotateMaster { .. })
}

/// Finds the running server that has this directory.
pub(super) fn connect(dir: &Path) -> Result<UnixStream> {
    let path = DataDir::admin_socket(dir);
    UnixStream::connect(&path).with_context(|| {
        format!(
            "another process is using {} but does not answer on {}",
            dir.display(),
            path.display()
        )
    })
}

/// Asks a running server.
pub(super) fn ask(stream: &UnixStream, request: &Request) -> Result<Value> {
    send(stream, request)?;
    let patience = if takes_long(request) {
        LONG_TIMEOUT
    } else {
        TIMEOUT
    };
    match receive(stream, MAX_ANSWER_BYTES, patience).context("the server did not answer as expected")? {
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

fn receive<T: for<'a> Deserialize<'a>>(stream: &UnixStream, max_bytes: u64, patience: Duration) -> Result<T> {
    stream.set_read_timeout(Some(patience))?;
    let mut line = String::new();
    BufReader::new(stream.take(max_bytes)).read_line(&mut line)?;
    if !line.ends_with('\n') {
        bail!("a line that breaks off, or is longer than {max_bytes} bytes");
    }
    Ok(serde_json::from_str(&line)?)
}

#[cfg(test)]
mod tests;
