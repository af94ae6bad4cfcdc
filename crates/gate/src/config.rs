//! Gate sets as data: which gates run for whom, with which options. The format is in `docs/gates.md`.

mod error;
mod fields;
mod gates;
mod pattern;

pub use error::{ConfigError, Wrong};
pub use gates::{Described, KINDS};
pub use pattern::Pattern;

use crate::{Engine, Listed, MAX_NAME, Settings, Target, Unfit};
use fields::Fields;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};
use toml::de::DeTable;

/// The set that is used where no rule says otherwise.
const DEFAULT_SET: &str = "default";
/// The greatest budget: more cannot be recorded.
const MAX_BUDGET_MS: f64 = 60_000.0;

/// Gate sets, and who is judged by which.
#[derive(Debug)]
pub struct Config {
    /// The first is the default.
    sets: Vec<Set>,
    rules: Vec<Rule>,
}

/// A list of gates under a name.
#[derive(Debug)]
pub struct Set {
    /// Its name.
    pub name: String,
    /// The gates, ready to run.
    pub engine: Engine,
    /// For each gate, in order, what was configured.
    pub described: Vec<Described>,
}

impl Set {
    /// A set of gates of one's own, of which nothing was configured.
    #[must_use]
    pub fn of(name: &str, engine: Engine) -> Self {
        let described = engine.gates().iter().map(|listed| Described::own(listed.shadow));
        Self {
            name: name.to_owned(),
            described: described.collect(),
            engine,
        }
    }
}

/// Who is judged by a set.
#[derive(Debug)]
struct Rule {
    /// Of this organisation; of any where there is none.
    organisation: Option<String>,
    agents: Pattern,
    /// What these tools give; anything, where there is none.
    tools: Option<Pattern>,
    /// Whether it is about what a tool gives or what it is given.
    target: Target,
    set: usize,
}

/// A rule as an organisation sees it.
#[derive(Clone, Copy, Debug)]
pub struct Applying<'c> {
    /// The agents that it is for; all, where there is no pattern.
    pub agents: Option<&'c Pattern>,
    /// The tools that it is for; all, and outputs of no tool, where there is no pattern.
    pub tools: Option<&'c Pattern>,
    /// What judges them.
    pub set: &'c Set,
}

impl Applying<'_> {
    /// Whether it is for that agent.
    #[must_use]
    pub fn is_for_agent(&self, agent_id: &str) -> bool {
        self.agents.is_none_or(|agents| agents.matches(agent_id))
    }

    /// Whether it is for that tool.
    #[must_use]
    pub fn is_for_tool(&self, tool: Option<&str>) -> bool {
        let matches = |tools: &Pattern| tool.is_some_and(|tool| tools.matches(tool));
        self.tools.is_none_or(matches)
    }
}

impl Config {
    /// The gates of the public API for everybody: `filesystem`, `pii`, `content`.
    #[must_use]
    pub fn compatible() -> Self {
        Self {
            sets: vec![compatible_set()],
            rules: Vec::new(),
        }
    }

    /// One set for everybody, as for gates of one's own.
    #[must_use]
    pub fn of(set: Set) -> Self {
        Self {
            sets: vec![set],
            rules: Vec::new(),
        }
    }

