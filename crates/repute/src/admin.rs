//! `repute org` and `repute key`: on a running server through its socket, on a stopped one directly.

mod execute;
mod limit;
mod print;
mod socket;

pub(crate) use socket::{Socket, listen};

use crate::data_dir::DataDir;
use crate::logging::{self, LogFormat};
use crate::open_files;
use crate::place::Place;
use crate::settings;
use crate::units;
use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use limit::Limit;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use store::Store;

/// How long to wait for a server that has the directory but isn't listening: it's starting, or stopping.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often to look.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// `repute org`.
#[derive(Args)]
pub(crate) struct OrgArguments {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: OrgCommand,
}

/// `repute key`.
#[derive(Args)]
pub(crate) struct KeyArguments {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Subcommand)]
enum OrgCommand {
    /// Make an organisation. It gets its keys with `repute key create`.
    Create {
        /// Its name: 1 to 100 of A-Z, a-z, 0-9, `.`, `_` and `-`.
        name: String,
        #[command(flatten)]
        changes: OrgChanges,
    },
    /// List all organisations.
    List,
    /// Erase an agent for good: its events, its window and its name.
    EraseAgent {
        /// The organisation's name.
        org: String,
        /// The agent's id.
        agent_id: String,
    },
    /// List who changed what of an organisation, newest first.
    Audit {
        /// Its name.
        name: String,
        /// How many entries at most.
        #[arg(long, default_value_t = 50, value_parser = units::at_least_one::<u32>)]
        limit: u32,
    },
    /// Change an organisation's settings.
    Set {
        /// Its name.
        name: String,
        #[command(flatten)]
        changes: OrgChanges,
    },
}

/// Settings of an organisation that are given; the others stay.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OrgChanges {
    /// How many agents it may have; `default` is as the server says.
    #[arg(long, value_name = "N", value_parser = limit::parse)]
    max_agents: Option<Limit>,
    /// `POST /v1/ingest` requests per rolling 60 seconds; 0 is no limit, `default` is as the server says.
    #[arg(long, value_name = "N", value_parser = limit::parse)]
    ingest_rate_limit: Option<Limit>,
    /// All other requests per rolling 60 seconds; 0 is no limit, `default` is as the server says.
    #[arg(long, value_name = "N", value_parser = limit::parse)]
    rate_limit: Option<Limit>,
    /// Whether bodies must be signed; `timestamped`: together with the time of signing.
    #[arg(long, value_name = "RULE")]
    require_signature: Option<Signature>,
}

/// What `--require-signature` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Signature {
    False,
    True,
    Timestamped,
}

#[derive(Subcommand)]
enum KeyCommand {
    /// Make a key and show it, this once.
    Create {
        /// The organisation's name.
        org: String,
        /// What kind of key.
        #[arg(long, default_value = "publishable")]
        kind: Kind,
        /// What to call it.
        #[arg(long)]
        name: Option<String>,
        /// What it may do, separated by commas: ingest, evaluate, read, admin.
        #[arg(long)]
        scopes: Option<String>,
        /// When it stops working, as an ISO 8601 time.
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
    },
    /// List an organisation's keys.
    List {
        /// The organisation's name.
        org: String,
    },
    /// Revoke a key, at once.
    Revoke {
        /// The organisation's name.
        org: String,
        /// The key's id, as `repute key list` shows it.
        #[arg(value_parser = units::count::<u32>)]
        id: u32,
    },
    /// Seal all secret keys under a new master key: a random one, or, where the server has its master key from
    /// REPUTE_MASTER_KEY, the one in REPUTE_NEW_MASTER_KEY.
    RotateMaster,
}

#[derive(Clone, Copy, Debug, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Kind {
    Publishable,
    Secret,
}

/// What is asked of the server, or of its files.
#[derive(Serialize, Deserialize)]
pub(crate) enum Request {
    CreateOrg {
        name: String,
        changes: OrgChanges,
    },
    ListOrgs,
    SetOrg {
        name: String,
        changes: OrgChanges,
    },
    EraseAgent {
        org: String,
        agent_id: String,
    },
    Audit {
        org: String,
        limit: u32,
    },
    CreateKey {
        org: String,
        kind: Kind,
        name: Option<String>,
        scopes: Option<String>,
        expires_at: Option<String>,
    },
    ListKeys {
        org: String,
    },
    RevokeKey {
        org: String,
        id: u32,
    },
    RotateMaster {
        /// The new one's text, if the operator keeps it.
        new: Option<String>,
    },
}

/// Runs `repute org`.
pub(crate) fn org(arguments: OrgArguments) -> Result<()> {
    let request = match arguments.command {
        OrgCommand::Create { name, changes } => Request::CreateOrg { name, changes },
        OrgCommand::List => Request::ListOrgs,
        OrgCommand::EraseAgent { org, agent_id } => Request::EraseAgent { org, agent_id },
        OrgCommand::Audit { name, limit } => Request::Audit { org: name, limit },
        OrgCommand::Set { name, changes } => Request::SetOrg { name, changes },
    };
    run(&arguments.place, &request)
}

/// Runs `repute key`.
pub(crate) fn key(arguments: KeyArguments) -> Result<()> {
    let request = match arguments.command {
        KeyCommand::Create {
            org,
            kind,
            name,
            scopes,
            expires_at,
        } => Request::CreateKey {
            org,
            kind,
            name,
            scopes,
            expires_at,
        },
        KeyCommand::List { org } => Request::ListKeys { org },
        KeyCommand::Revoke { org, id } => Request::RevokeKey { org, id },
        KeyCommand::RotateMaster => Request::RotateMaster {
            new: settings::new_master_key()?,
        },
    };
    run(&arguments.place, &request)
}

/// The events of a stopped server.
fn open_store(dir: &DataDir) -> Result<Arc<Store>> {
    let store = Store::open(
        open_files::most_of(journal::OsDisk),
        dir.path(),
        store::Options::default(),
        Arc::new(store::Unobserved),
    )?;
    Ok(Arc::new(store))
}

fn run(place: &Place, request: &Request) -> Result<()> {
    let master_key = settings::master_key()?;
    logging::start(LogFormat::Auto, tracing::Level::WARN);
    place.check()?;
    let started = Instant::now();
    let answer = loop {
        if let Some(dir) = DataDir::try_take(&place.data_dir)? {
            let accounts = dir.open_accounts(master_key.as_deref())?;
            let answer = execute::execute(&accounts, &|| open_store(&dir), request)?;
            accounts.close()?;
            break answer;
        }
        match socket::connect(&place.data_dir) {
            Ok(stream) => break socket::ask(&stream, request)?,
            Err(_) if started.elapsed() < PATIENCE => thread::sleep(LOOK_EVERY),
            Err(error) => return Err(error),
        }
    };
    print::print(&answer, place.json)
}
