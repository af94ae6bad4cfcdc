//! Each hand-written search is held against the pattern that documents it.

use super::*;
use crate::Budget;
use command::BLANKS;
use json::Document;
use proptest::prelude::*;
use regex::Regex;
use std::time::{Duration, Instant};

const BLANK: &str = "[BLANK]";
/// What the searches below are for, as the patterns of `gates/gates.json` say it.
fn documented(detector: Detector) -> Regex {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../gates/gates.json");
    let data: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let text = |name: &str| {
        data["patterns"][name]
            .as_str()
            .unwrap_or_else(|| panic!("no pattern {name}"))
            .to_owned()
    };
    let pattern = match detector {
        Detector::RecursiveRemove => text("recursive_remove"),
        Detector::Traversal => text("traversal"),
        Detector::SensitivePath => text("sensitive_path"),
        Detector::Email => text("email"),
        Detector::Ssn => text("ssn"),
        Detector::Phone => text("phone"),
        _ => format!("(?i:{})", text("refusal")),
    };
    pattern::compile(&pattern)
}

fn finds(detector: Detector, text: &str) -> bool {
    let source = serde_json::to_string(text).unwrap();
    let document = Document::parse(source.as_bytes()).unwrap();
    let clock = Instant::now;
    let budget = Budget::start(Duration::from_secs(60), &clock);
    let findings = scan(&document, Detectors::default().with(detector), &budget).unwrap();
    findings.first(detector).is_some()
}

/// Texts made of the pieces that matter to one search.
fn texts(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(pieces), 0..12).prop_map(|pieces| pieces.concat())
}

fn agrees(detector: Detector, pieces: &'static [&'static str]) {
    let documented = documented(detector);
    let config = ProptestConfig::with_cases(4_096);
    proptest!(config, |(text in texts(pieces))| {
        prop_assert_eq!(finds(detector, &text), documented.is_match(&text), "{:?}", text);
    });
}

#[test]
fn recursive_removes_are_found_as_documented() {
    agrees(
        Detector::RecursiveRemove,
        &[
            "rm",
            " ",
            "-",
            "r",
            "f",
            "R",
            "-rf",
            "-fR",
            "-r ",
            " -f",
            "--recursive",
            "--force",
            ";",
            "|",
            "&",
            "\n",
            "/",
            "x",
            "_",
            "'",
            "`",
            "\u{a0}",
            "é",
            "-i",
        ],
    );
}

#[test]
fn traversals_are_found_as_documented() {
    agrees(
        Detector::Traversal,
        &[
            "..", ".", "/", "\\", " ", "'", "\"", "`", "a", "\u{2003}", "é", "\n",
        ],
    );
}

#[test]
fn sensitive_paths_are_found_as_documented() {
    agrees(
        Detector::SensitivePath,
        &[
            "/etc", "/usr", "/var", "/", "~", "~/", ".ssh", ".aws", ".gnupg", "/home/", "joe", "file://",
            "file:/", " ", "'", "=", ":", "(", ",", "<", ">", "x", ".", "\u{3000}", "é",
        ],
    );
}

#[test]
fn email_addresses_are_found_as_documented() {
    agrees(
        Detector::Email,
        &[
            "a", "Z", "0", ".", "_", "%", "+", "-", "@", ".co", "x.io", " ", "é", "/",
        ],
    );
}

#[test]
fn ssns_are_found_as_documented() {
    agrees(
        Detector::Ssn,
        &[
            "123-45-6789",
            "000",
            "666",
            "900",
            "123",
            "-",
            "45",
            "00",
            "6789",
            "0000",
            " ",
            "a",
            "_",
            "é",
            "1",
        ],
    );
}

#[test]
fn phones_are_found_as_documented() {
    agrees(
        Detector::Phone,
        &[
            "212", "555", "1234", "112", "1", "+1", "+", "(", ")", "-", ".", " ", "\u{a0}", "a", "_", "é",
            "5",
        ],
    );
}

#[test]
fn refusals_are_found_as_documented() {
    agrees(
        Detector::Refusal,
        &[
            "I",
            "i",
            "don't",
            "don\u{2019}t",
            "do not",
            " ",
            "  ",
            "\u{a0}",
            "have",
            "access",
            "the ability",
            "can't",
            "CANNOT",
            "help",
            "do",
            "as an AI",
            "language",
            "model",
            "'m",
            "\u{2bc}m",
            "am",
            "just",
            "an AI",
            "x",
            ".",
        ],
    );
}

