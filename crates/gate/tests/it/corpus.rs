//! How good the verdicts are: precision and recall of each gate over the labelled outputs of
//! `gates/corpus.jsonl`, as `docs/gates.md` shows them.

use crate::kit::{Case, data};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

/// An output, and whether it is bad, whatever a gate says.
#[derive(Deserialize)]
pub(crate) struct Labelled {
    pub(crate) gate: String,
    pub(crate) bad: bool,
    note: String,
    #[serde(flatten)]
    context: serde_json::Map<String, serde_json::Value>,
}

impl Labelled {
    pub(crate) fn case(&self) -> Case {
        serde_json::from_str(&serde_json::to_string(&self.context).unwrap()).unwrap()
    }
}

pub(crate) fn corpus() -> Vec<Labelled> {
    data("corpus.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

const LEAST_CASES: usize = 400;
const BEGIN: &str = "<!-- quality: begin -->\n";
const END: &str = "<!-- quality: end -->";

#[derive(Default)]
struct Count {
    bad: u32,
    good: u32,
    missed: BTreeMap<String, u32>,
    blamed: BTreeMap<String, u32>,
}

#[test]
fn the_documentation_shows_the_quality_of_the_verdicts() {
    let corpus = corpus();
    assert!(corpus.len() >= LEAST_CASES);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/gates.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the table's beginning");
    let (shown, after) = rest.split_once(END).expect("the table's end");
    let table = table(&corpus);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(
            shown, table,
            "run `UPDATE_DOCS=1 cargo test -p gate` and read what changed"
        );
    }
}

fn table(corpus: &[Labelled]) -> String {
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    for labelled in corpus {
        let fails = labelled
            .case()
            .run(&labelled.gate, |result| !result.passed && !result.skipped);
        let count = counts.entry(&labelled.gate).or_default();
        match labelled.bad {
            true => count.bad += 1,
            false => count.good += 1,
        }
        match (labelled.bad, fails) {
            (true, false) => *count.missed.entry(labelled.note.clone()).or_default() += 1,
            (false, true) => *count.blamed.entry(labelled.note.clone()).or_default() += 1,
            _ => {}
        }
    }
    let mut text = String::from(
        "| gate | bad | good | precision | recall | missed | wrongly failed |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for (gate, count) in counts {
        let (missed, blamed) = (sum(&count.missed), sum(&count.blamed));
        let caught = count.bad - missed;
        let share = |part: u32, of: u32| match of {
            0 => "–".to_owned(),
            of => format!("{:.2}", f64::from(part) / f64::from(of)),
        };
        let _ = writeln!(
            text,
            "| `{gate}` | {} | {} | {} | {} | {} | {} |",
            count.bad,
            count.good,
            share(caught, caught + blamed),
            share(caught, count.bad),
            told(&count.missed),
            told(&count.blamed),
        );
    }
    text
}

fn sum(notes: &BTreeMap<String, u32>) -> u32 {
    notes.values().sum()
}

fn told(notes: &BTreeMap<String, u32>) -> String {
    let told: Vec<String> = notes
        .iter()
        .map(|(note, count)| format!("{count}× {note}"))
        .collect();
    told.join("; ")
}
