//! `schema`: the output, or the input, is checked against a JSON Schema.

mod steps;

use crate::whereabouts::pointer_of;
use crate::{Gate, OutOfBudget, Outcome, Stopped, Subject};
use json::{Document, Kind, Step, Value};
use jsonschema::{PatternOptions, Registry, ValidationError, Validator};
use serde_json::json;
use steps::{CountsStep, STEP, counted, within};

/// The only dialect.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// The most issues that are told one by one.
const MAX_ISSUES: usize = 5;
/// References that are followed at most to tell what is wrong, each with up to a KiB of what was found on the way. Whether
/// something is wrong takes no memory, and is bounded by time alone.
const MAX_STEPS_TO_TELL: u32 = 1 << 16;

/// The reason where it would take too long to say what is wrong.
const UNTOLD: &str = "schema validation failed";

/// Fails when a value is not as a JSON Schema (2020-12) says.
///
/// References lead into the schema itself or to documents that were given with it. Nothing is ever fetched.
#[derive(Debug)]
pub struct Schema {
    name: String,
    target: Target,
    validator: Validator,
}

/// What a schema is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// What the agent put out.
    #[default]
    Output,
    /// What it was given.
    Input,
}

/// A schema that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WrongSchema(String);

/// How a schema is read.
#[derive(Clone, Debug, Default)]
pub struct SchemaOptions {
    /// What it is about.
    pub target: Target,
    /// Whether `format` is asserted.
    pub formats: bool,
    /// Documents that references may lead to, by their URI.
    pub references: Vec<(String, serde_json::Value)>,
}

impl Schema {
    /// The gate's name where nobody gives another.
    pub const NAME: &'static str = "schema";

    /// A gate of that name for that schema.
    ///
    /// # Errors
    /// Where the schema or a reference is wrong, or of another dialect; a pattern must do without look-around
    /// and back-references.
    pub fn new(
        name: impl Into<String>,
        schema: &serde_json::Value,
        options: &SchemaOptions,
    ) -> Result<Self, WrongSchema> {
        let documents = options.references.iter().map(|(_, document)| document);
        documents.chain([schema]).try_for_each(check_dialect)?;
        // What is wrong in it is told of the schema as it was written.
        build(schema, options, serde_json::Value::clone)?;
        let validator = build(schema, options, counted)?;
        Ok(Self {
            name: name.into(),
            target: options.target,
            validator,
        })
    }
}

/// A validator for the schema and the references as `written` gives them.
fn build(
    schema: &serde_json::Value,
    options: &SchemaOptions,
    written: fn(&serde_json::Value) -> serde_json::Value,
) -> Result<Validator, WrongSchema> {
    let wrong = |why: String| WrongSchema(why);
    let mut registry = Registry::new();
    for (uri, document) in &options.references {
        registry = registry
            .add(uri.as_str(), written(document))
            .map_err(|why| wrong(format!("reference `{uri}`: {why}")))?;
    }
    let registry = registry.prepare().map_err(|why| wrong(why.to_string()))?;
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .with_pattern_options(PatternOptions::regex())
        .with_registry(&registry)
        .should_validate_formats(options.formats)
        .with_keyword(STEP, |_, _, _| Ok(Box::new(CountsStep)))
        .offline()
        .build(&written(schema))
        .map_err(|why| wrong(why.to_string()))
}

/// Whether every schema resource in it is of the one dialect.
fn check_dialect(schema: &serde_json::Value) -> Result<(), WrongSchema> {
    let mut left = vec![(schema, true)];
    while let Some((value, is_root)) = left.pop() {
        if let Some(object) = value.as_object() {
            let dialect = object
                .get("$schema")
                .filter(|_| is_root || object.contains_key("$id"));
            if let Some(other) = dialect.filter(|one| {
                one.as_str()
                    .is_none_or(|uri| uri.trim_end_matches('#') != DIALECT)
            }) {
                return Err(WrongSchema(format!("$schema: {other} is not {DIALECT}")));
            }
            left.extend(object.values().map(|value| (value, false)));
        }
        left.extend(value.as_array().into_iter().flatten().map(|value| (value, false)));
    }
    Ok(())
}

