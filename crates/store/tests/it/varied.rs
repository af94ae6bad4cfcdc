//! A directory that has something of every kind in it, and a look at it.

use crate::kit::{Lab, NOW, SECOND, event};
use journal::{Disk, ReadOnlyDisk};
use reputation::Evaluation;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::{Report, Source, verify};

pub(crate) fn look(dir: &Path) -> Report {
    verify(&(Arc::new(ReadOnlyDisk) as Arc<dyn Disk>), dir).unwrap()
}

/// Small segments and few windows in memory, so that there is something of every kind.
pub(crate) fn varied_lab() -> Lab {
    Lab::with(|options| {
        options.journal.first_segment_bytes = 64 << 10;
        options.journal.max_segment_bytes = 64 << 10;
        options.window_cache = 2;
    })
}

/// Sends events of every kind, in batches, over several segments.
pub(crate) fn fill(lab: &Lab, from: i64, batches: i64) {
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

/// The files of the log's directory whose names end, or begin, like this.
pub(crate) fn files(dir: &Path, like: &str) -> Vec<PathBuf> {
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
