//! Checking a directory: what is sound is called sound, and no byte changes unseen.

use crate::kit::{ORG, everything};
use crate::varied::{files, fill, look, varied_lab};
use journal::{Disk, FewOpenDisk, File, OsDisk, ReadOnlyDisk};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, io};
use store::{Backup, Error, Remedy, Report, Totals};

fn assert_sound(report: &Report, totals: Totals) {
    assert_eq!((report.findings.as_slice(), report.totals), (&[][..], totals));
}

#[test]
fn a_directory_is_sound_while_it_is_written_after_a_stop_and_after_a_restart() {
    let mut lab = varied_lab();
    assert_sound(&look(lab.path()), Totals::ScoresAlone);
    fill(&lab, 0, 160);
    let running = look(lab.path());
    assert_sound(&running, Totals::ScoresAlone);
    assert!(running.segments > 4 && running.events == 160 * 27, "{running:?}");
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
    let lab = varied_lab();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| fill(&lab, 0, 120));
        while !writer.is_finished() {
            let report = look(lab.path());
            assert!(report.is_sound(), "{:?}", report.findings);
        }
    });
}

/// Changes bytes here and there, one after the other, and expects each change to be found with this remedy, in
/// that file, at or before that byte.
/// What it sees that read the checkpoint before an agent was erased, and the log while it was, or afterwards.
#[test]
fn it_is_not_fooled_by_an_erasure_meanwhile() {
    let mut lab = varied_lab();
    fill(&lab, 0, 60);
    lab.restart();
    let kept = |like: &str| -> Vec<_> {
        let files = files(lab.path(), like).into_iter();
        files.map(|file| (fs::read(&file).unwrap(), file)).collect()
    };
    let (before, segments) = (kept("registry-"), kept("-000.seg"));
    lab.erase(ORG, "agent-3");
    lab.stop();
    for file in files(lab.path(), "registry-") {
        fs::remove_file(file).unwrap();
    }
    for (bytes, file) in &before {
        fs::write(file, bytes).unwrap();
    }
    assert_eq!(look(lab.path()).findings, []);
    // Only the first segment is rid of it by now.
    let written = segments
        .iter()
        .filter(|(bytes, _)| bytes.starts_with(b"REPUTSEG"));
    for (bytes, file) in written.skip(1) {
        let number = &file.file_name().unwrap().to_str().unwrap()[..10];
        for newer in files(lab.path(), number) {
            fs::remove_file(newer).unwrap();
        }
        fs::write(file, bytes).unwrap();
    }
    assert_eq!(look(lab.path()).findings, []);
}

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
    let mut lab = varied_lab();
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
    let mut lab = varied_lab();
    fill(&lab, 0, 80);
    lab.stop();
    for file in [&files(lab.path(), ".idx")[1], &files(lab.path(), "registry-")[0]] {
        let len = fs::metadata(file).unwrap().len() as usize;
        assert_no_change_is_missed(lab.path(), file, len, Remedy::Derived);
    }
}

#[test]
fn lost_segments_and_a_lost_end_are_named() {
    let mut lab = varied_lab();
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
    let mut lab = varied_lab();
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
        let (content, checksum) = bad.split_last_chunk_mut::<4>().unwrap();
        *checksum = crc32c::crc32c(content).to_le_bytes();
        fs::write(file, &bad).unwrap();
        let report = look(lab.path());
        assert_eq!(report.findings.len(), 1, "{report:?}");
        assert!(report.findings[0].what.contains(what), "{report:?}");
    }
}

/// A disk on which another process removes the first segment after it was opened twice.
struct Vanishing(AtomicUsize);

impl Disk for Vanishing {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        ReadOnlyDisk.create_dir_all(dir)
    }
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        ReadOnlyDisk.create_new(path)
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        if path.ends_with("0000000001-000.seg") && self.0.fetch_add(1, Ordering::Relaxed) > 1 {
            return Err(io::ErrorKind::NotFound.into());
        }
        ReadOnlyDisk.open(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        ReadOnlyDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        ReadOnlyDisk.remove(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        ReadOnlyDisk.list(dir)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        ReadOnlyDisk.sync_dir(dir)
    }
}

#[test]
fn a_segment_that_goes_while_it_is_read_is_not_called_damaged() {
    let mut lab = varied_lab();
    fill(&lab, 0, 60);
    lab.stop();
    let disk =
        || -> Arc<dyn Disk> { Arc::new(FewOpenDisk::new(Arc::new(Vanishing(AtomicUsize::new(0))), 1)) };
    let verified = store::verify(&disk(), lab.path()).map(|report| report.findings);
    assert!(matches!(verified, Err(Error::Gone { .. })), "{verified:?}");
    let query = everything();
    let exported = store::export(&disk(), lab.path(), ORG, &query, 0, |_| ControlFlow::Continue(()));
    assert!(!exported.is_err_and(|error| error.is_damage()));
    let copy = tempfile::tempdir().unwrap();
    let target: Arc<dyn Disk> = Arc::new(OsDisk);
    target.create_dir_all(&copy.path().join("log/0")).unwrap();
    let mut backup = Backup::begin(&target, copy.path()).unwrap();
    let copied = backup.copy_log(&disk(), lab.path(), false);
    assert!(matches!(copied, Err(Error::Gone { .. })), "{copied:?}");
}
