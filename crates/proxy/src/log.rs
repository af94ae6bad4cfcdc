//! The decision log: JSON lines in files by UTC day, which only their owner can read.
//!
//! Several proxies write the same files: each line is appended by one write. No file is renamed; when a day's
//! file is full, the next number begins, so that all of them find the same one.

use crate::decision::Decision;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// A file that is as large as this is not written any more.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// Files of a day.
const MAX_FILES_A_DAY: u32 = 999;
/// All files together; the oldest go.
const MAX_BYTES: u64 = 256 << 20;
/// How long files are kept.
const MAX_AGE: Duration = Duration::from_secs(30 * 86_400);
/// How a day is written: `2026-05-07`.
const DAY_LENGTH: usize = 10;

/// A directory of such files.
#[derive(Debug)]
pub(crate) struct Log {
    directory: PathBuf,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    day: String,
    bytes: u64,
}

impl Log {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            open: None,
        }
    }

    /// Appends a line. When it begins a file, old ones go.
    ///
    /// # Errors
    /// Where it cannot be written. The next line tries anew.
    pub(crate) fn write(&mut self, decision: &Decision) -> io::Result<()> {
        let mut line = serde_json::to_vec(decision)?;
        line.push(b'\n');
        let day = crate::decision::timestamp(decision.time)[..DAY_LENGTH].to_owned();
        // Taken out, so that a file that failed is opened anew.
        let mut open = match self.open.take() {
            Some(open) if open.day == day && open.bytes < MAX_FILE_BYTES => open,
            _ => self.begin(day, decision.time)?,
        };
        open.file.write_all(&line)?;
        open.bytes += line.len() as u64;
        self.open = Some(open);
        Ok(())
    }

    fn begin(&self, day: String, now: SystemTime) -> io::Result<Open> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)?;
        self.prune(now)?;
        for number in 1..=MAX_FILES_A_DAY {
            let name = match number {
                1 => format!("{day}.jsonl"),
                _ => format!("{day}.{number:03}.jsonl"),
            };
            let path = self.directory.join(name);
            let mut options = OpenOptions::new();
            let file = options.append(true).create(true).mode(0o600).open(path)?;
            let bytes = file.metadata()?.len();
            if bytes < MAX_FILE_BYTES {
                return Ok(Open { file, day, bytes });
            }
        }
        Err(io::Error::other("the day has no room for more"))
    }

    /// Removes what is too old or too much. Only names that this log writes are touched.
    fn prune(&self, now: SystemTime) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if let Some(name) = name.to_str().filter(|name| is_own(name)) {
                files.push((name.to_owned(), entry.metadata()?.len()));
            }
        }
        // The newest first; their names are their order.
        files.sort_unstable_by(|one, other| sort_key(&other.0).cmp(&sort_key(&one.0)));
        let oldest = now.checked_sub(MAX_AGE).unwrap_or(SystemTime::UNIX_EPOCH);
        let oldest = crate::decision::timestamp(oldest);
        let mut kept_bytes = 0;
        for (name, bytes) in files {
            kept_bytes += bytes;
            if name[..DAY_LENGTH] < oldest[..DAY_LENGTH] || kept_bytes > MAX_BYTES {
                match fs::remove_file(self.directory.join(name)) {
                    Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
                    _ => {} // or another proxy was faster
                }
            }
        }
        Ok(())
    }
}

/// The day, and the number within it: none before any.
fn sort_key(name: &str) -> (&str, &str) {
    let rest = name[DAY_LENGTH..].trim_end_matches("jsonl");
    (&name[..DAY_LENGTH], rest)
}

/// `2026-05-07.jsonl`, `2026-05-07.002.jsonl`.
fn is_own(name: &str) -> bool {
    let is_pattern = |text: &str, pattern: &str| {
        text.len() == pattern.len()
            && text
                .bytes()
                .zip(pattern.bytes())
                .all(|(byte, wanted)| match wanted {
                    b'0' => byte.is_ascii_digit(),
                    _ => byte == wanted,
                })
    };
    is_pattern(name, "0000-00-00.jsonl") || is_pattern(name, "0000-00-00.000.jsonl")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::{Looked, Outcome};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::time::UNIX_EPOCH;

    fn decision(day: u64) -> Decision {
        Decision {
            time: UNIX_EPOCH + Duration::from_secs(day * 86_400 + 86_399),
            agent_id: "a".to_owned(),
            tool: Some("t".into()),
            of: Looked::Result,
            decision: Outcome::Passed,
            doubt: None,
            gates: Vec::new(),
            total_latency_ms: 0.25,
            bytes: 7,
        }
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_day_has_a_file_of_its_own_which_only_its_owner_reads() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join(".repute/logs");
        let mut log = Log::new(directory.clone());
        for day in [20_000, 20_000, 20_001] {
            log.write(&decision(day)).unwrap();
        }
        assert_eq!(names(&directory), ["2024-10-04.jsonl", "2024-10-05.jsonl"]);
        let text = fs::read_to_string(directory.join("2024-10-04.jsonl")).unwrap();
        let line = r#"{"time":"2024-10-04T23:59:59.000Z","agent_id":"a","tool":"t","of":"result","decision":"passed","gates":[],"total_latency_ms":0.25,"bytes":7}"#;
        assert_eq!(text, format!("{line}\n{line}\n"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&directory.join("2024-10-04.jsonl")), 0o600);
        assert_eq!(mode(&directory), 0o700);
    }

    #[test]
    fn a_full_file_is_followed_by_the_next_number_for_every_proxy() {
        let home = tempfile::tempdir().unwrap();
        let full = File::create(home.path().join("2024-10-04.jsonl")).unwrap();
        full.set_len(MAX_FILE_BYTES).unwrap();
        for _ in 0..2 {
            Log::new(home.path().to_owned()).write(&decision(20_000)).unwrap();
        }
        assert_eq!(names(home.path()), ["2024-10-04.002.jsonl", "2024-10-04.jsonl"]);
        let second = fs::read_to_string(home.path().join("2024-10-04.002.jsonl")).unwrap();
        assert_eq!(second.lines().count(), 2);
    }

    #[test]
    fn old_files_and_too_many_bytes_go_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let make = |name: &str, bytes: u64| {
            File::create(home.path().join(name))
                .unwrap()
                .set_len(bytes)
                .unwrap();
        };
        make("2024-09-03.jsonl", 1); // 31 days before
        make("2024-09-04.jsonl", 1);
        make("2024-10-01.jsonl", MAX_BYTES);
        make("2024-10-02.jsonl", 1);
        make("2024-10-02.002.jsonl", MAX_BYTES - 1);
        make("2020-01-01.jsonl.gz", 1);
        make("notes.jsonl", 1);
        Log::new(home.path().to_owned()).write(&decision(20_000)).unwrap();
        let expected = [
            "2020-01-01.jsonl.gz",
            "2024-10-02.002.jsonl",
            "2024-10-02.jsonl",
            "2024-10-04.jsonl",
            "notes.jsonl",
        ];
        assert_eq!(names(home.path()), expected);
    }
}
