//! A gate of a set, by its name and its options.

use super::Wrong;
use super::fields::{Fields, Text, table_of};
use crate::builtin::{CHILD_CATEGORIES, UNSAFE_CATEGORIES};
use crate::{
    AdomainVerify, AudienceSafety, BcatCompliance, BidSanity, Content, Detector, Detectors, Filesystem, Gate,
    ImpidMatch, Latency, MAX_NAME, Pii, Schema, SchemaOptions, Secrets, Target, TmaxGuard,
};
use serde_json::{Map, Value};
use std::io;
use toml::de::{DeTable, DeValue};

/// What was configured of a gate.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    /// Which gate it is.
    pub kind: &'static str,
    /// Whether it only watches.
    pub shadow: bool,
    /// Its options, those that were not given included.
    pub options: Map<String, Value>,
}

impl Described {
    /// A gate of one's own.
    pub(super) fn own(shadow: bool) -> Self {
        Self {
            kind: "own",
            shadow,
            options: Map::new(),
        }
    }
}

/// A gate and what was configured of it.
pub(super) type Built = (Box<dyn Gate>, Described);

/// How the texts of files that are named are got.
type Read<'r> = &'r dyn Fn(&str) -> io::Result<String>;

/// All gates, as they are named in a set.
pub const KINDS: [&str; 12] = [
    "latency",
    "schema",
    "filesystem",
    "pii",
    "content",
    "secrets",
    "rtb.tmax-guard",
    "rtb.impid-match",
    "rtb.adomain-verify",
    "rtb.bid-sanity",
    "rtb.audience-safety",
    "rtb.bcat-compliance",
];

/// What the `filesystem` gate can look for: the option, what it switches, and whether it is on by default.
const FILESYSTEM: [(&str, Detector, bool); 12] = [
    ("destructive_commands", Detector::RecursiveRemove, true),
    ("traversal", Detector::Traversal, true),
    ("sensitive_paths", Detector::SensitivePath, true),
    ("argv", Detector::Argv, false),
    ("dd", Detector::DiskWrite, false),
    ("mkfs", Detector::MakeFilesystem, false),
    ("find_delete", Detector::FindDelete, false),
    ("shred", Detector::Shred, false),
    ("git_clean", Detector::GitClean, false),
    ("chmod_root", Detector::ChmodRoot, false),
    ("fork_bomb", Detector::ForkBomb, false),
    ("pipe_to_shell", Detector::PipeToShell, false),
];

/// The same of the `pii` gate.
const PII: [(&str, Detector, bool); 6] = [
    ("email", Detector::Email, true),
    ("ssn", Detector::Ssn, true),
    ("phone", Detector::Phone, true),
    ("card", Detector::Card, false),
    ("iban", Detector::Iban, false),
    ("ip", Detector::Ip, false),
];

/// The gate that an element of a set's list stands for.
pub(super) fn read(value: &DeValue<'_>, at: usize, path: String, read: Read<'_>) -> Result<Built, Wrong> {
    match value {
        DeValue::String(kind) => {
            let kind = Text { value: kind, at };
            build(Fields::new(None, at, path), kind, read)
        }
        DeValue::Table(table) => {
            let mut fields = Fields::new(table, at, path);
            let missing = Wrong::new(at, &fields.path_of("gate"), "missing");
            let kind = fields.text("gate")?.ok_or(missing)?;
            build(fields, kind, read)
        }
        _ => Err(Wrong::new(
            at,
            &path,
            "must be a gate's name, or a table with `gate`",
        )),
    }
}

