//! `repute backup` beside a server under load, and starts on what it leaves.

use crate::kit::{Server, program, run, said};
use serde_json::Value;
use std::collections::{BTreeSet, HashSet};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const SENDERS: usize = 4;

fn backup(server: &Server, to: &Path, more: &[&str]) -> Output {
    let of = ["--data-dir", server.path().to_str().unwrap(), "--json"];
    run(&[&["backup", to.to_str().unwrap()][..], &of, more].concat())
}

fn report(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// All ids that a server lists.
fn listed(server: &Server) -> HashSet<String> {
    let mut client = server.client();
    let (mut ids, mut cursor) = (HashSet::new(), String::new());
    loop {
        let (_, page) = client.get(&format!("/v1/events?limit=100{cursor}")).unwrap();
        for event in page["events"].as_array().unwrap() {
            assert!(ids.insert(event["evaluation_id"].as_str().unwrap().to_owned()));
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
    }
}

/// A server on a copy, with the keys of the first.
fn restored(copy: tempfile::TempDir, of: &Server) -> Server {
    let mut restored = Server::start_on(copy, &[]);
    restored.publishable.clone_from(&of.publishable);
    restored.secret.clone_from(&of.secret);
    restored.wait_until_ready();
    restored
}

#[test]
fn a_backup_under_load_has_every_event_acknowledged_before_it_began() {
    let server = Server::start(&["--max-segment", "128KiB"]);
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let acknowledged = Mutex::new(HashSet::new());
    let copy = tempfile::tempdir().unwrap();
    let before = std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                let mut client = server.client();
                while !stop.load(Ordering::Relaxed) {
                    let first = next.fetch_add(10, Ordering::Relaxed);
                    let events: Vec<String> = (first..first + 10)
                        .map(|id| {
                            format!(
                                r#"{{"agent_id":"agent-{}","passed":{},"gates":[],"total_latency_ms":{},"evaluation_id":"{id}"}}"#,
                                id % 7,
                                id % 5 != 0,
                                id % 90
                            )
                        })
                        .collect();
                    let body = format!(r#"{{"events":[{}]}}"#, events.join(","));
                    assert_eq!(client.post("/v1/ingest", body.as_bytes()).unwrap().0, 202);
                    acknowledged.lock().unwrap().extend((first..first + 10).map(|id| id.to_string()));
                }
            });
        }
        // Whatever fails here: those who send must not send for ever.
        let before = std::panic::catch_unwind(|| {
            let mut before = HashSet::new();
            for _ in 0..3 {
                std::thread::sleep(std::time::Duration::from_millis(300));
                before.clone_from(&acknowledged.lock().unwrap());
                report(&backup(&server, copy.path(), &[]));
            }
            before
        });
        stop.store(true, Ordering::Relaxed);
        before.unwrap()
    });
    assert!(before.len() > 100, "only {} were sent", before.len());
    let verified = run(&["verify", "--data-dir", copy.path().to_str().unwrap()]);
    assert_eq!(
        verified.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&verified.stdout)
    );
    assert!(copy.path().join("ledger.db").exists());
    let mut restored = restored(copy, &server);
    let lost = before.difference(&listed(&restored)).count();
    assert_eq!(lost, 0, "of {}", before.len());
    assert_eq!(restored.stop(), Some(0));
    let verified = run(&["verify", "--data-dir", restored.path().to_str().unwrap()]);
    assert_eq!(verified.status.code(), Some(0), "scores are those of a recount");
}

#[test]
fn the_master_key_is_in_a_backup_only_if_wanted_and_the_start_says_what_is_missing_without() {
    let mut server = Server::start(&[]);
    let (with, without) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    report(&backup(&server, with.path(), &["--with-master-key"]));
    report(&backup(&server, without.path(), &[]));
    assert!(with.path().join("master.key").exists() && !without.path().join("master.key").exists());
    report(&backup(&server, with.path(), &[]));
    assert!(
        !with.path().join("master.key").exists(),
        "a backup without it has none of before"
    );
    assert_eq!(server.stop(), Some(0));
    report(&backup(&server, with.path(), &["--with-master-key"]));

    let mut whole = restored(with, &server);
    let logged = whole.logged();
    assert!(logged.contains("this directory was a backup"), "{logged}");
    assert!(
        !logged.contains("signatures made with them cannot be checked"),
        "{logged}"
    );
    assert_eq!(whole.get("/v1/whoami").0, 200, "keys are there");
    assert_eq!(whole.stop(), Some(0));
    let partial = restored(without, &server);
    let logged = partial.logged();
    assert!(
        logged.contains("signatures made with them cannot be checked"),
        "{logged}"
    );
    assert_eq!(partial.get("/v1/whoami").0, 200, "keys authenticate all the same");
}

