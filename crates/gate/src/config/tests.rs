use super::*;
use std::collections::HashMap;

fn parse(text: &str) -> Result<Config, Wrong> {
    let files: HashMap<&str, &str> = [("price.json", r#"{"type":"number"}"#), ("broken.json", "{")].into();
    let read = |name: &str| {
        let text = files.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok((*text).to_owned())
    };
    Config::parse(text, &read)
}

fn refused(text: &str) -> String {
    parse(text)
        .unwrap_err()
        .in_file(Path::new("gates.toml"), text)
        .to_string()
}

fn names(set: &Set) -> Vec<&str> {
    set.engine
        .gates()
        .iter()
        .map(|listed| listed.gate.name())
        .collect()
}

#[test]
fn an_empty_file_is_the_compatible_set() {
    let config = parse("").unwrap();
    assert_eq!(
        names(config.set_for("any", "a", None)),
        ["filesystem", "pii", "content"]
    );
    assert_eq!(
        config.set_for("any", "a", None).engine.settings(),
        Settings::default()
    );
}

#[test]
fn the_first_rule_that_fits_says_the_set() {
    let config = parse(
        r#"
        [set.rtb]
        gates = ["rtb.tmax-guard", "rtb.impid-match"]
        [set.strict]
        budget_ms = 20
        fail_fast = true
        gates = [
            { gate = "pii", card = true },
            { gate = "schema", name = "price", schema_file = "price.json", shadow = true },
        ]
        [[rule]]
        organisation = "acme"
        agents = "bid-*"
        set = "rtb"
        [[rule]]
        organisation = "acme"
        set = "strict"
        [[rule]]
        agents = "?"
        set = "strict"
        "#,
    )
    .unwrap();
    let set = |organisation, agent| config.set_for(organisation, agent, None).name.as_str();
    assert_eq!(set("acme", "bid-1"), "rtb");
    assert_eq!(set("acme", "other"), "strict");
    assert_eq!(set("else", "bid-1"), "default");
    assert_eq!(set("else", "x"), "strict");
    let strict = config.set("strict").unwrap();
    assert_eq!(names(strict), ["pii", "price"]);
    assert_eq!(
        strict.engine.settings(),
        Settings {
            budget: Duration::from_millis(20),
            fail_fast: true
        }
    );
    let told: Vec<_> = config
        .rules_of("acme")
        .map(|rule| (rule.agents.map(ToString::to_string), rule.set.name.as_str()))
        .collect();
    let told: Vec<_> = told
        .iter()
        .map(|(agents, set)| (agents.as_deref(), *set))
        .collect();
    assert_eq!(
        told,
        [
            (Some("bid-*"), "rtb"),
            (Some("*"), "strict"),
            (Some("?"), "strict"),
            (None, "default")
        ]
    );
}

#[test]
fn a_rule_may_be_for_some_tools_alone_and_for_what_they_are_given() {
    let config = parse(
        r#"
        [set.paths]
        gates = ["filesystem"]
        [set.keys]
        gates = ["secrets"]
        [[rule]]
        agents = "a*"
        tools = "read_*"
        set = "keys"
        [[rule]]
        tools = "write_*"
        target = "input"
        set = "paths"
        "#,
    )
    .unwrap();
    let set = |agent, tool| config.set_for("any", agent, tool).name.as_str();
    assert_eq!(set("a1", Some("read_file")), "keys");
    assert_eq!(set("a1", Some("write_file")), "default");
    assert_eq!(set("b1", Some("read_file")), "default");
    assert_eq!(
        set("a1", None),
        "default",
        "a rule for tools is none for an output of no tool"
    );
    let input = |tool| {
        config
            .set_for_input("any", "a1", tool)
            .map(|set| set.name.as_str())
    };
    assert_eq!(input(Some("write_file")), Some("paths"));
    assert_eq!(input(Some("read_file")), None);
    assert!(config.judges_input() && !parse("").unwrap().judges_input());
    assert_eq!(
        refused("[[rule]]\nset = \"default\"\ntarget = \"both\""),
        "gates.toml:3: rule[0].target: must be \"output\" or \"input\""
    );
}

#[test]
fn a_gate_is_described_with_the_options_that_are_in_force() {
    let config = parse(r#"set.default.gates = [{ gate = "pii", card = true, shadow = true }]"#).unwrap();
    let described = &config.set_for("any", "a", None).described[0];
    assert_eq!((described.kind, described.shadow), ("pii", true));
    assert_eq!(
        serde_json::Value::from(described.options.clone()),
        serde_json::json!({"email": true, "ssn": true, "phone": true, "card": true, "iban": false, "ip": false})
    );
}

#[test]
fn what_is_wrong_is_told_with_file_line_and_field() {
    for (text, expected) in [
        ("\n\nset = 1", "gates.toml:3: set: must be a table"),
        ("[set.a]\ngates = 5", "gates.toml:2: set.a.gates: must be a list"),
        ("[set.a]\nbudget_ms = 5", "gates.toml:1: set.a.gates: missing"),
        (
            "[set.a]\ngates = []\nbudget_ms = 0",
            "gates.toml:3: set.a.budget_ms: must be a number above 0 and at most 60000",
        ),
        (
            "[set.a]\ngates = []\nfail_fast = 1",
            "gates.toml:3: set.a.fail_fast: must be true or false",
        ),
        (
            "[set.a]\ngates = []\nfast = true",
            "gates.toml:3: set.a.fast: no such field; there is budget_ms, fail_fast, gates",
        ),
        (
            "[set.a]\ngates = [\n 7]",
            "gates.toml:3: set.a.gates[0]: must be a gate's name, or a table with `gate`",
        ),
        (
            "[set.a]\ngates = [{ shadow = true }]",
            "gates.toml:2: set.a.gates[0].gate: missing",
        ),
        (
            "[set.a]\ngates = [\"pii\",\n \"pii\"]",
            "gates.toml:2: set.a.gates: two gates are named `pii`",
        ),
        (
            "[set.a]\ngates = [\"pii\", \"rtb.tmax-guard\"]",
            "gates.toml:2: set.a.gates: `rtb.tmax-guard` must be the first gate",
        ),
        (
            "[set.a]\ngates = [\"latency\"]",
            "gates.toml:2: set.a.gates[0].max_ms: missing",
        ),
        (
            "[set.a]\ngates = [\n{ gate = \"latency\", max_ms = inf }]",
            "gates.toml:3: set.a.gates[0].max_ms: must be a number above 0",
        ),
        (
            "[set.a]\ngates = [{ gate = \"pii\", cards = true }]",
            "gates.toml:2: set.a.gates[0].cards: no such field; there is gate, shadow, email, ssn, phone, card, iban, ip",
        ),
        (
            "[set.a]\ngates = [{ gate = \"rtb.adomain-verify\", extra_placeholders = [1] }]",
            "gates.toml:2: set.a.gates[0].extra_placeholders: must be a list of strings that are not empty",
        ),
        (
            "[set.a]\ngates = [{ gate = \"rtb.audience-safety\", extra_bundle_words = [\"a\", \"\"] }]",
            "gates.toml:2: set.a.gates[0].extra_bundle_words: must be a list of strings that are not empty",
        ),
        (
            "[set.a]\ngates = [{ gate = \"schema\" }]",
            "gates.toml:2: set.a.gates[0].schema: one of `schema` and `schema_file` must be there",
        ),
        (
            "[set.a]\ngates = [{ gate = \"schema\", schema_file = \"none.json\" }]",
            "gates.toml:2: set.a.gates[0].schema_file: none.json: entity not found",
        ),
        (
            "[set.a]\ngates = [{ gate = \"schema\", schema_file = \"broken.json\" }]",
            "gates.toml:2: set.a.gates[0].schema_file: broken.json: EOF while parsing an object at line 1 column 1",
        ),
        (
            "[set.a]\ngates = [{ gate = \"schema\", schema = {}, target = \"x\" }]",
            "gates.toml:2: set.a.gates[0].target: must be \"output\" or \"input\"",
        ),
        (
            "[[rule]]\nset = \"none\"",
            "gates.toml:2: rule[0].set: there is no set `none`",
        ),
        ("[[rule]]\nagents = \"*\"", "gates.toml:1: rule[0].set: missing"),
        (
            "[[rule]]\nset = \"default\"\nagents = \"\"",
            "gates.toml:3: rule[0].agents: must be a string that is not empty",
        ),
        (
            "[[rule]]\nset = \"default\"\nagent = \"x\"",
            "gates.toml:3: rule[0].agent: no such field; there is organisation, agents, tools, target, set",
        ),
        (
            "rules = 1",
            "gates.toml:1: rules: no such field; there is set, rule",
        ),
    ] {
        assert_eq!(refused(text), expected, "{text}");
    }
    assert!(refused("[set.a\n").starts_with("gates.toml:1: "));
    let unknown = refused("[set.a]\ngates = [\"pi\"]");
    assert!(
        unknown.starts_with("gates.toml:2: set.a.gates[0].gate: there is no gate `pi`; there is latency, "),
        "{unknown}"
    );
    let schema = refused("[set.a]\ngates = [{ gate = \"schema\", schema = { type = \"x\" } }]");
    assert!(
        schema.starts_with("gates.toml:2: set.a.gates[0].schema: "),
        "{schema}"
    );
}

#[test]
fn a_file_that_is_not_there_is_told_by_its_name() {
    let error = Config::load(Path::new("/nowhere/gates.toml"))
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("/nowhere/gates.toml: "), "{error}");
}
