//! `repute proxy`: an MCP server behind gates.

mod install;

use crate::settings;
use crate::units;
use crate::usage::WrongSetting;
use ::proxy::{OnDoubt, ProxyError, Settings};
use anyhow::Result;
use clap::{Args, Subcommand};
use repute_client::{SettingError, Telemetry};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// The exit codes of a program that starts another and cannot, as shells have them.
const NOT_FOUND: u8 = 127;
const NOT_STARTED: u8 = 126;
/// How long the end waits for verdicts to be delivered; clients kill what takes longer than two seconds.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);
/// Where the key is, besides the flag. Not for the server, which is somebody else's program.
const KEY_VARIABLE: &str = "REPUTE_API_KEY";
const WITHHELD: [&str; 4] = [
    KEY_VARIABLE,
    "REPUTE_API_KEY_FILE",
    "REPUTE_SECRET_KEY",
    "REPUTE_SECRET_KEY_FILE",
];

/// What `repute proxy` can be told.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ProxyArguments {
    #[command(subcommand)]
    command: Option<ProxyCommand>,
    /// Who is judged; without, the server by its name.
    #[arg(long, value_name = "ID", value_parser = agent_id)]
    agent_id: Option<String>,
    /// The file with the gate sets; without, results pass `content` (not its check for emptiness) and `secrets`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Judge what tools are given, too: by `filesystem`, where the file says nothing else.
    #[arg(long)]
    gate_arguments: bool,
    /// Report what would be blocked, and block nothing.
    #[arg(long)]
    dry_run: bool,
    /// Tell each decision on standard error.
    #[arg(long)]
    verbose: bool,
    /// Let pass what gates cannot judge: the default.
    #[arg(long, conflicts_with = "fail_closed")]
    fail_open: bool,
    /// Block what gates cannot judge: too long, not JSON, out of time.
    #[arg(long)]
    fail_closed: bool,
    /// The longest message that is judged.
    #[arg(long, default_value = "16MiB", value_parser = max_message, value_name = "SIZE")]
    max_message: usize,
    /// Where decisions are logged; without, `~/.repute/logs`.
    #[arg(long, value_name = "DIR")]
    log_dir: Option<PathBuf>,
    /// The key of the Repute server that verdicts are sent to. Others see it in the list of processes: better
    /// set REPUTE_API_KEY, or REPUTE_API_KEY_FILE.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// The address of that server.
    #[arg(long, env = "REPUTE_URL", value_name = "URL")]
    url: Option<String>,
    /// Nothing: `install` notes with it that a server's configuration had no arguments.
    #[arg(long, hide = true)]
    bare: bool,
    /// The MCP server's command.
    #[arg(last = true, value_name = "COMMAND")]
    server: Vec<OsString>,
}

#[derive(Subcommand)]
enum ProxyCommand {
    /// Put the proxy before the servers in the configuration of MCP clients.
    Install(install::InstallArguments),
    /// Take it away again.
    Uninstall(install::Where),
}

/// Runs the server; ends as it does.
pub(crate) fn proxy(arguments: ProxyArguments) -> Result<ExitCode> {
    match &arguments.command {
        Some(ProxyCommand::Install(arguments)) => return install::install(arguments),
        Some(ProxyCommand::Uninstall(place)) => return install::uninstall(place),
        None => {}
    }
    let Some((command, rest)) = arguments.server.split_first() else {
        let sentence = "the server's command is missing: repute proxy [flags] -- <command …>";
        return Err(WrongSetting::new(sentence).into());
    };
    let gates = match &arguments.config {
        None => ::proxy::default_config(),
        Some(file) => {
            ::proxy::load_config(file).map_err(|error| WrongSetting::new(format!("--config: {error}")))?
        }
    };
    let settings = Settings {
        command: command.clone(),
        arguments: rest.to_vec(),
        withheld: WITHHELD.to_vec(),
        gates,
        judge_arguments: arguments.gate_arguments,
        dry_run: arguments.dry_run,
        verbose: arguments.verbose,
        on_doubt: match arguments.fail_closed {
            true => OnDoubt::Closed,
            false => OnDoubt::Open,
        },
        max_message_bytes: arguments.max_message,
        telemetry: telemetry(&arguments)?,
        log_directory: arguments.log_dir.or_else(::proxy::default_directory),
        agent_id: arguments.agent_id,
    };
    match ::proxy::run(settings) {
        Ok(ended) => ended.repeat(),
        Err(error) => {
            let code = match error {
                ProxyError::NotFound { .. } => ExitCode::from(NOT_FOUND),
                ProxyError::NotStarted { .. } => ExitCode::from(NOT_STARTED),
                ProxyError::System { .. } => ExitCode::FAILURE,
            };
            crate::logging::failure(&error.into());
            Ok(code)
        }
    }
}

/// The client that sends verdicts, if a key and an address were given.
fn telemetry(arguments: &ProxyArguments) -> Result<Option<Telemetry>, WrongSetting> {
    let key = match &arguments.key {
        Some(key) => Some(key.clone()),
        None => settings::secret(KEY_VARIABLE)?.map(|secret| secret.text),
    };
    let (key, url) = match (key, &arguments.url) {
        (None, None) => return Ok(None),
        (Some(key), Some(url)) => (key, url),
        (Some(_), None) => {
            let sentence = "--key (REPUTE_API_KEY): needs --url (REPUTE_URL): where to send verdicts";
            return Err(WrongSetting::new(sentence));
        }
        (None, Some(_)) => {
            let sentence = "--url (REPUTE_URL): needs a key, --key (REPUTE_API_KEY, REPUTE_API_KEY_FILE)";
            return Err(WrongSetting::new(sentence));
        }
    };
    let builder = || {
        let builder = Telemetry::builder().url(url).api_key(&key);
        builder.shutdown_timeout(SHUTDOWN_TIMEOUT).on_warning(warn)
    };
    let spooling = match ::proxy::default_spool(url, &key) {
        Some(directory) => builder().spool_dir(directory).build(),
        None => builder().build(),
    };
    let wrong = |error: SettingError| {
        let flag = match error.setting {
            "api_key" => "--key (REPUTE_API_KEY)",
            "url" => "--url (REPUTE_URL)",
            "secret_key" => "REPUTE_SECRET_KEY",
            other => other,
        };
        WrongSetting::new(format!("{flag}: {}", error.rule))
    };
    match spooling {
        // What cannot be kept on disk is still sent.
        Err(error) if error.setting == "spool_dir" => {
            warn(&format!(
                "verdicts that cannot be sent are not kept: {}",
                error.rule
            ));
            builder().build().map(Some).map_err(wrong)
        }
        built => built.map(Some).map_err(wrong),
    }
}

fn warn(text: &str) {
    crate::logging::failure(&anyhow::anyhow!("{text}"));
}

fn agent_id(text: &str) -> Result<String, String> {
    match text.chars().count() {
        1..=200 => Ok(text.to_owned()),
        _ => Err("must have 1 to 200 characters".to_owned()),
    }
}

fn max_message(text: &str) -> Result<usize, String> {
    let bytes = units::bytes(text)?;
    let bytes = usize::try_from(bytes)
        .ok()
        .filter(|bytes| (64 << 10..=1 << 30).contains(bytes));
    bytes.ok_or_else(|| "must be from 64KiB to 1GiB".to_owned())
}
