use super::*;
use std::time::Duration;

const A: &str = r#"{"agent_id":"a","passed":true,"gates":[],"total_latency_ms":1.0}"#;
const B: &str = r#"{"agent_id":"b","passed":true,"gates":[],"total_latency_ms":1.0}"#;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn listing(dir: &Path) -> Vec<String> {
    let mut names = names(dir).unwrap();
    names.sort();
    names
}

fn taken(spool: &mut Spool) -> Option<Vec<String>> {
    let lines = spool.take()?.lines.unwrap();
    Some(lines.into_iter().map(String::from).collect())
}

#[test]
fn what_is_put_comes_back_oldest_first_and_is_deleted_when_it_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), 1 << 20, "me").unwrap();
    assert_eq!(spool.put(&[A, B], at(1)).0, []);
    spool.put(&[B], at(2)).1.unwrap();
    assert_eq!(
        listing(dir.path()),
        ["0000000001000-me-0.jsonl", "0000000002000-me-1.jsonl", "me.lock"]
    );
    assert_eq!(taken(&mut spool).unwrap(), [A, B]);
    assert_eq!(taken(&mut spool).unwrap(), [B]);
    assert!(taken(&mut spool).is_none());
    spool.finish(0).unwrap();
    assert_eq!(listing(dir.path()), ["0000000002000-me-1.jsonl", "me.lock"]);
    spool.finish(1).unwrap();
    drop(spool);
    assert_eq!(
        listing(dir.path()),
        [] as [&str; 0],
        "nothing is left of an owner without files"
    );
}

#[test]
fn a_living_owner_keeps_its_files_and_a_dead_one_is_taken_over_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut dead = Spool::open(dir.path(), 1 << 20, "dead").unwrap();
    dead.put(&[A, B], at(1)).1.unwrap();
    let mut heir = Spool::open(dir.path(), 1 << 20, "heir").unwrap();
    let mut late = Spool::open(dir.path(), 1 << 20, "late").unwrap();
    assert_eq!(heir.take_over().unwrap(), Found::default());
    drop(dead);
    assert_eq!(
        heir.take_over().unwrap(),
        Found {
            events: 2,
            warnings: Vec::new()
        }
    );
    assert_eq!(late.take_over().unwrap(), Found::default());
    assert_eq!(
        heir.take_over().unwrap(),
        Found::default(),
        "they are the heir's already"
    );
    let file = heir.take().unwrap();
    assert_eq!(file.lines.unwrap().len(), 2);
    heir.finish(file.file).unwrap();
    assert_eq!(listing(dir.path()), ["heir.lock", "late.lock"]);
}

#[test]
fn a_heir_that_dies_leaves_what_it_had_not_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let mut dead = Spool::open(dir.path(), 1 << 20, "dead").unwrap();
    dead.put(&[A], at(1)).1.unwrap();
    dead.put(&[B], at(2)).1.unwrap();
    drop(dead);
    let mut heir = Spool::open(dir.path(), 1 << 20, "heir").unwrap();
    heir.take_over().unwrap();
    let file = heir.take().unwrap().file;
    heir.finish(file).unwrap();
    heir.take().unwrap();
    drop(heir);
    let mut next = Spool::open(dir.path(), 1 << 20, "next").unwrap();
    assert_eq!(next.take_over().unwrap().events, 1);
    assert_eq!(taken(&mut next).unwrap(), [B]);
}

#[test]
fn a_file_that_is_no_spool_file_any_more_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let bad = "0000000000001-dead-0.jsonl";
    fs::write(dir.path().join(bad), format!("{A}\n{{\"agent_id\"")).unwrap();
    fs::write(dir.path().join("0000000000002-dead-1.jsonl.tmp"), A).unwrap();
    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    let mut spool = Spool::open(dir.path(), 1 << 20, "me").unwrap();
    let found = spool.take_over().unwrap();
    assert_eq!(found.events, 0);
    assert_eq!(
        found.warnings,
        [format!(
            "spool: {bad} can't be read (a line is no event); set aside as {bad}.bad"
        )]
    );
    assert_eq!(
        listing(dir.path()),
        [&format!("{bad}.bad"), "me.lock", "notes.txt"]
    );
}

#[test]
fn a_full_spool_lets_the_oldest_go_but_never_what_is_another_s_or_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = A.len() as u64 + 1;
    let mut other = Spool::open(dir.path(), 1 << 20, "other").unwrap();
    other.put(&[A], at(1)).1.unwrap();
    let mut spool = Spool::open(dir.path(), bytes * 3, "me").unwrap();
    spool.put(&[A], at(2)).1.unwrap();
    spool.put(&[B], at(3)).1.unwrap();
    let (evicted, kept) = spool.put(&[B], at(4));
    assert_eq!(
        evicted,
        [Evicted {
            events: 1,
            lines: vec![A.into()]
        }]
    );
    kept.unwrap();
    assert_eq!(taken(&mut spool).unwrap(), [B]);
    assert_eq!(taken(&mut spool).unwrap(), [B]);
    let (evicted, kept) = spool.put(&[A], at(5));
    assert_eq!(evicted, []);
    assert_eq!(kept.unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(
        listing(dir.path())
            .iter()
            .filter(|name| name.ends_with(SUFFIX))
            .count(),
        3
    );
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_what_is_spooled() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), 1 << 20, "me").unwrap();
    spool.put(&[A], at(1)).1.unwrap();
    for name in listing(dir.path()) {
        let mode = fs::metadata(dir.path().join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
