//! Tables: for people on standard output, for programs as JSON.

use serde_json::{Map, Value, json};
use std::fmt;

/// What one scenario found.
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<Cell>>,
    /// What a reader has to know.
    pub(crate) notes: Vec<String>,
}

/// One figure.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Text(String),
    /// A number and how many decimals to show.
    Number(f64, usize),
    /// It was not measured.
    None,
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, columns: &[&'static str]) -> Self {
        Self {
            title: title.into(),
            columns: columns.to_vec(),
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    pub(crate) fn to_json(&self) -> Value {
        let row = |cells: &Vec<Cell>| {
            let fields = self
                .columns
                .iter()
                .zip(cells)
                .map(|(name, cell)| ((*name).to_owned(), cell.to_json()));
            Value::Object(fields.collect::<Map<_, _>>())
        };
        json!({
            "title": self.title,
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }
}

impl fmt::Display for Table {
    /// As a table of Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().map(ToString::to_string).collect())
            .collect();
        let widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, name)| {
                let cells = shown
                    .iter()
                    .filter_map(|row| row.get(at))
                    .map(|cell| cell.chars().count());
                cells.chain([name.chars().count()]).max().unwrap_or(0)
            })
            .collect();
        writeln!(f, "### {}\n", self.title)?;
        let line = |f: &mut fmt::Formatter<'_>, cells: &[String]| {
            f.write_str("|")?;
            for (at, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                if at == 0 {
                    write!(f, " {cell:<width$} |")?;
                } else {
                    write!(f, " {cell:>width$} |")?;
                }
            }
            writeln!(f)
        };
        let names: Vec<String> = self.columns.iter().map(|name| (*name).to_owned()).collect();
        line(f, &names)?;
        for (at, width) in widths.iter().enumerate() {
            let dashes = "-".repeat(width + 1);
            if at == 0 {
                write!(f, "|{dashes}-|")?;
            } else {
                write!(f, "{dashes}:|")?;
            }
        }
        writeln!(f)?;
        shown.iter().try_for_each(|row| line(f, row))?;
        self.notes.iter().try_for_each(|note| write!(f, "\n{note}\n"))
    }
}

impl Cell {
    fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(value, _) if value.is_finite() => json!(value),
            _ => Value::Null,
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(value, _) if !value.is_finite() => f.write_str("–"),
            Self::Number(value, 0) => f.write_str(&grouped(value.round() as i64)),
            Self::Number(value, decimals) => write!(f, "{value:.decimals$}"),
            Self::None => f.write_str("–"),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// With a comma at each third digit.
fn grouped(number: i64) -> String {
    let digits = number.abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_reads_as_markdown_and_as_json() {
        let mut table = Table::new("t", &["what", "events/s"]);
        table.row(["a".into(), Cell::Number(1_234_567.4, 0)]);
        table.row(["longer".into(), Cell::Number(f64::NAN, 2)]);
        table.note("n");
        let expected = "### t\n\n| what   |  events/s |\n|--------|----------:|\n| a      | 1,234,567 |\n\
                        | longer |         – |\n\nn\n";
        assert_eq!(table.to_string(), expected);
        assert_eq!(
            table.to_json(),
            json!({"title": "t", "rows": [{"what": "a", "events/s": 1_234_567.4}, {"what": "longer", "events/s": null}],
                   "notes": ["n"]})
        );
    }
}
