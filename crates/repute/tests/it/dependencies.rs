//! What the project depends on: licences, sources and versions as `deny.toml` has them, and a reason for each library.
//!
//! The same that `cargo deny check licenses bans sources` checks, without building it first.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// How the index of crates.io ends, wherever it is mirrored.
const CRATES_IO: &str = "/crates.io-index";

/// What cargo says of all packages that this machine's build is made of.
struct Tree {
    metadata: Value,
}

impl Tree {
    fn read() -> Self {
        let version = Command::new("rustc").arg("-vV").output().unwrap();
        let version = String::from_utf8(version.stdout).unwrap();
        let host = version
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .unwrap();
        let output = Command::new(env!("CARGO"))
            .args([
                "metadata",
                "--locked",
                "--format-version",
                "1",
                "--filter-platform",
                host,
            ])
            .current_dir(ROOT)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Self {
            metadata: serde_json::from_slice(&output.stdout).unwrap(),
        }
    }

    fn list(&self, pointer: &str) -> &[Value] {
        self.metadata.pointer(pointer).unwrap().as_array().unwrap()
    }

    fn members(&self) -> BTreeSet<&str> {
        self.list("/workspace_members")
            .iter()
            .map(|id| id.as_str().unwrap())
            .collect()
    }

    /// The packages that are built, those of tests included.
    fn packages(&self) -> Vec<&Value> {
        let nodes = self.list("/resolve/nodes").iter();
        let built: BTreeSet<&str> = nodes.map(|node| text(node, "id")).collect();
        let packages = self.list("/packages").iter();
        packages
            .filter(|package| built.contains(text(package, "id")))
            .collect()
    }

    /// The names of the packages that use the one of this id.
    fn users(&self, id: &str) -> Vec<&str> {
        let nodes = self.list("/resolve/nodes").iter();
        let uses = |node: &&Value| {
            let dependencies = node["deps"].as_array().unwrap().iter();
            dependencies
                .map(|dependency| text(dependency, "pkg"))
                .any(|used| used == id)
        };
        let users: BTreeSet<&str> = nodes.filter(uses).map(|node| text(node, "id")).collect();
        let packages = self.packages().into_iter();
        packages
            .filter(|package| users.contains(text(package, "id")))
            .map(|package| text(package, "name"))
            .collect()
    }

    /// The ids of what is in the programs, or builds them: nothing that only tests use.
    fn shipped(&self) -> BTreeSet<&str> {
        let nodes = self.list("/resolve/nodes").iter();
        let nodes: BTreeMap<&str, &Value> = nodes.map(|node| (text(node, "id"), node)).collect();
        let mut reached = BTreeSet::new();
        let mut next: Vec<&str> = self.members().into_iter().collect();
        while let Some(id) = next.pop() {
            if !reached.insert(id) {
                continue;
            }
            for dependency in nodes[id]["deps"].as_array().unwrap() {
                let kinds = dependency["dep_kinds"].as_array().unwrap();
                if kinds.iter().any(|kind| kind["kind"] != "dev") {
                    next.push(text(dependency, "pkg"));
                }
            }
        }
        reached
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn rules() -> toml::Table {
    let text = std::fs::read_to_string(Path::new(ROOT).join("deny.toml")).unwrap();
    text.parse().unwrap()
}

/// The `crate` of each entry of a list of bans.
fn named<'a>(rules: &'a toml::Table, list: &str) -> Vec<&'a str> {
    let entries = rules["bans"][list].as_array().unwrap();
    entries
        .iter()
        .map(|entry| entry["crate"].as_str().unwrap())
        .collect()
}

/// Whether one of the ways to meet a licence (SPDX: `AND`, `OR`, `WITH`, brackets; `/` is an old `OR`) is with these.
fn is_allowed(licence: &str, allowed: &[&str]) -> bool {
    let spaced = licence
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let is_met = any_of(&mut words, allowed);
    is_met && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words<'_>, allowed: &[&str]) -> bool {
    let mut is_met = all_of(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        is_met |= all_of(words, allowed);
    }
    is_met
}

fn all_of(words: &mut Words<'_>, allowed: &[&str]) -> bool {
    let mut is_met = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        is_met &= one(words, allowed);
    }
    is_met
}

