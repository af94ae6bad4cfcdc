//! `repute repair`: go on without what is damaged, after saying what that costs.

use crate::data_dir::DataDir;
use crate::logging::{self, LogFormat};
use crate::open_files;
use crate::place::Place;
use anyhow::{Result, bail};
use clap::Args;
use journal::OsDisk;
use serde_json::{Value, json};
use std::io::{IsTerminal as _, Write as _, stdin, stdout};
use std::process::ExitCode;
use store::{Finding, LostEvents, LostFrames, Plan};

/// `repute repair`.
#[derive(Args)]
pub(crate) struct RepairArguments {
    #[command(flatten)]
    place: Place,
    /// Say what would be done, and do nothing.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do it without asking.
    #[arg(long)]
    yes: bool,
}

/// Repairs the directory of a stopped server.
pub(crate) fn repair(arguments: &RepairArguments) -> Result<ExitCode> {
    logging::start(LogFormat::Auto, tracing::Level::WARN);
    let place = &arguments.place;
    place.check()?;
    let Some(dir) = DataDir::try_take(&place.data_dir)? else {
        bail!("a server is using {}: stop it first", place.data_dir.display());
    };
    let disk = open_files::most_of(OsDisk);
    let plan = Plan::make(&disk, dir.path())?;
    if !place.json {
        say(&for_people(&plan))?;
    }
    let done = !plan.is_empty() && !arguments.dry_run && (arguments.yes || is_wanted(place.json)?);
    if done {
        plan.carry_out(&disk, dir.path())?;
    }
    if place.json {
        say(&format!("{}\n", as_json(&plan, done)))?;
    } else if done {
        say("done: `repute verify` should find it sound now, and the server can be started\n")?;
    }
    let is_left = !plan.left.is_empty() || (!plan.is_empty() && !done);
    Ok(ExitCode::from(u8::from(is_left)))
}

fn say(text: &str) -> Result<()> {
    stdout().write_all(text.as_bytes())?;
    Ok(stdout().flush()?)
}

/// Asks, if there is somebody to ask.
fn is_wanted(is_script: bool) -> Result<bool> {
    if is_script || !stdin().is_terminal() {
        bail!("nothing was changed: say --yes to do this, or --dry-run to only look");
    }
    say("Do this? Type yes: ")?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    if answer.trim() != "yes" {
        bail!("nothing was changed");
    }
    Ok(true)
}

fn for_people(plan: &Plan) -> String {
    let mut text = String::new();
    for LostFrames {
        file,
        offset,
        first,
        last,
        why,
    } in &plan.lost_frames
    {
        text += &format!(
            "lost: frames {first} to {last}, {} from byte {offset}: {why}\n",
            file.display()
        );
    }
    for LostEvents { org, first, last } in &plan.lost_events {
        text += &format!("lost: events {first} to {last} of organisation {}\n", org.0);
    }
    if plan.end_is_lost {
        text += "lost: perhaps newer events than these, which nothing tells of any more\n";
    }
    for (from, to) in &plan.set_aside {
        text += &format!("kept: {} as {}\n", from.display(), to.display());
    }
    for file in &plan.rebuilt {
        text += &format!("removed, to be built anew: {}\n", file.display());
    }
    if plan.new_secret {
        text += "made anew: store.key: cursors that clients hold end, and events that retention removed count once more if they \
                 are sent again\n";
    }
    for Finding {
        file,
        offset,
        what,
        remedy,
    } in &plan.left
    {
        text += &format!(
            "not repaired: {} at byte {offset}: {what}; {}\n",
            file.display(),
            remedy.sentence()
        );
    }
    if plan.is_empty() && plan.left.is_empty() {
        text += "there is nothing to repair\n";
    } else if plan.lost_frames.is_empty() {
        text += "no event is lost\n";
    }
    text
}

fn as_json(plan: &Plan, done: bool) -> Value {
    let frames = plan.lost_frames.iter().map(|lost| {
        json!({ "file": lost.file, "offset": lost.offset, "first": lost.first, "last": lost.last, "why": lost.why })
    });
    let events = plan
        .lost_events
        .iter()
        .map(|lost| json!({ "organisation": lost.org.0, "first": lost.first, "last": lost.last }));
    let kept = plan
        .set_aside
        .iter()
        .map(|(from, to)| json!({ "file": from, "kept_as": to }));
    let left = plan
        .left
        .iter()
        .map(|finding| json!({ "file": finding.file, "offset": finding.offset, "what": finding.what }));
    json!({
        "done": done,
        "lost_frames": frames.collect::<Vec<_>>(),
        "lost_events": events.collect::<Vec<_>>(),
        "end_is_lost": plan.end_is_lost,
        "kept": kept.collect::<Vec<_>>(),
        "rebuilt": plan.rebuilt,
        "new_store_key": plan.new_secret,
        "not_repaired": left.collect::<Vec<_>>(),
    })
}