impl Gate for Schema {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_heavy(&self) -> bool {
        true
    }

    fn check(&self, subject: &Subject<'_>) -> Result<Outcome, Stopped> {
        let context = subject.context();
        let document = match self.target {
            Target::Output => Some(context.output),
            Target::Input => context.input,
        };
        let instance = document.map_or(serde_json::Value::Null, |document| tree(document.root()));
        subject.check_budget()?;
        let until = subject.until();
        let is_valid = || self.validator.is_valid(&instance);
        match within(until, u32::MAX, is_valid) {
            None => return Err(OutOfBudget.into()),
            Some(true) => return Ok(Outcome::pass()),
            Some(false) => {}
        }
        let tell = || {
            let mut total = 0u64;
            let mut issues: Vec<(String, String)> = Vec::new();
            for error in self.validator.iter_errors(&instance) {
                if subject.check_budget().is_err() {
                    return None;
                }
                total += 1;
                if issues.len() < MAX_ISSUES {
                    let place = document.map_or_else(String::new, |document| {
                        place(document, error.instance_path().as_str())
                    });
                    issues.push((place, keyword(&error)));
                }
            }
            Some((total, issues))
        };
        let told = within(until, MAX_STEPS_TO_TELL, tell).flatten();
        let (total, issues) = told.unwrap_or_default();
        let Some((place, keyword)) = issues.first() else {
            return Ok(Outcome::fail(UNTOLD));
        };
        let place = if place.is_empty() { "(root)" } else { place };
        let plural = if total == 1 { "" } else { "s" };
        let reason = format!("schema validation failed ({total} issue{plural}): {place}: {keyword}");
        let issues: Vec<_> = issues
            .iter()
            .map(|(place, keyword)| json!({ "where": place, "keyword": keyword }))
            .collect();
        Ok(Outcome::fail(reason).with(json!({ "issues": issues, "total": total })))
    }
}

/// The keyword of the schema that a value does not meet.
fn keyword(error: &ValidationError<'_>) -> String {
    let told = error.kind().keyword();
    let path = error.schema_path().as_str();
    match told {
        // What is named is a keyword whose value is `false`, as in `additionalProperties`.
        "falseSchema" => path.rsplit('/').next().unwrap_or(told),
        "required" if path.split('/').any(|one| one == "dependentRequired") => "dependentRequired",
        told => told,
    }
    .to_owned()
}

/// The value as a tree. It is at most [`json::MAX_DEPTH`] deep.
fn tree(value: Value<'_>) -> serde_json::Value {
    match value.kind() {
        Kind::Object => value
            .members()
            .map(|(key, value)| (key.to_owned(), tree(value)))
            .collect(),
        Kind::Array => value.elements().map(tree).collect(),
        Kind::String => value.as_str().into(),
        Kind::Number => number(value.as_number().unwrap_or_default()),
        Kind::Boolean => value.as_bool().into(),
        Kind::Null => serde_json::Value::Null,
    }
}

/// A number as an integer where it is one, else as the nearest double; beyond all doubles as the last one.
fn number(text: &str) -> serde_json::Value {
    if let Ok(integer) = text.parse::<i64>() {
        integer.into()
    } else if let Ok(integer) = text.parse::<u64>() {
        integer.into()
    } else {
        let double: f64 = text.parse().unwrap_or_default();
        double.clamp(f64::MIN, f64::MAX).into()
    }
}

/// The place that a JSON pointer into the document's tree leads to, told without the payload's text.
fn place(document: &Document<'_>, pointer: &str) -> String {
    let keys: Vec<String> = pointer
        .split('/')
        .skip(1)
        .map(|token| token.replace("~1", "/").replace("~0", "~"))
        .collect();
    let mut here = Some(document.root());
    let way = keys.iter().map(|key| {
        let index = here
            .filter(|value| value.kind() == Kind::Array)
            .and_then(|_| key.parse().ok());
        here = here.and_then(|value| match index {
            Some(index) => value.elements().nth(index),
            None => value.get(key),
        });
        index.map_or(Step::Key(key), Step::Index)
    });
    pointer_of(way)
}

#[cfg(test)]
mod tests;
