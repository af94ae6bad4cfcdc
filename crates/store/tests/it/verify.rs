//! Checking a directory: what is sound is called sound, and no byte changes unseen.

use crate::kit::{Lab, NOW, SECOND, event};
use journal::{Disk, ReadOnlyDisk};
use reputation::Evaluation;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::{Remedy, Report, Source, Totals, verify};

fn look(dir: &Path) -> Report {
    verify(&(Arc::new(ReadOnlyDisk) as Arc<dyn Disk>), dir).unwrap()
}

/// Small segments and few windows in memory, so that there is something of every kind.
fn lab() -> Lab {
    Lab::with(|options| {
        options.journal.first_segment_bytes = 64 << 10;
        options.journal.max_segment_bytes = 64 << 10;
        options.window_cache = 2;
    })
}

/// Events of every kind, in batches, over several segments.
fn fill(lab: &Lab, from: i64, batches: i64) {
    for batch in from..from + batches {
        lab.set_clock(NOW + batch * SECOND);
        let ids: Vec<String> = (0..25).map(|n| format!("{batch:08x}{n:016x}")).collect();
        let agents: Vec<String> = (0..25)
            .map(|n| format!("agent-{}", (batch * 7 + n) % 9))
            .collect();
        let events: Vec<Evaluation<'_>> = (0i64..)
            .zip(&ids)
            .zip(&agents)
            .map(|((n, id), agent)| {
                let at = NOW + batch * SECOND - n * 1_000;
                let mut event = match n {
                    3 => event(agent, None, Some(at)),
                    4 => event(agent, Some(id), None),
                    5 => event(agent, Some(id), Some(NOW + 86_400 * SECOND)),
                    6 => event(agent, Some(id), Some(NOW - 86_400 * SECOND + batch)),
                    _ => event(agent, Some(id), Some(at)),
                };
                event.passed = (batch + n) % 5 != 0;
                event.total_latency_us = (batch * 31 + n * 997).unsigned_abs() as u32 % 90_000;
                event
            })
            .collect();
        lab.send(&events);
        lab.send(&events[..4]);
        lab.send_as(Source::Evaluate, &[event("agent-e", Some(&ids[0]), None)]);
    }
    lab.register("quiet", 1_000_000).unwrap();
}

fn assert_sound(report: &Report, totals: Totals) {
    assert_eq!((report.findings.as_slice(), report.totals), (&[][..], totals));
}

#[test]
fn a_directory_is_sound_while_it_is_written_after_a_stop_and_after_a_restart() {
    let mut lab = lab();
    assert_sound(&look(lab.path()), Totals::ScoresAlone);
    fill(&lab, 0, 200);
    let running = look(lab.path());
    assert_sound(&running, Totals::ScoresAlone);
    assert!(running.segments > 4 && running.events == 200 * 27, "{running:?}");
    lab.stop();
    let stopped = look(lab.path());
    assert_sound(&stopped, Totals::Recounted);
    assert_eq!((stopped.events, stopped.agents), (running.events, 11));
    assert_eq!(stopped.indexes, stopped.segments);
    lab.start();
    fill(&lab, 200, 60);
    assert_sound(&look(lab.path()), Totals::Recounted);
    lab.stop();
    assert_sound(&look(lab.path()), Totals::Recounted);
}

#[test]
fn it_is_not_fooled_by_a_server_that_writes_meanwhile() {
    let lab = lab();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| fill(&lab, 0, 300));
        while !writer.is_finished() {
            let report = look(lab.path());
            assert!(report.is_sound(), "{:?}", report.findings);
        }
    });
}

/// The files of the log's directory whose names end, or begin, like this.
fn files(dir: &Path, like: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir.join("log/0"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.ends_with(like) || name.starts_with(like)
        })
        .collect();
    files.sort();
    files
}

/// Changes bytes here and there, one after the other, and expects each change to be found with this remedy, in
/// that file, at or before that byte.
fn assert_no_change_is_missed(dir: &Path, file: &Path, until: usize, remedy: Remedy) {
    let good = fs::read(file).unwrap();
    let step = until / 23 + 1;
    for at in (0..until).step_by(step).filter(|at| good[*at] != 0) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(file, &bad).unwrap();
        let report = look(dir);
        let found = report
            .findings
            .iter()
            .find(|finding| finding.file == file && finding.remedy == remedy && finding.offset <= at as u64);
        assert!(
            found.is_some(),
            "{} at {at}: {:?}",
            file.display(),
            report.findings
        );
    }
    fs::write(file, &good).unwrap();
    assert!(look(dir).is_sound());
}

#[test]
fn no_changed_byte_of_the_log_is_missed() {
    let mut lab = lab();
    fill(&lab, 0, 80);
    lab.stop();
    let segments = files(lab.path(), ".seg");
    for segment in [&segments[0], &segments[1], segments.last().unwrap()] {
        let seal = fs::metadata(segment).unwrap().len() as usize - 512;
        assert_no_change_is_missed(lab.path(), segment, seal, Remedy::Log);
    }
}

#[test]
fn no_changed_byte_of_a_derived_file_is_missed() {
    let mut lab = lab();
    fill(&lab, 0, 80);
    lab.stop();
    for file in [&files(lab.path(), ".idx")[1], &files(lab.path(), "registry-")[0]] {
        let len = fs::metadata(file).unwrap().len() as usize;
        assert_no_change_is_missed(lab.path(), file, len, Remedy::Derived);
    }
}

#[test]
fn lost_segments_and_a_lost_end_are_named() {
    let mut lab = lab();
    fill(&lab, 0, 80);
    lab.stop();
    let segments = files(lab.path(), ".seg");
    let (middle, last) = (&segments[1], segments.last().unwrap());
    let good = fs::read(middle).unwrap();
    fs::remove_file(middle).unwrap();
    let report = look(lab.path());
    assert_eq!(
        report.findings[0].what,
        "segment 2 is missing between older and newer ones"
    );
    assert_eq!(report.totals, Totals::Uncounted);
    fs::write(middle, good).unwrap();
    fs::remove_file(last).unwrap();
    let report = look(lab.path());
    assert!(
        report.findings[0].what.starts_with("the log ends with frame"),
        "{report:?}"
    );
}

/// A checkpoint whose own checksum is right, but which says something else than the log.
#[test]
fn a_total_that_a_recount_does_not_give_is_found() {
    let mut lab = lab();
    fill(&lab, 0, 80);
    lab.stop();
    let file = &files(lab.path(), "registry-")[0];
    let good = fs::read(file).unwrap();
    let name = b"agent-3";
    let at = good.windows(name.len()).position(|bytes| bytes == name).unwrap() + name.len();
    // Behind the name stands the count; the totals of the window stand further on.
    let passed = at + 8 * 4 + 9 + 17 + 1 + 8 + 1 + 4;
    for (at, what) in [
        (at, "events up to event"),
        (passed, "other totals in the checkpoint"),
    ] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let checksum = crc32c::crc32c(&bad[12..]);
        bad[8..12].copy_from_slice(&checksum.to_le_bytes());
        fs::write(file, &bad).unwrap();
        let report = look(lab.path());
        assert_eq!(report.findings.len(), 1, "{report:?}");
        assert!(report.findings[0].what.contains(what), "{report:?}");
    }
}
