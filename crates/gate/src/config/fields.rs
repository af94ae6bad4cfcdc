//! The fields of a table: read one by one, each by its rule, and nothing else may be there.

use super::Wrong;
use serde_json::{Map, Value, json};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// A table that is being read.
pub(super) struct Fields<'t, 'i> {
    table: Option<&'t DeTable<'i>>,
    at: usize,
    path: String,
    known: Vec<&'static str>,
    /// What was read, or stands for what is not there.
    effective: Map<String, Value>,
}

/// A string, and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Text<'t> {
    pub(super) value: &'t str,
    pub(super) at: usize,
}

impl<'t, 'i> Fields<'t, 'i> {
    /// The fields of a table that begins there and is reached by that path.
    pub(super) fn new(table: impl Into<Option<&'t DeTable<'i>>>, at: usize, path: String) -> Self {
        Self {
            table: table.into(),
            at,
            path,
            known: Vec::new(),
            effective: Map::new(),
        }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn path_of(&self, name: &str) -> String {
        let dot = if self.path.is_empty() { "" } else { "." };
        format!("{}{dot}{name}", self.path)
    }

    /// Nothing beside the fields that were asked for may be there. What they are.
    pub(super) fn finish(self) -> Result<Map<String, Value>, Wrong> {
        for (key, _) in self.table.into_iter().flatten() {
            let name = key.get_ref().as_ref();
            if !self.known.contains(&name) {
                let rule = format!("no such field; there is {}", self.known.join(", "));
                return Err(Wrong::new(key.span().start, &self.path_of(name), rule));
            }
        }
        Ok(self.effective)
    }

    pub(super) fn flag(&mut self, name: &'static str, default: bool) -> Result<bool, Wrong> {
        let value = match self.get(name) {
            None => default,
            Some(value) => value
                .get_ref()
                .as_bool()
                .ok_or_else(|| self.wrong(name, value, "must be true or false"))?,
        };
        self.effective.insert(name.to_owned(), value.into());
        Ok(value)
    }

    /// A number that is as `rule` says.
    pub(super) fn number(
        &mut self,
        name: &'static str,
        default: Option<f64>,
        rule: &str,
        is_fine: impl Fn(f64) -> bool,
    ) -> Result<Option<f64>, Wrong> {
        let number = match self.get(name) {
            None => default,
            Some(value) => {
                let number = number(value.get_ref()).filter(|number| number.is_finite() && is_fine(*number));
                Some(number.ok_or_else(|| self.wrong(name, value, format!("must be {rule}")))?)
            }
        };
        if let Some(number) = number {
            self.effective.insert(name.to_owned(), plain(number));
        }
        Ok(number)
    }

    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<Text<'t>>, Wrong> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let text = value.get_ref().as_str().filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| self.wrong(name, value, "must be a string that is not empty"))?;
        self.effective.insert(name.to_owned(), text.into());
        let at = value.span().start;
        Ok(Some(Text { value: text, at }))
    }

    /// A list of strings.
    pub(super) fn texts(&mut self, name: &'static str, default: &[&str]) -> Result<Vec<String>, Wrong> {
        let texts = match self.get(name) {
            None => default.iter().map(|&text| text.to_owned()).collect(),
            Some(value) => {
                let texts = value.get_ref().as_array().and_then(|list| {
                    let texts = list.iter().map(|one| one.get_ref().as_str());
                    let filled = texts.map(|text| text.filter(|text| !text.is_empty()).map(str::to_owned));
                    filled.collect::<Option<Vec<_>>>()
                });
                texts
                    .ok_or_else(|| self.wrong(name, value, "must be a list of strings that are not empty"))?
            }
        };
        self.effective.insert(name.to_owned(), json!(texts));
        Ok(texts)
    }

    pub(super) fn table(&mut self, name: &'static str) -> Result<Option<Inside<'t, DeTable<'i>>>, Wrong> {
        self.container(name, "must be a table", DeValue::as_table)
    }

    pub(super) fn array(&mut self, name: &'static str) -> Result<Option<Inside<'t, DeArray<'i>>>, Wrong> {
        self.container(name, "must be a list", DeValue::as_array)
    }

    /// What is wrong with a field.
    pub(super) fn wrong(&self, name: &str, value: &Spanned<DeValue<'_>>, rule: impl Into<String>) -> Wrong {
        Wrong::new(value.span().start, &self.path_of(name), rule)
    }

    fn container<T>(
        &mut self,
        name: &'static str,
        rule: &str,
        as_container: impl Fn(&'t DeValue<'i>) -> Option<&'t T>,
    ) -> Result<Option<Inside<'t, T>>, Wrong> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let inside = as_container(value.get_ref()).ok_or_else(|| self.wrong(name, value, rule))?;
        let at = value.span().start;
        Ok(Some(Inside { inside, at }))
    }

    fn get(&mut self, name: &'static str) -> Option<&'t Spanned<DeValue<'i>>> {
        self.known.push(name);
        self.table?.get(name)
    }
}

/// A table or list, and where it begins.
#[derive(Clone, Copy)]
pub(super) struct Inside<'t, T> {
    pub(super) inside: &'t T,
    pub(super) at: usize,
}

fn number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().parse().ok(),
        DeValue::Float(float) => float.as_str().parse().ok(),
        _ => None,
    }
}

/// A number as people write it: whole ones without a fraction.
fn plain(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "checked by the comparison")]
    let whole = number as i64;
    #[expect(clippy::cast_precision_loss, reason = "so is this")]
    if whole as f64 == number {
        whole.into()
    } else {
        number.into()
    }
}

/// A value of a configuration as JSON.
pub(super) fn json_of(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Boolean(value) => (*value).into(),
        DeValue::Integer(_) | DeValue::Float(_) => integer(value).or_else(|| number(value).map(plain)).into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(list) => list.iter().map(|one| json_of(one.get_ref())).collect(),
        DeValue::Table(table) => table_of(table),
    }
}

/// A table of a configuration as JSON.
pub(super) fn table_of(table: &DeTable<'_>) -> Value {
    let members = table
        .iter()
        .map(|(key, value)| (key.get_ref().as_ref().to_owned(), json_of(value.get_ref())));
    members.collect()
}

fn integer(value: &DeValue<'_>) -> Option<Value> {
    let text = value
        .as_integer()
        .filter(|integer| integer.radix() == 10)?
        .as_str();
    text.parse::<i64>().ok().map(Value::from)
}
