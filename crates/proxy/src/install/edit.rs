//! The change itself: of JSON with comments, as text.

use super::Action;
use jsonc_parser::ast::{Array, Object, ObjectProp, StringLit, Value};
use jsonc_parser::common::Ranged as _;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use std::ops::Range;
use std::path::Path;
use thiserror::Error;

/// The words behind the program's name that make it the proxy, and the one before the server's command.
const PROXY: &str = "proxy";
const SEPARATOR: &str = "--";
/// Says that the server had no `args`, so that it has none again afterwards.
const BARE: &str = "--bare";
/// The program that stands before a server.
const PROGRAM: &str = "repute";

/// What is put before a server.
#[derive(Clone, Debug)]
pub struct Wrapper {
    /// The program, best with its whole path: clients may know no other.
    pub program: String,
    /// Flags of the proxy.
    pub flags: Vec<String>,
}

/// A server of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// What becomes of it.
    pub outcome: Outcome,
}

/// What becomes of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The proxy is put before it, or taken away.
    Changed,
    /// It is that way already.
    Already,
    /// It is reached over the network.
    Remote,
}

/// What in a file is not understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Misread {
    /// It is no JSON, also not with comments.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// There is nothing in which servers are listed.
    #[error("no servers: there is neither `mcpServers`, `servers` nor `context_servers`")]
    NoServers,
    /// A list of servers, or a server, has another shape.
    #[error("{place}: {rule}")]
    Shape {
        /// The way to it.
        place: String,
        /// What it should be.
        rule: &'static str,
    },
    /// A server that was named is not there.
    #[error("there is no server `{0}`")]
    NoSuchServer(String),
}

impl Misread {
    /// Whether the file is fine, and only has not what was looked for.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::NoServers | Self::NoSuchServer(_))
    }
}

/// What replaces a part of the text.
type Edit = (Range<usize>, String);

