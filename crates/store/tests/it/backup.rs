//! Backups: of a store that is written meanwhile, again into the same place, and cut short at every operation.

use crate::kit::{Lab, ORG};
use crate::varied::{files, fill, look, varied_lab};
use journal::{Disk, OsDisk, ReadOnlyDisk};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use store::{Backup, BackupFigures, Error, StoredEvent, adopt_backup};

fn back_up(from: &Path, to: &Path, link: bool) -> Result<BackupFigures, Error> {
    let (reading, writing): (Arc<dyn Disk>, Arc<dyn Disk>) = (Arc::new(ReadOnlyDisk), Arc::new(OsDisk));
    let mut backup = Backup::begin(&writing, to)?;
    backup.copy_log(&reading, from, link)?;
    backup.finish("{}", &[])
}

fn events(lab: &Lab) -> BTreeMap<u64, StoredEvent> {
    lab.all(ORG).into_iter().map(|event| (event.seq, event)).collect()
}

#[test]
fn a_backup_is_the_directory_at_one_moment_and_the_next_takes_only_what_is_new() {
    let mut lab = varied_lab();
    fill(&lab, 0, 60);
    let copy = tempfile::tempdir().unwrap();
    let first = back_up(lab.path(), copy.path(), false).unwrap();
    assert!(look(copy.path()).is_sound());
    assert_eq!(look(copy.path()).events, 60 * 27);
    fill(&lab, 60, 60);
    let second = back_up(lab.path(), copy.path(), false).unwrap();
    assert!(
        second.kept_files > 0 && second.copied_bytes < first.copied_bytes + (200 << 10),
        "{second:?}"
    );
    assert!(second.last_frame > first.last_frame);
    let now = events(&lab);
    lab.stop();
    let report = look(copy.path());
    assert!(report.is_sound(), "{:?}", report.findings);
    let restored = lab.on(copy);
    assert!(events(&restored) == now);
}

#[test]
fn a_backup_of_a_store_under_load_has_all_that_was_acknowledged_before_it_began() {
    let lab = varied_lab();
    fill(&lab, 0, 20);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| fill(&lab, 20, 100));
        let copy = tempfile::tempdir().unwrap();
        while !writer.is_finished() {
            let before = lab.store().stats().events;
            back_up(lab.path(), copy.path(), false).unwrap();
            let report = look(copy.path());
            assert!(report.is_sound(), "{:?}", report.findings);
            assert!(report.events >= before, "{} of {before}", report.events);
        }
    });
}

#[test]
fn sealed_segments_are_linked_where_that_is_wanted() {
    use std::os::unix::fs::MetadataExt as _;
    let mut lab = varied_lab();
    fill(&lab, 0, 60);
    lab.stop();
    let copy = tempfile::tempdir_in(lab.path().parent().unwrap()).unwrap();
    back_up(lab.path(), copy.path(), true).unwrap();
    let inode = |dir: &Path, name: &str| std::fs::metadata(dir.join("log/0").join(name)).unwrap().ino();
    for name in ["0000000001-000.seg", "0000000001-000.idx"] {
        assert_eq!(inode(lab.path(), name), inode(copy.path(), name), "{name}");
    }
    lab.start();
    fill(&lab, 60, 20);
    lab.stop();
    assert!(
        look(copy.path()).is_sound(),
        "what is linked is not written again"
    );
    assert_eq!(look(copy.path()).events, 60 * 27);
}

#[test]
fn a_directory_of_something_else_takes_no_backup() {
    let (mut lab, other) = (varied_lab(), varied_lab());
    fill(&lab, 0, 2);
    let refused = back_up(lab.path(), other.path(), false);
    assert!(matches!(refused, Err(Error::NotABackup { .. })), "{refused:?}");
    let copy = tempfile::tempdir().unwrap();
    back_up(lab.path(), copy.path(), false).unwrap();
    let refused = back_up(other.path(), copy.path(), false);
    assert!(
        matches!(refused, Err(Error::NotABackup { .. })),
        "another directory's: {refused:?}"
    );
    lab.stop();
    // Once a server has it, it is a directory of its own.
    assert_eq!(adopt_backup(&OsDisk, copy.path()).unwrap().as_deref(), Some("{}"));
    let refused = back_up(lab.path(), copy.path(), false);
    assert!(matches!(refused, Err(Error::NotABackup { .. })), "{refused:?}");
}

/// A store with some segments, and a backup of it.
fn backed_up() -> (Lab, tempfile::TempDir) {
    let lab = varied_lab();
    fill(&lab, 0, 60);
    let copy = tempfile::tempdir().unwrap();
    back_up(lab.path(), copy.path(), false).unwrap();
    (lab, copy)
}

#[test]
fn what_a_directory_lost_does_not_go_from_its_backup() {
    let (mut lab, copy) = backed_up();
    let events = look(copy.path()).events;
    lab.stop();
    std::fs::remove_file(files(lab.path(), ".seg").last().unwrap()).unwrap();
    let refused = back_up(lab.path(), copy.path(), false);
    let why = refused.expect_err("the checkpoint knows more").to_string();
    assert!(why.contains("acknowledged events are missing"), "{why}");
    for file in files(lab.path(), "registry-") {
        std::fs::remove_file(file).unwrap();
    }
    for all in [false, true] {
        if all {
            let log = lab.path().join("log/0");
            std::fs::remove_dir_all(&log).unwrap();
            std::fs::create_dir(&log).unwrap();
        }
        let refused = back_up(lab.path(), copy.path(), false);
        assert!(
            matches!(refused, Err(Error::LessThanBackup { .. })),
            "{refused:?}"
        );
        assert_eq!(look(copy.path()).events, events);
    }
}

#[test]
fn damage_is_not_passed_on() {
    let (mut lab, copy) = backed_up();
    lab.stop();
    let file = lab.path().join("log/0/0000000001-000.seg");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[600] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let fresh = tempfile::tempdir().unwrap();
    let refused = back_up(lab.path(), fresh.path(), false);
    assert!(refused.is_err_and(|error| error.is_damage()));
    back_up(lab.path(), copy.path(), false).unwrap();
    assert!(look(copy.path()).is_sound(), "the good copy stays");
}

#[test]
fn a_first_backup_that_was_cut_short_at_its_mark_can_be_taken_again() {
    let lab = varied_lab();
    fill(&lab, 0, 5);
    let copy = tempfile::tempdir().unwrap();
    std::fs::write(copy.path().join("backup.unfinished.tmp"), "").unwrap();
    back_up(lab.path(), copy.path(), false).unwrap();
    assert!(look(copy.path()).is_sound());
    assert!(!copy.path().join("backup.unfinished.tmp").exists());
}
