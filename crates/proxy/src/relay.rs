//! Starts the server, relays in both directions, and ends as the server does.

use crate::answers;
use crate::calls::Calls;
use crate::judge::Judge;
use crate::lines::Lines;
use crate::pipe::Pipe;
use crate::reporter::Reporter;
use crate::requests;
use crate::server::{Ended, Server};
use crate::settings::Settings;
use crate::signals;
use crate::{ProxyError, refusal};
use parking_lot::{Mutex, MutexGuard};
use rustix::stdio::{dup2_stdin, dup2_stdout};
use std::fs::File;
use std::io::{self, Stdout, Write as _, stdin, stdout};
use std::sync::Arc;
use std::thread;

/// What both directions share.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) judge: Judge,
    pub(crate) calls: Mutex<Calls>,
    pub(crate) reporter: Reporter,
    /// Whoever holds it writes whole lines.
    client: Mutex<Pipe<Stdout>>,
}

impl Relay {
    /// The way to the client, for one line.
    pub(crate) fn client(&self) -> MutexGuard<'_, Pipe<Stdout>> {
        self.client.lock()
    }

    /// Answers in the server's place, if there is something to answer.
    pub(crate) fn answer(&self, answers: &[String], as_batch: bool, end: &[u8]) -> io::Result<()> {
        if answers.is_empty() {
            return Ok(());
        }
        self.client().write_all(&refusal::line(answers, as_batch, end))
    }
}

/// Runs a server behind the proxy, between this process's standard input and output, to its end.
///
/// # Errors
/// Where the server cannot be started, or the system refuses something that always works.
pub fn run(settings: Settings) -> Result<Ended, ProxyError> {
    let max_message_bytes = settings.max_message_bytes;
    let (server, to_server, from_server) = Server::start(&settings)?;
    let server = Arc::new(server);
    let reporter = Reporter::start(&settings).map_err(ProxyError::system("starting the log"))?;
    let relay = Arc::new(Relay {
        judge: Judge::new(settings),
        calls: Mutex::default(),
        reporter,
        client: Mutex::new(Pipe(stdout())),
    });
    let ending = Arc::clone(&relay);
    signals::pass_on(Arc::clone(&server), move |ended| {
        ending.reporter.end();
        ended.repeat()
    })?;
    let requesting = Arc::clone(&relay);
    let requests = move || {
        let lines = Lines::new(Pipe(stdin()), max_message_bytes);
        if requests::relay(&requesting, lines, Pipe(to_server)).is_err() {
            // The server reads no more, so nobody does: the client is to notice as it would without a proxy.
            if let Ok(nothing) = File::open("/dev/null") {
                let _ = dup2_stdin(nothing);
            }
        }
    };
    // Not waited for: it may stay in a read of standard input, which ends with the process.
    let thread = thread::Builder::new().name("repute-requests".to_owned());
    thread
        .spawn(requests)
        .map_err(ProxyError::system("starting to relay"))?;

    let lines = Lines::new(Pipe(from_server), max_message_bytes);
    // Where the client reads no more, the server's pipe is closed with `lines`, so that it notices.
    let _ = answers::relay(&relay, lines);
    {
        let _line = relay.client();
        if let Ok(nothing) = File::options().write(true).open("/dev/null") {
            let _ = dup2_stdout(nothing);
        }
    }
    let Some(ended) = server.wait()? else {
        // It was told to end, and whoever passed that on ends this process.
        loop {
            thread::park();
        }
    };
    relay.reporter.end();
    Ok(ended)
}