/// The text with the change, and what became of each server.
pub(super) fn edited(
    text: &str,
    action: &Action,
    named: &[String],
) -> Result<(String, Vec<Server>), Misread> {
    let options = ParseOptions {
        allow_comments: true,
        allow_loose_object_property_names: false,
        allow_trailing_commas: true,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = parse_to_ast(text, &CollectOptions::default(), &options);
    let parsed = parsed.map_err(|why| Misread::NotJson(why.to_string()))?;
    let (mut servers, mut edits) = (Vec::new(), Vec::new());
    let mut has_list = false;
    for (place, list) in lists(parsed.value.as_ref())? {
        has_list = true;
        for property in &list.properties {
            let name = property.name.as_str();
            if !named.is_empty() && !named.iter().any(|one| one == name) {
                continue;
            }
            let entry = Entry::read(text, &format!("{place}.{name}"), property)?;
            let changes = entry.as_ref().map(|entry| match action {
                Action::Install(wrapper) => entry.wrapped(wrapper),
                Action::Uninstall => entry.unwrapped(),
            });
            let outcome = match &changes {
                None => Outcome::Remote,
                Some(None) => Outcome::Already,
                Some(Some(_)) => Outcome::Changed,
            };
            edits.extend(changes.flatten().into_iter().flatten());
            servers.push(Server {
                name: name.to_owned(),
                outcome,
            });
        }
    }
    if !has_list {
        return Err(Misread::NoServers);
    }
    let is_there = |name: &&String| servers.iter().any(|server| server.name == **name);
    if let Some(missing) = named.iter().find(|name| !is_there(name)) {
        return Err(Misread::NoSuchServer(missing.clone()));
    }
    let mut after = text.to_owned();
    edits.sort_unstable_by_key(|(range, _)| range.start);
    for (range, replacement) in edits.into_iter().rev() {
        after.replace_range(range, &replacement);
    }
    Ok((after, servers))
}

/// Everything in which a client lists servers, with the way to it.
fn lists<'v, 'a>(root: Option<&'v Value<'a>>) -> Result<Vec<(String, &'v Object<'a>)>, Misread> {
    let Some(root) = root else { return Ok(Vec::new()) };
    let root = root
        .as_object()
        .ok_or_else(|| shape("the file", "must be an object"))?;
    let mut lists = Vec::new();
    for key in ["mcpServers", "servers", "context_servers"] {
        if let Some(list) = one(root, "", key)? {
            lists.push((key.to_owned(), object(list, key)?));
        }
    }
    if let Some(projects) = one(root, "", "projects")?.and_then(Value::as_object) {
        for project in &projects.properties {
            let place = format!("projects.{}", project.name.as_str());
            let inside = project.value.as_object();
            let list = inside
                .map(|inside| one(inside, &place, "mcpServers"))
                .transpose()?;
            if let Some(list) = list.flatten() {
                let place = format!("{place}.mcpServers");
                let list = object(list, &place)?;
                lists.push((place, list));
            }
        }
    }
    Ok(lists)
}

/// A server that is started by a command.
struct Entry<'t, 'v> {
    text: &'t str,
    command: &'v StringLit<'v>,
    args: Option<&'v Array<'v>>,
    /// The arguments as they are meant.
    meant: Vec<&'v str>,
}

impl<'t, 'v> Entry<'t, 'v> {
    /// Reads a server; `None` if it is reached over the network.
    fn read(text: &'t str, place: &str, property: &'v ObjectProp<'v>) -> Result<Option<Self>, Misread> {
        let fields = object(&property.value, place)?;
        let kind = one(fields, place, "type")?.and_then(Value::as_string_lit);
        let is_remote = kind.is_some_and(|kind| !matches!(&*kind.value, "stdio" | "local"));
        let Some(command) = one(fields, place, "command")? else {
            let has_address = ["url", "serverUrl", "httpUrl"]
                .iter()
                .any(|name| fields.get(name).is_some());
            return match has_address || is_remote {
                true => Ok(None),
                false => Err(shape(place, "has neither `command` nor `url`")),
            };
        };
        if is_remote {
            return Ok(None);
        }
        let command = command
            .as_string_lit()
            .ok_or_else(|| shape(&format!("{place}.command"), "must be a string"))?;
        let args = one(fields, place, "args")?;
        let (mut list, mut meant) = (None, Vec::new());
        if let Some(args) = args {
            let rule = || shape(&format!("{place}.args"), "must be a list of strings");
            let array = args.as_array().ok_or_else(rule)?;
            for element in &array.elements {
                meant.push(&*element.as_string_lit().ok_or_else(rule)?.value);
            }
            list = Some(array);
        }
        Ok(Some(Self {
            text,
            command,
            args: list,
            meant,
        }))
    }

    /// Puts the proxy before it; `None` if it is there.
    fn wrapped(&self, wrapper: &Wrapper) -> Option<Vec<Edit>> {
        if self.server_at().is_some() {
            return None;
        }
        let command = self.command.range;
        let mut words = vec![quoted(PROXY)];
        if self.args.is_none() {
            words.push(quoted(BARE));
        }
        words.extend(wrapper.flags.iter().map(|flag| quoted(flag)));
        words.push(quoted(SEPARATOR));
        // As it was written, to be written so again.
        words.push(self.text[command.start..command.end].to_owned());
        let words = words.join(", ");
        let program = quoted(&wrapper.program);
        let Some(args) = self.args else {
            let with_args = format!("{program}, \"args\": [{words}]");
            return Some(vec![(command.start..command.end, with_args)]);
        };
        let comma = if args.elements.is_empty() { "" } else { "," };
        let inside = args.range.start + 1;
        Some(vec![
            (command.start..command.end, program),
            (inside..inside, format!("{words}{comma}")),
        ])
    }

    /// Takes the proxy away; `None` if it is not there.
    fn unwrapped(&self) -> Option<Vec<Edit>> {
        let at = self.server_at()?;
        let args = self.args?;
        let command = self.command.range;
        let server = args.elements[at].range();
        let original = self.text[server.start..server.end].to_owned();
        // The member that was added stands right behind the command, or the client moved it.
        let between = self.text.get(command.end..args.range.start).map(str::trim_start);
        let added = between
            .and_then(|text| text.strip_prefix(',')?.trim_start().strip_prefix("\"args\""))
            .is_some_and(|text| text.trim() == ":");
        let is_bare = added && self.meant[..at].contains(&BARE) && args.elements.len() == at + 1;
        if is_bare {
            return Some(vec![(command.start..args.range.end, original)]);
        }
        let inside = args.range.start + 1;
        let end = match args.elements.get(at + 1) {
            None => server.end,
            // Up to the comma. What stands behind it is as it was.
            Some(_) => server.end + self.text[server.end..].find(',').map_or(0, |comma| comma + 1),
        };
        Some(vec![
            (command.start..command.end, original),
            (inside..end, String::new()),
        ])
    }

    /// Where among the arguments the command of the server behind the proxy stands, if the proxy is there.
    fn server_at(&self) -> Option<usize> {
        let program = Path::new(&*self.command.value).file_stem()?;
        let separator = self.meant.iter().position(|&word| word == SEPARATOR)?;
        let is_proxy = program == PROGRAM && self.meant.first() == Some(&PROXY);
        (is_proxy && separator + 1 < self.meant.len()).then_some(separator + 1)
    }
}

/// The member of that name. Of a repeated one nobody knows which counts.
fn one<'v, 'a>(fields: &'v Object<'a>, place: &str, name: &str) -> Result<Option<&'v Value<'a>>, Misread> {
    let mut found = fields
        .properties
        .iter()
        .filter(|field| field.name.as_str() == name);
    let first = found.next();
    if found.next().is_some() {
        let dot = if place.is_empty() { "" } else { "." };
        return Err(shape(&format!("{place}{dot}{name}"), "is there twice"));
    }
    Ok(first.map(|field| &field.value))
}

fn object<'v, 'a>(value: &'v Value<'a>, place: &str) -> Result<&'v Object<'a>, Misread> {
    value.as_object().ok_or_else(|| shape(place, "must be an object"))
}

fn shape(place: &str, rule: &'static str) -> Misread {
    let place = place.to_owned();
    Misread::Shape { place, rule }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