#[test]
fn a_walk_ends_soon_after_the_budget() {
    let text = format!("\"{}\"", "a@1.i/".repeat(1_000_000));
    let many = format!("[{}]", vec!["\"\""; 1_000_000].join(","));
    for text in [text, many] {
        let document = Document::parse(text.as_bytes()).unwrap();
        let start = Instant::now();
        let reads = std::cell::Cell::new(0);
        let clock = || {
            reads.set(reads.get() + 1);
            start + Duration::from_millis(reads.get())
        };
        let budget = Budget::start(Duration::from_millis(5), &clock);
        let wanted = [Detector::Email, Detector::RecursiveRemove, Detector::Ip];
        let outcome = scan(&document, wanted.into_iter().collect(), &budget);
        assert_eq!((outcome.err(), reads.get()), (Some(crate::OutOfBudget), 6));
    }
}

#[test]
fn searches_are_linear_on_texts_made_to_slow_them() {
    let pieces = [
        "rm ",
        "rm -r ",
        "a@",
        "@a.",
        "/home/",
        "i   ",
        "I'm ",
        "4111 ",
        "1.1.1.",
        "12:",
        "DE89 ",
        "..",
        "(212) 555-",
        "-r ",
        "~/.",
    ];
    let every = [
        Detector::RecursiveRemove,
        Detector::Traversal,
        Detector::SensitivePath,
        Detector::Email,
        Detector::Ssn,
        Detector::Phone,
        Detector::Card,
        Detector::Iban,
        Detector::Ip,
        Detector::Refusal,
    ];
    let clock = Instant::now;
    for piece in pieces {
        let text = format!("\"{}\"", piece.repeat(300_000 / piece.len()));
        let document = Document::parse(text.as_bytes()).unwrap();
        // A quadratic search would take many minutes; the limit is far from what a slow machine needs.
        let budget = Budget::start(Duration::from_secs(60), &clock);
        assert!(
            scan(&document, every.into_iter().collect(), &budget).is_ok(),
            "{piece}"
        );
    }
}

/// Whether it is found in a string, and that this does not depend on where in a long one it stands: across a border
/// of the pieces that patterns are looked for in, each time `step` bytes further.
fn finds_everywhere(detector: Detector, text: &str, step: usize) -> bool {
    let whole = finds(detector, text);
    for border in [
        pattern::PIECE_BYTES,
        pattern::PIECE_BYTES + pattern::OVERLAP_BYTES,
    ] {
        for before in (0..=text.len().min(border)).step_by(step) {
            let prefix = " ".repeat(border - before);
            let long = format!("{prefix}{text}{}", " y".repeat(pattern::OVERLAP_BYTES));
            assert_eq!(
                finds(detector, &long),
                whole,
                "{before} bytes before {border}: {text:.99}"
            );
        }
    }
    whole
}

#[test]
fn what_a_pattern_finds_does_not_depend_on_where_in_a_long_string_it_stands() {
    let letters = |count: usize| "aB3dE6gH9-".repeat(count / 10);
    let token = format!("eyJ{}.eyJ{}.{}", letters(30), letters(14_000), letters(80));
    assert!(finds_everywhere(Detector::Secret, "AKIAQWERTYUIOPASDF23", 4));
    assert!(!finds_everywhere(Detector::Secret, "y_AKIAQWERTYUIOPASDF23", 4));
    assert!(!finds_everywhere(Detector::Secret, "AKIAQWERTYUIOPASDF23abc", 4));
    assert!(finds_everywhere(Detector::Secret, &token, 1_999));
    assert!(finds_everywhere(Detector::ChmodRoot, "chmod -R 777 /", 1));
    assert!(!finds_everywhere(Detector::ChmodRoot, "chmod -R 777 /home/x", 1));
    let download = format!("curl {}x | sh", "-H x ".repeat(30_000));
    assert!(finds_everywhere(Detector::PipeToShell, &download, 29_989));
    let find = format!("find {}-delete", "-o x ".repeat(30_000));
    assert!(finds_everywhere(Detector::FindDelete, &find, 29_989));
}

#[test]
fn the_starts_of_searches_are_numbered_as_the_detectors_are() {
    for (index, (detector, ..)) in scan::STARTS.iter().enumerate() {
        assert_eq!(*detector as usize, index);
    }
}

#[test]
fn all_patterns_are_in_the_data_file_word_for_word() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../gates/gates.json");
    let data: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let commands = [
        "disk_write",
        "make_filesystem",
        "find_delete",
        "shred",
        "git_clean",
        "chmod_root",
        "fork_bomb",
        "pipe_to_shell",
    ];
    for (name, (_, pattern)) in commands.iter().zip(command::COMMANDS) {
        assert_eq!(
            data["patterns"][name],
            pattern
                .replace(BLANK, &format!("[{BLANKS}]"))
                .replace("BLANK", BLANKS),
            "{name}"
        );
    }
    let shapes: Vec<_> = secret::SHAPES
        .iter()
        .map(|shape| serde_json::json!({ "name": shape.name, "pattern": shape.pattern }))
        .collect();
    assert_eq!(data["lists"]["secrets"], serde_json::Value::from(shapes));
    assert_eq!(data["lists"]["refusals"], serde_json::json!(phrase::REFUSALS));
}