#[test]
fn a_backup_between_two_master_keys_is_to_be_taken_again() {
    let mut server = Server::start(&[]);
    assert_eq!(server.stop(), Some(0));
    let copy = tempfile::tempdir().unwrap();
    // The database is under the next key already, which has not taken its place.
    let [file, next] = ["master.key", "master.key.new"].map(|name| server.path().join(name));
    std::fs::rename(&file, &next).unwrap();
    std::fs::write(&file, "3".repeat(64)).unwrap();
    let refused = backup(&server, copy.path(), &["--with-master-key"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said(&refused).contains("the master key was changed meanwhile: take the backup again"),
        "{}",
        said(&refused)
    );
    assert_eq!(
        run(&[
            "key",
            "list",
            "default",
            "--data-dir",
            server.path().to_str().unwrap()
        ])
        .status
        .code(),
        Some(0)
    );
    report(&backup(&server, copy.path(), &["--with-master-key"]));
}

#[test]
fn a_master_key_from_the_environment_is_not_claimed_to_be_in_a_backup() {
    let mut command = program(&[]);
    command.env("REPUTE_MASTER_KEY", "5".repeat(64));
    let server = Server::start_with_keys(&mut command);
    let copy = tempfile::tempdir().unwrap();
    let refused = backup(&server, copy.path(), &["--with-master-key"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said(&refused).contains("from REPUTE_MASTER_KEY"),
        "{}",
        said(&refused)
    );
}

#[test]
fn a_backup_that_was_cut_short_is_refused_until_it_is_taken_again() {
    let server = Server::start(&[]);
    let copy = tempfile::tempdir().unwrap();
    report(&backup(&server, copy.path(), &[]));
    std::fs::write(copy.path().join("backup.unfinished"), "").unwrap();
    let dir = copy.path().to_str().unwrap().to_owned();
    for command in ["serve", "verify", "repair"] {
        let refused = run(&[command, "--data-dir", &dir]);
        assert_eq!(refused.status.code(), Some(1), "{command}");
        assert!(
            said(&refused).contains("cut short"),
            "{command}: {}",
            said(&refused)
        );
    }
    report(&backup(&server, copy.path(), &[]));
    let mut restored = restored(copy, &server);
    let refused = backup(&server, restored.path(), &[]);
    assert!(
        said(&refused).contains("another process is using"),
        "{}",
        said(&refused)
    );
    assert_eq!(restored.stop(), Some(0));
    let refused = backup(&server, restored.path(), &[]);
    assert!(
        said(&refused).contains("neither empty nor a backup"),
        "{}",
        said(&refused)
    );
}

#[test]
fn a_backup_that_is_refused_leaves_nothing_behind() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let mut command = program(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
    let mut child = command
        .arg(&data)
        .env("REPUTE_MASTER_KEY", "5".repeat(64))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let other = place.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("letter"), "").unwrap();
    let link = place.path().join("link");
    std::os::unix::fs::symlink(&data, &link).unwrap();
    let names = |dir: &Path| -> BTreeSet<PathBuf> {
        let entries = std::fs::read_dir(dir).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let before = [place.path(), &data, &other].map(names);
    let overlaps = "is the data directory, holds it or lies in it";
    for (target, more, why) in [
        (data.clone(), &[][..], overlaps),
        (data.join("backup/today"), &[], overlaps),
        (data.join("new/../backup"), &[], overlaps),
        (link.join("backup"), &[], overlaps),
        (place.path().to_owned(), &[], overlaps),
        (other.clone(), &[], "neither empty nor a backup"),
        (place.path().join("new"), &["--with-master-key"], "there is no"),
    ] {
        let of = ["--data-dir", data.to_str().unwrap()];
        let refused = run(&[&["backup", target.to_str().unwrap()][..], &of, more].concat());
        assert_eq!(refused.status.code(), Some(1), "{}", target.display());
        assert!(
            said(&refused).contains(why),
            "{}: {}",
            target.display(),
            said(&refused)
        );
        assert_eq!(
            [place.path(), &data, &other].map(names),
            before,
            "{}",
            target.display()
        );
    }
}
