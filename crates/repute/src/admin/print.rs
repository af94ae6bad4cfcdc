//! Answers for people: a table of a list, a line per field of one thing.

use anyhow::Result;
use serde_json::{Map, Value};
use std::io::{Write as _, stdout};

/// Prints an answer on standard output.
pub(super) fn print(answer: &Value, as_json: bool) -> Result<()> {
    let text = if as_json {
        serde_json::to_string(answer)? + "\n"
    } else {
        for_people(answer)
    };
    Ok(stdout().write_all(text.as_bytes())?)
}

fn for_people(answer: &Value) -> String {
    let Value::Object(fields) = answer else {
        return format!("{answer}\n");
    };
    match fields.values().next() {
        Some(Value::Array(rows)) if fields.len() == 1 => table(rows),
        _ => fields
            .iter()
            .map(|(name, value)| format!("{name}: {}\n", cell(value)))
            .collect(),
    }
}

fn table(rows: &[Value]) -> String {
    let rows: Vec<&Map<String, Value>> = rows.iter().filter_map(Value::as_object).collect();
    let Some(first) = rows.first() else {
        return "none\n".to_owned();
    };
    let names: Vec<&String> = first.keys().collect();
    let mut lines = vec![names.iter().map(ToString::to_string).collect::<Vec<_>>()];
    lines.extend(
        rows.iter()
            .map(|row| names.iter().map(|name| cell(&row[*name])).collect()),
    );
    let width = |column: usize| {
        lines
            .iter()
            .map(|line| line[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    let line = |cells: &Vec<String>| {
        let padded = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    lines.iter().map(line).collect()
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => escaped(text),
        other => escaped(&other.to_string()),
    }
}

/// Without what a terminal would obey, or what would begin another row: ids and names may come from anybody.
fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if wire::is_control(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_list_is_a_table_and_one_thing_is_its_fields() {
        let list = json!({ "keys": [{ "id": "1", "name": "first" }, { "id": "12", "name": null }] });
        assert_eq!(for_people(&list), "id  name\n1   first\n12  -\n");
        assert_eq!(for_people(&json!({ "keys": [] })), "none\n");
        assert_eq!(
            for_people(&json!({ "id": "1", "revoked": true })),
            "id: 1\nrevoked: true\n"
        );
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown_as_it_is_written() {
        let name = "ci\n2  secret\t\u{1b}[2J\u{9b}\u{202e}é";
        let shown = r"ci\n2  secret\t\u{1b}[2J\u{9b}\u{202e}é";
        let list = json!({ "keys": [{ "id": "1", "name": name }] });
        assert_eq!(for_people(&list), format!("id  name\n1   {shown}\n"));
        assert_eq!(
            for_people(&json!({ "agent_id": name })),
            format!("agent_id: {shown}\n")
        );
    }
}
