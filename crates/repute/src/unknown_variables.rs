//! Variables that look like settings and are none. One that was mistyped has no effect, and nobody would notice: no
//! retention, say, until the disk is full. Only warned of, since other programs may share the prefix.

use crate::Program;
use clap::{Command, CommandFactory as _};
use std::collections::BTreeSet;
use std::env;
use strsim::levenshtein;

const PREFIX: &str = "REPUTE_";
/// Secrets, which no flag stands for; each may also come from a file.
const SECRETS: [&str; 6] = [
    "REPUTE_API_KEY",
    "REPUTE_BOOTSTRAP_PUBLISHABLE_KEY",
    "REPUTE_BOOTSTRAP_SECRET_KEY",
    "REPUTE_MASTER_KEY",
    "REPUTE_NEW_MASTER_KEY",
    "REPUTE_SECRET_KEY",
];
/// What the tests of the program and its clients are told by.
const TESTS: [&str; 4] = [
    "REPUTE_BINARY",
    "REPUTE_FUZZ_INPUTS",
    "REPUTE_SIMULATIONS",
    "REPUTE_SIMULATION_SEED",
];
/// So many letters may be wrong, missing or too many where one name is taken for another.
const CLOSE: usize = 2;

/// Warns of each, by its name alone: the value may be a secret.
pub(crate) fn warn() {
    let (known, given) = (known(), given());
    for variable in &given {
        if !known.contains(variable) && !is_of_a_service(variable, &given) {
            tracing::warn!(
                variable,
                meant = nearest(variable, &known),
                "this variable is no setting of Repute's and has no effect"
            );
        }
    }
}

/// The names with our prefix that the environment has.
fn given() -> BTreeSet<String> {
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names.filter(|name| name.starts_with(PREFIX)).collect()
}

/// The names that some part of the program or of its clients reads.
fn known() -> BTreeSet<String> {
    let program = Program::command();
    let flags = program
        .get_subcommands()
        .flat_map(Command::get_arguments)
        .filter_map(|flag| Some(flag.get_env()?.to_string_lossy().into_owned()));
    let secrets = SECRETS
        .iter()
        .flat_map(|name| [(*name).to_owned(), format!("{name}_FILE")]);
    flags.chain(secrets).chain(TESTS.map(str::to_owned)).collect()
}

/// Whether Kubernetes tells every container of a service by it, which may have our name.
fn is_of_a_service(variable: &str, given: &BTreeSet<String>) -> bool {
    let mut services = given.iter().filter_map(|name| name.strip_suffix("_SERVICE_HOST"));
    services.any(|service| {
        let rest = variable.strip_prefix(service);
        rest.is_some_and(|rest| {
            rest.starts_with("_SERVICE_") || rest == "_PORT" || rest.starts_with("_PORT_")
        })
    })
}

/// The one that was meant, if one is close.
fn nearest<'a>(variable: &str, known: &'a BTreeSet<String>) -> Option<&'a str> {
    let distances = known.iter().map(|name| (levenshtein(variable, name), name));
    let (distance, name) = distances.min()?;
    (distance <= CLOSE).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_secret_and_every_flag_is_known() {
        let known = known();
        for name in [
            "REPUTE_MASTER_KEY_FILE",
            "REPUTE_RETENTION",
            "REPUTE_URL",
            "REPUTE_DATA_DIR",
        ] {
            assert!(known.contains(name), "{name}");
        }
    }
}
