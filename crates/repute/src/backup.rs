//! `repute backup DIR`: a copy that a server can be started on, taken beside the server that writes.

use crate::data_dir::{DataDir, MASTER_KEY_FILE, NEXT_MASTER_KEY_FILE, no_organisation};
use crate::logging::{self, LogFormat};
use crate::open_files;
use crate::place::Place;
use anyhow::{Context as _, Error, Result, anyhow, bail};
use clap::Args;
use journal::{OsDisk, ReadOnlyDisk};
use serde_json::{Value, json};
use server::accounts::MasterKey;
use server::{accounts, ledger};
use std::fs;
use std::io::{self, ErrorKind, Write as _, stdout};
use std::path::{Component, Path, PathBuf};
use store::{Backup, BackupFigures};

/// `repute backup`.
#[derive(Args)]
pub(crate) struct BackupArguments {
    /// Where the backup goes: a new or empty directory, or that of an earlier backup, which gets only what is new.
    #[arg(value_name = "DIR")]
    target: PathBuf,
    #[command(flatten)]
    place: Place,
    /// Link what is never written again instead of copying it. Needs the same file system, and protects against
    /// mistakes, not against a disk that fails.
    #[arg(long)]
    link: bool,
    /// Take the master key along, without which no signature can be checked; whoever has both has the secret keys.
    #[arg(long)]
    with_master_key: bool,
}

/// Takes a backup.
pub(crate) fn backup(arguments: &BackupArguments) -> Result<()> {
    let Place { data_dir, json } = &arguments.place;
    logging::start(LogFormat::Auto, tracing::Level::WARN);
    arguments.place.check()?;
    let disk = open_files::most_of(OsDisk);
    // Before the log is looked at, so that what is acknowledged until now is in it.
    let taken_at = store::now();
    let target = &arguments.target;
    // All that may be refused is, before anything is written there.
    refuse_overlap(data_dir, target)?;
    if target.is_dir() && DataDir::lock_dir(target)?.is_none() {
        return Err(is_in_use(target));
    }
    Backup::may_go_to(&*disk, target)?;
    let master_key = master_key(arguments)?;
    disk.create_dir_all(target)
        .with_context(|| format!("cannot make {}", target.display()))?;
    let Some(_lock) = DataDir::lock(target)? else {
        return Err(is_in_use(target));
    };
    let from = open_files::most_of(ReadOnlyDisk);
    let mut backup = Backup::begin(&disk, target)?;
    // Before the log: what the ledger lacks, a start counts from there.
    let ledger = data_dir.join(ledger::DATABASE);
    if ledger.exists() {
        backup
            .add_written(ledger::DATABASE, |to| server::copy_database(&ledger, to))
            .with_context(|| format!("cannot copy {}", ledger.display()))?;
    }
    backup.copy_log(&from, data_dir, arguments.link)?;
    let has_frames = backup.figures.last_frame > 0;
    // After the log: every organisation and key that its events name is there.
    let accounts = data_dir.join(accounts::DATABASE);
    backup
        .add_written(accounts::DATABASE, |to| {
            server::copy_database(&accounts, to)?;
            if has_frames && !server::has_orgs(to)? {
                bail!(no_organisation(&accounts));
            }
            master_key.as_ref().map_or(Ok(()), |key| fits(data_dir, to, key))
        })
        .with_context(|| format!("cannot copy {}", accounts.display()))?;
    let mut without = Vec::new();
    match &master_key {
        Some(key) => backup.add(MASTER_KEY_FILE, key)?,
        None => without.push(MASTER_KEY_FILE),
    }
    let manifest = json!({
        "taken_at": wire::timestamp::format(taken_at),
        "version": env!("CARGO_PKG_VERSION"),
        "last_frame": backup.figures.last_frame,
        "segments": backup.figures.segments,
        "master_key": master_key.is_some(),
    });
    let figures = backup.finish(&format!("{manifest}\n"), &without)?;
    let text = if *json {
        format!("{}\n", as_json(&figures, manifest))
    } else {
        for_people(arguments, &figures)
    };
    Ok(stdout().write_all(text.as_bytes())?)
}

fn is_in_use(target: &Path) -> Error {
    anyhow!(
        "another process is using {}: name another directory for the backup",
        target.display()
    )
}

/// Sees that neither of the two directories is or holds the other, whatever they are called.
fn refuse_overlap(data_dir: &Path, target: &Path) -> Result<()> {
    let cannot = |path: &Path| format!("cannot look at {}", path.display());
    let from = fs::canonicalize(data_dir).with_context(|| cannot(data_dir))?;
    let to = whereabouts(target).with_context(|| cannot(target))?;
    if from.starts_with(&to) || to.starts_with(&from) {
        bail!(
            "{}: is the data directory, holds it or lies in it; name another directory for the backup",
            target.display()
        );
    }
    Ok(())
}

/// Where a directory is or would be made, without links.
fn whereabouts(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        found => return found,
    }
    let path = std::path::absolute(path)?;
    match (path.parent(), path.components().next_back()) {
        (Some(parent), Some(Component::ParentDir)) => {
            // Out of a directory that is not there.
            let mut parent = whereabouts(parent)?;
            parent.pop();
            Ok(parent)
        }
        (Some(parent), Some(name)) => Ok(whereabouts(parent)?.join(name)),
        _ => Ok(path),
    }
}

/// The file of the master key, if it is wanted.
fn master_key(arguments: &BackupArguments) -> Result<Option<Vec<u8>>> {
    if !arguments.with_master_key {
        return Ok(None);
    }
    let file = arguments.place.data_dir.join(MASTER_KEY_FILE);
    match fs::read(&file) {
        Ok(key) => Ok(Some(key)),
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "--with-master-key: there is no {}: the server has its master key from REPUTE_MASTER_KEY, so keep a copy of \
             that",
            file.display()
        ),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// Sees that the master key of the copy is the one that the copied secret keys are sealed under.
fn fits(data_dir: &Path, copy: &Path, key: &[u8]) -> Result<()> {
    let text = String::from_utf8_lossy(key);
    if accounts::opens(copy, &MasterKey::parse(&text)?)? {
        return Ok(());
    }
    let now = fs::read(data_dir.join(MASTER_KEY_FILE));
    let is_changing = data_dir.join(NEXT_MASTER_KEY_FILE).exists();
    if is_changing || now.is_ok_and(|now| now != key) {
        bail!("the master key was changed meanwhile: take the backup again");
    }
    Ok(()) // not the key of all secret keys in the server either, which its log says
}

fn as_json(figures: &BackupFigures, mut manifest: Value) -> Value {
    manifest["copied_files"] = figures.copied_files.into();
    manifest["copied_bytes"] = figures.copied_bytes.into();
    manifest["kept_files"] = figures.kept_files.into();
    manifest
}

fn for_people(arguments: &BackupArguments, figures: &BackupFigures) -> String {
    let mut text = format!(
        "{}: {} segments up to frame {}; {} files ({} bytes) are new, {} were there\n",
        arguments.target.display(),
        figures.segments,
        figures.last_frame,
        figures.copied_files,
        figures.copied_bytes,
        figures.kept_files
    );
    if !arguments.with_master_key {
        text += "without the master key: keep it elsewhere, or no signature can be checked after a restore\n";
    }
    text += &format!(
        "to restore: repute serve --data-dir {}\n",
        arguments.target.display()
    );
    text
}
