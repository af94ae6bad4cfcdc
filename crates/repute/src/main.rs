//! Repute: the open, self-hosted quality and reputation layer for AI agents. The command line.

mod address;
mod admin;
mod backup;
mod check;
mod data_dir;
mod export;
mod first_start;
mod housekeeping;
mod huge_pages;
mod import;
mod logging;
mod open_files;
mod place;
mod proxy;
mod repair;
mod serve;
mod settings;
mod torture;
mod units;
mod unknown_variables;
mod usage;
mod verify;

use clap::{CommandFactory as _, Parser, Subcommand};
use settings::ServeSettings;
use std::process::ExitCode;
use usage::WrongSetting;

/// Every event passes through some allocations, on one thread and off on another; the C library's allocator
/// makes a point of giving memory back in between, and each page costs a fault when it is taken again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    /// Run gates over outputs; exit code 0 if all passed, 1 if one failed, 2 if one is no JSON.
    Check(check::CheckArguments),
    /// Check everything on disk, beside a running server or without one; exit code 0 if it is sound, 1 if not.
    Verify(verify::VerifyArguments),
    /// Copy everything into another directory, beside a running server or without one.
    Backup(backup::BackupArguments),
    /// Write an organisation's events as JSON Lines, beside a running server or without one.
    Export(export::ExportArguments),
    /// Take in what `export` wrote, in the directory of a stopped server.
    Import(import::ImportArguments),
    /// Crash the server again and again on your disk and with your settings, and check that it loses nothing.
    Torture(torture::TortureArguments),
    /// Run an MCP server behind gates: `repute proxy [flags] -- <command …>`.
    Proxy(Box<proxy::ProxyArguments>),
    /// Set aside what is damaged in the directory of a stopped server, and say what is lost with it.
    Repair(repair::RepairArguments),
}

/// The exit code of a command line or a setting that cannot be, as clap has it.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let outcome = match Program::try_parse() {
        Ok(program) => match program.command {
            Command::Serve(settings) => done(serve::serve(&settings)),
            Command::Org(arguments) => done(admin::org(arguments)),
            Command::Key(arguments) => done(admin::key(arguments)),
            Command::Check(arguments) => check::check(&arguments),
            Command::Verify(arguments) => verify::verify(&arguments),
            Command::Backup(arguments) => done(backup::backup(&arguments)),
            Command::Export(arguments) => done(export::export(&arguments)),
            Command::Import(arguments) => done(import::import(&arguments)),
            Command::Torture(arguments) => torture::torture(&arguments),
            Command::Proxy(arguments) => proxy::proxy(*arguments),
            Command::Repair(arguments) => repair::repair(&arguments),
        },
        Err(error) => match usage::wrong_setting(&error, &given_command()) {
            Some(wrong) => Err(wrong.into()),
            None => error.exit(), // also how the help and the version are shown
        },
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            logging::failure(&error);
            if error.is::<WrongSetting>() {
                ExitCode::from(USAGE)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// A command that either succeeds or says why not.
fn done(outcome: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    outcome.map(|()| ExitCode::SUCCESS)
}

/// The command that the first argument names.
fn given_command() -> clap::Command {
    let program = Program::command();
    let name = std::env::args_os().nth(1).unwrap_or_default();
    let found = program.find_subcommand(&name).cloned();
    found.unwrap_or(program)
}