/// A gate of that kind with all options as they are by default.
pub(super) fn default_of(kind: &'static str) -> Result<Built, Wrong> {
    let nothing = |_: &str| Err(io::ErrorKind::NotFound.into());
    let kind = Text { value: kind, at: 0 };
    build(
        Fields::new(None::<&DeTable<'_>>, 0, String::new()),
        kind,
        &nothing,
    )
}

fn build(mut fields: Fields<'_, '_>, kind: Text<'_>, read: Read<'_>) -> Result<Built, Wrong> {
    let shadow = fields.flag("shadow", false)?;
    let known = KINDS.into_iter().find(|known| *known == kind.value);
    let known = known.ok_or_else(|| {
        let rule = format!("there is no gate `{}`; there is {}", kind.value, KINDS.join(", "));
        Wrong::new(kind.at, &fields.path_of("gate"), rule)
    })?;
    let gate: Box<dyn Gate> = match known {
        "latency" => Box::new(latency(&mut fields)?),
        "schema" => Box::new(schema(&mut fields, read)?),
        "filesystem" => Box::new(Filesystem::new(detectors(&mut fields, &FILESYSTEM)?)),
        "pii" => Box::new(Pii::new(detectors(&mut fields, &PII)?)),
        "content" => Box::new(Content {
            empty: fields.flag("empty", true)?,
            refusals: fields.flag("refusals", true)?,
        }),
        "secrets" => Box::new(Secrets::new()),
        "rtb.tmax-guard" => Box::new(tmax_guard(&mut fields)?),
        "rtb.impid-match" => Box::new(ImpidMatch),
        "rtb.adomain-verify" => {
            let require = fields.flag("require_adomain", true)?;
            Box::new(AdomainVerify::new(
                require,
                &fields.texts("extra_placeholders", &[])?,
            ))
        }
        "rtb.bid-sanity" => Box::new(bid_sanity(&mut fields)?),
        "rtb.audience-safety" => Box::new(AudienceSafety::new(
            &fields.texts("unsafe_categories", &UNSAFE_CATEGORIES)?,
            &fields.texts("child_categories", &CHILD_CATEGORIES)?,
            &fields.texts("extra_bundle_words", &[])?,
        )),
        _ => Box::new(BcatCompliance),
    };
    let mut options = fields.finish()?;
    options.remove("gate");
    options.remove("shadow");
    let description = Described {
        kind: known,
        shadow,
        options,
    };
    Ok((gate, description))
}

fn detectors(
    fields: &mut Fields<'_, '_>,
    options: &[(&'static str, Detector, bool)],
) -> Result<Detectors, Wrong> {
    let mut wanted = Detectors::default();
    for (name, detector, default) in options {
        if fields.flag(name, *default)? {
            wanted = wanted.with(*detector);
        }
    }
    Ok(wanted)
}

fn latency(fields: &mut Fields<'_, '_>) -> Result<Latency, Wrong> {
    let missing = Wrong::new(fields.at(), &fields.path_of("max_ms"), "missing");
    let max_ms = fields.number("max_ms", None, "a number above 0", |ms| ms > 0.0)?;
    max_ms.and_then(Latency::new).ok_or(missing)
}

fn tmax_guard(fields: &mut Fields<'_, '_>) -> Result<TmaxGuard, Wrong> {
    let default = TmaxGuard::default();
    let buffer_ms = fields.number(
        "buffer_ms",
        Some(default.buffer_ms),
        "a number, at least 0",
        |ms| ms >= 0.0,
    )?;
    Ok(buffer_ms.map_or(default, |buffer_ms| TmaxGuard { buffer_ms }))
}

fn bid_sanity(fields: &mut Fields<'_, '_>) -> Result<BidSanity, Wrong> {
    let multiple = fields.number(
        "max_floor_multiple",
        Some(BidSanity::DEFAULT_MULTIPLE),
        "a number above 0",
        |one| one > 0.0,
    )?;
    let max_price = fields.number("max_price", None, "a number, at least 0", |price| price >= 0.0)?;
    Ok(BidSanity::new(multiple.unwrap_or(BidSanity::DEFAULT_MULTIPLE), max_price).unwrap_or_default())
}

fn schema(fields: &mut Fields<'_, '_>, read: Read<'_>) -> Result<Schema, Wrong> {
    let name = fields.text("name")?.map_or(Schema::NAME, |text| text.value);
    if !(1..=MAX_NAME).contains(&name.chars().count()) {
        let rule = format!("must have 1 to {MAX_NAME} characters");
        return Err(Wrong::new(fields.at(), &fields.path_of("name"), rule));
    }
    let target = target(fields)?;
    let mut references = Vec::new();
    if let Some(files) = fields.table("references")? {
        for (uri, file) in files.inside {
            let path = format!("{}.{}", fields.path_of("references"), uri.get_ref());
            let at = file.span().start;
            let name = file
                .get_ref()
                .as_str()
                .ok_or_else(|| Wrong::new(at, &path, "must be a file's name"))?;
            references.push((
                uri.get_ref().as_ref().to_owned(),
                document(Text { value: name, at }, &path, read)?,
            ));
        }
    }
    let options = SchemaOptions {
        target,
        formats: fields.flag("formats", false)?,
        references,
    };
    let inline = fields.table("schema")?;
    let file = fields.text("schema_file")?;
    let (at, field, document) = match (inline, file) {
        (Some(table), None) => (table.at, "schema", table_of(table.inside)),
        (None, Some(file)) => (
            file.at,
            "schema_file",
            document(file, &fields.path_of("schema_file"), read)?,
        ),
        _ => {
            let rule = "one of `schema` and `schema_file` must be there";
            return Err(Wrong::new(fields.at(), &fields.path_of("schema"), rule));
        }
    };
    Schema::new(name, &document, &options)
        .map_err(|why| Wrong::new(at, &fields.path_of(field), why.to_string()))
}

/// What something is about: the output, unless it says otherwise.
pub(super) fn target(fields: &mut Fields<'_, '_>) -> Result<Target, Wrong> {
    match fields.text("target")? {
        None => Ok(Target::Output),
        Some(Text { value: "output", .. }) => Ok(Target::Output),
        Some(Text { value: "input", .. }) => Ok(Target::Input),
        Some(text) => Err(Wrong::new(
            text.at,
            &fields.path_of("target"),
            "must be \"output\" or \"input\"",
        )),
    }
}

/// A JSON document in a file.
fn document(file: Text<'_>, path: &str, read: Read<'_>) -> Result<Value, Wrong> {
    let text = read(file.value).map_err(|why| Wrong::new(file.at, path, format!("{}: {why}", file.value)))?;
    serde_json::from_str(&text).map_err(|why| Wrong::new(file.at, path, format!("{}: {why}", file.value)))
}