    /// Reads a file, and those that it names, relative to its directory.
    ///
    /// # Errors
    /// Where one cannot be read, or something in it cannot be.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        Self::load_or(file, compatible_set)
    }

    /// The same, with another set where the file has no `[set.default]`.
    ///
    /// # Errors
    /// As for [`Config::load`].
    pub fn load_or(file: &Path, default: fn() -> Set) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(file).map_err(|why| ConfigError::unreadable(file, &why))?;
        let directory = file.parent().unwrap_or(Path::new(""));
        let read = |name: &str| fs::read_to_string(directory.join(name));
        Self::parse_or(&text, &read, default).map_err(|wrong| wrong.in_file(file, &text))
    }

    /// Reads the text of such a file; `read` gives the texts of those that it names.
    ///
    /// # Errors
    /// Where something in it cannot be.
    pub fn parse(text: &str, read: &dyn Fn(&str) -> io::Result<String>) -> Result<Self, Wrong> {
        Self::parse_or(text, read, compatible_set)
    }

    fn parse_or(
        text: &str,
        read: &dyn Fn(&str) -> io::Result<String>,
        default: fn() -> Set,
    ) -> Result<Self, Wrong> {
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            Wrong::new(at, "", error.message())
        })?;
        let mut fields = Fields::new(table.get_ref(), table.span().start, String::new());
        let mut sets = Vec::new();
        if let Some(named) = fields.table("set")? {
            for (name, value) in named.inside {
                let path = format!("set.{}", name.get_ref());
                let at = name.span().start;
                if !(1..=MAX_NAME).contains(&name.get_ref().chars().count()) {
                    return Err(Wrong::new(
                        at,
                        &path,
                        format!("a set's name must have 1 to {MAX_NAME} characters"),
                    ));
                }
                let table = value.get_ref().as_table();
                let table = table.ok_or_else(|| Wrong::new(at, &path, "must be a table"))?;
                sets.push(read_set(name.get_ref(), Fields::new(table, at, path), read)?);
            }
        }
        match sets.iter().position(|set| set.name == DEFAULT_SET) {
            Some(index) => sets.swap(0, index),
            None => sets.insert(0, default()),
        }
        let mut rules = Vec::new();
        let listed = fields.array("rule")?.map(|list| list.inside);
        for (index, value) in listed.into_iter().flatten().enumerate() {
            let path = format!("rule[{index}]");
            let at = value.span().start;
            let table = value.get_ref().as_table();
            let table = table.ok_or_else(|| Wrong::new(at, &path, "must be a table"))?;
            rules.push(read_rule(Fields::new(table, at, path), &sets)?);
        }
        fields.finish()?;
        Ok(Self { sets, rules })
    }

    /// The set that what an agent of that organisation puts out, with that tool, is judged by: the first rule
    /// that fits says it.
    #[must_use]
    pub fn set_for(&self, organisation: &str, agent_id: &str, tool: Option<&str>) -> &Set {
        let mut rules = self.rules_of(organisation);
        let fits = rules.find(|rule| rule.is_for_agent(agent_id) && rule.is_for_tool(tool));
        fits.map_or(&self.sets[0], |rule| rule.set)
    }

    /// The set that what a tool is given is judged by, if a rule with `target = "input"` says one.
    #[must_use]
    pub fn set_for_input(&self, organisation: &str, agent_id: &str, tool: Option<&str>) -> Option<&Set> {
        let mut rules = self.about(Target::Input, organisation);
        let fits = rules.find(|rule| rule.is_for_agent(agent_id) && rule.is_for_tool(tool));
        fits.map(|rule| rule.set)
    }

    /// Whether any rule is about what tools are given.
    #[must_use]
    pub fn judges_input(&self) -> bool {
        self.rules.iter().any(|rule| rule.target == Target::Input)
    }

    /// The set of that name.
    #[must_use]
    pub fn set(&self, name: &str) -> Option<&Set> {
        self.sets.iter().find(|set| set.name == name)
    }

    /// All sets, the default first.
    #[must_use]
    pub fn sets(&self) -> &[Set] {
        &self.sets
    }

    /// Which outputs of an organisation's agents are judged by which set, the first that fits; at the end,
    /// without a pattern, the default.
    pub fn rules_of<'c, 'o>(
        &'c self,
        organisation: &'o str,
    ) -> impl Iterator<Item = Applying<'c>> + use<'c, 'o> {
        let default = Applying {
            agents: None,
            tools: None,
            set: &self.sets[0],
        };
        self.about(Target::Output, organisation).chain([default])
    }

    fn about<'c, 'o>(
        &'c self,
        target: Target,
        organisation: &'o str,
    ) -> impl Iterator<Item = Applying<'c>> + use<'c, 'o> {
        let fitting = self.rules.iter().filter(move |rule| {
            let of_organisation = rule.organisation.as_deref();
            rule.target == target && of_organisation.is_none_or(|name| name == organisation)
        });
        fitting.map(|rule| Applying {
            agents: Some(&rule.agents),
            tools: rule.tools.as_ref(),
            set: &self.sets[rule.set],
        })
    }
}

