//! `repute proxy install` and `uninstall`: the configuration of MCP clients, shown before it is changed.

use super::ProxyArguments;
use crate::usage::WrongSetting;
use ::proxy::install::{Action, InstallError, Outcome, Place, Plan, Wrapper, places};
use anyhow::{Context as _, Result};
use clap::{Args, FromArgMatches as _};
use std::env;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What both can be told.
#[derive(Args)]
pub(super) struct Where {
    /// Only this client's files: claude-desktop, claude-code, cursor, vscode, windsurf, gemini-cli, copilot-cli, zed.
    #[arg(long, value_name = "NAME")]
    client: Vec<String>,
    /// These files, and no client's own.
    #[arg(long, value_name = "FILE", conflicts_with = "client")]
    file: Vec<PathBuf>,
    /// Only this server.
    #[arg(long, value_name = "NAME")]
    server: Vec<String>,
    /// Show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Don't ask.
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
}

/// What `install` can be told.
#[derive(Args)]
pub(super) struct InstallArguments {
    #[command(flatten)]
    place: Where,
    /// The program that clients start; without, this one.
    #[arg(long, value_name = "PROGRAM")]
    program: Option<String>,
    /// Flags of the proxy, as for `repute proxy`.
    #[arg(last = true, value_name = "FLAG")]
    flags: Vec<String>,
}

pub(super) fn install(arguments: &InstallArguments) -> Result<ExitCode> {
    let program = match &arguments.program {
        Some(program) => program.clone(),
        None => {
            let own = env::current_exe().context("where this program is")?;
            let own = own.into_os_string().into_string();
            own.map_err(|_| {
                WrongSetting::new("--program: the path of this program is not UTF-8; give another")
            })?
        }
    };
    if Path::new(&program).file_stem() != Some("repute".as_ref()) {
        let sentence = "--program: must be named `repute`, so that `uninstall` knows it";
        return Err(WrongSetting::new(sentence).into());
    }
    check(&arguments.flags)?;
    let flags = arguments.flags.clone();
    change(&arguments.place, &Action::Install(Wrapper { program, flags }))
}

pub(super) fn uninstall(place: &Where) -> Result<ExitCode> {
    change(place, &Action::Uninstall)
}

/// Flags that the proxy does not take would keep every server from starting.
fn check(flags: &[String]) -> Result<(), WrongSetting> {
    let words = ["proxy"]
        .into_iter()
        .chain(flags.iter().map(String::as_str))
        .chain(["--", "server"]);
    let parser = ProxyArguments::augment_args(clap::Command::new("proxy"));
    let parsed = parser
        .try_get_matches_from(words)
        .and_then(|mut matches| ProxyArguments::from_arg_matches_mut(&mut matches));
    match parsed {
        Ok(parsed) if parsed.server == ["server"] => Ok(()),
        Ok(_) => Err(WrongSetting::new("flags of the proxy: must not have a `--`")),
        Err(error) => {
            let text = error.to_string();
            let first = text
                .lines()
                .next()
                .unwrap_or_default()
                .trim_start_matches("error: ");
            Err(WrongSetting::new(format!("flags of the proxy: {first}")))
        }
    }
}

/// Shows what changes, asks, and does it. Exit code 1 if a file could not be changed.
fn change(place: &Where, action: &Action) -> Result<ExitCode> {
    let mut out = io::stdout().lock();
    let mut plans = Vec::new();
    let mut is_fine = true;
    for (file, client) in files(place)? {
        match Plan::new(&file, action, &place.server) {
            Ok(plan) => {
                writeln!(
                    out,
                    "{}{}",
                    file.display(),
                    client.map_or_else(String::new, |name| format!(" ({name})"))
                )?;
                for server in &plan.servers {
                    let outcome = match (server.outcome, action) {
                        (Outcome::Changed, Action::Install(_)) => "behind the proxy",
                        (Outcome::Changed, Action::Uninstall) => "without the proxy",
                        (Outcome::Already, _) => "as it is",
                        (Outcome::Remote, _) => "as it is: not started by a command",
                    };
                    writeln!(out, "  {}: {outcome}", server.name.escape_debug())?;
                }
                if plan.is_change() {
                    write!(out, "{}", plan.diff())?;
                    plans.push(plan);
                }
            }
            // A client that has no servers, or a server of another client.
            Err(InstallError::Misread { why, .. }) if place.file.is_empty() && why.is_absence() => {}
            Err(error) => {
                crate::logging::failure(&error.into());
                is_fine = false;
            }
        }
    }
    if plans.is_empty() {
        writeln!(out, "nothing to change")?;
    } else if place.dry_run {
        writeln!(out, "dry run: nothing is changed")?;
    } else if place.yes || asked(&mut out, plans.len())? {
        for plan in plans {
            match plan.apply() {
                Ok(backup) => writeln!(out, "changed; as it was: {}", backup.display())?,
                Err(error) => {
                    crate::logging::failure(&error.into());
                    is_fine = false;
                }
            }
        }
    } else {
        writeln!(out, "nothing is changed")?;
    }
    Ok(if is_fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The files to look at, with their clients.
fn files(place: &Where) -> Result<Vec<(PathBuf, Option<&'static str>)>> {
    if !place.file.is_empty() {
        return Ok(place.file.iter().map(|file| (file.clone(), None)).collect());
    }
    let home = env::var_os("HOME").filter(|home| !home.is_empty());
    let home = PathBuf::from(home.context("HOME is not set: give files with --file")?);
    let settings = env::var_os("XDG_CONFIG_HOME").filter(|_| !cfg!(target_os = "macos"));
    let project = env::current_dir().context("the directory at hand")?;
    let all = places(&home, settings.as_deref().map(Path::new), &project);
    for name in &place.client {
        if !all.iter().any(|place| place.client == name) {
            return Err(WrongSetting::new(format!("--client: there is no client `{name}`")).into());
        }
    }
    let wanted =
        |found: &Place| place.client.is_empty() || place.client.iter().any(|name| name == found.client);
    let there = all
        .into_iter()
        .filter(|found| wanted(found) && found.file.exists());
    Ok(there.map(|found| (found.file, Some(found.client))).collect())
}

/// Whether somebody at a terminal says yes.
fn asked(out: &mut impl io::Write, files: usize) -> Result<bool> {
    if !io::stdin().is_terminal() {
        let sentence = "nobody is there to be asked: --yes changes the files, --dry-run only shows";
        return Err(WrongSetting::new(sentence).into());
    }
    write!(
        out,
        "change {files} file{}? [y/N] ",
        if files == 1 { "" } else { "s" }
    )?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
