//! A file of gate sets.

use super::{Outcome, Target, about};
use gate::config::Config;
use std::io;

pub(super) const TARGET: Target = Target {
    name: "gates",
    read,
    words: &[
        "[set.default]\n",
        "[set.a]\n",
        "gates = [\"pii\"]\n",
        "budget_ms = 50\n",
        "fail_fast = true\n",
        "[[rule]]\n",
        "agents = \"a*\"\n",
        "set = \"a\"\n",
        "organisation = \"o\"\n",
        "shadow = true",
        "{ gate = \"schema\", schema = \"s.json\" }",
        "name = \"n\"",
        "\"content\"",
        "\"filesystem\"",
        "\"secrets\"",
        "max_ms = 1",
        "commands = [\"(a+)+\"]",
        "=",
        "\n",
        "'''",
        "1e999",
        "-1",
    ],
};

fn read(bytes: &[u8]) -> Outcome {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Outcome::refused("not UTF-8");
    };
    let read = |name: &str| match name {
        "s.json" => Ok(r#"{"type":"object","required":["a"]}"#.to_owned()),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    match Config::parse(text, &read) {
        Ok(config) => {
            for set in config.sets() {
                assert!(
                    config.set(&set.name).is_some(),
                    "a set that is not found by its name"
                );
            }
            let set = config.set_for("o", "agent", None);
            assert!(
                config.set(&set.name).is_some(),
                "a rule names a set that is not there"
            );
            Outcome::good((about(config.sets().len()), about(text.len())))
        }
        Err(wrong) => {
            assert!(
                wrong.at <= text.len() && !wrong.rule.is_empty(),
                "a mistake without a place: {wrong}"
            );
            Outcome::refused(wrong.rule.split('`').next().unwrap_or_default())
        }
    }
}
