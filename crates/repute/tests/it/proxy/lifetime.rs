//! The proxy lives and ends as its server does, and the server as it would without a proxy.

use super::kit::{PATIENCE, Proxied, answer};
use crate::kit::program;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::json;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

/// A server that says its number, then what it reads and what signals it gets; one of them ends it.
const TRAPPING: [&str; 4] = [
    "python3",
    "-S",
    "-c",
    r"
import os, signal, sys
say = lambda text: os.write(1, text.encode())
signal.signal(signal.SIGINT, lambda *_: say('int\n'))
signal.signal(signal.SIGHUP, lambda *_: say('hup\n'))
signal.signal(signal.SIGTERM, lambda *_: (say('term\n'), os._exit(5)))
say(f'{os.getpid()}\n')
for line in sys.stdin:
    say(line)
sys.exit(9)
",
];

fn pid_of(line: &str) -> Pid {
    Pid::from_raw(line.trim().parse().unwrap()).unwrap()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_exit_code_is_the_servers() {
    for code in [0, 7, 255] {
        let mut proxied = Proxied::obedient(&[]);
        proxied.call_with(&json!(1), "t", &json!({ "exit": code }));
        assert_eq!(proxied.wait().code(), Some(code));
    }
}

#[test]
fn a_server_that_dies_of_a_signal_takes_the_proxy_along_by_the_same() {
    for signal in [Signal::KILL, Signal::TERM, Signal::SEGV, Signal::ABORT] {
        let mut proxied = Proxied::obedient(&[]);
        proxied.call_with(&json!(1), "t", &json!({ "kill": signal.as_raw() }));
        assert_eq!(proxied.wait().signal(), Some(signal.as_raw()), "{signal:?}");
    }
}

#[test]
fn signals_are_passed_on_and_the_server_decides() {
    let mut proxied = Proxied::start(&[], &TRAPPING);
    proxied.line();
    let own = Pid::from_child(&proxied.child);
    for (signal, said) in [
        (Signal::INT, "int\n"),
        (Signal::HUP, "hup\n"),
        (Signal::INT, "int\n"),
        (Signal::TERM, "term\n"),
    ] {
        kill_process(own, signal).unwrap();
        assert_eq!(proxied.line(), said);
    }
    assert_eq!(proxied.wait().code(), Some(5));
}

#[test]
fn the_end_of_input_reaches_the_server() {
    let mut proxied = Proxied::start(&[], &TRAPPING);
    proxied.line();
    proxied.close();
    assert_eq!(proxied.wait().code(), Some(9));
}

#[test]
fn a_server_does_not_outlive_a_killed_proxy() {
    let mut proxied = Proxied::start(&[], &TRAPPING);
    let server = pid_of(&proxied.line());
    proxied.child.kill().unwrap();
    wait_until("the server goes on", || test_kill_process(server).is_err());
}

#[test]
fn a_client_that_reads_no_more_is_noticed_by_the_server() {
    let mut child = program(&["proxy", "--log-dir", "/nowhere", "--", "yes"])
        .env("PATH", std::env::var_os("PATH").unwrap())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    // As without a proxy: it dies of the broken pipe.
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::PIPE.as_raw()));
}

#[test]
fn a_server_that_reads_no_more_is_noticed_by_the_client() {
    let mut proxied = Proxied::start(&[], &["sh", "-c", "exec 0</dev/null; echo closed; sleep 600"]);
    assert_eq!(proxied.line(), "closed\n");
    wait_until("the client writes into nothing", || {
        proxied.try_send(b"x\n").is_err()
    });
    // What it leaves behind does not keep a proxy that was told to end.
    kill_process(Pid::from_child(&proxied.child), Signal::TERM).unwrap();
    assert_eq!(proxied.wait().signal(), Some(Signal::TERM.as_raw()));
}

#[test]
fn a_server_that_writes_no_more_is_noticed_by_the_client() {
    let mut proxied = Proxied::start(&[], &["sh", "-c", "exec 1>&-; read -r line; exit 4"]);
    assert!(proxied.is_at_end());
    assert!(proxied.child.try_wait().unwrap().is_none());
    proxied.send("go\n");
    assert_eq!(proxied.wait().code(), Some(4));
}

#[test]
fn what_a_server_left_behind_is_relayed_until_a_signal_comes() {
    let left = "sh -c 'while read -r line; do echo \"$line\"; done; sleep 600' <&3 & exit 0";
    let mut proxied = Proxied::start(&[], &["sh", "-c", &format!("exec 3<&0; {left}")]);
    proxied.send("still here\n");
    assert_eq!(proxied.line(), "still here\n");
    let own = Pid::from_child(&proxied.child);
    // A signal that comes before the server has ended is the server's.
    wait_until("the proxy stays", || {
        kill_process(own, Signal::TERM).is_err() || proxied.has_ended()
    });
    assert_eq!(proxied.wait().signal(), Some(Signal::TERM.as_raw()));
}

#[test]
fn a_command_that_cannot_be_started_is_told_as_shells_do() {
    let run = |server: &str| {
        let mut proxied = Proxied::start(&[], &[server]);
        (proxied.wait().code(), proxied.error_line())
    };
    let (code, line) = run("no-such-program");
    assert_eq!(code, Some(127));
    assert_eq!(
        line,
        "repute: cannot start `no-such-program`: there is no such program\n"
    );
    let (code, line) = run("/etc/hostname");
    assert_eq!(code, Some(126));
    assert!(
        line.starts_with("repute: cannot start `/etc/hostname`: "),
        "{line}"
    );
}

#[test]
fn a_key_in_the_environment_is_not_for_the_server() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("key");
    std::fs::write(&file, "pk_live_0123456789abcdefghijABCDEFGHIJkl\n").unwrap();
    let file = file.to_str().unwrap().to_owned();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/proxy/server.py");
    let variables = [
        ("REPUTE_API_KEY_FILE", file.as_str()),
        ("REPUTE_URL", "http://127.0.0.1:9"),
        ("OTHER", "stays"),
    ];
    let mut proxied = Proxied::start_in(home, &[], &variables, &["python3", "-S", script]);
    let mut seen = |name: &str| {
        proxied.send_json(&json!({ "method": "x", "params": { "environment": name } }));
        proxied.json()
    };
    assert_eq!(seen("REPUTE_API_KEY_FILE"), json!(null));
    assert_eq!(seen("OTHER"), "stays");
    proxied.call(&json!(1), "t", &answer("1", "x"));
    assert_eq!(proxied.line(), answer("1", "x"));
}
