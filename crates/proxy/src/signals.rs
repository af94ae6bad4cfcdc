//! Signals that end a program: passed on to the server, which decides what follows.

use crate::ProxyError;
use crate::server::{Ended, Server};
use rustix::process::{Resource, Rlimit, Signal, getpid, kill_process, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::emulate_default_handler;
use signal_hook::low_level::siginfo::{Cause, Origin};
use std::process::exit;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How long what a server left behind may go on to write when the proxy was told to end and the server has.
const LEFT_BEHIND: Duration = Duration::from_millis(500);

/// Passes signals on from now on. `finish` is called when the server has ended, of itself or for a signal, and
/// something that it left behind still holds its output open.
///
/// To be called when the server has been started: what the proxy does with signals must not be inherited.
pub(crate) fn pass_on(
    server: Arc<Server>,
    finish: impl Fn(Ended) + Send + Sync + 'static,
) -> Result<(), ProxyError> {
    let doing = "taking signals";
    let taken = SignalsInfo::<WithOrigin>::new([SIGTERM, SIGINT, SIGHUP, SIGQUIT]);
    let mut signals = taken.map_err(ProxyError::system(doing))?;
    let finish = Arc::new(finish);
    let pass_all = move || {
        let mut is_watched = false;
        for origin in signals.forever() {
            if !passed_on(&server, &origin) {
                finish(Ended::Signal(origin.signal));
            } else if !std::mem::replace(&mut is_watched, true) {
                let (server, finish) = (Arc::clone(&server), Arc::clone(&finish));
                let watch = move || {
                    server.watch();
                    thread::sleep(LEFT_BEHIND);
                    // Else the end is under way already.
                    if let Ok(Some(ended)) = server.wait() {
                        finish(ended);
                    }
                };
                let watching = thread::Builder::new().name("repute-watch".to_owned());
                let _ = watching.spawn(watch);
            }
        }
    };
    let thread = thread::Builder::new().name("repute-signals".to_owned());
    thread
        .spawn(pass_all)
        .map(drop)
        .map_err(ProxyError::system(doing))
}

/// Lets the server have a signal. `false` if it has ended.
fn passed_on(server: &Server, origin: &Origin) -> bool {
    let signal = match origin.signal {
        SIGINT => Signal::INT,
        SIGHUP => Signal::HUP,
        SIGQUIT => Signal::QUIT,
        _ => Signal::TERM,
    };
    match origin.cause {
        // What a terminal sends, it sends to the whole process group, and the server is in it.
        Cause::Kernel => server.lives(),
        _ => server.signal(signal),
    }
}

/// Ends this process by that signal, as the server ended, without leaving a core of it.
pub(crate) fn end_by(signal: i32) -> ! {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = setrlimit(Resource::Core, none);
    if signal == SIGKILL {
        let _ = kill_process(getpid(), Signal::KILL);
    } else {
        let _ = emulate_default_handler(signal);
    }
    // A signal that ends nobody by default. Shells say it so.
    exit(128 + signal)
}