fn compatible_set() -> Set {
    const GATES: [&str; 3] = ["filesystem", "pii", "content"];
    #[expect(clippy::expect_used, reason = "constants, and a test makes it")]
    let built = GATES.map(|kind| gates::default_of(kind).expect("a gate with its default options"));
    #[expect(clippy::expect_used, reason = "three gates of different names")]
    set_of(DEFAULT_SET, built.into(), Settings::default()).expect("the compatible set")
}

/// A set of gates that were built.
fn set_of(name: &str, built: Vec<gates::Built>, settings: Settings) -> Result<Set, Unfit> {
    let (gates, described): (Vec<_>, Vec<_>) = built.into_iter().unzip();
    let shadows = described.iter().map(|one: &Described| one.shadow);
    let listed = gates
        .into_iter()
        .zip(shadows)
        .map(|(gate, shadow)| Listed { gate, shadow });
    Ok(Set {
        name: name.to_owned(),
        engine: Engine::new(listed.collect(), settings)?,
        described,
    })
}

fn read_set(
    name: &str,
    mut fields: Fields<'_, '_>,
    read: &dyn Fn(&str) -> io::Result<String>,
) -> Result<Set, Wrong> {
    let is_budget = |ms: f64| ms > 0.0 && ms <= MAX_BUDGET_MS;
    let default_ms = Settings::DEFAULT_BUDGET.as_secs_f64() * 1e3;
    let budget_ms = fields.number(
        "budget_ms",
        Some(default_ms),
        "a number above 0 and at most 60000",
        is_budget,
    )?;
    let settings = Settings {
        budget: budget_ms.map_or(Settings::DEFAULT_BUDGET, |ms| Duration::from_secs_f64(ms / 1e3)),
        fail_fast: fields.flag("fail_fast", false)?,
    };
    let (at, path) = (fields.at(), fields.path_of("gates"));
    let list = fields
        .array("gates")?
        .ok_or_else(|| Wrong::new(at, &path, "missing"))?;
    let mut built = Vec::new();
    for (index, value) in list.inside.iter().enumerate() {
        built.push(gates::read(
            value.get_ref(),
            value.span().start,
            format!("{path}[{index}]"),
            read,
        )?);
    }
    fields.finish()?;
    set_of(name, built, settings).map_err(|unfit| Wrong::new(list.at, &path, unfit.to_string()))
}

fn read_rule(mut fields: Fields<'_, '_>, sets: &[Set]) -> Result<Rule, Wrong> {
    let organisation = fields.text("organisation")?.map(|text| text.value.to_owned());
    let agents = fields.text("agents")?.map_or("*", |text| text.value);
    let agents = Pattern::new(agents);
    let tools = fields.text("tools")?.map(|text| Pattern::new(text.value));
    let target = gates::target(&mut fields)?;
    let (at, path) = (fields.at(), fields.path_of("set"));
    let set = fields
        .text("set")?
        .ok_or_else(|| Wrong::new(at, &path, "missing"))?;
    let index = sets.iter().position(|one| one.name == set.value);
    let index = index.ok_or_else(|| Wrong::new(set.at, &path, format!("there is no set `{}`", set.value)))?;
    fields.finish()?;
    Ok(Rule {
        organisation,
        agents,
        tools,
        target,
        set: index,
    })
}

#[cfg(test)]
mod tests;