fn one(words: &mut Words<'_>, allowed: &[&str]) -> bool {
    match words.next() {
        Some("(") => {
            let is_met = any_of(words, allowed);
            words.next() == Some(")") && is_met
        }
        Some(name) => match words.next_if_eq(&"WITH") {
            Some(_) => {
                let with = format!("{name} WITH {}", words.next().unwrap_or_default());
                allowed.contains(&with.as_str())
            }
            None => allowed.contains(&name),
        },
        None => false,
    }
}

#[test]
fn licences_are_read_as_spdx_has_them() {
    let allowed = ["MIT", "ISC", "Zlib"];
    for licence in [
        "MIT",
        "GPL-3.0 OR MIT",
        "GPL-3.0/MIT",
        "MIT AND ISC",
        "(GPL-3.0 OR MIT) AND Zlib",
        "X WITH E OR ISC",
    ] {
        assert!(is_allowed(licence, &allowed), "{licence}");
    }
    for licence in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "GPL-3.0 OR MIT AND LGPL-2.1",
        "(MIT",
        "MIT WITH E",
        "MIT ISC",
    ] {
        assert!(!is_allowed(licence, &allowed), "{licence}");
    }
}

#[test]
fn every_package_is_of_crates_io_and_under_an_allowed_licence() {
    let (tree, rules) = (Tree::read(), rules());
    let allowed = rules["licenses"]["allow"].as_array().unwrap();
    let allowed: Vec<&str> = allowed.iter().map(|name| name.as_str().unwrap()).collect();
    let members = tree.members();
    let packages = tree.packages();
    assert!(packages.len() > 100 && members.len() > 5);
    for package in packages {
        let name = text(package, "name");
        let licence = text(package, "license");
        assert!(
            is_allowed(licence, &allowed),
            "{name}: `{licence}` is not in deny.toml's `licenses.allow`"
        );
        if !members.contains(text(package, "id")) {
            let source = text(package, "source");
            assert!(
                source.starts_with("registry+") && source.ends_with(CRATES_IO),
                "{name}: {source}"
            );
        }
    }
}

#[test]
fn no_package_is_banned_or_there_in_two_versions_without_a_reason() {
    let (tree, rules) = (Tree::read(), rules());
    let banned = rules["bans"]["deny"].as_array().unwrap();
    let shipped = tree.shipped();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in tree.packages() {
        let name = text(package, "name");
        if let Some(ban) = banned.iter().find(|ban| ban["crate"].as_str() == Some(name)) {
            let wrappers = ban.get("wrappers").and_then(toml::Value::as_array);
            for user in tree.users(text(package, "id")) {
                assert!(
                    wrappers.is_some_and(|all| all.iter().any(|one| one.as_str() == Some(user))),
                    "{name}, which {user} uses, is banned in deny.toml"
                );
            }
        }
        if shipped.contains(text(package, "id")) {
            versions.entry(name).or_default().push(text(package, "version"));
        }
    }
    let skipped = named(&rules, "skip");
    for (name, versions) in versions {
        let counted = versions.iter().filter(|version| {
            !skipped.iter().any(|skip| {
                skip.strip_prefix(name)
                    .and_then(|rest| rest.strip_prefix('@'))
                    .is_some_and(|begin| {
                        version
                            .strip_prefix(begin)
                            .is_some_and(|rest| rest.starts_with('.'))
                    })
            })
        });
        assert_eq!(
            counted.count(),
            1,
            "{name} {versions:?}: drop one, or give deny.toml's `bans.skip` a reason"
        );
    }
}

#[test]
fn every_library_that_is_used_directly_has_its_reason() {
    let tree = Tree::read();
    let page = std::fs::read_to_string(Path::new(ROOT).join("docs/decisions/0001-libraries.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| "));
    let first = rows.filter_map(|row| row.split('|').next());
    let listed: BTreeSet<String> = first
        .flat_map(|cell| cell.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')))
        .map(str::to_owned)
        .collect();
    let members = tree.members();
    let packages = tree.packages();
    let own = packages
        .iter()
        .filter(|package| members.contains(text(package, "id")));
    for package in own {
        for dependency in package["dependencies"].as_array().unwrap() {
            let is_ours = dependency["path"].is_string();
            let name = text(dependency, "name");
            assert!(
                is_ours || listed.contains(name),
                "{name}, of {}, has no row in docs/decisions/0001-libraries.md",
                text(package, "name")
            );
        }
    }
}
