//! Repute: the open, self-hosted quality and reputation layer for AI agents. The command line.

mod admin;
mod data_dir;
mod first_start;
mod logging;
mod serve;
mod settings;
mod units;

use clap::{Parser, Subcommand};
use settings::ServeSettings;
use std::process::ExitCode;

/// The open, self-hosted quality and reputation layer for AI agents.
#[derive(Parser)]
#[command(name = "repute", version)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Take events in, keep them, score them, and answer questions.
    Serve(Box<ServeSettings>),
    /// Organisations: make, list, change.
    Org(admin::OrgArguments),
    /// Keys: make, list, revoke.
    Key(admin::KeyArguments),
}

fn main() -> ExitCode {
    let outcome = match Program::parse().command {
        Command::Serve(settings) => serve::serve(&settings),
        Command::Org(arguments) => admin::org(arguments),
        Command::Key(arguments) => admin::key(arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            logging::failure(&error);
            ExitCode::FAILURE
        }
    }
}
