//! What clients are told while the disk is full, fails, or has damaged bytes.

use crate::kit::{Lab, event, one};
use journal::{Disk as _, SimDisk};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn lab(disk: &SimDisk, segment_bytes: u64) -> Lab {
    let mut options = store::Options::default();
    options.journal.first_segment_bytes = segment_bytes;
    options.journal.max_segment_bytes = segment_bytes;
    options.journal.retry = Duration::from_millis(20);
    Lab::on(Arc::new(disk.clone()), options, |_| {})
}

/// What is logged from now on, by all tests of this program.
fn logged_from_now() -> Arc<Mutex<Vec<u8>>> {
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&lines);
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || Lines(Arc::clone(&writer)))
        .init();
    lines
}

#[test]
fn a_full_disk_is_not_kept_and_service_resumes_by_itself() {
    let disk = SimDisk::new(1);
    let lab = lab(&disk, 4 << 10);
    assert_eq!(lab.ingest(one("a")).status, 202);
    disk.set_capacity(Some(disk.used()));
    let mut taken = 1;
    let refused = loop {
        let answer = lab.ingest(one("a"));
        if answer.status == 503 {
            break answer;
        }
        taken += 1;
        assert!(taken < 100, "the disk never filled up");
    };
    let (_, code, sentence) = refused.error();
    assert_eq!(
        (code.as_str(), refused.header("retry-after")),
        ("unavailable", Some("1"))
    );
    assert_eq!(
        sentence,
        "not kept: there is no room on the server's disk; send the same bytes again"
    );
    let erasure = lab.send("DELETE", "/v1/agents/a", &lab.sk, &[], b"");
    assert_eq!(
        (erasure.status, erasure.error().2.as_str()),
        (
            503,
            "not begun: there is no room on the server's disk; nothing was changed, so ask again"
        )
    );
    assert_eq!(lab.get("/ready").status, 503);
    assert_eq!(
        lab.get("/v1/events?limit=100").json()["count"],
        taken,
        "reads go on, and nothing else was kept"
    );
    disk.set_capacity(None);
    let started = Instant::now();
    while lab.ingest(one("a")).status != 202 {
        assert!(started.elapsed() < Duration::from_secs(10), "it never resumed");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(lab.get("/v1/events?limit=100").json()["count"], taken + 1);
    assert_eq!(lab.get("/ready").status, 200);
}

#[test]
fn a_failing_disk_leaves_the_outcome_unknown_until_a_restart() {
    let disk = SimDisk::new(2);
    let lab = lab(&disk, 1 << 20);
    assert_eq!(lab.ingest(one("a")).status, 202);
    disk.fail_syncs(true);
    let unknown = lab.ingest(one("a"));
    disk.fail_syncs(false);
    let (status, code, sentence) = unknown.error();
    assert_eq!(
        (status, code.as_str(), unknown.header("retry-after")),
        (503, "unavailable", Some("10"))
    );
    assert!(sentence.starts_with("outcome unknown: "), "{sentence}");
    for answer in [
        lab.ingest(one("a")),
        lab.get("/ready"),
        lab.send("POST", "/v1/agents", &lab.pk, &[], b"{}"),
    ] {
        assert!(
            answer.error().2.starts_with("outcome unknown: "),
            "writes stay refused"
        );
    }
    assert_eq!(
        lab.get("/v1/events").json()["count"],
        1,
        "reads go on, and see what was acknowledged"
    );
    assert_eq!(lab.get("/v1/reputation/a").json()["evaluations"], 1);
}

#[test]
fn damage_is_our_fault_and_its_cause_is_for_the_log_alone() {
    let disk = SimDisk::new(3);
    let lab = lab(&disk, 1 << 20);
    let batch = format!(r#"{{"events":[{}]}}"#, vec![event("a", ""); 50].join(","));
    assert_eq!(lab.ingest(batch).status, 202);
    let log = lab.dir.path().join("log/0");
    let segment = disk
        .list(&log)
        .unwrap()
        .into_iter()
        .filter(|name| name.ends_with(".seg"))
        .min()
        .unwrap();
    disk.damage(&log.join(&segment), 700, &[0xff; 16]).unwrap();
    let logged = logged_from_now();
    let failed = lab.send(
        "GET",
        "/v1/events",
        &lab.pk,
        &[("X-Request-Id", "the-damaged")],
        b"",
    );
    let (status, code, sentence) = failed.error();
    assert_eq!((status, code.as_str()), (500, "internal"));
    assert!(!sentence.contains(&segment), "{sentence}");
    let log = String::from_utf8(logged.lock().unwrap().clone()).unwrap();
    let line = log.lines().find(|line| line.contains("the-damaged")).unwrap();
    assert!(
        line.contains("ERROR") && line.contains(&format!("{segment}: damaged at byte ")),
        "{line}"
    );
    let ready = lab.get("/ready").json();
    assert!(
        ready["damage"][0]
            .as_str()
            .unwrap()
            .contains(&format!("{segment}: damaged at byte ")),
        "{ready}"
    );
    assert_eq!(lab.ingest(one("b")).status, 202, "ingest goes on");
    assert_eq!(
        lab.get("/v1/events?limit=1").json()["count"],
        1,
        "and so do queries that need none of it"
    );
}
